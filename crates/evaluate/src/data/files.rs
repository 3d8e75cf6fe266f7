//! Files by name: in a folder, or inside of a tar archive that is not unpacked.

use crate::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// More bytes than any list, annotation or mask of one image has.
const MOST_BYTES: u64 = 256 << 20;

/// Files by their names, with `/` between folders.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    inner: Inner,
    /// The folder that names start from: empty, or ends in `/`.
    prefix: String,
    /// The file that was named where no folder was.
    pub given: Option<String>,
}

#[derive(Clone, Debug)]
enum Inner {
    Folder(PathBuf),
    Tar {
        archive: PathBuf,
        /// Where each file begins in the archive, and how long it is.
        entries: Arc<BTreeMap<String, (u64, u64)>>,
    },
}

/// Shorthand for data that are missing, broken, or do not go together.
pub(crate) fn broken<T>(path: PathBuf, because: impl Into<String>) -> Result<T, Error> {
    Err(Error::Data { path, because: because.into() })
}

impl Files {
    /// A folder, a tar archive, or the folder of a file that is named.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |e: std::io::Error| Error::Data { path: path.to_owned(), because: words(&e) };
        let found = std::fs::metadata(path).map_err(io)?;
        if found.is_dir() {
            return Ok(Self { inner: Inner::Folder(path.to_owned()), prefix: String::new(), given: None });
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let lower = name.to_lowercase();
        if lower.ends_with(".tar") {
            let entries = Arc::new(index(path)?);
            return Ok(Self {
                inner: Inner::Tar { archive: path.to_owned(), entries },
                prefix: String::new(),
                given: None,
            });
        }
        if [".tgz", ".gz", ".zip", ".xz", ".bz2", ".zst", ".7z"].iter().any(|end| lower.ends_with(end)) {
            return broken(
                path.to_owned(),
                "this is a compressed archive, in which no image can be reached without all before it: unpack it, or make a plain .tar of it",
            );
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { inner: Inner::Folder(folder.to_owned()), prefix: String::new(), given: Some(name) })
    }

    /// The same files, named from one of their folders.
    pub fn within(&self, folder: &str) -> Self {
        let prefix = if folder.is_empty() { self.prefix.clone() } else { format!("{}{folder}/", self.prefix) };
        Self { inner: self.inner.clone(), prefix, given: None }
    }

    /// Where a file lies, for people; the folder itself for an empty name.
    pub fn path(&self, name: &str) -> PathBuf {
        let base = match &self.inner {
            Inner::Folder(root) => root,
            Inner::Tar { archive, .. } => archive,
        };
        let name = format!("{}{name}", self.prefix);
        if name.is_empty() { base.clone() } else { base.join(name) }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        match &self.inner {
            Inner::Folder(_) => self.path(name).is_file(),
            Inner::Tar { entries, .. } => entries.contains_key(&format!("{}{name}", self.prefix)),
        }
    }

    /// Whether there is a folder of this name.
    pub fn has_folder(&self, name: &str) -> bool {
        match &self.inner {
            Inner::Folder(_) => self.path(name).is_dir(),
            Inner::Tar { entries, .. } => {
                let start = format!("{}{name}/", self.prefix);
                entries.range(start.clone()..).next().is_some_and(|(key, _)| key.starts_with(&start))
            }
        }
    }

    /// The names of the files in a folder, in order; none where there is no such folder.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        Ok(self.entries(folder)?.into_iter().filter(|(_, is_folder)| !is_folder).map(|(name, _)| name).collect())
    }

    /// The names of the folders in a folder, in order; none where there is no such folder.
    pub fn folders(&self, folder: &str) -> Result<Vec<String>, Error> {
        Ok(self.entries(folder)?.into_iter().filter(|(_, is_folder)| *is_folder).map(|(name, _)| name).collect())
    }

    /// Names in a folder, and which of them are folders. What is hidden is left out.
    fn entries(&self, folder: &str) -> Result<Vec<(String, bool)>, Error> {
        let mut found = BTreeSet::new();
        match &self.inner {
            Inner::Folder(_) => {
                let path = self.path(folder);
                if !path.is_dir() {
                    return Ok(Vec::new());
                }
                let io = |e: std::io::Error| Error::Data { path: path.clone(), because: words(&e) };
                for entry in std::fs::read_dir(&path).map_err(io)? {
                    let entry = entry.map_err(io)?;
                    let kind = entry.file_type().map_err(io)?;
                    // A link is what it leads to.
                    let is_folder = if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() };
                    found.insert((entry.file_name().to_string_lossy().into_owned(), is_folder));
                }
            }
            Inner::Tar { entries, .. } => {
                let start = if folder.is_empty() { self.prefix.clone() } else { format!("{}{folder}/", self.prefix) };
                for (key, _) in entries.range(start.clone()..) {
                    let Some(rest) = key.strip_prefix(&start) else { break };
                    match rest.split_once('/') {
                        Some((inner, _)) => found.insert((inner.to_owned(), true)),
                        None => found.insert((rest.to_owned(), false)),
                    };
                }
            }
        }
        Ok(found.into_iter().filter(|(name, _)| !name.starts_with('.')).collect())
    }

    /// A file to be read from its beginning to its end.
    pub fn reader(&self, name: &str) -> Result<BufReader<Take<File>>, Error> {
        let io = |e: std::io::Error| Error::Data { path: self.path(name), because: words(&e) };
        match &self.inner {
            Inner::Folder(_) => {
                let file = File::open(self.path(name)).map_err(io)?;
                Ok(BufReader::new(file.take(u64::MAX)))
            }
            Inner::Tar { archive, entries } => {
                let Some(&(start, length)) = entries.get(&format!("{}{name}", self.prefix)) else {
                    return broken(self.path(name), "there is no such file in the archive");
                };
                let mut file = File::open(archive).map_err(io)?;
                file.seek(SeekFrom::Start(start)).map_err(io)?;
                Ok(BufReader::new(file.take(length)))
            }
        }
    }

    /// The bytes of a file, of one image at most.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let io = |e: std::io::Error| Error::Data { path: self.path(name), because: words(&e) };
        let mut bytes = Vec::new();
        self.reader(name)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MOST_BYTES {
            return broken(self.path(name), format!("the file has more than {MOST_BYTES} bytes"));
        }
        if let Inner::Tar { entries, .. } = &self.inner
            && entries.get(&format!("{}{name}", self.prefix)).is_some_and(|(_, length)| *length > bytes.len() as u64)
        {
            return broken(self.path(name), "the archive ends within this file");
        }
        Ok(bytes)
    }

    /// The text of a file.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        let text = String::from_utf8(self.read(name)?);
        let text = text.or_else(|_| broken(self.path(name), "this is no text in UTF-8"))?;
        Ok(text.trim_start_matches('\u{feff}').to_owned())
    }

    /// The lines of a file that are not empty, without the spaces around them.
    pub fn lines(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(self.text(name)?.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
    }

    /// Whether they lie in a tar archive.
    pub fn in_tar(&self) -> bool {
        matches!(self.inner, Inner::Tar { .. })
    }
}

/// Where the files of an archive lie in it, from its headers alone.
fn index(path: &Path) -> Result<BTreeMap<String, (u64, u64)>, Error> {
    let io = |e: std::io::Error| Error::Data {
        path: path.to_owned(),
        because: format!("the archive cannot be read: {}", words(&e)),
    };
    let mut archive = tar::Archive::new(File::open(path).map_err(io)?);
    let mut entries = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(io)? {
        let entry = entry.map_err(io)?;
        let Some(name) = plain(&entry.path().map_err(io)?) else { continue };
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() {
            // As when unpacking, the last of several files of one name stays.
            entries.insert(name, (entry.raw_file_position(), entry.size()));
        } else if kind.is_hard_link()
            && let Some(target) = entry.link_name().map_err(io)?.as_deref().and_then(plain)
            && let Some(&at) = entries.get(&target)
        {
            entries.insert(name, at);
        }
    }
    if entries.is_empty() {
        return broken(path.to_owned(), "the archive holds no files");
    }
    Ok(entries)
}

/// A name in an archive as [`Files`] has names; none of one that leads out of it.
fn plain(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        _ => error.to_string(),
    }
}
