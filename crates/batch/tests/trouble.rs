//! Stores that fail: full ones, lost connections, replies that never come.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{GOES_ON, Room, hashes, plan, run};
use futures_util::stream::BoxStream;
use hirescam_batch::store::Store;
use hirescam_batch::{Error, RunOptions, run_in, verify_in};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What goes wrong with a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Full,
    Lost,
    /// It is written, and the reply does not come.
    ReplyLost,
}

/// A store in which every so many files that are written make trouble.
#[derive(Debug)]
struct Troubled {
    inner: InMemory,
    puts: AtomicUsize,
    /// Whether the put of this number makes trouble, and which.
    trouble: fn(usize) -> Option<Trouble>,
}

impl fmt::Display for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "troubled")
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

fn error(trouble: Trouble) -> object_store::Error {
    let kind = if trouble == Trouble::Full { io::ErrorKind::StorageFull } else { io::ErrorKind::ConnectionReset };
    object_store::Error::Generic { store: "troubled", source: Box::new(io::Error::from(kind)) }
}

impl ObjectStore for Troubled {
    fn put_opts<'a, 'b, 't>(&'a self, path: &'b Path, payload: PutPayload, options: PutOptions) -> Later<'t, PutResult>
    where
        'a: 't,
        'b: 't,
    {
        Box::pin(async move {
            let trouble = (self.trouble)(self.puts.fetch_add(1, Ordering::Relaxed));
            match trouble {
                None => self.inner.put_opts(path, payload, options).await,
                Some(Trouble::ReplyLost) => {
                    self.inner.put_opts(path, payload, options).await?;
                    Err(error(Trouble::Lost))
                }
                Some(trouble) => Err(error(trouble)),
            }
        })
    }

    fn put_multipart_opts<'a, 'b, 't>(
        &'a self,
        path: &'b Path,
        options: PutMultipartOptions,
    ) -> Later<'t, Box<dyn MultipartUpload>>
    where
        'a: 't,
        'b: 't,
    {
        Box::pin(self.inner.put_multipart_opts(path, options))
    }

    fn get_opts<'a, 'b, 't>(&'a self, path: &'b Path, options: GetOptions) -> Later<'t, GetResult>
    where
        'a: 't,
        'b: 't,
    {
        Box::pin(self.inner.get_opts(path, options))
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 't>(&'a self, prefix: Option<&'b Path>) -> Later<'t, ListResult>
    where
        'a: 't,
        'b: 't,
    {
        Box::pin(self.inner.list_with_delimiter(prefix))
    }

    fn copy_opts<'a, 'b, 'c, 't>(&'a self, from: &'b Path, to: &'c Path, options: CopyOptions) -> Later<'t, ()>
    where
        'a: 't,
        'b: 't,
        'c: 't,
    {
        Box::pin(self.inner.copy_opts(from, to, options))
    }
}

/// A job that was planned in a folder, in a store that makes trouble.
fn moved(room: &Room, trouble: fn(usize) -> Option<Trouble>) -> Store {
    let inner = InMemory::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let from = room.store("out");
    for found in from.list("").unwrap() {
        let bytes = from.get(&found.name).unwrap();
        runtime.block_on(inner.put(&Path::from(format!("there/{}", found.name)), bytes.into())).unwrap();
    }
    Store::over(Arc::new(Troubled { inner, puts: AtomicUsize::new(0), trouble }), "there", "memory://there")
}

fn made(store: &Store) -> Vec<String> {
    let planned = hirescam_batch::Planned::open(store).unwrap();
    let receipts = hirescam_batch::Receipts::list(store, &planned).unwrap().read(store).unwrap();
    receipts.into_iter().map(|receipt| receipt.sha256).collect()
}

fn again(store: &Store) -> Result<hirescam_batch::Ran, Error> {
    run_in(store, &RunOptions::default(), &GOES_ON, &mut |_| {})
}

#[test]
fn a_store_that_fails_now_and_then_has_in_the_end_what_an_undisturbed_one_has() {
    let room = Room::with(95);
    let job = room.job("out");
    plan(&job).unwrap();
    let calm = room.job("calm");
    plan(&calm).unwrap();
    run(&calm.out).unwrap();
    for trouble in [
        (|n| n.is_multiple_of(3).then_some(Trouble::Full)) as fn(usize) -> Option<Trouble>,
        |n| (n % 4 == 1).then_some(Trouble::Lost),
        |n| (n % 3 == 1).then_some(Trouble::ReplyLost),
        |n| (n % 4 == 2).then_some(Trouble::ReplyLost),
    ] {
        let store = moved(&room, trouble);
        let mut attempts = 0;
        loop {
            match again(&store) {
                Ok(_) => break,
                Err(error @ (Error::Full { .. } | Error::Store { .. })) => {
                    let text = error.to_string();
                    assert!(text.contains("What was finished is kept") && text.contains("memory://there/"), "{text}");
                }
                Err(error) => panic!("{error}"),
            }
            let found = verify_in(&store, &GOES_ON, &|| {}).unwrap();
            assert!(found.problems.is_empty(), "{found:?}");
            attempts += 1;
            assert!(attempts < 100);
        }
        assert!(attempts > 1);
        let found = verify_in(&store, &GOES_ON, &|| {}).unwrap();
        assert!(found.is_whole(), "{found:?}");
        assert_eq!(made(&store), hashes(&calm.out));
        assert_eq!(store.list("rows").unwrap().len(), 10);
    }
}

#[test]
fn a_full_store_is_said_to_be_full() {
    let room = Room::with(5);
    plan(&room.job("out")).unwrap();
    let store = moved(&room, |_| Some(Trouble::Full));
    let error = again(&store).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("no space is left"), "{error}");
    assert!(store.list("rows").unwrap().is_empty() && store.list("receipts").unwrap().is_empty());
}
