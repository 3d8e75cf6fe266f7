//! The job's file: what is to be explained, how, and where the rows go.

use crate::RunOptions;
use crate::error::Error;
use crate::inputs::{self, InputFrom};
use crate::rows::RowOptions;
use crate::store::{local, remote};
use hirescam::Spec;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// What is to be explained, how, and where the rows go.
///
/// ```
/// let job = hirescam_batch::Job::from_toml("
///     model = 'digits-cnn.onnx'
///     inputs = ['photos', 'more/*.jpg', { path = 'list.csv', column = 'file' }]
///     out = 'digits'
///     [spec]
///     top = 2
/// ")?;
/// assert_eq!((job.shard_size, job.spec.top), (1000, Some(2)));
/// # Ok::<(), hirescam_batch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The network: a file of this machine, or in a store by its URL. One in a store has its weights inside.
    pub model: String,
    /// The images; one alone needs no list.
    #[serde(deserialize_with = "inputs::one_or_several")]
    pub inputs: Vec<InputFrom>,
    /// Where the job lies: a folder or a URL.
    pub out: String,
    /// How many inputs make a shard.
    #[serde(default = "shard_size")]
    pub shard_size: usize,
    /// What stands in the rows beside the numbers.
    #[serde(default)]
    pub rows: RowOptions,
    /// How many images may fail before a run gives up; any number where nothing is said.
    #[serde(default)]
    pub max_errors: Option<MaxErrors>,
    /// What is explained, and how.
    #[serde(default)]
    pub spec: Spec,
}

/// How many inputs make a shard where nothing is said.
fn shard_size() -> usize {
    1000
}

/// The most inputs of a shard: what is lost when a worker is killed is to stay small.
const LARGEST: usize = 1_000_000;

impl Job {
    /// Reads a job's file. Relative paths in it are seen from its folder.
    ///
    /// # Errors
    /// [`Error::Input`] where it cannot be read, [`Error::Argument`] for what is no job.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Input { uri: path.display().to_string(), what: error.to_string() })?;
        let job = Job::from_toml(&text).map_err(|error| Error::Argument(format!("{}: {error}", path.display())))?;
        job.seen_from(path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a job from TOML.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no job.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let job: Job = toml::from_str(text).map_err(|error| Error::Argument(format!("it is no job: {error}")))?;
        job.has_a_size().map(|()| job)
    }

    /// Whether its shards have a size that shards may have.
    pub(crate) fn has_a_size(&self) -> Result<(), Error> {
        match self.shard_size {
            1..=LARGEST => Ok(()),
            size => Err(Error::Argument(format!("a shard has 1 to {LARGEST} inputs, and shard_size is {size}"))),
        }
    }

    /// The same with relative paths seen from `folder`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a path that is no text.
    pub fn seen_from(mut self, folder: &Path) -> Result<Self, Error> {
        self.model = seen_from(folder, &self.model)?;
        self.out = seen_from(folder, &self.out)?;
        for input in &mut self.inputs {
            input.path = seen_from(folder, &input.path)?;
        }
        self.spec = self.spec.seen_from(folder);
        Ok(self)
    }
}

/// A job as it is named: by its file, or by the place where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Where it lies.
    pub out: String,
    /// What its file says, where that names it.
    pub job: Option<Job>,
}

impl Named {
    /// Reads the job's file, where it is one.
    ///
    /// # Errors
    /// As [`Job::open`].
    pub fn open(name: &str) -> Result<Self, Error> {
        let path = Path::new(name);
        let is_named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) && remote(name).is_none();
        let job = if is_named && !path.is_dir() { Some(Job::open(path)?) } else { None };
        Ok(Named { out: job.as_ref().map_or(name, |job| job.out.as_str()).to_owned(), job })
    }

    /// Where it lies, as it can be reached from any folder.
    ///
    /// # Errors
    /// [`Error::Argument`] for a path that is no text.
    pub fn place(&self) -> Result<String, Error> {
        seen_from(Path::new(""), &self.out)
    }

    /// How it is run: what `given` leaves open is as the job's file says by now. That may be other than when it was planned, for it decides no row.
    pub fn options(&self, given: RunOptions) -> RunOptions {
        let Some(job) = &self.job else { return given };
        let threads = Some(job.spec.engine.threads).filter(|&threads| threads > 0);
        RunOptions {
            shards: given.shards,
            max_errors: given.max_errors.or(job.max_errors),
            model: given.model.or_else(|| Some(job.model.clone())),
            threads: given.threads.or(threads),
        }
    }
}

/// A path, or a URL, as it is seen from a folder.
pub(crate) fn seen_from(folder: &Path, place: &str) -> Result<String, Error> {
    if place.is_empty() || remote(place).is_some() {
        return Ok(place.to_owned());
    }
    let path = match place.starts_with("file://") {
        true => local(place)?,
        false => local(&folder.join(place).to_string_lossy())?,
    };
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::Argument(format!("{}: a job's paths are text (UTF-8)", path.display())))
}

/// How many images may fail: a number, or a share of all in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Given", into = "String")]
pub enum MaxErrors {
    /// So many.
    Number(u64),
    /// So many of a hundred.
    Percent(f64),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "wanted is a number, or a share as \"5%\"")]
enum Given {
    Number(u64),
    Text(String),
}

impl TryFrom<Given> for MaxErrors {
    type Error = String;

    fn try_from(given: Given) -> Result<Self, String> {
        match given {
            Given::Number(number) => Ok(MaxErrors::Number(number)),
            Given::Text(text) => text.parse(),
        }
    }
}

impl FromStr for MaxErrors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share =
            |share: &str| share.trim().parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(MaxErrors::Percent);
        let read = match text.strip_suffix('%') {
            Some(text) => share(text),
            None => text.trim().parse().ok().map(MaxErrors::Number),
        };
        read.ok_or_else(|| format!("wanted is a number, or a share as 5%, and this is {text:?}"))
    }
}

impl std::fmt::Display for MaxErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            MaxErrors::Number(number) => write!(f, "{number}"),
            MaxErrors::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl From<MaxErrors> for String {
    fn from(most: MaxErrors) -> String {
        most.to_string()
    }
}

impl MaxErrors {
    /// Whether `failed` of `images` are more than may fail.
    pub(crate) fn is_passed(self, failed: u64, images: u64) -> bool {
        match self {
            MaxErrors::Number(most) => failed > most,
            MaxErrors::Percent(share) => failed as f64 * 100.0 > share * images as f64,
        }
    }
}
