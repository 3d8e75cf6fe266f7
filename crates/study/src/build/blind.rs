//! What keeps arms from being told apart by anything but their maps: names, lengths and times of files.

use crate::Error;
use hirescam::random::Random;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The chunk that fills files up: ancillary, private, safe to copy (PNG, third edition, section 5.4). What reads pictures passes it over.
pub(super) const PADDING: png::chunk::ChunkType = png::chunk::ChunkType(*b"paDd");

/// The bytes of a chunk beside its data: length, kind and checksum.
const AROUND: usize = 12;

/// The last chunk of every PNG file, which has no data.
const END: usize = AROUND;

/// The time that all files have: the first second of 2000, UTC.
const TIME: Duration = Duration::from_secs(946_684_800);

/// A seed of its own for each purpose, so that no two draws share a stream; one does not tell another, nor the study's. JSON keeps its 53 bits.
pub(super) fn seed(study: u64, purpose: &str) -> u64 {
    let digest = Sha256::digest(format!("hirescam study {study} {purpose}"));
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)) >> 11
}

/// A name of 32 hexadecimal digits that says nothing to whoever has not got the seed.
pub(super) fn name(study: u64, what: &str, number: usize) -> String {
    let digest = Sha256::digest(format!("hirescam study {study} name {what} {number}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Puts things into an order drawn by chance (Fisher & Yates 1938).
pub(super) fn shuffle<T>(all: &mut [T], random: &mut Random) {
    for last in (1..all.len()).rev() {
        all.swap(last, random.below(last + 1));
    }
}

/// Pictures on their way into a study's folder. They wait in a folder of their own, for the length of all is that of the longest, which is known
/// when the last is there.
pub(super) struct Pictures {
    waiting: PathBuf,
    study: u64,
    names: Vec<String>,
    longest: usize,
}

impl Pictures {
    pub(super) fn new(waiting: PathBuf, study: u64) -> Result<Self, Error> {
        fs::create_dir_all(&waiting).map_err(|e| failed(&waiting, &e))?;
        Ok(Pictures { waiting, study, names: Vec::new(), longest: 0 })
    }

    /// Adds a picture; gives its file, relative to the study's folder.
    pub(super) fn add(&mut self, picture: &image::RgbImage) -> Result<String, Error> {
        let bytes = hirescam::sink::png(picture)?;
        let name = format!("panels/{}.png", name(self.study, "picture", self.names.len()));
        let path = self.waiting.join(self.names.len().to_string());
        fs::write(&path, &bytes).map_err(|e| failed(&path, &e))?;
        self.longest = self.longest.max(bytes.len());
        self.names.push(name.clone());
        Ok(name)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Keeps the first ones, and forgets the others.
    pub(super) fn keep(&mut self, count: usize) {
        self.names.truncate(count);
    }

    /// Writes them into `folder`, in the order of their names, all of one length; gives each file's SHA-256.
    pub(super) fn write(self, folder: &Path) -> Result<BTreeMap<String, String>, Error> {
        let panels = folder.join("panels");
        fs::create_dir_all(&panels).map_err(|e| failed(&panels, &e))?;
        let mut names: Vec<(usize, &String)> = self.names.iter().enumerate().collect();
        names.sort_by_key(|(_, name)| *name);
        let mut hashes = BTreeMap::new();
        for (number, name) in names {
            let path = self.waiting.join(number.to_string());
            let bytes = fs::read(&path).map_err(|e| failed(&path, &e))?;
            // What fills files up is noise, so that no compression on the way tells their own lengths.
            let filled =
                filled(&bytes, self.longest + AROUND, &mut Random::of_sample(seed(self.study, "noise"), number))?;
            hashes.insert(name.clone(), crate::manifest::hash(&filled));
            let path = folder.join(name);
            fs::write(&path, &filled).map_err(|e| failed(&path, &e))?;
        }
        Ok(hashes)
    }
}

/// A PNG file with a chunk of noise before its end, so that it has the length.
fn filled(bytes: &[u8], length: usize, random: &mut Random) -> Result<Vec<u8>, Error> {
    let fail = |e: &dyn std::fmt::Display| Error::Explain(hirescam::Error::Argument(format!("a picture: {e}")));
    let body = bytes.get(..bytes.len().saturating_sub(END)).unwrap_or_default();
    let noise: Vec<u8> = (0..length.saturating_sub(bytes.len() + AROUND)).map(|_| random.below(256) as u8).collect();
    // The encoder writes the chunk and the end behind the beginning of a file of its own: they are the same in any file.
    let mut made = Vec::new();
    let mut encoder = png::Encoder::new(&mut made, 1, 1).write_header().map_err(|e| fail(&e))?;
    encoder.write_chunk(PADDING, &noise).map_err(|e| fail(&e))?;
    drop(encoder);
    let tail = made.len().checked_sub(noise.len() + AROUND + END).and_then(|from| made.get(from..));
    Ok([body, tail.ok_or_else(|| fail(&"it has no end"))?].concat())
}

/// Gives a file the time that all have.
pub(super) fn timeless(path: &Path) -> Result<(), Error> {
    let time = SystemTime::UNIX_EPOCH + TIME;
    let set = File::options().write(true).open(path).and_then(|file| file.set_modified(time));
    set.map_err(|e| failed(path, &e))
}

pub(super) fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Output { path: path.to_owned(), because: error.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn pictures_that_are_forgotten_are_in_no_folder_and_the_others_are_what_they_were() {
        let room = tempfile::tempdir().unwrap();
        let mut pictures = Pictures::new(room.path().join("waiting"), 3).unwrap();
        let grey = |level: u8| RgbImage::from_fn(16, 9, |x, y| Rgb([level, x as u8, y as u8]));
        let first = pictures.add(&grey(10)).unwrap();
        let before = pictures.count();
        pictures.add(&RgbImage::from_fn(200, 100, |x, y| Rgb([(x * y % 251) as u8; 3]))).unwrap();
        pictures.add(&grey(20)).unwrap();
        pictures.keep(before);
        let second = pictures.add(&grey(30)).unwrap();
        let hashes = pictures.write(&room.path().join("study")).unwrap();
        assert_eq!(hashes.len(), 2);
        assert_eq!(fs::read_dir(room.path().join("study/panels")).unwrap().count(), 2);
        for (file, level) in [(first, 10), (second, 30)] {
            let bytes = fs::read(room.path().join("study").join(&file)).unwrap();
            assert_eq!(crate::manifest::hash(&bytes), hashes[&file]);
            assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), grey(level));
        }
    }

    #[test]
    fn seeds_and_names_differ_by_study_purpose_and_number() {
        let seeds: std::collections::BTreeSet<u64> =
            (0..50).flat_map(|study| ["arms", "items", "schedule"].map(|purpose| seed(study, purpose))).collect();
        assert_eq!(seeds.len(), 150);
        assert!(seeds.iter().all(|seed| *seed < 1 << 53));
        let names: std::collections::BTreeSet<String> = (0..20)
            .flat_map(|study| (0..20).flat_map(move |n| ["item", "picture"].map(|what| name(study, what, n))))
            .collect();
        assert_eq!(names.len(), 800);
    }
}
