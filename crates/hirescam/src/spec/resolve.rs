//! A spec with what its names and files stand for, for one network.

use super::given::is_of_file;
use super::{InputValue, LabelsFrom, PreprocessFrom, Spec};
use crate::Error;
use crate::labels::Labels;
use crate::methods::{self, AnyMethod};
use crate::network::Network;
use crate::preprocess::{Preprocess, preset};
use crate::record::{self, Provenance};
use crate::source;
use hirescam_core::cam::{Method, Request, Target};
use hirescam_engine::{Array, Engine};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A spec for one network: each layer a name of its own, and what else is named read.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) spec: Spec,
    /// What was asked for, as it was.
    pub(crate) asked: Arc<Spec>,
    pub(crate) target: Target,
    pub(crate) labels: Option<Labels>,
    pub(crate) preprocess: Option<Preprocess>,
    pub(crate) inputs: Vec<(String, Array)>,
    /// What stands for the contents of the files that were read.
    pub(crate) contents: Arc<Value>,
}

impl Resolved {
    /// The layer that is named, the first of several.
    pub(crate) fn layer(&self) -> Option<&String> {
        self.spec.layers.first()
    }

    /// The same by another method.
    pub(crate) fn by(&self, method: &str) -> Self {
        let mut resolved = self.clone();
        resolved.spec.method = method.to_owned();
        resolved
    }

    /// The methods.
    ///
    /// # Errors
    /// [`Error::Core`] for an unknown one, [`Error::Argument`] for one that is named twice.
    pub(crate) fn methods(&self) -> Result<Vec<AnyMethod>, Error> {
        let names: Vec<&str> = self.spec.methods().collect();
        match names.iter().enumerate().find(|(i, name)| names.iter().take(*i).any(|other| other == *name)) {
            Some((_, twice)) => Err(Error::Argument(format!("the method {twice} is asked for twice"))),
            None => names.into_iter().map(methods::method).collect(),
        }
    }

    /// The layers after the first.
    pub(crate) fn further_layers(&self) -> &[String] {
        self.spec.layers.get(1..).unwrap_or_default()
    }

    /// What is said of the layer's channels and tokens, for methods that work at the image where no layer is named (`at_image`)
    /// or not: it does not hold for the image where others work at a layer.
    pub(crate) fn said_of_layer(&self, at_image: bool) -> Result<(Option<i64>, Option<&[usize]>), Error> {
        let mut others = false;
        for method in self.methods()? {
            others |= !method.is_at_image(&self.spec.settings)?;
        }
        Ok(match at_image && others && self.layer().is_none() {
            true => (None, None),
            false => (self.spec.channel_axis, self.grid()),
        })
    }

    /// The rows and columns that tokens are said to have.
    pub(crate) fn grid(&self) -> Option<&[usize]> {
        self.spec.grid.as_ref().map(|grid| grid.0.as_slice())
    }

    /// What is attached by a method of one run, at the first layer.
    pub(crate) fn request(&self, method: &'static Method) -> Request {
        Request {
            layer: self.layer().cloned(),
            target: self.target.clone(),
            method,
            channels: self.spec.channel_axis,
            grid: self.grid().map(<[usize]>::to_vec),
            ..Request::default()
        }
    }

    /// What stands in records of what is made.
    pub(crate) fn provenance(&self, model: &Path, model_sha256: String, engine: &dyn Engine) -> Provenance {
        Provenance {
            model: record::path(model),
            model_sha256,
            engine: engine.name().to_owned(),
            engine_version: engine.version(),
            spec: (*self.asked).clone(),
        }
    }

    /// The same for images of this shape.
    pub(crate) fn of_shape(&self, shape: Option<Vec<usize>>) -> Self {
        let mut resolved = self.clone();
        resolved.spec.shape = shape;
        resolved
    }
}

impl Spec {
    /// Reads what the spec names. Labels and preprocessing are the network's own where none are named.
    ///
    /// # Errors
    /// Those of reading files; [`Error::Core`] for a target that does not exist, [`Error::NoLabels`] for a class by its label
    /// where there are none.
    pub(crate) fn resolve(&self, file: &Network) -> Result<Resolved, Error> {
        let labels = match &self.labels {
            Some(labels) => Some(labels.read()?),
            None => file.labels()?,
        };
        let preprocess = match &self.preprocess {
            Some(preprocess) => Some(preprocess.read()?),
            None => file.preprocess()?.map(|(preprocess, _)| preprocess),
        };
        Ok(Resolved {
            target: self.explained(labels.as_ref())?,
            inputs: self.inputs.iter().map(|input| input.read()).collect::<Result<_, _>>()?,
            spec: Spec { layers: self.layers_of(file), ..self.clone() },
            asked: Arc::new(self.clone()),
            contents: Arc::new(self.contents(file)),
            labels,
            preprocess,
        })
    }

    /// The methods: what stands between commas.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.method.split(',').map(str::trim)
    }

    /// The layers: what stands between commas, but for a name that has some itself.
    pub fn layers_of(&self, file: &Network) -> Vec<String> {
        let graph = file.model().graph();
        let known = |name: &str| {
            graph.input.iter().any(|i| i.name() == name)
                || graph.node.iter().any(|n| n.output.iter().any(|o| o == name))
        };
        let of = |text: &String| match known(text) {
            true => vec![text.clone()],
            false => text.split(',').map(|name| name.trim().to_owned()).collect(),
        };
        self.layers.iter().flat_map(of).collect()
    }

    /// What is explained: the best class where nothing is said.
    fn explained(&self, labels: Option<&Labels>) -> Result<Target, Error> {
        match (&self.target, self.classes.as_slice(), self.top) {
            (None, [], top) => Ok(Target::Top(top.unwrap_or(1))),
            (None, classes, None) => Ok(Target::Classes(chosen(classes, labels)?)),
            (Some(text), [], None) => {
                // What is wrong with a label is said as for any other class.
                let wrong = Cell::new(None);
                let class = |name: &str| {
                    class(name, labels).map_err(|error| {
                        let text = error.to_string();
                        wrong.set(Some(error));
                        text
                    })
                };
                let numbers = |file: &str| source::array(Path::new(file)).map_err(|error| error.to_string());
                let target = Target::parse(text, class, |file| Ok(numbers(file)?.to_f64().iter().copied().collect()));
                target.map_err(|error| wrong.take().unwrap_or(error.into()))
            }
            _ => Err(Error::Argument(
                "what is explained is said once: by a target, by classes or by how many of the best".into(),
            )),
        }
    }

    /// The files that are named.
    pub fn files(&self) -> Vec<PathBuf> {
        let inputs = self.inputs.iter().filter_map(|input| match &input.value {
            InputValue::File(path) => Some(path.clone()),
            InputValue::Number(_) | InputValue::Array(_) => None,
        });
        let target = self.target.iter().filter_map(|text| Some(text.split_once(':')?.1.trim().into()));
        let preprocess = self.preprocess.iter().filter_map(|from| match from {
            PreprocessFrom::Named(name) => Some(name.into()),
            PreprocessFrom::Steps(_) => None,
        });
        let labels = self.labels.iter().filter_map(|from| match from {
            LabelsFrom::File(path) => Some(path.clone()),
            LabelsFrom::Names(_) => None,
        });
        inputs.chain(target).chain(preprocess).chain(labels).chain(self.picture.font.clone()).collect()
    }

    /// Sees to it that the spec holds all it says: that nothing in it names a file of this machine. Specs that come from elsewhere must.
    ///
    /// # Errors
    /// [`Error::Argument`] with the option that names a file.
    pub fn self_contained(&self) -> Result<(), Error> {
        let refuse = |option: &str, holds: &str| {
            Error::Argument(format!(
                "`{option}` names a file, and files of this machine are not read here: give {holds}"
            ))
        };
        if let Some(PreprocessFrom::Named(name)) = &self.preprocess
            && preset(name).is_err()
        {
            return Err(refuse("preprocess", "a preset's name, or the steps themselves"));
        }
        if matches!(self.labels, Some(LabelsFrom::File(_))) {
            return Err(refuse("labels", "a list of names"));
        }
        if self.inputs.iter().any(|input| matches!(input.value, InputValue::File(_))) {
            return Err(refuse("input", "the numbers themselves"));
        }
        if self.picture.font.is_some() {
            return Err(refuse("font", "none"));
        }
        if self.engine.library.is_some() {
            return Err(refuse("onnxruntime", "none"));
        }
        let names_file = Cell::new(false);
        if let Some(text) = &self.target {
            // What else is wrong with a target is found when it is resolved.
            let _ = Target::parse(
                text,
                |_| Ok(0),
                |_| {
                    names_file.set(true);
                    Ok(vec![0.0])
                },
            );
        }
        if names_file.get() { Err(refuse("target", "one that holds its numbers")) } else { Ok(()) }
    }

    /// The same with relative paths seen from `folder`, as in a file that lies there. What names a preset stays a preset, unless a file of the name
    /// lies there.
    #[must_use]
    pub fn seen_from(mut self, folder: &Path) -> Self {
        for input in &mut self.inputs {
            if let InputValue::File(path) = &mut input.value {
                *path = folder.join(&*path);
            }
        }
        if let Some(PreprocessFrom::Named(name)) = &mut self.preprocess {
            let path = folder.join(&*name);
            if is_of_file(&path) {
                *name = path.to_string_lossy().into_owned();
            }
        }
        if let Some(LabelsFrom::File(path)) = &mut self.labels {
            *path = folder.join(&*path);
        }
        for path in [&mut self.picture.font, &mut self.engine.library].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }

    /// What stands for the contents of the files that are read beside the model and the images: SHA-256 of those that are
    /// named, length and time of files of weights.
    fn contents(&self, file: &Network) -> Value {
        let named: Vec<Option<String>> = self.files().iter().map(|path| source::hash(path).ok()).collect();
        let weights = file.weights().iter().map(|location| {
            let found = file.path().with_file_name(location).metadata().ok();
            found.map(|found| (found.len(), format!("{:?}", found.modified().ok())))
        });
        json!([named, weights.collect::<Vec<_>>()])
    }
}

/// The classes: what stands between commas, but for a label that has some itself.
fn chosen(classes: &[String], labels: Option<&Labels>) -> Result<Vec<usize>, Error> {
    let mut chosen = Vec::new();
    for text in classes {
        match class(text, labels) {
            Err(_) if text.contains(',') => {
                let each = text.split(',').map(|name| class(name.trim(), labels));
                chosen.extend(each.collect::<Result<Vec<_>, _>>()?);
            }
            one => chosen.push(one?),
        }
    }
    Ok(chosen)
}

fn class(text: &str, labels: Option<&Labels>) -> Result<usize, Error> {
    match (text.parse(), labels) {
        (Ok(number), _) => Ok(number),
        (Err(_), Some(labels)) => Ok(labels.find(text)?),
        (Err(_), None) => Err(Error::NoLabels { class: text.to_owned() }),
    }
}
