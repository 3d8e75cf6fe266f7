//! What was made, kept while there is room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Things by key, up to a number of bytes; those that were not asked for for longest go first. What is asked for while it is being made is
/// made once.
pub(crate) struct Cache<V> {
    most: u64,
    /// The latest first.
    kept: Mutex<Vec<(String, Arc<Slot<V>>)>>,
}

struct Slot<V> {
    made: Mutex<Option<Arc<V>>>,
    bytes: AtomicU64,
}

impl<V> Cache<V> {
    pub(crate) fn new(most: u64) -> Self {
        Cache { most, kept: Mutex::default() }
    }

    /// What is kept under `key`; else what `make` gives, with its bytes. The latest is kept whatever its size.
    pub(crate) fn get<E>(&self, key: &str, make: impl FnOnce() -> Result<(V, u64), E>) -> Result<Arc<V>, E> {
        let slot = self.slot(key);
        let mut made = slot.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made {
            return Ok(made.clone());
        }
        match make() {
            Ok((value, bytes)) => {
                let value = Arc::new(value);
                *made = Some(value.clone());
                slot.bytes.store(bytes, Ordering::Relaxed);
                self.give_up();
                Ok(value)
            }
            Err(error) => {
                self.forget(|own| own == key);
                Err(error)
            }
        }
    }

    /// What is kept under `key`, where it is made already.
    pub(crate) fn peek(&self, key: &str) -> Option<Arc<V>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, slot) = kept.iter().find(|(own, _)| own == key)?;
        slot.made.try_lock().ok()?.clone()
    }

    /// Gives up what `is_meant` of the keys.
    pub(crate) fn forget(&self, is_meant: impl Fn(&str) -> bool) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(key, _)| !is_meant(key));
    }

    fn slot(&self, key: &str) -> Arc<Slot<V>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match kept.iter().position(|(own, _)| own == key) {
            Some(at) => kept.remove(at),
            None => (key.to_owned(), Arc::new(Slot { made: Mutex::new(None), bytes: AtomicU64::new(0) })),
        };
        let slot = found.1.clone();
        kept.insert(0, found);
        slot
    }

    fn give_up(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut sum, mut first) = (0u64, true);
        kept.retain(|(_, slot)| {
            let bytes = slot.bytes.load(Ordering::Relaxed);
            sum = sum.saturating_add(bytes);
            std::mem::take(&mut first) || bytes == 0 || sum <= self.most
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    fn has(cache: &Cache<u32>, key: &str) -> bool {
        cache.kept.lock().unwrap().iter().any(|(own, _)| own == key)
    }

    #[test]
    fn what_was_not_asked_for_for_longest_goes_first() {
        let cache = Cache::new(10);
        let ask = |key: &str, bytes| *cache.get(key, || Ok::<_, Infallible>((bytes as u32, bytes))).unwrap();
        for key in ["a", "b", "c"] {
            ask(key, 4);
        }
        assert!(!has(&cache, "a") && has(&cache, "b") && has(&cache, "c"));
        ask("b", 4);
        ask("d", 4);
        assert!(has(&cache, "b") && !has(&cache, "c") && has(&cache, "d"));
        // The latest stays, however large it is.
        ask("huge", 100);
        assert!(has(&cache, "huge") && !has(&cache, "b"));
        assert_eq!(ask("huge", 7), 100);
    }

    #[test]
    fn what_is_asked_for_twice_at_once_is_made_once() {
        let (cache, made) = (Cache::new(10), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    cache.get("a", || {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Infallible>(((), 1))
                    })
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let cache = Cache::new(10);
        assert_eq!(cache.get("a", || Err::<(u32, u64), _>("no")).unwrap_err(), "no");
        assert_eq!(*cache.get("a", || Ok::<_, &str>((3, 1))).unwrap(), 3);
    }
}
