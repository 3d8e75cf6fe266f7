//! What stands for arrays, labels and steps in a spec: names, files, numbers, or the thing itself.

use super::read;
use crate::Error;
use crate::labels::Labels;
use crate::preprocess::{Preprocess, preset};
use crate::source;
use hirescam_engine::Array;
use ndarray::ArrayD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the score is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum ScoreFrom {
    /// The logits before a final Softmax or Sigmoid.
    #[default]
    #[cfg_attr(feature = "clap", value(help = None))]
    Logits,
    /// The output as it is.
    #[cfg_attr(feature = "clap", value(help = None))]
    Output,
}

/// The sides of a grid, rows first. Written `14x14`; in files, as a list, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Grid(pub Vec<usize>);

impl<'de> Deserialize<'de> for Grid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "wanted are height and width, as in 14x14")]
        enum Given {
            Text(String),
            Sides(Vec<usize>),
        }
        match Given::deserialize(deserializer)? {
            Given::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Given::Sides(sides) => Ok(Grid(sides)),
        }
    }
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides: Option<Vec<usize>> = text.split('x').map(|n| n.trim().parse().ok().filter(|&n| n > 0)).collect();
        sides.filter(|s| s.len() > 1).map(Grid).ok_or_else(|| "wanted are height and width, as in 14x14".into())
    }
}

/// Where labels come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelsFrom {
    /// A file.
    #[serde(serialize_with = "read::path_of")]
    File(PathBuf),
    /// The labels themselves.
    Names(Vec<String>),
}

impl FromStr for LabelsFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(LabelsFrom::File(text.into()))
    }
}

impl From<&Labels> for LabelsFrom {
    fn from(labels: &Labels) -> Self {
        LabelsFrom::Names(labels.names().to_vec())
    }
}

impl LabelsFrom {
    pub(super) fn read(&self) -> Result<Labels, Error> {
        match self {
            LabelsFrom::File(path) => Ok(Labels::open(path)?),
            LabelsFrom::Names(names) => Ok(Labels::new(names.clone())),
        }
    }
}

/// Where preprocessing comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PreprocessFrom {
    /// A preset's name, or a file, TOML or Hugging Face's JSON.
    Named(String),
    /// The steps themselves.
    Steps(Preprocess),
}

impl FromStr for PreprocessFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(PreprocessFrom::Named(text.into()))
    }
}

impl From<Preprocess> for PreprocessFrom {
    fn from(steps: Preprocess) -> Self {
        PreprocessFrom::Steps(steps)
    }
}

impl PreprocessFrom {
    pub(super) fn read(&self) -> Result<Preprocess, Error> {
        let name = match self {
            PreprocessFrom::Steps(steps) => {
                steps.validate()?;
                return Ok(steps.clone());
            }
            PreprocessFrom::Named(name) => name,
        };
        let path = PathBuf::from(name);
        if !is_of_file(&path) {
            return Ok(preset(name)?);
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::File { path: path.clone(), error })?;
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        Ok(if json { Preprocess::from_hugging_face(&text) } else { Preprocess::from_toml(&text) }?)
    }
}

/// Whether a name is that of a file of steps, and of no preset: one that ends as such files do is, even where there is none.
pub(super) fn is_of_file(path: &Path) -> bool {
    path.is_file()
        || path.extension().is_some_and(|e| ["toml", "json"].iter().any(|known| e.eq_ignore_ascii_case(known)))
}

impl<'de> Deserialize<'de> for PreprocessFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = PreprocessFrom;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a preset's name, a file or the steps themselves")
            }

            fn visit_str<E>(self, name: &str) -> Result<PreprocessFrom, E> {
                Ok(PreprocessFrom::Named(name.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PreprocessFrom, A::Error> {
                Preprocess::deserialize(MapAccessDeserializer::new(map)).map(PreprocessFrom::Steps)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What an input beside the image is fed.
#[derive(Clone, Debug, PartialEq)]
pub struct FurtherInput {
    /// The input.
    pub name: String,
    /// What it is fed.
    pub value: InputValue,
}

/// Where numbers come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputValue {
    /// One number, which fills the input.
    Number(f64),
    /// A `.npy` file.
    #[serde(serialize_with = "read::path_of")]
    File(PathBuf),
    /// The numbers themselves.
    #[serde(with = "inline")]
    Array(Array),
}

impl FurtherInput {
    /// An input that is fed an array.
    pub fn new(name: impl Into<String>, array: impl Into<Array>) -> Self {
        FurtherInput { name: name.into(), value: InputValue::Array(array.into()) }
    }

    pub(super) fn read(&self) -> Result<(String, Array), Error> {
        let array = match &self.value {
            InputValue::Number(number) => ndarray::arr0(*number).into(),
            InputValue::File(path) => source::array(path)?,
            InputValue::Array(array) => array.clone(),
        };
        Ok((self.name.clone(), array))
    }
}

impl FromStr for FurtherInput {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let (name, value) = parts.ok_or("it takes NAME=FILE.npy or NAME=NUMBER")?;
        let value = value.parse().map_or_else(|_| InputValue::File(value.into()), InputValue::Number);
        Ok(FurtherInput { name: name.to_owned(), value })
    }
}

/// Further inputs as a table: a value a name.
pub(super) mod by_name {
    use super::*;

    pub fn serialize<S: Serializer>(inputs: &[FurtherInput], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(inputs.iter().map(|input| (&input.name, &input.value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FurtherInput>, D::Error> {
        let all = BTreeMap::<String, InputValue>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|(name, value)| FurtherInput { name, value }).collect())
    }
}

/// An array as its shape and its numbers in row-major order, the last axis running fastest. Numbers of every kind become float64.
mod inline {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inline {
        shape: Vec<usize>,
        numbers: Vec<f64>,
    }

    pub fn serialize<S: Serializer>(array: &Array, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = array.to_f64().iter().copied().collect();
        Inline { shape: array.shape().to_vec(), numbers }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Array, D::Error> {
        let Inline { shape, numbers } = Inline::deserialize(deserializer)?;
        ArrayD::from_shape_vec(shape, numbers).map(Array::from).map_err(serde::de::Error::custom)
    }
}
