//! `hirescam view`: a page on which one looks at explanations, and asks.

use super::serve::Server;
use crate::error::Error;
use crate::options::{self, Given};
use crate::output::{note, say};
use clap::Args;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// Look at explanations on a page.
#[derive(Args)]
pub struct View {
    #[command(flatten)]
    server: Server,
    /// Where to listen: another port at each start where it is 0. Others than this machine need --url
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Do not open the page in a browser
    #[arg(long)]
    no_open: bool,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::RUNS }>,
}

impl View {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        self.server.run(self.listen, true, self.spec.spec()?, |served| {
            say!("the page: {}/", served.url)?;
            say!("Ctrl-C ends it")?;
            if !self.no_open && !opened(&format!("{}/", served.url)) {
                note("no browser could be opened here: open the page by its address");
            }
            Ok(())
        })
    }
}

/// Opens an address in the system's browser, and says whether there is something that opens it.
fn opened(url: &str) -> bool {
    let (program, before): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let mut command = Command::new(program);
    command.args(before).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
