//! What the program says on stdout.

use crate::error::Error;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// Writes a line to stdout; that a reader has seen enough (`| head`) is no error.
///
/// # Errors
/// [`Error::File`] where it cannot be written.
pub fn line(text: Arguments) -> Result<(), Error> {
    match writeln!(stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::File { path: "stdout".into(), what: error.to_string() })
        }
        _ => Ok(()),
    }
}

/// As `println!`, with what keeps it from being written as an error.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;
