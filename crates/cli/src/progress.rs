//! Bars that show how far a command is; nothing where stderr is no terminal.

use hirescam::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar over images, where there are several.
pub fn images(count: usize) -> ProgressBar {
    match count {
        0 | 1 => ProgressBar::hidden(),
        count => ProgressBar::new(count as u64).with_style(style("{bar:30} {pos}/{len} images, {eta} left")),
    }
}

/// A bar over the forward passes of one thing after the other.
pub fn passes() -> ProgressBar {
    ProgressBar::new(1).with_style(style("{msg:20} {bar:30} {pos}/{len} passes, {eta} left"))
}

/// A bar over steps of different kinds.
pub fn steps() -> ProgressBar {
    ProgressBar::new(1).with_style(style("{msg:20} {bar:30} {pos}/{len}, {eta} left"))
}

/// A bar over many images, with its rate and what is said beside.
#[cfg(any(feature = "batch", feature = "evaluate"))]
pub fn images_with_rate() -> ProgressBar {
    ProgressBar::new(1).with_style(style("{bar:30} {pos}/{len} images, {per_sec}, {eta} left  {msg}"))
}

/// Shows on a bar over passes how many are done.
pub fn watch(bar: &ProgressBar, progress: Progress) {
    if progress.of > 1 {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
