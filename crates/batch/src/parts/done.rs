//! Which images are done.

use sha2::{Digest, Sha256};

/// What stands for a uri: the first half of its SHA-256.
pub(super) type Mark = [u8; 16];

pub(super) fn mark(uri: &str) -> Mark {
    let mut mark = Mark::default();
    mark.iter_mut().zip(Sha256::digest(uri)).for_each(|(to, byte)| *to = byte);
    mark
}

/// The images that are done, by marks of 16 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done(pub(super) Vec<Mark>);

impl Done {
    /// Reads what [`Done::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut marks: Vec<Mark> =
            bytes.chunks_exact(size_of::<Mark>()).filter_map(|mark| mark.try_into().ok()).collect();
        marks.sort_unstable();
        Done(marks)
    }

    /// As bytes, 16 an image.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an image is done.
    pub fn contains(&self, uri: &str) -> bool {
        self.0.binary_search(&mark(uri)).is_ok()
    }
}

pub(super) fn unhex(text: &str) -> Option<Mark> {
    let mut mark = Mark::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * mark.len() {
        return None;
    }
    for (byte, pair) in mark.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(mark)
}
