//! Where jobs lie and images come from: folders, and object stores by their URLs.

mod place;
mod ranged;

pub(crate) use place::{connect, fetch, local, object, remote};
pub use ranged::{Ranged, Reader};

use crate::error::Error;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
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
/// The same of a file that is whole, and that something is yet to name. Clocks may differ.
const LEFT: Duration = Duration::from_secs(3600);

/// What requests run on: in each process its own, for a fork has none of the threads of the process that it came from.
pub(crate) fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: Mutex<Option<(u32, &Runtime)>> = Mutex::new(None);
    let mut made = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match *made {
        Some((process, runtime)) if process == process::id() => Ok(runtime),
        _ => {
            let runtime =
                Builder::new_multi_thread().worker_threads(2).thread_name("hirescam-store").enable_all().build();
            let runtime = runtime
                .map_err(|error| Error::Store { place: "threads for requests".into(), what: error.to_string() })?;
            Ok(made.insert((process::id(), Box::leak(Box::new(runtime)))).1)
        }
    }
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
        if let Some(file) = folder.ancestors().find(|path| path.is_file()) {
            return Err(Error::Argument(format!(
                "{} is a file, and a job lies in a folder or at a URL; the file that says what it is ends in .toml",
                file.display()
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

    /// Whether a file is so old that nobody is at work on it any more, if it is no part of anything. It is asked for at that moment, and not
    /// when files are listed: an attempt that comes out the same writes it anew, and names it.
    pub(crate) fn is_abandoned(&self, name: &str) -> Result<bool, Error> {
        let found = wait(async {
            match self.store.head(&self.path(name)).await {
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                found => self.said(name, found).map(Some),
            }
        })?;
        let age = found.map(|found| SystemTime::now().duration_since(found.last_modified.into()));
        Ok(age.is_some_and(|age| age.is_ok_and(|age| age > LEFT)))
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
