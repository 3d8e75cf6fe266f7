//! What places and URIs name: a file of this machine, or what lies in a store of another.

use crate::error::Error;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Component, PathBuf};
use std::process;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

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

/// The store of a bucket; one for all who ask in a process. What it holds of a connection belongs to the threads of that process.
pub(crate) fn connect(bucket: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    type Stores = HashMap<(u32, String), Arc<dyn ObjectStore>>;
    static STORES: LazyLock<Mutex<Stores>> = LazyLock::new(Mutex::default);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (process::id(), bucket.to_owned());
    if let Some(store) = stores.get(&key) {
        return Ok(store.clone());
    }
    let store = connected(bucket)?;
    stores.insert(key, store.clone());
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

/// The store and the path of what a URI names, a file of this machine or of another.
pub(crate) fn object(uri: &str) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    static LOCAL: LazyLock<Arc<dyn ObjectStore>> = LazyLock::new(|| Arc::new(LocalFileSystem::new()));
    let fail = |error: object_store::path::Error| Error::Argument(format!("{uri}: {error}"));
    match remote(uri) {
        Some((bucket, key)) => Ok((connect(bucket)?, Path::parse(key).map_err(fail)?)),
        None => Ok((LOCAL.clone(), Path::from_absolute_path(local(uri)?).map_err(fail)?)),
    }
}

/// Some bytes of what a URI names in a store of another machine, or all of it, and its length. Of a range that ends beyond it, no bytes.
pub(crate) async fn fetch(uri: &str, range: Option<Range<u64>>) -> object_store::Result<(Bytes, u64)> {
    let (store, path) = object(uri)
        .map_err(|error| object_store::Error::Generic { store: "place", source: error.to_string().into() })?;
    // Stores refuse to be asked for no bytes.
    if range.as_ref().is_some_and(Range::is_empty) {
        return Ok((Bytes::new(), store.head(&path).await?.size));
    }
    match store.get_opts(&path, GetOptions::new().with_range(range.clone())).await {
        Ok(found) => {
            let length = found.meta.size;
            Ok((found.bytes().await?, length))
        }
        Err(error @ object_store::Error::NotFound { .. }) => Err(error),
        // They say in several ways that a range begins beyond the end.
        Err(error) => match (range, store.head(&path).await) {
            (Some(range), Ok(found)) if range.end > found.size => Ok((Bytes::new(), found.size)),
            _ => Err(error),
        },
    }
}
