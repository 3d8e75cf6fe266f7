//! Where jobs lie and images come from: folders, and object stores by their URLs.

use crate::error::Error;
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::{Builder, Runtime};

/// How many requests are under way at a time.
pub(crate) const AT_ONCE: usize = 32;
/// The bytes of a part, where a file is sent in several. S3 takes no parts below 5 MiB.
const PART: usize = 8 << 20;
/// Where files are written before they take their place.
const STAGED: &str = "staged";
/// How old a file must be that a killed process left half-written, to be cleared away: others are being written.
const ABANDONED: Duration = Duration::from_secs(600);

static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).thread_name("hirescam-store").enable_all().build());

/// What requests run on.
pub(crate) fn runtime() -> Result<&'static Runtime, Error> {
    RUNTIME.as_ref().map_err(|error| Error::Store { place: "threads for requests".into(), what: error.to_string() })
}

/// Waits for requests.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    runtime()?.block_on(work)
}

/// A place that holds files: a folder, or what begins alike in an object store.
#[derive(Clone, Debug)]
pub struct Store {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// As it was given.
    name: String,
    /// The folder, where it is one of this machine.
    folder: Option<PathBuf>,
}

/// A file that was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name, from the store's own place on.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
}

impl Store {
    /// Opens a place: a folder, `file://`, `s3://`, `gs://` or `az://`. A folder need not be there. What a store of another machine needs
    /// beside comes from the environment, under the names that its own tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`,
    /// `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no place, or where this program was built without the store; [`Error::Store`] where it refuses.
    pub fn open(place: &str) -> Result<Self, Error> {
        if place.is_empty() {
            return Err(Error::Argument("a place has a name: a folder, or a URL as s3://bucket/folder".into()));
        }
        if let Some((bucket, key)) = remote(place) {
            let prefix =
                Path::parse(key.trim_end_matches('/')).map_err(|error| Error::Argument(format!("{place}: {error}")))?;
            return Ok(Store {
                store: connect(bucket)?,
                prefix,
                name: place.trim_end_matches('/').into(),
                folder: None,
            });
        }
        let folder = local(place)?;
        if folder.is_file() {
            return Err(Error::Argument(format!(
                "{place} is a file, and a job lies in a folder or at a URL; the file that says what it is ends in .toml"
            )));
        }
        let prefix = Path::from_absolute_path(&folder).map_err(|error| Error::Argument(format!("{place}: {error}")))?;
        let store = Arc::new(LocalFileSystem::new().with_fsync(true));
        Ok(Store { store, prefix, name: place.trim_end_matches('/').into(), folder: Some(folder) })
    }

    /// The files that begin with `prefix` in any object store, called `name` in messages.
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str, name: &str) -> Self {
        Store { store, prefix: Path::from(prefix), name: name.into(), folder: None }
    }

    /// The place as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is another one, or lies in it.
    pub(crate) fn is_within(&self, other: &Store) -> bool {
        let bucket = |store: &Store| remote(&store.name).map(|(bucket, _)| bucket.to_owned());
        bucket(self) == bucket(other) && self.prefix.prefix_matches(&other.prefix)
    }

    fn path(&self, name: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(name).parts()))
    }

    /// What a file is called in messages.
    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn said<T>(&self, name: &str, made: object_store::Result<T>) -> Result<T, Error> {
        made.map_err(|error| Error::of_store(self.place(name), &error))
    }

    /// Writes a file whole unless there is one of the name: true where it was written, false where one was there.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Store`].
    pub fn put_if_absent(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool, Error> {
        let payload = PutPayload::from_bytes(bytes.into());
        let put = async {
            match self.staged() {
                None => {
                    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                    self.store.put_opts(&self.path(name), payload, options).await.map(drop)
                }
                Some(staged) => {
                    self.store.put(&staged, payload).await?;
                    self.moved(&staged, self.store.rename_if_not_exists(&staged, &self.path(name)).await).await
                }
            }
        };
        wait(async {
            match put.await {
                Ok(()) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
                Err(error) => Err(Error::of_store(self.place(name), &error)),
            }
        })
    }

    /// Writes a file whole, also over one that is there.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Store`].
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let payload = PutPayload::from_bytes(bytes.into());
        let to = self.path(name);
        let put = async {
            match self.staged() {
                None => self.store.put(&to, payload).await.map(drop),
                Some(staged) => {
                    self.store.put(&staged, payload).await?;
                    self.moved(&staged, self.store.rename(&staged, &to).await).await
                }
            }
        };
        wait(async { self.said(name, put.await) })
    }

    /// Where a file of a folder is written before it takes its place: readers of whole folders take whatever lies there for a file, also a half
    /// one. Stores of other machines show no file before it is whole.
    fn staged(&self) -> Option<Path> {
        self.folder.as_ref()?;
        let chance = RandomState::new();
        Some(self.path(&format!("{STAGED}/{:016x}{:016x}", chance.hash_one(0), chance.hash_one(1))))
    }

    /// What came of moving a file to its place. One that was not moved is removed.
    async fn moved(&self, staged: &Path, moved: object_store::Result<()>) -> object_store::Result<()> {
        if moved.is_err() {
            // One that cannot be removed is cleared away later.
            let _ = self.store.delete(staged).await;
        }
        moved
    }

    /// Writes what `reader` gives as a file, whole, a part at a time, also over one that is there.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Store`]; what reading gives.
    pub fn upload(&self, name: &str, reader: &mut impl Read) -> Result<(), Error> {
        let mut part = next_part(reader).map_err(|error| Error::of_system(self.place(name), &error))?;
        if part.len() < PART {
            return self.put(name, part);
        }
        let (to, staged) = (self.path(name), self.staged());
        let first = staged.as_ref().unwrap_or(&to);
        let begun = wait(async { self.said(name, self.store.put_multipart(first).await) })?;
        let mut upload = WriteMultipart::new_with_chunk_size(begun, PART);
        while !part.is_empty() {
            let sent = wait(async {
                upload.put(part.into());
                self.said(name, upload.wait_for_capacity(2).await)
            });
            let next =
                sent.and_then(|()| next_part(reader).map_err(|error| Error::of_system(self.place(name), &error)));
            part = match next {
                Ok(part) => part,
                Err(error) => {
                    // What cannot be taken back now is cleared away by the store, or by a later run.
                    let _ = wait(async { self.said(name, upload.abort().await) });
                    return Err(error);
                }
            };
        }
        wait(async {
            self.said(name, upload.finish().await)?;
            match &staged {
                Some(staged) => self.said(name, self.moved(staged, self.store.rename(staged, &to).await).await),
                None => Ok(()),
            }
        })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Store`].
    pub fn get(&self, name: &str) -> Result<Bytes, Error> {
        wait(self.get_later(name))
    }

    pub(crate) async fn get_later(&self, name: &str) -> Result<Bytes, Error> {
        let found = self.said(name, self.store.get(&self.path(name)).await)?;
        self.said(name, found.bytes().await)
    }

    /// The contents of files, in their order, several at a time; `each` is given one after the other.
    ///
    /// # Errors
    /// [`Error::Store`]; what `each` gives. One that is not there is [`Error::Missing`].
    pub(crate) fn get_each(
        &self,
        names: impl IntoIterator<Item = String>,
        mut each: impl FnMut(&str, Bytes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let gets = names.into_iter().map(|name| async move { Ok::<_, Error>((self.get_later(&name).await?, name)) });
        wait(async {
            let mut gets = futures_util::stream::iter(gets).buffered(AT_ONCE);
            while let Some((bytes, name)) = gets.try_next().await? {
                each(&name, bytes)?;
            }
            Ok(())
        })
    }

    /// Whether there is a file of the name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has(&self, name: &str) -> Result<bool, Error> {
        wait(async {
            match self.store.head(&self.path(name)).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(Error::of_store(self.place(name), &error)),
            }
        })
    }

    /// All files in a folder of the store, by their names. One listing; a folder that is not there is empty.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self, folder: &str) -> Result<Vec<Found>, Error> {
        let path = self.path(folder);
        let mut found: Vec<Found> = wait(async {
            let all = self.store.list(Some(&path)).map(|found| self.said(folder, found));
            let named = all.try_filter_map(|found| async move {
                let name = found
                    .location
                    .prefix_match(&self.prefix)
                    .map(|parts| parts.map(|p| p.as_ref().to_owned()).collect::<Vec<_>>());
                Ok(name.map(|parts| Found { name: parts.join("/"), length: found.size }))
            });
            named.try_collect().await
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes a file; one that is not there is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        wait(async {
            match self.store.delete(&self.path(name)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(Error::of_store(self.place(name), &error)),
            }
        })
    }

    /// A file to be read a part at a time.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Store`].
    pub fn file(&self, name: &str) -> Result<Ranged, Error> {
        Ranged::open(self.store.clone(), self.path(name), self.place(name))
    }

    /// Clears away what killed processes left half-written in a folder. Stores of other machines do that themselves.
    pub(crate) fn clear(&self) {
        let Some(place) = self.folder.as_ref().map(|root| root.join(STAGED)) else { return };
        let abandoned = |path: &PathBuf| {
            let age = path.metadata().and_then(|found| found.modified()).ok();
            age.and_then(|then| SystemTime::now().duration_since(then).ok()).is_some_and(|age| age > ABANDONED)
        };
        let there = std::fs::read_dir(place).into_iter().flatten().filter_map(Result::ok);
        for path in there.map(|entry| entry.path()).filter(abandoned) {
            // One that cannot be removed does no harm.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// As much as a part holds, or what there is.
fn next_part(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    reader.take(PART as u64).read_to_end(&mut part)?;
    Ok(part)
}

/// The bucket, with its scheme, and the key of what lies in a store of another machine; none for files of this one.
pub(crate) fn remote(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    if scheme == "file" {
        return None;
    }
    let bucket = rest.split('/').next().unwrap_or(rest);
    Some((uri.get(..scheme.len() + 3 + bucket.len())?, rest.get(bucket.len() + 1..).unwrap_or("")))
}

/// The path of a file of this machine, from the root on.
pub(crate) fn local(uri: &str) -> Result<PathBuf, Error> {
    let path = match uri.starts_with("file://") {
        true => {
            let url = url::Url::parse(uri).map_err(|error| Error::Argument(format!("{uri}: {error}")))?;
            url.to_file_path()
                .map_err(|()| Error::Argument(format!("{uri} is no file of this machine: file:///folder/file is")))?
        }
        false => PathBuf::from(uri),
    };
    plain(&path).map_err(|error| Error::Argument(format!("{uri}: {error}")))
}

/// A path from the root on, without `.` and `..`. What `..` is of a link, is told by where the link leads.
fn plain(path: &std::path::Path) -> std::io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if plain.is_symlink() {
                    plain = plain.canonicalize()?;
                }
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The store of a bucket; one for all who ask.
pub(crate) fn connect(bucket: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    static STORES: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = LazyLock::new(Mutex::default);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(bucket) {
        return Ok(store.clone());
    }
    let store = connected(bucket)?;
    stores.insert(bucket.to_owned(), store.clone());
    Ok(store)
}

#[cfg(feature = "cloud")]
fn connected(bucket: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    const OF_STORES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
    let fail = |what: String| Error::Argument(format!("{bucket}: {what}"));
    let url = url::Url::parse(bucket).map_err(|error| fail(error.to_string()))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fail("it names no bucket".into()));
    }
    if !["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss"].contains(&url.scheme()) {
        return Err(fail("a store is a folder, s3://, gs:// or az://".into()));
    }
    // Who came first has chosen what speaks TLS, and that serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let options = options.filter(|(name, _)| OF_STORES.iter().any(|prefix| name.starts_with(prefix)));
    match object_store::parse_url_opts(&url, options) {
        Ok((store, _)) => Ok(Arc::from(store)),
        Err(error) => Err(Error::of_store(bucket, &error)),
    }
}

#[cfg(not(feature = "cloud"))]
fn connected(bucket: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    Err(Error::Argument(format!(
        "{bucket}: this program was built without stores of other machines (the feature `cloud` of hirescam-batch)"
    )))
}

/// A file in a store that is read a part at a time.
#[derive(Clone, Debug)]
pub struct Ranged {
    store: Arc<dyn ObjectStore>,
    path: Path,
    name: String,
    length: u64,
}

impl Ranged {
    pub(crate) fn open(store: Arc<dyn ObjectStore>, path: Path, name: String) -> Result<Self, Error> {
        let found = wait(async { store.head(&path).await.map_err(|error| Error::of_store(&name, &error)) })?;
        Ok(Ranged { store, path, name, length: found.size })
    }

    /// What lies behind a URI.
    pub(crate) fn of_uri(uri: &str) -> Result<Self, Error> {
        let (store, path) = object(uri)?;
        Ranged::open(store, path, uri.to_owned())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Some of its bytes.
    pub(crate) fn range(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        wait(async {
            self.store.get_range(&self.path, range).await.map_err(|error| Error::of_store(&self.name, &error))
        })
    }
}

/// The store and the path of what a URI names, a file of this machine or of another.
pub(crate) fn object(uri: &str) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    static LOCAL: LazyLock<Arc<dyn ObjectStore>> = LazyLock::new(|| Arc::new(LocalFileSystem::new()));
    let fail = |error: object_store::path::Error| Error::Argument(format!("{uri}: {error}"));
    match remote(uri) {
        Some((bucket, key)) => Ok((connect(bucket)?, Path::parse(key).map_err(fail)?)),
        None => Ok((LOCAL.clone(), Path::from_absolute_path(local(uri)?).map_err(fail)?)),
    }
}

/// Some bytes of what a URI names in a store of another machine, or all of it, and its length.
pub(crate) async fn fetch(uri: &str, range: Option<Range<u64>>) -> object_store::Result<(Bytes, u64)> {
    let (store, path) = object(uri)
        .map_err(|error| object_store::Error::Generic { store: "place", source: error.to_string().into() })?;
    let found = store.get_opts(&path, GetOptions::new().with_range(range)).await?;
    let length = found.meta.size;
    Ok((found.bytes().await?, length))
}

/// Reads a [`Ranged`] from some place on. What is read on end comes in larger and larger parts.
#[derive(Debug)]
pub struct Reader {
    file: Ranged,
    position: u64,
    /// What is here of the file already, and where it begins.
    window: Bytes,
    start: u64,
    size: u64,
}

/// The least and the most bytes that a [`Reader`] asks for.
const WINDOW: [u64; 2] = [1 << 16, 1 << 22];

impl Reader {
    pub(crate) fn new(file: Ranged, position: u64) -> Self {
        Reader { file, position, window: Bytes::new(), start: 0, size: WINDOW[0] }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let here = |reader: &Self| {
            let at = usize::try_from(reader.position.checked_sub(reader.start)?).ok()?;
            Some(reader.window.slice(at.min(reader.window.len())..)).filter(|here| !here.is_empty())
        };
        if here(self).is_none() {
            let on_end = self.position == self.start + self.window.len() as u64 && !self.window.is_empty();
            self.size = if on_end { (2 * self.size).min(WINDOW[1]) } else { WINDOW[0] };
            let end = self.file.length.min(self.position.saturating_add(self.size.max(into.len() as u64)));
            self.start = self.position;
            self.window = self.file.range(self.position..end.max(self.position)).map_err(std::io::Error::other)?;
        }
        let count = here(self).map_or(Ok(0), |here| here.reader().read(into))?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.length.checked_add_signed(by),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Length for Ranged {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Ranged {
    type T = Reader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Reader> {
        Ok(Reader::new(self.clone(), start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.saturating_add(length as u64);
        if end > self.length {
            return Err(ParquetError::EOF(format!("it ends at {}, before {end}", self.length)));
        }
        self.range(start..end).map_err(|error| ParquetError::External(Box::new(error)))
    }
}
