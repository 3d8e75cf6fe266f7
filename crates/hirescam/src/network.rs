//! A network: a model file, with what lies beside it: external weights, preprocessing, labels.

use crate::analyses::Analyses;
use crate::error::Error;
use crate::further_inputs::kind;
use crate::labels::Labels;
use crate::preprocess::Preprocess;
use crate::sink::{self, Protected, Whole, identity};
use crate::source;
use bytes::Bytes;
use hirescam_core::shape::{declared, element_type};
use hirescam_core::{Model, analysis, cam, onnx, score};
use hirescam_engine::Kind;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The most bytes of a model file: protobuf allows no more. Larger models keep their weights in files beside it.
const MOST_BYTES: u64 = (1 << 31) - 1;
/// The most bytes of weights in files beside the model.
const MOST_WEIGHTS: u64 = 1 << 32;
/// The most bytes of a file with preprocessing.
const MOST_TEXT: u64 = 1 << 24;

/// A network: a model with its file, and what lies beside it. A clone shares the weights.
///
/// Everything starts here: [`Network::layers`], [`Network::explainer`], [`Network::explaining_model`], [`Network::comparer`] and
/// [`Network::check`], each for a [`Spec`](crate::Spec).
#[derive(Clone, Debug)]
pub struct Network {
    model: Model,
    bytes: Bytes,
    path: PathBuf,
    weights: Vec<String>,
    labels: Option<Labels>,
    sha256: Sha256Once,
    analyses: Analyses,
}

impl Network {
    /// Reads a network's file.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read, [`Error::Model`] when it is no valid ONNX file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes: Bytes = read(path, MOST_BYTES)?.into();
        let read = model(bytes.clone(), path.parent().unwrap_or(Path::new("")));
        let no_network = |error| Error::Model { path: path.to_owned(), error, other: source::no_network(path, &bytes) };
        let (model, weights) = read.map_err(no_network)?;
        Ok(Network::new(model, bytes, path.to_owned(), weights))
    }

    /// Reads a network from the bytes of its file. Preprocessing and labels can come from its metadata only.
    ///
    /// # Errors
    /// [`Error::Core`] when they are no valid ONNX file, or where weights lie in files of their own.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let mut proto = onnx::read(bytes.clone())?;
        onnx::embed_external(&mut proto, |location, _, _| {
            Err(hirescam_core::Error::Invalid {
                at: format!("external data {location:?}"),
                what: "it lies in a file beside the network's own, which has to be opened".into(),
            })
        })?;
        let model = Model::new(proto)?.with_file(bytes.clone());
        Ok(Network::new(model, bytes, PathBuf::new(), Vec::new()))
    }

    fn new(model: Model, bytes: Bytes, path: PathBuf, weights: Vec<String>) -> Self {
        Network {
            model,
            bytes,
            path,
            weights,
            labels: None,
            sha256: Sha256Once::default(),
            analyses: Analyses::default(),
        }
    }

    /// The same network with these labels, in the place of those that go with its file.
    #[must_use]
    pub fn with_labels(self, labels: Labels) -> Self {
        Network { labels: Some(labels), ..self }
    }

    /// The model, external weights included.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same, and nothing else of the network is kept.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The path as given; empty for a network of bytes, beside which nothing lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files with external weights, as the model names them: relative to its folder.
    pub fn weights(&self) -> &[String] {
        &self.weights
    }

    /// What was found of the graph.
    pub(crate) fn analyses(&self) -> &Analyses {
        &self.analyses
    }

    /// SHA-256 of the file, in hexadecimal; found once.
    pub fn sha256(&self) -> &str {
        self.sha256.of(&self.bytes)
    }

    /// As [`Network::sha256`], for others than the network itself.
    pub(crate) fn sha256_once(&self) -> Sha256Once {
        self.sha256.clone()
    }

    /// The file without the map of an explaining model, byte for byte as it was; none where it is no explaining model.
    ///
    /// # Errors
    /// Those of [`strip`](hirescam_core::cam::strip()).
    pub fn strip(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(cam::strip(&self.bytes)?)
    }

    /// Writes `bytes`, which were made of the model's own, as a file that can be used where it lies: weights that lie
    /// beside the model are copied to the same places beside `to`, unless they are there already.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be written, [`Error::Protected`] where `to` is one that the model is read from,
    /// [`Error::Argument`] when another file is in the weights' place.
    pub fn save(&self, to: &Path, bytes: &[u8]) -> Result<(), Error> {
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
        let mut protected = Protected::new(self.files());
        protected.claim(to)?;
        for location in &self.weights {
            let (from, to_weights) = (folder(&self.path).join(location), folder(to).join(location));
            let fail = |error| Error::File { path: to_weights.clone(), error };
            if !to_weights.exists() {
                protected.claim(&to_weights)?;
                std::fs::create_dir_all(folder(&to_weights)).map_err(fail)?;
                let mut copy = Whole::create(&to_weights)?;
                File::open(&from).and_then(|mut from| io::copy(&mut from, &mut copy)).map_err(fail)?;
                copy.finish()?;
            } else if identity(&from) != identity(&to_weights) && !same(&from, &to_weights).map_err(fail)? {
                return Err(Error::Argument(format!(
                    "the network's weights have to lie beside {}, and {} is another file: choose another folder",
                    to.display(),
                    to_weights.display()
                )));
            }
        }
        sink::write(to, bytes)
    }

    /// The files that the model is read from, with those beside it that say how it is used, whether they are there or not.
    pub fn files(&self) -> Vec<PathBuf> {
        if self.path.as_os_str().is_empty() {
            return Vec::new();
        }
        let weights = self.weights.iter().map(|location| self.path.with_file_name(location));
        let suffixes = ["toml", "labels.txt"].map(|suffix| self.path.with_extension(suffix));
        let names = ["preprocessor_config.json", "config.json"].map(|name| self.path.with_file_name(name));
        [self.path.clone()].into_iter().chain(weights).chain(suffixes).chain(names).collect()
    }

    /// The input that carries the image: the one called `name`; without a name the first that could.
    ///
    /// # Errors
    /// [`Error::Core`] for an unknown name, or a network without inputs.
    pub fn image_input(&self, name: Option<&str>) -> Result<ImageInput, Error> {
        let input = analysis::image_input(&self.model, name)?;
        let kind = element_type(input).and_then(kind);
        Ok(ImageInput { name: input.name().to_owned(), kind, shape: declared(input) })
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
        if self.path.as_os_str().is_empty() {
            return Ok(None);
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

    /// The class labels that go with the model: those that it was given ([`Network::with_labels`]), or from its metadata (`labels`, `classes` or `names`), from
    /// `NAME.labels.txt` beside it, from `id2label` of a `config.json` beside it, or from its graph, as that of a ZipMap has them.
    ///
    /// # Errors
    /// [`Error::Labels`] when they are there and cannot be used.
    pub fn labels(&self) -> Result<Option<Labels>, Error> {
        Ok(self.labels_from()?.map(|(labels, _)| labels))
    }

    /// The same with the place that they come from.
    pub(crate) fn labels_from(&self) -> Result<Option<(Labels, String)>, Error> {
        if let Some(labels) = &self.labels {
            return Ok(Some((labels.clone(), "what it was given".into())));
        }
        for key in ["labels", "classes", "names"] {
            if let Some(text) = self.model.metadata(key) {
                return Ok(Some((Labels::parse(text)?, "the model's metadata".into())));
            }
        }
        if !self.path.as_os_str().is_empty() {
            for path in [self.path.with_extension("labels.txt"), self.path.with_file_name("config.json")] {
                if path.is_file() {
                    let from = path.display().to_string();
                    return Ok(Some((Labels::open(path)?, from)));
                }
            }
        }
        Ok(score::names(&self.model).map(|names| (Labels::new(names), "the model's graph".into())))
    }
}

/// The input of a network that carries the image, as the file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageInput {
    /// Its name.
    pub name: String,
    /// Its elements; none for those that engines are not fed.
    pub kind: Option<Kind>,
    /// Its extents, the batch first; none for those that are open.
    pub shape: Vec<Option<usize>>,
}

/// SHA-256 of a network's file, once it is found. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sha256Once(Arc<OnceLock<String>>);

impl Sha256Once {
    /// That of these bytes, which are always the same.
    pub(crate) fn of(&self, bytes: &[u8]) -> &str {
        self.0.get_or_init(|| sha256(bytes))
    }

    /// What was found; nothing where it was not looked for.
    pub(crate) fn known(&self) -> String {
        self.0.get().cloned().unwrap_or_default()
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The whole file, if it has no more than `most` bytes.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let fail = |error| Error::File { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(fail)?;
    // What the system says of a file's length need not be so.
    let length = file.metadata().map_err(fail)?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    (&mut file).take(most + 1).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 > most {
        true => Err(fail(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")))),
        false => Ok(bytes),
    }
}

fn text(path: &Path) -> Result<String, Error> {
    let fail = |error| Error::File { path: path.to_owned(), error };
    String::from_utf8(read(path, MOST_TEXT)?).map_err(|e| fail(io::Error::new(ErrorKind::InvalidData, e)))
}

/// Whether two files hold the same.
fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    loop {
        let [mut left, mut right] = [Vec::new(), Vec::new()];
        a.by_ref().take(1 << 20).read_to_end(&mut left)?;
        b.by_ref().take(1 << 20).read_to_end(&mut right)?;
        match (left == right, left.is_empty()) {
            (true, false) => {}
            (same, _) => return Ok(same),
        }
    }
}

/// The model, and where its external weights lie.
fn model(bytes: Bytes, folder: &Path) -> Result<(Model, Vec<String>), hirescam_core::Error> {
    let mut proto = onnx::read(bytes.clone())?;
    let (mut left, mut weights) = (MOST_WEIGHTS, BTreeSet::new());
    onnx::embed_external(&mut proto, |location, offset, length| {
        weights.insert(location.to_owned());
        external(folder, location, offset, length, &mut left)
    })?;
    let model = Model::new(proto)?;
    let model = if weights.is_empty() { model.with_file(bytes) } else { model };
    Ok((model, weights.into_iter().collect()))
}

/// A part of a file of weights in the model's folder. Paths that lead out of it are refused. `left` is how many bytes the
/// model's weights may still take.
fn external(
    folder: &Path,
    location: &str,
    offset: u64,
    length: u64,
    left: &mut u64,
) -> Result<Bytes, hirescam_core::Error> {
    let refuse = |what: String| hirescam_core::Error::Invalid { at: format!("external data {location:?}"), what };
    let fail = |e: io::Error| refuse(e.to_string());
    if !Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(refuse("the path leads out of the model's folder".into()));
    }
    // The model's own folder may well be reached through links.
    let home = folder.join(".").canonicalize().map_err(fail)?;
    let path = folder.join(location).canonicalize().map_err(fail)?;
    if !path.starts_with(home) {
        return Err(refuse("it is a link that leads out of the model's folder: copy the file there".into()));
    }
    let found = path.metadata().map_err(fail)?;
    if !found.is_file() {
        return Err(refuse("it is no file".into()));
    }
    if offset.checked_add(length).is_none_or(|end| end > found.len()) {
        return Err(refuse(format!("the file has {} bytes, not {length} from {offset} on", found.len())));
    }
    let rest = left.checked_sub(length);
    *left = rest.ok_or_else(|| refuse(format!("the weights come to more than {MOST_WEIGHTS} bytes")))?;
    let mut part = Vec::new();
    let mut file = File::open(path).map_err(fail)?;
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(length).read_to_end(&mut part)).map_err(fail)?;
    if part.len() as u64 == length { Ok(part.into()) } else { Err(refuse("the file was cut while it was read".into())) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hirescam_core::onnx::messages::{ModelProto, StringStringEntryProto, tensor_proto::DataLocation};
    use std::fs;

    /// A folder of its own in the system's, gone with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("hirescam-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("model")).unwrap();
            Folder(path)
        }
        fn file(&self, name: &str) -> PathBuf {
            self.0.join("model").join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx");

    /// The digits network with its largest tensor in a file beside it: the model, the tensor's bytes.
    fn outside(location: &str, offset: Option<&str>, length: Option<&str>) -> (ModelProto, Vec<u8>) {
        let mut proto = onnx::read(fs::read(DIGITS).unwrap()).unwrap();
        let tensors = &mut proto.graph.as_mut().unwrap().initializer;
        let tensor = tensors.iter_mut().max_by_key(|t| t.raw_data().len()).unwrap();
        let raw = tensor.raw_data.take().unwrap().to_vec();
        let entries = [("location", Some(location)), ("offset", offset), ("length", length)];
        let entries = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
        tensor.external_data = entries
            .map(|(key, value)| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) })
            .collect();
        tensor.data_location = Some(DataLocation::External as i32);
        (proto, raw)
    }

    fn open(folder: &Folder, proto: &ModelProto) -> Result<Network, String> {
        fs::write(folder.file("net.onnx"), onnx::write(proto)).unwrap();
        Network::open(folder.file("net.onnx")).map_err(|e| e.to_string())
    }

    #[test]
    fn weights_beside_the_model_are_the_same_as_inside() {
        let folder = Folder::new("beside");
        let length = outside("", None, None).1.len().to_string();
        let (proto, raw) = outside("./sub/w.bin", Some("16"), Some(&length));
        fs::create_dir_all(folder.file("sub")).unwrap();
        fs::write(folder.file("sub/w.bin"), [vec![7; 16], raw, vec![7; 3]].concat()).unwrap();
        let read = open(&folder, &proto).unwrap();
        let inside = Network::open(DIGITS).unwrap();
        assert!(read.model.proto() == inside.model.proto());
        assert!(inside.model.file().is_some() && read.model.file().is_none());
    }

    #[test]
    fn weights_come_from_nowhere_else() {
        let folder = Folder::new("elsewhere");
        let (_, raw) = outside("w", None, None);
        fs::write(folder.0.join("w.bin"), &raw).unwrap();
        let absolute = folder.0.join("w.bin").display().to_string();
        for location in ["../w.bin", "sub/../../w.bin", absolute.as_str(), "/etc/passwd", "/dev/zero"] {
            let error = open(&folder, &outside(location, None, None).0).unwrap_err();
            assert!(error.contains("leads out of the model's folder"), "{location}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let folder = Folder::new("links");
        let (proto, raw) = outside("w.bin", None, None);
        fs::write(folder.0.join("elsewhere.bin"), &raw).unwrap();
        std::os::unix::fs::symlink("../elsewhere.bin", folder.file("w.bin")).unwrap();
        let error = open(&folder, &proto).unwrap_err();
        assert!(error.contains("link that leads out"), "{error}");
        std::os::unix::fs::symlink("..", folder.file("up")).unwrap();
        let error = open(&folder, &outside("up/elsewhere.bin", None, None).0).unwrap_err();
        assert!(error.contains("link that leads out"), "{error}");
        // Within the folder, and on the way to it, they may.
        fs::remove_file(folder.file("w.bin")).unwrap();
        fs::write(folder.file("here.bin"), &raw).unwrap();
        std::os::unix::fs::symlink("here.bin", folder.file("w.bin")).unwrap();
        open(&folder, &proto).unwrap();
        std::os::unix::fs::symlink("model", folder.0.join("link")).unwrap();
        Network::open(folder.0.join("link/net.onnx")).unwrap();
        // What would never end is not read.
        fs::remove_file(folder.file("w.bin")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.file("w.bin")).unwrap();
        open(&folder, &proto).unwrap_err();
    }

    #[test]
    fn lies_about_weights_are_told() {
        let folder = Folder::new("lies");
        let (proto, raw) = outside("w.bin", None, None);
        let error = open(&folder, &proto).unwrap_err();
        assert!(error.contains("w.bin"), "{error}");
        fs::write(folder.file("w.bin"), &raw[1..]).unwrap();
        let error = open(&folder, &proto).unwrap_err();
        assert!(error.contains(&format!("the file has {} bytes", raw.len() - 1)), "{error}");
        fs::write(folder.file("w.bin"), &raw).unwrap();
        for offset in ["1", "18446744073709551615"] {
            let error = open(&folder, &outside("w.bin", Some(offset), None).0).unwrap_err();
            assert!(error.contains(&format!("from {offset} on")), "{error}");
        }
        let error = open(&folder, &outside("w.bin", None, Some("99999999999")).0).unwrap_err();
        assert!(error.contains("it has 99999999999 bytes"), "{error}");
        for location in ["", "."] {
            let error = open(&folder, &outside(location, None, None).0).unwrap_err();
            assert!(error.contains("no file"), "{error}");
        }
        open(&folder, &outside("w.bin", Some("0"), None).0).unwrap();
    }

    #[test]
    fn overlapping_weights_do_not_add_up_without_bound() {
        let folder = Folder::new("overlap");
        fs::write(folder.file("w.bin"), [7; 100]).unwrap();
        let mut left = 250;
        let mut part = |offset| external(&folder.file(""), "w.bin", offset, 100 - offset, &mut left);
        assert_eq!(part(0).unwrap().len(), 100);
        assert_eq!(part(1).unwrap().len(), 99);
        let error = part(2).unwrap_err().to_string();
        assert!(error.contains("come to more than"), "{error}");
    }

    #[test]
    fn what_is_no_model_is_an_error_that_names_the_file() {
        let folder = Folder::new("none");
        assert!(matches!(Network::open(folder.file("absent.onnx")), Err(Error::File { .. })));
        assert!(matches!(Network::open(folder.file("")), Err(Error::File { .. })));
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", &[0xff; 100]] {
            fs::write(folder.file("net.onnx"), bytes).unwrap();
            let error = Network::open(folder.file("net.onnx")).unwrap_err();
            assert!(matches!(&error, Error::Model { .. }), "{error}");
            assert!(error.to_string().contains("net.onnx"));
        }
        fs::write(folder.file("five"), "12345").unwrap();
        let error = read(&folder.file("five"), 4).unwrap_err().to_string();
        assert!(error.contains("more than 4 bytes"), "{error}");
    }

    #[test]
    fn nonsense_beside_the_model_is_an_error() {
        let folder = Folder::new("nonsense");
        let file = open(&folder, &onnx::read(fs::read(DIGITS).unwrap()).unwrap()).unwrap();
        for bytes in [&b"resize = 3"[..], b"std = [0.0]", b"\xff\xfe"] {
            fs::write(folder.file("net.toml"), bytes).unwrap();
            assert!(file.preprocess().is_err());
        }
        fs::write(folder.file("net.labels.txt"), "\n \n").unwrap();
        assert!(matches!(file.labels(), Err(Error::Labels(_))));
    }
}
