//! The binary `hirescam`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hirescam_cli::run(std::env::args_os()).into()
}
