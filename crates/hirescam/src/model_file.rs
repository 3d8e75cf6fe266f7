//! Reading a model file and what lies beside it: external weights, preprocessing, labels.

use crate::explainer::Error;
use crate::labels::Labels;
use crate::preprocess::Preprocess;
use hirescam_core::{Model, onnx};
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// A model with the hash of its file and the place it was read from.
#[derive(Debug)]
pub struct ModelFile {
    /// The model, external weights included.
    pub model: Model,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The path as given.
    pub path: PathBuf,
}

impl ModelFile {
    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read, [`Error::Model`] when it is no valid ONNX file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let sha256 = sha256(&bytes);
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = |bytes: bytes::Bytes| {
            let mut proto = onnx::read(bytes.clone())?;
            let outside = onnx::embed_external(&mut proto, |location, offset, length| {
                external(folder, location, offset, length)
            })?;
            let model = Model::new(proto)?;
            // What is added to a file whose weights lie elsewhere would lose them.
            Ok(if outside { model } else { model.with_file(bytes) })
        };
        let model = read(bytes.into()).map_err(|error| Error::Model { path: path.to_owned(), error })?;
        Ok(ModelFile { model, sha256, path: path.to_owned() })
    }

    /// The preprocessing that goes with the model: from its metadata (`hirescam.preprocess`, TOML), from `NAME.toml`
    /// beside it, or from Hugging Face's `preprocessor_config.json` beside it. With the place it comes from.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Preprocess`] when one is there and cannot be used.
    pub fn preprocess(&self) -> Result<Option<(Preprocess, String)>, Error> {
        if let Some(text) = self.model.metadata("hirescam.preprocess") {
            return Ok(Some((Preprocess::from_toml(text)?, "the model's metadata".into())));
        }
        let toml = self.path.with_extension("toml");
        if toml.is_file() {
            return Ok(Some((Preprocess::from_toml(&text(&toml)?)?, toml.display().to_string())));
        }
        let json = self.path.with_file_name("preprocessor_config.json");
        if json.is_file() {
            return Ok(Some((Preprocess::from_hugging_face(&text(&json)?)?, json.display().to_string())));
        }
        Ok(None)
    }

    /// The class labels that go with the model: from its metadata (`labels`, `classes` or `names`), from
    /// `NAME.labels.txt` beside it, or from `id2label` of a `config.json` beside it.
    ///
    /// # Errors
    /// [`Error::Labels`] when they are there and cannot be used.
    pub fn labels(&self) -> Result<Option<Labels>, Error> {
        for key in ["labels", "classes", "names"] {
            if let Some(text) = self.model.metadata(key) {
                return Ok(Some(Labels::parse(text)?));
            }
        }
        for path in [self.path.with_extension("labels.txt"), self.path.with_file_name("config.json")] {
            if path.is_file() {
                return Ok(Some(Labels::open(path)?));
            }
        }
        Ok(None)
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::File { path: path.to_owned(), error })
}

fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File { path: path.to_owned(), error })
}

/// A part of a file of weights in the model's folder. Paths that lead out of it are refused.
fn external(folder: &Path, location: &str, offset: u64, length: u64) -> Result<bytes::Bytes, hirescam_core::Error> {
    let refuse = |what: String| hirescam_core::Error::Invalid { at: format!("external data {location:?}"), what };
    if !Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(refuse("the path leads out of the model's folder".into()));
    }
    let path = folder.join(location);
    let inside =
        path.canonicalize().ok().zip(folder.join(".").canonicalize().ok()).is_some_and(|(p, f)| p.starts_with(f));
    if !inside {
        return Err(refuse("the file is missing, or a link that leads out of the model's folder".into()));
    }
    let part = || -> std::io::Result<(Vec<u8>, u64)> {
        let mut file = std::fs::File::open(&path)?;
        let size = file.metadata()?.len();
        let mut bytes = Vec::new();
        if offset.checked_add(length).is_some_and(|end| end <= size) {
            file.seek(SeekFrom::Start(offset))?;
            file.take(length).read_to_end(&mut bytes)?;
        }
        Ok((bytes, size))
    };
    match part() {
        Ok((bytes, _)) if bytes.len() as u64 == length => Ok(bytes.into()),
        Ok((_, size)) => Err(refuse(format!("{length} bytes from {offset} are needed, the file has {size}"))),
        Err(error) => Err(refuse(error.to_string())),
    }
}
