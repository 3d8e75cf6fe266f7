//! How work is watched, and stopped before its end.

use crate::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a method is with a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Which sample, counted from 0.
    pub sample: usize,
    /// How many forward passes are done.
    pub done: usize,
    /// How many there are.
    pub of: usize,
}

/// Who is told how far the work is, and who may stop it. By default nobody.
#[derive(Default)]
pub struct Watch<'a> {
    progress: Option<Box<dyn FnMut(Progress) + 'a>>,
    cancel: Option<&'a AtomicBool>,
}

impl<'a> Watch<'a> {
    /// Tells `progress` how far the work is, which matters for methods of several runs.
    pub fn new(progress: impl FnMut(Progress) + 'a) -> Self {
        Watch { progress: Some(Box::new(progress)), cancel: None }
    }

    /// Stops between two runs once `cancel` is true: what is not made by then is [`Error::Cancelled`].
    pub fn stopped_by(self, cancel: &'a AtomicBool) -> Self {
        Watch { cancel: Some(cancel), ..self }
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        if let Some(tell) = &mut self.progress {
            tell(progress);
        }
    }

    /// The flag that stops the work.
    pub(crate) fn stop(&self) -> Stop<'a> {
        Stop(self.cancel)
    }
}

/// A flag that stops work, where there is one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stop<'a>(Option<&'a AtomicBool>);

impl Stop<'_> {
    /// Whether the work goes on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where it does not.
    pub(crate) fn check(self) -> Result<(), Error> {
        match self.0 {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }
}
