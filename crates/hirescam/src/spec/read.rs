//! Reading and writing specs.

use super::Spec;
use crate::Error;
use hirescam_core::near;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

impl Spec {
    /// Reads a spec from a file: JSON where its name ends so, else TOML. A record stands for the spec in it.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read or is no spec, [`Error::Core`] with near names for an unknown field.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let fail = |error| Error::File { path: path.to_owned(), error };
        let text = std::fs::read_to_string(path).map_err(fail)?;
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let read = if json { Spec::from_json(&text) } else { Spec::from_toml(&text) };
        read.map_err(|error| match error {
            Error::Argument(what) => fail(io::Error::new(ErrorKind::InvalidData, what)),
            error => error,
        })
    }

    /// Reads a spec from TOML.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no spec, [`Error::Core`] with near names for an unknown field.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| refused(error.message(), &error))
    }

    /// Reads a spec from JSON. A record stands for the spec in it.
    ///
    /// # Errors
    /// As [`Spec::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let read = serde_json::from_str(text).and_then(|mut read: Value| {
            let inside = read.get_mut("spec").map(Value::take);
            Spec::deserialize(inside.unwrap_or(read))
        });
        read.map_err(|error| refused(&error.to_string(), &error))
    }
}

/// The error for what serde refuses. An unknown field it names with all that are known, each between backticks.
fn refused(message: &str, error: &dyn std::fmt::Display) -> Error {
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next().filter(|_| message.starts_with("unknown field")) {
        Some(name) => {
            let known: Vec<&str> = names.collect();
            let near = near(name, known.iter().copied());
            if near.is_empty() {
                return Error::Argument(format!("{name:?} is no field of a spec: here there are {}", known.join(", ")));
            }
            hirescam_core::Error::NotFound { kind: "field of a spec", name: name.to_owned(), near }.into()
        }
        None => Error::Argument(format!("it is no spec: {error}")),
    }
}

/// A list, or one thing that stands for a list of it; numbers stand for their text.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a name or a number is wanted, or a list of them")]
    enum Given {
        Number(u64),
        Name(String),
        Many(Vec<Given>),
    }
    fn all(given: Given) -> Vec<String> {
        match given {
            Given::Number(number) => vec![number.to_string()],
            Given::Name(name) => vec![name],
            Given::Many(many) => many.into_iter().flat_map(all).collect(),
        }
    }
    Given::deserialize(deserializer).map(all)
}

/// A word, or a list of some, which stand between commas then.
pub(super) fn one_or_joined<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    one_or_many(deserializer).map(|words| words.join(","))
}

/// Paths need not be text.
pub(super) fn path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

/// As [`path`].
pub(super) fn path_of<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.to_string_lossy().serialize(serializer)
}

/// What has a text of its own, which it can be read from.
pub(super) mod as_text {
    use super::*;

    /// A thing, or an option of one.
    pub trait Text: Sized {
        fn text(&self) -> Option<String>;
        fn read(text: Option<&str>) -> Result<Self, String>;
    }

    macro_rules! text {
        ($($one:ty),*) => { $(
            impl Text for $one {
                fn text(&self) -> Option<String> {
                    Some(self.to_string())
                }
                fn read(text: Option<&str>) -> Result<Self, String> {
                    text.unwrap_or_default().parse().map_err(|error: <$one as std::str::FromStr>::Err| error.to_string())
                }
            }
        )* };
    }
    text!(hirescam_core::score::Activation, hirescam_engine::Device, crate::fusion::Fuse);

    impl<T: Text> Text for Option<T> {
        fn text(&self) -> Option<String> {
            self.as_ref().and_then(T::text)
        }
        fn read(text: Option<&str>) -> Result<Self, String> {
            text.map(|text| T::read(Some(text))).transpose()
        }
    }

    pub fn serialize<T: Text, S: Serializer>(thing: &T, serializer: S) -> Result<S::Ok, S::Error> {
        thing.text().serialize(serializer)
    }

    pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::read(Option::<String>::deserialize(deserializer)?.as_deref()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::fusion::Fuse;
    use crate::methods::Settings;
    use crate::overlay::Arrangement;
    use crate::preprocess::Preprocess;
    use crate::spec::{EngineChoice, FurtherInput, Grid, LabelsFrom, Picture, PreprocessFrom, ScoreFrom};
    use hirescam_core::score::Activation;
    use hirescam_engine::Device;
    use ndarray::array;

    /// A spec in which nothing is as when nothing is said.
    fn full() -> Spec {
        Spec {
            layers: vec!["a".into(), "b,c".into()],
            classes: vec!["3".into(), "tench, Tinca tinca".into()],
            top: Some(2),
            target: Some("all".into()),
            method: "smoothgrad".into(),
            output: Some("y".into()),
            score: ScoreFrom::Output,
            class_axis: Some(-1),
            activation: Some(Activation::Sigmoid),
            channel_axis: Some(1),
            image_channels: Some(-1),
            image_input: Some("x".into()),
            inputs: vec![
                "age=40".parse().unwrap(),
                FurtherInput::new("sex", array![[1.0, 0.5]].into_dyn()),
                "tissue=t.npy".parse().unwrap(),
            ],
            grid: Some(Grid(vec![14, 7])),
            shape: Some(vec![1, 3, 8, 8]),
            memory: 1,
            labels: Some(LabelsFrom::Names(vec!["cat".into()])),
            preprocess: Some(Preprocess { scale: 2.0, ..Preprocess::default() }.into()),
            engine: EngineChoice {
                name: "onnxruntime".into(),
                threads: 3,
                device: Device::Cuda(1),
                library: Some("l.so".into()),
            },
            settings: Settings { noise: 0.25, samples: Some(3), ..Settings::default() },
            picture: Picture {
                signed: true,
                clip: Some(99.0),
                layout: Arrangement::Plain,
                fuse: Some(Fuse::Max),
                ..Picture::default()
            },
            compare: crate::comparison::Plan { methods: vec!["cam".into()] },
            check: crate::check::Plan {
                all_layers: true,
                methods: vec!["cam".into()],
                sample: 1,
                places: 2,
                randomise: false,
                pictures: 3,
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for spec in [Spec::default(), full()] {
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(Spec::from_json(&json).unwrap(), spec);
            assert_eq!(Spec::from_json(&format!("{{\"score\": 1.5, \"spec\": {json}}}")).unwrap(), spec);
            assert_eq!(Spec::from_toml(&toml::to_string(&spec).unwrap()).unwrap(), spec);
        }
        assert_eq!(Spec::from_toml("").unwrap(), Spec::default());
    }

    #[test]
    fn one_thing_stands_for_a_list_and_names_and_files_for_what_they_hold() {
        let text = "
            layer = 'a'
            class = [3, 'cat']
            labels = 'names.txt'
            preprocess = 'imagenet'
            activation = 'none'
            input = { age = 40, sex = 'sex.npy' }
            [engine]
            name = 'tract'
            device = 'cuda:1'";
        let spec = Spec::from_toml(text).unwrap();
        assert_eq!((spec.layers, spec.classes), (vec!["a".to_owned()], vec!["3".to_owned(), "cat".to_owned()]));
        assert_eq!(spec.labels, Some(LabelsFrom::File("names.txt".into())));
        assert_eq!(spec.preprocess, Some(PreprocessFrom::Named("imagenet".into())));
        assert_eq!((spec.activation, spec.engine.device), (Some(Activation::None), Device::Cuda(1)));
        assert_eq!(spec.inputs, ["age=40", "sex=sex.npy"].map(|text| text.parse().unwrap()));
        let steps = Spec::from_json("{\"preprocess\": {\"crop\": [8, 8]}}").unwrap().preprocess;
        assert_eq!(steps, Some(Preprocess { crop: Some([8, 8]), ..Preprocess::default() }.into()));
    }

    #[test]
    fn specs_from_elsewhere_name_no_files() {
        for text in [
            "{}",
            r#"{"preprocess": "imagenet", "labels": ["a"], "input": {"age": 4}, "target": "class:3"}"#,
            r#"{"preprocess": {"scale": 2}, "class": "cat", "target": null}"#,
            r#"{"target": "cosine:1,2,3"}"#,
        ] {
            Spec::from_json(text).unwrap().self_contained().unwrap();
        }
        for (option, text) in [
            ("preprocess", r#"{"preprocess": "/etc/passwd"}"#),
            ("labels", r#"{"labels": "names.txt"}"#),
            ("input", r#"{"input": {"age": "age.npy"}}"#),
            ("target", r#"{"target": "dot:weights.npy"}"#),
            ("font", r#"{"picture": {"font": "a.ttf"}}"#),
            ("onnxruntime", r#"{"engine": {"onnxruntime": "a.so"}}"#),
        ] {
            match Spec::from_json(text).unwrap().self_contained() {
                Err(Error::Argument(said)) => assert!(said.contains(&format!("`{option}`")), "{said}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_fields_are_refused_with_those_that_are_near() {
        for (text, unknown, known) in [
            ("layr = 'a'", "layr", "layer"),
            ("[engine]\nthread = 2", "thread", "threads"),
            ("[settings]\nbach = 2", "bach", "batch"),
            ("[picture]\nopacty = 2", "opacty", "opacity"),
            ("[preprocess]\nscales = 2", "scales", "scale"),
            ("[compare]\nmethod = ['cam']", "method", "methods"),
            ("[check]\nplace = 2", "place", "places"),
        ] {
            let Err(Error::Core(hirescam_core::Error::NotFound { name, near, .. })) = Spec::from_toml(text) else {
                panic!("{text}")
            };
            assert_eq!(name, unknown);
            assert!(near.iter().any(|name| name == known), "{text}: {near:?}");
        }
        // Where none is near, all are named.
        let Err(Error::Argument(said)) = Spec::from_toml("[engine]\nzzz = 1") else { panic!() };
        assert!(["zzz", "name", "threads", "device", "onnxruntime"].iter().all(|name| said.contains(name)), "{said}");
        for nonsense in
            ["layer", "layer = { a = 1 }", "top = -1", "score = 'both'", "activation = 'relu'", "memory = 'much'"]
        {
            assert!(matches!(Spec::from_toml(nonsense), Err(Error::Argument(_))), "{nonsense}");
        }
    }

    #[test]
    fn relative_paths_are_seen_from_the_folder_of_the_file_that_names_them() {
        let folder = std::env::temp_dir().join(format!("hirescam-seen-from-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("steps.toml"), "").unwrap();
        let spec = Spec::from_toml(
            "preprocess = 'steps.toml'
            labels = '/names.txt'
            input = { age = 40, sex = 'sex.npy' }
            [picture]
            font = 'fonts/a.ttf'",
        )
        .unwrap()
        .seen_from(&folder);
        let within = |name: &str| folder.join(name).to_string_lossy().into_owned();
        assert_eq!(spec.preprocess, Some(PreprocessFrom::Named(within("steps.toml"))));
        assert_eq!(spec.labels, Some(LabelsFrom::File("/names.txt".into())));
        assert_eq!(spec.inputs, ["age=40", &format!("sex={}", within("sex.npy"))].map(|text| text.parse().unwrap()));
        assert_eq!(spec.picture.font, Some(folder.join("fonts/a.ttf")));
        // One that is not there is missed where it was to be.
        let missing = Spec { preprocess: Some(PreprocessFrom::Named("none.toml".into())), ..Spec::default() };
        let missing = missing.seen_from(&folder);
        assert_eq!(missing.preprocess, Some(PreprocessFrom::Named(within("none.toml"))));
        assert!(matches!(missing.preprocess.unwrap().read(), Err(Error::File { .. })));
        // A preset's name stays one.
        let preset = Spec { preprocess: Some(PreprocessFrom::Named("imagenet".into())), ..Spec::default() };
        assert_eq!(preset.clone().seen_from(&folder), preset);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
