//! Work that computes: a few at once, in threads of their own, never longer than allowed, and for nobody who has gone away.

use crate::view::app::Limits;
use crate::view::failure::Failure;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where work is done.
pub(crate) struct Work {
    turns: Arc<Semaphore>,
    /// Those who compute and those who wait.
    places: Arc<Semaphore>,
    longest: Duration,
    longest_told: Duration,
}

/// A flag that stops work; set, too, when the one who asked for it is gone.
pub(crate) type Stop = Arc<AtomicBool>;

/// Sets the flag when it is dropped.
struct Gone(Stop);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Work {
    /// For so many at once.
    pub(crate) fn new(at_once: usize, limits: &Limits) -> Self {
        let at_once = at_once.max(1);
        Work {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + limits.waiting)),
            longest: limits.longest,
            longest_told: limits.longest_told,
        }
    }

    /// What `work` gives. Once nobody waits for it, or after too long, the flag that it is given is set.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        self.within(self.longest, work)
    }

    /// The same for work that says how far it is.
    pub(crate) fn run_told<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        self.within(self.longest_told, work)
    }

    fn within<T: Send + 'static>(
        &self,
        longest: Duration,
        work: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        let (turns, place) = (self.turns.clone(), self.places.clone().try_acquire_owned());
        async move {
            let place = place.map_err(|_| Failure::busy())?;
            let stop = Stop::default();
            let _gone = Gone(stop.clone());
            let done = async {
                let turn = turns.acquire_owned().await.map_err(|_| Failure::broken())?;
                let done = tokio::task::spawn_blocking(move || {
                    // They are given back when the work ends, which may be after nobody waits for it.
                    let _held = (turn, place);
                    work(&stop)
                });
                done.await.unwrap_or_else(|_| Err(Failure::broken()))
            };
            tokio::time::timeout(longest, done).await.unwrap_or_else(|_| Err(Failure::late()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    }

    /// Works until it is told to stop, for a second at most; whether it was.
    fn patient(stop: &Stop) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if stop.load(Ordering::Relaxed) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn no_more_compute_at_once_than_allowed_and_no_more_wait() {
        let work = Work::new(2, &Limits { waiting: 3, ..Limits::default() });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all: Vec<_> = (0..6)
            .map(|_| {
                let (now, most) = (now.clone(), most.clone());
                work.run(move |_| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(30));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        let done = runtime().block_on(async {
            let all: Vec<_> = all.into_iter().map(tokio::spawn).collect();
            let mut done = Vec::new();
            for one in all {
                done.push(one.await.unwrap().is_ok());
            }
            done
        });
        assert_eq!(done, [true, true, true, true, true, false]);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn work_stops_when_it_takes_too_long_or_nobody_waits_for_it() {
        let work = Work::new(2, &Limits { longest: Duration::from_millis(50), ..Limits::default() });
        let runtime = runtime();
        let (told, heard) = std::sync::mpsc::channel();
        for late in [true, false] {
            let told = told.clone();
            let work = work.run(move |stop| {
                told.send(patient(stop)).unwrap();
                Ok(())
            });
            runtime.block_on(async {
                match late {
                    true => assert!(work.await.is_err()),
                    false => drop(tokio::time::timeout(Duration::from_millis(10), work).await),
                }
            });
            assert!(heard.recv().unwrap(), "{late}");
        }
    }

    #[test]
    fn what_panics_is_a_failure_and_gives_its_turn_back() {
        let work = Work::new(1, &Limits { waiting: 0, ..Limits::default() });
        let runtime = runtime();
        assert!(runtime.block_on(work.run::<()>(|_| std::panic::panic_any("broken"))).is_err());
        assert!(runtime.block_on(work.run(|_| Ok(()))).is_ok());
    }
}
