//! `hirescam serve`: explanations over HTTP, for other programs.

use crate::error::Error;
use crate::inputs;
use crate::options::{self, Given};
use crate::output::{note, say};
use clap::Args;
use hirescam::Spec;
use hirescam_server::view::{self, App, Limits, Options, Served};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Serve explanations.
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    server: Server,
    /// Where to listen. Others than this machine need --url
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    #[command(flatten)]
    spec: Given<{ options::ENGINE | options::RUNS }>,
}

impl Serve {
    /// Runs the command, and gives the exit code.
    pub fn run(&self) -> Result<u8, Error> {
        self.server.run(self.listen, false, self.spec.spec()?, |served| {
            say!("the API: {}/api, described by {}/api/openapi.json", served.url, served.url)?;
            say!("explaining models by the Open Inference Protocol: {}/v2", served.url)?;
            say!("Ctrl-C ends it")
        })
    }
}

/// What is served, and how much of the machine that takes.
#[derive(Args)]
pub struct Server {
    /// Networks (.onnx), photos, folders of photos, patterns, ready tensors (.npy); more can be sent later
    files: Vec<PathBuf>,
    /// Also take the images of the folders within folders
    #[arg(short, long)]
    recursive: bool,
    /// The address by which others than this machine reach the server, where they are to: https://explain.example.org
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Mebibytes of networks that are kept ready to explain; those that were not used for longest are given up first
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().ready_bytes >> 20)]
    cache: u64,
    /// How many requests make maps at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().at_once)]
    at_once: usize,
    /// How many seconds a request may take; ten times as many where it says how far it is
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().longest.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl Server {
    /// Serves until Ctrl-C; `tell` says where.
    pub fn run(
        &self,
        listen: SocketAddr,
        page: bool,
        spec: Spec,
        tell: impl FnOnce(&Served) -> Result<(), Error>,
    ) -> Result<u8, Error> {
        let is_network = |path: &&PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
        let (models, images): (Vec<&PathBuf>, Vec<&PathBuf>) = self.files.iter().partition(is_network);
        let images: Vec<PathBuf> = images.into_iter().cloned().collect();
        let longest = Duration::from_secs(self.timeout);
        let app = App::new(Options {
            spec,
            models: models.into_iter().cloned().collect(),
            images: if images.is_empty() { images } else { inputs::images(&images, self.recursive)? },
            url: self.url.clone(),
            page,
            limits: Limits {
                ready_bytes: self.cache << 20,
                at_once: self.at_once,
                longest,
                longest_told: longest.saturating_mul(10),
                ..Limits::default()
            },
        })?;
        let runtime =
            tokio::runtime::Runtime::new().map_err(|e| Error::Argument(format!("no threads can be started: {e}")))?;
        let mut said = Ok(());
        let served = runtime.block_on(view::serve(app, listen, |served| {
            if !served.address.ip().is_loopback() {
                note("whoever reaches this address can use this machine to explain networks, and see what was sent");
            }
            said = tell(served);
        }));
        // Work that nobody waits for any more ends with the program.
        runtime.shutdown_background();
        served?;
        said?;
        Ok(0)
    }
}
