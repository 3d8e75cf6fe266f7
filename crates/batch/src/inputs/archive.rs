//! Tar archives of images, as WebDataset has them: only headers are read, and each image is reached by itself.

use super::list::fail;
use super::{At, Item, ending};
use crate::error::Error;
use crate::store::{Ranged, Reader, local, remote};
use hirescam::source;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;
use tar::{Archive, EntryType};

/// The images of an archive, in the order in which they lie there, and what else is in it.
///
/// # Errors
/// [`Error::Input`] for what is no tar archive, or is damaged; [`Error::Store`].
pub(super) fn members(uri: &str) -> Result<(Vec<Item>, BTreeMap<String, usize>), Error> {
    match remote(uri) {
        Some(_) => {
            let file = Ranged::of_uri(uri)?;
            let whole = file.length();
            in_file(uri, Reader::new(file, 0), whole)
        }
        None => {
            let file = File::open(local(uri)?).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (whole, file) = file.map_err(|error| fail(uri, error.to_string()))?;
            in_file(uri, file, whole)
        }
    }
}

fn in_file(uri: &str, file: impl Read + Seek, whole: u64) -> Result<(Vec<Item>, BTreeMap<String, usize>), Error> {
    let (name, mut archive) = (Arc::<str>::from(uri), Archive::new(file));
    let damaged = |error: std::io::Error| fail(uri, format!("the archive is damaged: {error}"));
    let (mut items, mut passed_over) = (Vec::new(), BTreeMap::new());
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous);
        if !is_file || !source::is_named_as_image(&path) {
            let what = if is_file { format!(".{}", ending(&path)) } else { "links and devices in archives".into() };
            *passed_over.entry(what).or_default() += 1;
            continue;
        }
        let (offset, length) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(length).is_none_or(|end| end > whole) {
            return Err(fail(uri, format!("the archive is damaged: {path:?} ends behind its end")));
        }
        items.push(Item {
            uri: format!("{uri}#{path}"),
            at: At::Member { archive: name.clone(), offset, length, whole },
        });
    }
    Ok((items, passed_over))
}
