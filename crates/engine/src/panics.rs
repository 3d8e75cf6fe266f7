//! Panics of other people's code, caught and kept quiet.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The value of `work`, or the message of a panic inside it.
///
/// Nothing is printed of such a panic: the process's panic hook is called for all others only. What `work` can reach must
/// not be used after a panic that may have left it half-made.
///
/// # Errors
/// The panic's message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo| {
            if !is_caught() {
                hook(info);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    let made = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    made.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

/// Whether a panic on this thread is caught here: in a call of [`caught`], or on a thread that works for one.
fn is_caught() -> bool {
    let current = std::thread::current();
    DEPTH.get() > 0 || current.name().is_some_and(|name| name.starts_with(WORKERS))
}

/// How the names of threads begin that work for a call of [`caught`], and hand it their panics.
pub const WORKERS: &str = "hirescam-worker";
