//! Work that is done without the interpreter: its threads, its panics, its signals.

use crate::error;
use hirescam::Error;
use hirescam::engine::{WORKERS, caught};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `work` gives, while other threads of Python go on.
pub fn done<T: Send>(py: Python, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    alone(py, work)?.map_err(|error| error::raised(py, &error))
}

/// As [`done`], of work with errors of another kind.
pub fn alone<T: Send>(py: Python, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let threads = threads(py)?;
    let caught = || caught(work);
    let made = py.detach(|| match &threads {
        Some(pool) => pool.install(caught),
        None => caught(),
    });
    made.map_err(|message| error::panicked(py, &message))
}

/// Told of which sample how many steps of how many are done.
pub type Tell<'a> = dyn FnMut(usize, usize, usize) + Send + 'a;

/// As [`done`], of work that shows how far it is. Between its steps it is stopped where Python has been sent a signal, and `progress`
/// is called.
pub fn watched<T: Send>(
    py: Python,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut Tell, &Arc<AtomicBool>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (stop, mut raised, mut asked) = (Arc::new(AtomicBool::new(false)), None, Instant::now());
    let mut tell = |sample, done, of| {
        let last = done >= of;
        if raised.is_some() || (!last && asked.elapsed() < OFTEN) {
            return;
        }
        asked = Instant::now();
        raised = Python::attach(|py| {
            py.check_signals()?;
            progress.as_ref().map_or(Ok(()), |progress| progress.call1(py, (sample, done, of)).map(drop))
        })
        .err();
        stop.store(raised.is_some(), Ordering::Relaxed);
    };
    let made = done(py, || work(&mut tell, &stop));
    raised.map_or(made, Err)
}

/// Signals are looked for so often.
const OFTEN: Duration = Duration::from_millis(50);

/// The threads of this process: its own pool where it is a fork of one that has threads, for these are not forked with it.
fn threads(py: Python) -> PyResult<Option<Arc<ThreadPool>>> {
    type Threads = Option<(u32, Option<Arc<ThreadPool>>)>;
    static THREADS: Mutex<Threads> = Mutex::new(None);
    // No fork comes between: this thread has the interpreter.
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = || ThreadPoolBuilder::new().thread_name(|i| format!("{WORKERS}-{i}"));
    let own = match &*threads {
        Some((process, own)) if *process == process::id() => return Ok(own.clone()),
        // Somebody else may have made the global pool; then it is as it is.
        None => builder().build_global().map_or(None, |()| None),
        Some(_) => {
            let pool = builder().build();
            Some(Arc::new(pool.map_err(|e| error::panicked(py, &e.to_string()))?))
        }
    };
    *threads = Some((process::id(), own.clone()));
    Ok(own)
}

/// Something with threads of its own that is used in one process alone. A fork, which has it and not its threads, never ends it: that would be to wait for them forever.
pub struct OfProcess<T> {
    process: u32,
    thing: Arc<T>,
}

impl<T> OfProcess<T> {
    /// Of this process.
    pub fn new(thing: T) -> Self {
        OfProcess { process: process::id(), thing: Arc::new(thing) }
    }
}

impl<T> Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.process != process::id() {
            std::mem::forget(self.thing.clone());
        }
    }
}

/// Something with threads of its own, which a fork has not: there it is made again. What came from the other process is left as it
/// is, for to end its threads would be to wait for them forever.
pub struct PerProcess<T> {
    make: Box<dyn Fn() -> Result<T, Error> + Send + Sync>,
    made: Mutex<(u32, Option<Arc<T>>)>,
}

impl<T: Send + Sync> PerProcess<T> {
    /// Makes it for this process.
    pub fn new(py: Python, make: impl Fn() -> Result<T, Error> + Send + Sync + 'static) -> PyResult<Self> {
        let made = PerProcess { make: Box::new(make), made: Mutex::new((0, None)) };
        made.get(py)?;
        Ok(made)
    }

    /// That of this process.
    pub fn get(&self, py: Python) -> PyResult<Arc<T>> {
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let (process, Some(thing)) = &*made()
            && *process == process::id()
        {
            return Ok(thing.clone());
        }
        let thing = Arc::new(done(py, || (self.make)())?);
        let before = std::mem::replace(&mut *made(), (process::id(), Some(thing.clone())));
        if before.0 != process::id() {
            std::mem::forget(before);
        }
        Ok(thing)
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        if made.0 != process::id() {
            std::mem::forget(made.1.take());
        }
    }
}
