//! Where a study's answers are kept, as the steps that need them are told.

use crate::error::Error;
use clap::Args;
use hirescam_server::study::{Store, store};
use hirescam_study::Manifest;
use std::path::Path;

/// Where the answers are.
#[derive(Args)]
pub struct Database {
    /// Where the answers are: a file (SQLite), or postgres://USER:PASSWORD@HOST/NAME [default: beside the study, DIR-answers.sqlite]
    #[arg(long = "database", value_name = "FILE|URL")]
    address: Option<String>,
}

impl Database {
    /// Opens the answers of the study in `folder`, as [`with`](Self::with) does, where there are any.
    pub fn with_existing<T>(
        &self,
        folder: &Path,
        manifest: &Manifest,
        work: impl AsyncFnOnce(Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let address = store::address(folder, self.address.as_deref())?;
        run(async || Ok(Store::open_existing(&address, manifest).await?), work)
    }

    /// Opens the answers of the study in `folder`, makes their database where there is none, does something with them, and closes them.
    pub fn with<T>(
        &self,
        folder: &Path,
        manifest: &Manifest,
        work: impl AsyncFnOnce(Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let address = store::address(folder, self.address.as_deref())?;
        run(async || Ok(Store::open(&address, manifest).await?), work)
    }
}

fn run<T>(
    open: impl AsyncFnOnce() -> Result<Store, Error>,
    work: impl AsyncFnOnce(Store) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |e: std::io::Error| Error::Argument(format!("no threads can be had: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let store = open().await?;
        let done = work(store.clone()).await;
        store.close().await;
        done
    })
}
