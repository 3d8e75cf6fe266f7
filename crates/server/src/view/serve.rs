//! Explanations on their address.

use crate::listen::Listening;
use crate::view::app::{App, Error};
use std::net::SocketAddr;
use std::time::Duration;

/// How long nothing may come or go over a connection beyond the time that a request may take.
const SILENCE: Duration = Duration::from_secs(30);

/// What is told when the server listens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// The address of its page and of its API, without a last `/`.
    pub url: String,
}

/// Serves until it is told to end (Ctrl-C, SIGTERM). `listening` is told once it listens.
///
/// # Errors
/// [`Error::Listen`] where the address cannot be had, or where others than this machine are to be served and no public address is given.
pub async fn serve(app: App, listen: SocketAddr, listening: impl FnOnce(&Served)) -> Result<(), Error> {
    let server = Listening::on(listen, app.options.url.as_deref()).await?;
    listening(&Served { address: server.address, url: server.url.clone() });
    // A request that computes says nothing meanwhile.
    let silence = SILENCE + app.options.limits.longest;
    Ok(server.serve(app.router(), silence).await?)
}
