//! What the program says. All of it goes through here: names in files, and files' own names, are anybody's, and must not
//! reach a terminal as commands to it.

use crate::error::Error;
use serde::Serialize;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::Path;

/// Writes a line to stdout; that a reader has seen enough (`| head`) is no error.
///
/// # Errors
/// [`Error::File`] where it cannot be written.
pub fn line(text: Arguments) -> Result<(), Error> {
    put(&shown(&text.to_string()))
}

/// Writes a value to stdout, as one line of JSON.
///
/// # Errors
/// [`Error::File`] where it cannot be written.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|e| Error::Argument(e.to_string()))?;
    // Such characters stand in strings only, and there may be written like that.
    let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    put(&escaped(&text, escape))
}

/// Makes the folder in which a file is to lie.
///
/// # Errors
/// [`Error::File`] where it cannot be made.
pub fn folder_of(file: &Path) -> Result<(), Error> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let made = std::fs::create_dir_all(folder);
    made.map_err(|error| Error::File { path: folder.to_owned(), what: error.to_string() })
}

/// Says on stderr what went wrong.
pub fn error(text: &str) {
    aside("error", text);
}

/// Says on stderr what is wrong with the arguments, in several lines.
pub fn usage(text: &str) {
    let lines: Vec<String> = text.trim_end().lines().map(shown).collect();
    // Where it cannot be said, there is nobody to tell.
    let _ = writeln!(stderr(), "{}", lines.join("\n"));
}

/// Says on stderr what went wrong with a file, or with one of its images.
pub fn failed(file: &Path, index: Option<usize>, problem: &Error) {
    let index = index.map_or(String::new(), |index| format!(" [{index}]"));
    error(&format!("{}{index}: {}", file.display(), problem.without(file)));
}

/// Says something on stderr beside the results.
pub fn note(text: &str) {
    aside("note", text);
}

/// Further lines are moved in, so that none of them looks like another message.
fn aside(what: &str, text: &str) {
    let lines: Vec<String> = text.lines().map(shown).collect();
    // Where it cannot be said, there is nobody to tell.
    let _ = writeln!(stderr(), "{what}: {}", lines.join("\n  "));
}

fn put(text: &str) -> Result<(), Error> {
    match writeln!(stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::File { path: "stdout".into(), what: error.to_string() })
        }
        _ => Ok(()),
    }
}

/// A line for a terminal: what would control it is written out, ends of lines too.
fn shown(text: &str) -> String {
    escaped(text, |c| c.escape_unicode().to_string())
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut made, c| {
        match is_safe(c) {
            true => made.push(c),
            false => made += &escape(c),
        }
        made
    })
}

/// Whether a character only shows itself. Others are control characters (of C0 and C1), and those that end lines or change
/// the direction of text around them (Unicode Standard Annex 9).
fn is_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As `println!`, with what keeps it from being written as an error.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_is_shown_as_it_is() {
        assert_eq!(shown("cat\u{1b}[31m\n\r\u{9b}2J\u{7f}ü"), "cat\\u{1b}[31m\\u{a}\\u{d}\\u{9b}2J\\u{7f}ü");
        for c in ['\u{202e}', '\u{2066}', '\u{2069}', '\u{200f}', '\u{2028}', '\u{61c}'] {
            assert_eq!(shown(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        assert_eq!(shown("日本語 café — Σ ≤ 🐱"), "日本語 café — Σ ≤ 🐱");
    }

    #[test]
    fn what_is_written_out_in_json_is_the_same_json() {
        let text = "\u{202e}\u{9b}\u{7f}\u{1b}ü\u{feff}";
        let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let json = escaped(&serde_json::to_string(text).unwrap_or_default(), escape);
        assert!(json.chars().all(is_safe), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).ok().as_deref(), Some(text));
    }
}
