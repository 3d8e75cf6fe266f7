//! The binary `hirescam`.

use std::process::ExitCode;

/// Photos, and what networks hold for a moment, come and go on all threads; the allocator of Linux would keep of that what each thread held at its most.
#[cfg(all(feature = "batch", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hirescam_cli::run(std::env::args_os()).into()
}
