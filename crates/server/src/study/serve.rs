//! A study on its address.

use crate::listen::Listening;
use crate::study::Error;
use crate::study::app::App;
use std::net::SocketAddr;
use std::time::Duration;

/// How long nothing may come or go over a connection.
const SILENCE: Duration = Duration::from_secs(30);

/// What is told when the server listens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// The address of its pages, without a last `/`.
    pub url: String,
    /// What opens the owner's page.
    pub owner_token: String,
}

/// Serves until it is told to end (Ctrl-C, SIGTERM); requests that were begun are answered before. `listening` is told once it listens.
///
/// # Errors
/// [`Error::Listen`] where the address cannot be had, or where others than this machine are to be served and no public address is given.
pub async fn serve(app: App, listen: SocketAddr, listening: impl FnOnce(&Served)) -> Result<(), Error> {
    let server = Listening::on(listen, app.options.url.as_deref()).await?;
    let (address, url) = (server.address, server.url.clone());
    listening(&Served { address, url, owner_token: app.owner_token().to_owned() });
    let store = app.store.clone();
    server.serve(app.router(), SILENCE).await?;
    store.close().await;
    Ok(())
}
