//! One shard: its inputs read, made rows, and published.

use crate::error::Error;
use crate::inputs::{At, Read, pull};
use crate::make::{Allowance, Hashing, InShard, Maker, READ_AHEAD};
use crate::plan::Planned;
use crate::publish::{self, publish};
use crate::receipt::{self, Receipt};
use crate::rows::Rows;
use crate::runner::Runner;
use crate::store::{self, Store, remote};
use crate::{Fingerprint, MaxErrors, Ran, RunOptions, sha256};
use hirescam::spec::{FurtherInput, InputValue, LabelsFrom};
use hirescam::{Explainer, Network, Spec, source};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A network's files, as they were when it was opened.
pub(crate) struct ModelFiles {
    files: Vec<OfModel>,
}

/// A file of a network.
struct OfModel {
    /// Its name in the fingerprint.
    name: String,
    place: String,
    sha256: String,
    /// What tells, without reading it, that it has not changed.
    stamp: Mutex<String>,
}

impl ModelFiles {
    /// Opens a network.
    pub(crate) fn open(place: &str) -> Result<(Network, Self), Error> {
        if remote(place).is_none() {
            let network = Network::open(store::local(place)?)?;
            let files = ModelFiles::of(&network)?;
            return Ok((network, files));
        }
        let before = stamp(place)?;
        let (bytes, _) =
            store::wait(async { store::fetch(place, None).await.map_err(|error| Error::of_store(place, &error)) })?;
        let stamp = Mutex::new(before);
        let file = OfModel { name: String::new(), place: place.into(), sha256: sha256(&bytes), stamp };
        Ok((Network::from_bytes(bytes)?, ModelFiles { files: vec![file] }))
    }

    /// Of a network that is open.
    pub(crate) fn of(network: &Network) -> Result<Self, Error> {
        let of = |name: &str, path: &Path, sha256: String| {
            let place = path.to_string_lossy().into_owned();
            let stamp = Mutex::new(stamp(&place)?);
            Ok::<_, Error>(OfModel { name: name.into(), place, sha256, stamp })
        };
        let mut files = vec![of("", network.path(), network.sha256().to_owned())?];
        for name in network.weights() {
            let path = network.path().with_file_name(name);
            files.push(of(name, &path, hash(&path)?)?);
        }
        Ok(ModelFiles { files })
    }

    /// SHA-256 of its files, by name.
    pub(crate) fn hashes(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|file| (file.name.clone(), file.sha256.clone())).collect()
    }

    /// The hashes that its files have at present, where one of them does not look as before; none where all do.
    pub(crate) fn changed(&self) -> Result<Option<BTreeMap<String, String>>, Error> {
        let mut hashes = self.hashes();
        for file in &self.files {
            let is = stamp(&file.place)?;
            let mut was = file.stamp.lock().unwrap_or_else(PoisonError::into_inner);
            if *was == is {
                continue;
            }
            let hash = match remote(&file.place) {
                Some(_) => {
                    let fetched = store::wait(async {
                        store::fetch(&file.place, None).await.map_err(|error| Error::of_store(&file.place, &error))
                    });
                    sha256(&fetched?.0)
                }
                None => hash(&store::local(&file.place)?)?,
            };
            match hash == file.sha256 {
                true => *was = is,
                false => _ = hashes.insert(file.name.clone(), hash),
            }
        }
        Ok(Some(hashes).filter(|hashes| *hashes != self.hashes()))
    }
}

/// What tells that a file has changed, without reading it: length and time, and the store's own mark.
fn stamp(place: &str) -> Result<String, Error> {
    if place.is_empty() {
        // Bytes that are here do not change.
        return Ok(String::new());
    }
    if remote(place).is_some() {
        let (store, path) = store::object(place)?;
        let found = store::wait(async {
            object_store::ObjectStoreExt::head(&store, &path).await.map_err(|error| Error::of_store(place, &error))
        })?;
        return Ok(format!("{} {} {:?}", found.size, found.last_modified, found.e_tag));
    }
    let path = store::local(place)?;
    let found = path.metadata().map_err(|error| unreadable(&path, error))?;
    Ok(format!("{} {:?}", found.len(), found.modified().ok()))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    hirescam::Error::File { path: path.to_owned(), error }.into()
}

/// SHA-256 of a file of any size.
fn hash(path: &PathBuf) -> Result<String, Error> {
    let mut hash = Hashing::new(io::sink());
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.map_err(|error| unreadable(path, error))?;
    Ok(hash.sha256())
}

/// An explainer, and its spec with what the files held that it names: so it is the same wherever it is read.
pub(crate) fn settled(network: Network, spec: &Spec) -> Result<(Explainer, Spec), Error> {
    let mut spec = spec.clone();
    for input in &mut spec.inputs {
        if let InputValue::File(path) = &input.value {
            *input = FurtherInput::new(input.name.clone(), source::array(path)?);
        }
    }
    let explainer = network.into_explainer(&spec)?;
    spec.labels = explainer.labels().map(|labels| LabelsFrom::Names(labels.names().to_vec()));
    spec.preprocess = explainer.preprocess().cloned().map(Into::into);
    Ok((explainer, spec))
}

/// A process that runs shards of a job: the network is made ready once.
pub struct Worker {
    out: Store,
    planned: Planned,
    model: ModelFiles,
    maker: Maker,
    max_errors: Option<MaxErrors>,
}

impl Worker {
    /// Makes ready what a planned job needs, to be run as `options` say; which shards is not asked of them.
    ///
    /// # Errors
    /// [`Error::Changed`] where anything that decides the rows is other than when the job was planned; those of [`Planned::open`] and of
    /// [`Network::explainer`].
    pub fn open(out: &Store, options: &RunOptions) -> Result<Self, Error> {
        let planned = Planned::open(out)?;
        let (network, model) = ModelFiles::open(options.model.as_deref().unwrap_or(&planned.model))?;
        let mut spec = planned.spec.clone();
        spec.engine.threads = options.threads.unwrap_or(spec.engine.threads);
        let runner = Runner::new(network, &spec)?;
        let rows = Rows::of(&runner.explainer, &planned.rows)?;
        let is = Fingerprint::of(&runner.explainer, model.hashes(), rows.form(), planned.decides.inputs.clone());
        let changes = planned.decides.changed(&is);
        if !changes.is_empty() {
            return Err(Error::Changed { place: out.name().into(), changes });
        }
        let shared = planned.decides.shared(&planned.model, runner.explainer.engine());
        let max_errors = options.max_errors.or(planned.max_errors);
        Ok(Worker { out: out.clone(), planned, model, maker: Maker { runner, rows, shared }, max_errors })
    }

    /// The job.
    pub fn planned(&self) -> &Planned {
        &self.planned
    }

    /// The receipt of a shard that counts; none where it is not done.
    ///
    /// # Errors
    /// [`Error::Damaged`] for one that is none, [`Error::Store`].
    pub fn receipt(&self, shard: usize) -> Result<Option<Receipt>, Error> {
        let mut last = None;
        for name in (0..).map(|generation| receipt::name(shard, generation)) {
            match self.out.get(&name) {
                Ok(bytes) => last = Some((name, bytes)),
                Err(Error::Missing { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        last.map(|(name, bytes)| Receipt::read(&self.out, &name, &bytes)).transpose()
    }

    /// Makes the rows of a shard and publishes them. Gives the receipt that counts, and whether it is this one's: somebody else may have been
    /// first. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`Error::Changed`] where the network's file is another by now, or another job lies there; [`Error::TooMany`] where more images of the shard
    /// failed than may; [`Error::Stopped`]; [`Error::Store`] and [`Error::Full`]; [`Error::Explain`] for what is wrong with all images. Nothing is
    /// published then.
    pub fn run_shard(
        &self,
        shard: usize,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(InShard),
    ) -> Result<(Receipt, bool), Error> {
        self.run(shard, 0, &Ran::default(), stop, watch)
    }

    /// As [`Worker::run_shard`], as a generation, after what the same run did before.
    pub(crate) fn run(
        &self,
        shard: usize,
        generation: u32,
        before: &Ran,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(InShard),
    ) -> Result<(Receipt, bool), Error> {
        let started = Instant::now();
        if let Some(hashes) = self.model.changed()? {
            self.is_still(&Fingerprint { model: hashes, ..self.planned.decides.clone() })?;
        }
        self.is_still(&Planned::open(&self.out)?.decides)?;
        let allowance = Allowance { most: self.max_errors, failed: before.failed, images: before.images };
        let mut items = self.planned.items(&self.out, shard)?;
        for item in items.iter_mut().filter(|_| generation > 0) {
            // Whoever mends an image, and has its shard made again, wants the one that is there.
            if let At::File { length } = &mut item.at {
                *length = None;
            }
        }
        let ids = (self.planned.first(shard)..).map(|id| i64::try_from(id).unwrap_or(i64::MAX));
        let named: Vec<(i64, &str)> = ids.zip(items.iter().map(|item| item.uri.as_str())).collect();
        let mut made = std::thread::scope(|scope| {
            let (send, reads) = sync_channel::<Read>(READ_AHEAD);
            let items = &items;
            let pulling = scope.spawn(move || pull(items, &send));
            // Whoever reads ahead ends when nobody takes what is read.
            let next = move |count: usize| reads.iter().take(count).collect();
            let decode = |read: Read| self.maker.decoded(read.as_deref().map_err(Clone::clone));
            let made = self.maker.make(&named, next, decode, allowance, stop, watch);
            let pulled = pulling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made.and_then(|made| pulled.map(|()| made))
        })?;
        if made.done.images != items.len() as u64 {
            return Err(Error::Store {
                place: self.out.place(&format!("shard {shard}")),
                what: "its inputs ended early".into(),
            });
        }
        let [engine, engine_version] = self.maker.runner.explainer.engine().map(str::to_owned);
        let receipt = Receipt {
            shard,
            generation,
            file: publish::name(shard, generation, &made.sha256),
            sha256: made.sha256,
            bytes: made.bytes,
            rows: made.rows,
            images: made.done.images,
            failed: made.done.failed,
            fingerprint: self.planned.fingerprint.clone(),
            engine,
            engine_version,
            seconds: started.elapsed().as_secs_f64(),
            finished: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
        };
        // Where the job was removed meanwhile and another planned in its place, these rows are none of that one.
        self.is_still(&Planned::open(&self.out)?.decides)?;
        publish(&self.out, &receipt, &mut made.file)
    }

    /// Whether what decides the rows is what it was when this worker was opened.
    fn is_still(&self, is: &Fingerprint) -> Result<(), Error> {
        match self.planned.decides.changed(is) {
            changes if changes.is_empty() => Ok(()),
            changes => Err(Error::Changed { place: self.out.name().into(), changes }),
        }
    }
}
