//! Listening, and ending well.

use crate::connection::Listener;
use axum::Router;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long requests that are being worked on may take after the server was told to end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// An address that another program has.
    #[error("another program listens on {0} already")]
    Taken(SocketAddr),
    /// An address of others than this machine, who are told no public address.
    #[error("{0} is reached by others than this machine: say by which address they do")]
    NoUrl(SocketAddr),
    /// A public address that is none.
    #[error("{0} is no address of a server: https://explain.example.org")]
    Url(String),
    /// An address that cannot be listened on.
    #[error("{address}: {because}")]
    Failed {
        /// The address.
        address: String,
        /// Why.
        because: String,
    },
}

/// A server that listens, and does not answer yet.
pub(crate) struct Listening {
    listener: TcpListener,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The address of its pages, without a last `/`.
    pub(crate) url: String,
}

impl Listening {
    /// Listens on `address`; `url` is the address by which others than this machine reach the server.
    ///
    /// # Errors
    /// [`ListenError::Taken`] and [`ListenError::Failed`] where the address cannot be had; [`ListenError::NoUrl`] where others than this machine
    /// are to be served and no public address is given.
    pub(crate) async fn on(address: SocketAddr, url: Option<&str>) -> Result<Self, ListenError> {
        let failed = |e: std::io::Error| ListenError::Failed { address: address.to_string(), because: e.to_string() };
        if !address.ip().is_loopback() && url.is_none() {
            return Err(ListenError::NoUrl(address));
        }
        let listener = TcpListener::bind(address).await.map_err(|e| match e.kind() {
            std::io::ErrorKind::AddrInUse => ListenError::Taken(address),
            _ => failed(e),
        })?;
        let address = listener.local_addr().map_err(failed)?;
        let url = url.map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());
        Ok(Listening { listener, address, url })
    }

    /// Answers until the program is told to end (Ctrl-C, SIGTERM); requests that were begun are answered before. A connection over which
    /// nothing comes or goes for `silence` ends.
    ///
    /// # Errors
    /// [`ListenError::Failed`] where the system ends it.
    pub(crate) async fn serve(self, router: Router, silence: Duration) -> Result<(), ListenError> {
        let (end, mut ended) = watch::channel(false);
        tokio::spawn(async move {
            told_to_end().await;
            let _ = end.send(true);
        });
        let mut patience = ended.clone();
        let listener = Listener { listener: self.listener, silence };
        let service = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = ended.wait_for(|ended| *ended).await;
        });
        let served = tokio::spawn(service.into_future());
        let abort = served.abort_handle();
        tokio::spawn(async move {
            let _ = patience.wait_for(|ended| *ended).await;
            tokio::time::sleep(LAST_WORDS).await;
            abort.abort();
        });
        // Whoever is still connected after the last words has been told nothing that is not kept.
        match served.await {
            Ok(Err(e)) => Err(ListenError::Failed { address: self.address.to_string(), because: e.to_string() }),
            _ => Ok(()),
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_end() {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let pass = |told: tokio::sync::mpsc::Sender<()>, signal: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        tokio::spawn(async move {
            signal.await;
            let _ = told.send(()).await;
        })
    };
    pass(
        told.clone(),
        Box::pin(async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }),
    );
    #[cfg(unix)]
    pass(
        told.clone(),
        Box::pin(async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending::<()>().await,
            }
        }),
    );
    let _ = heard.recv().await;
}
