//! Ctrl-C, for work that ends cleanly wherever it is.

use crate::error::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code of a program that was interrupted, as shells have it.
pub const CODE: u8 = 130;

/// What is true from the first Ctrl-C on, or the first time that the program is told to end otherwise. The second time it ends at once.
///
/// # Errors
/// [`Error::Argument`] where the system lets nobody listen.
pub fn flag() -> Result<Arc<AtomicBool>, Error> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // They act in this order: the first time there is nothing yet that ends the program.
        let listens = flag::register_conditional_shutdown(signal, CODE.into(), told.clone())
            .and_then(|_| flag::register(signal, told.clone()));
        listens.map_err(|e| Error::Argument(format!("nothing can be interrupted cleanly here: {e}")))?;
    }
    Ok(told)
}
