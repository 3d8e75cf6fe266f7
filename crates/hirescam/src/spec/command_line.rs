//! Specs as options of the command line.

use super::{LabelsFrom, PreprocessFrom, Spec};
use crate::Error;
use crate::overlay::Arrangement;
use serde_json::Value;

/// A spec as options of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// The options, a word each.
    pub words: Vec<String>,
    /// What can only be said in files: their names, which stand among the words, and what they hold.
    pub files: Vec<(String, String)>,
}

impl Spec {
    /// The options of `hirescam explain` that say the same as this spec. What it compares and checks is left out.
    ///
    /// # Errors
    /// [`Error::Argument`] for arrays in the spec, which no option can hold.
    pub fn command_line(&self) -> Result<CommandLine, Error> {
        let (mut words, mut files) = (Vec::new(), Vec::new());
        let (own, nothing) = (self.words()?, Spec::default().words()?);
        for (name, value) in &own {
            if nothing.get(name) == Some(value) || ["compare", "check", "scale"].contains(&name.as_str()) {
                continue;
            }
            let values = match (name.as_str(), value) {
                ("labels", _) => self.labels.iter().map(|labels| named_labels(labels, &mut files)).collect(),
                ("preprocess", _) => self.preprocess.iter().map(|steps| named_preprocess(steps, &mut files)).collect(),
                ("grid", Value::Array(sides)) => vec![texts(sides)?.join("x")],
                ("shape", Value::Array(extents)) => vec![texts(extents)?.join(",")],
                ("layout", _) => {
                    words.extend(match self.picture.layout {
                        Arrangement::Figure => None,
                        Arrangement::Beside => Some(flag("beside")),
                        Arrangement::Plain => Some(flag("plain")),
                    });
                    continue;
                }
                (_, Value::Null | Value::Bool(false)) => continue,
                (_, Value::Bool(true)) => {
                    words.push(flag(name));
                    continue;
                }
                (_, Value::Array(each)) => texts(each)?,
                (_, Value::Object(each)) => {
                    each.iter().map(|(of, value)| Ok(format!("{of}={}", text(value)?))).collect::<Result<_, Error>>()?
                }
                (_, value) => vec![text(value)?],
            };
            for value in values {
                match value.starts_with('-') {
                    // It would be taken for another option.
                    true => words.push(format!("{}={value}", flag(name))),
                    false => words.extend([flag(name), value]),
                }
            }
        }
        Ok(CommandLine { words, files })
    }
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// The file with labels; one that is to be written where they are given themselves.
fn named_labels(labels: &LabelsFrom, files: &mut Vec<(String, String)>) -> String {
    match labels {
        LabelsFrom::File(path) => path.to_string_lossy().into_owned(),
        LabelsFrom::Names(names) => {
            // A name may hold what ends a line in a file of lines.
            let json = Value::from(names.clone()).to_string();
            files.push(("labels.json".to_owned(), json));
            "labels.json".to_owned()
        }
    }
}

fn named_preprocess(preprocess: &PreprocessFrom, files: &mut Vec<(String, String)>) -> String {
    match preprocess {
        PreprocessFrom::Named(name) => name.clone(),
        PreprocessFrom::Steps(steps) => {
            files.push(("preprocess.toml".to_owned(), steps.lines().join("\n")));
            "preprocess.toml".to_owned()
        }
    }
}

fn texts(values: &[Value]) -> Result<Vec<String>, Error> {
    values.iter().map(text).collect()
}

fn text(value: &Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Error::Argument(format!("no option of the command line can hold {other}: a spec in a file can"))),
    }
}

/// A word as a shell of POSIX takes it: between quotation marks where it holds more than letters, digits and what stands in paths.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::preprocess::Preprocess;
    use crate::spec::{FurtherInput, Picture};

    #[test]
    fn what_is_as_when_nothing_is_said_takes_no_words() {
        let nothing = Spec::default().command_line().unwrap();
        assert_eq!(nothing, CommandLine { words: Vec::new(), files: Vec::new() });
    }

    #[test]
    fn options_are_said_as_one_types_them() {
        let spec = Spec {
            layers: vec!["a b".into(), "c".into()],
            top: Some(3),
            class_axis: Some(-1),
            shape: Some(vec![1, 3, 8, 8]),
            inputs: vec!["age=40".parse().unwrap()],
            preprocess: Some(Preprocess { scale: 2.0, ..Preprocess::default() }.into()),
            labels: Some(LabelsFrom::Names(vec!["cat".into()])),
            picture: Picture { signed: true, layout: Arrangement::Beside, ..Picture::default() },
            engine: "tract".into(),
            ..Spec::default()
        };
        let CommandLine { words, files } = spec.command_line().unwrap();
        let said = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        assert_eq!(
            said,
            "--layer 'a b' --layer c --top 3 --class-axis=-1 --input age=40.0 --shape 1,3,8,8 --labels labels.json \
             --preprocess preprocess.toml --engine tract --signed --beside"
        );
        assert_eq!(
            files,
            [("labels.json", "[\"cat\"]"), ("preprocess.toml", "scale = 2.0")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let array =
            Spec { inputs: vec![FurtherInput::new("x", ndarray::arr1(&[1.0f32, 2.0]).into_dyn())], ..Spec::default() };
        assert!(array.command_line().is_err());
    }

    #[test]
    fn no_word_ends_its_quotation_marks() {
        for (word, safe) in
            [("a.png", "a.png"), ("", "''"), ("a b", "'a b'"), ("it's; rm", "'it'\\''s; rm'"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(quoted(word), safe);
        }
    }
}
