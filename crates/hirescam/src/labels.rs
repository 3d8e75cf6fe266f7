//! Names of the classes: from a text file, a Hugging Face `config.json` or a model's metadata.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::same;
use hirescam_core::score::Score;
use serde_json::Value;

/// Names of the classes 0, 1, 2, … of a network's output. A name may list synonyms: "tiger cat, alley cat".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Vec<String>);

/// Why labels could not be read, or a class not be found by its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is none of the known forms, or leaves out a class.
    #[error("these are no labels: {0}")]
    Invalid(String),
    /// There are more or fewer labels than classes.
    #[error("there are {labels} labels for {classes} classes")]
    Count {
        /// Number of labels.
        labels: usize,
        /// Number of the network's classes.
        classes: usize,
    },
    /// No class has this name.
    #[error("no class is called `{text}`; near: {}", near.join(" | "))]
    NotFound {
        /// What was asked for.
        text: String,
        /// Names like it, nearest first.
        near: Vec<String>,
    },
    /// Several classes have this name.
    #[error("`{text}` names several classes, give the index: {}", list(candidates))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// Index and name of each.
        candidates: Vec<(usize, String)>,
    },
}

impl LabelsError {
    /// The same error once more.
    pub(crate) fn again(&self) -> Self {
        match self {
            LabelsError::Io { path, source } => LabelsError::Io { path: path.clone(), source: same(source) },
            LabelsError::Invalid(what) => LabelsError::Invalid(what.clone()),
            &LabelsError::Count { labels, classes } => LabelsError::Count { labels, classes },
            LabelsError::NotFound { text, near } => LabelsError::NotFound { text: text.clone(), near: near.clone() },
            LabelsError::Ambiguous { text, candidates } => {
                LabelsError::Ambiguous { text: text.clone(), candidates: candidates.clone() }
            }
        }
    }
}

/// More classes than any classifier has: an index beyond is damage, not a class.
const MAX_CLASSES: usize = 10_000_000;
/// More bytes than any list of labels has.
const MAX_BYTES: u64 = 1 << 28;

impl Labels {
    /// Takes the names as they are, class 0 first.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Reads a file: `.json` as [`Labels::parse`] does, everything else as one label a line.
    ///
    /// # Errors
    /// [`LabelsError::Io`] if it cannot be read, [`LabelsError::Invalid`] if it holds no labels.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LabelsError> {
        let path = path.as_ref();
        let mut text = String::new();
        let file = std::fs::File::open(path);
        file.and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|source| LabelsError::Io { path: path.to_owned(), source })?;
        if text.len() as u64 > MAX_BYTES {
            return Err(LabelsError::Invalid(format!("the file has more than {MAX_BYTES} bytes")));
        }
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
            Self::parse(&text)
        } else {
            Self::lines(&text)
        }
    }

    /// One label a line, class 0 first; empty lines at the end do not count.
    ///
    /// # Errors
    /// [`LabelsError::Invalid`] if there is none.
    pub fn lines(text: &str) -> Result<Self, LabelsError> {
        let text = text.trim_start_matches('\u{feff}').trim_end();
        if text.is_empty() {
            return Err(LabelsError::Invalid("the text is empty".into()));
        }
        Ok(Self(text.lines().map(|line| line.trim().to_owned()).collect()))
    }

    /// Reads any of the forms that files and metadata have: `["cat", …]`, `{"0": "cat", …}`, `{"cat": 0, …}`,
    /// a `config.json` with `id2label`, or a Python dictionary or list as Ultralytics writes it: `{0: 'cat', …}`.
    ///
    /// # Errors
    /// [`LabelsError::Invalid`] for anything else, and if an index is missing, doubled or not a whole number.
    pub fn parse(text: &str) -> Result<Self, LabelsError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                serde_json::from_str(&json_of_python(text)).map_err(|_| LabelsError::Invalid(error.to_string()))?
            }
        };
        match value {
            Value::Array(items) => {
                items.into_iter().map(name).collect::<Result<_, _>>().map(Self).and_then(Self::not_empty)
            }
            Value::Object(mut map) => match map.remove("id2label") {
                Some(Value::Object(inner)) => Self::from_map(inner),
                Some(_) => Err(LabelsError::Invalid("`id2label` is not an object".into())),
                None => Self::from_map(map),
            },
            _ => Err(LabelsError::Invalid("neither a list nor an object".into())),
        }
    }

    fn from_map(map: serde_json::Map<String, Value>) -> Result<Self, LabelsError> {
        // {"cat": 0} if every value is a number, else {"0": "cat"}.
        let by_name = map.values().all(Value::is_number);
        let mut names = BTreeMap::new();
        for (key, value) in map {
            let (index, name) = if by_name { (value.to_string(), key) } else { (key, name(value)?) };
            let index: usize = index
                .trim()
                .parse()
                .map_err(|_| LabelsError::Invalid(format!("`{index}` is not the index of a class")))?;
            if names.insert(index, name).is_some() || index >= MAX_CLASSES {
                return Err(LabelsError::Invalid(format!("class {index} is named twice or out of range")));
            }
        }
        if let Some((want, _)) = names.keys().enumerate().find(|(want, index)| want != *index) {
            return Err(LabelsError::Invalid(format!("class {want} has no name")));
        }
        Self(names.into_values().collect()).not_empty()
    }

    fn not_empty(self) -> Result<Self, LabelsError> {
        if self.0.is_empty() { Err(LabelsError::Invalid("there are none".into())) } else { Ok(self) }
    }

    /// The names of all classes.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The name of a class.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.0.get(class).map(String::as_str)
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that there is one label for each of the network's classes.
    ///
    /// # Errors
    /// [`LabelsError::Count`] if not.
    pub fn check(&self, classes: usize) -> Result<(), LabelsError> {
        if self.len() == classes { Ok(()) } else { Err(LabelsError::Count { labels: self.len(), classes }) }
    }

    /// The labels, if they are those of these scores' classes: of a list they have to be; of a dense output, whose axis of
    /// classes may be told or not, they need not.
    ///
    /// # Errors
    /// As [`Labels::check`].
    pub fn of(&self, score: &Score) -> Result<Option<Labels>, LabelsError> {
        if score.class_axis.is_some() && !score.is_dense() {
            self.check(score.classes)?;
        }
        Ok(Some(self.clone()).filter(|_| score.class_axis.is_some() && self.len() == score.classes))
    }

    /// The class of this name: the whole name first, then one of its synonyms (between commas), upper or lower case.
    ///
    /// # Errors
    /// [`LabelsError::NotFound`] with near names, [`LabelsError::Ambiguous`] if several classes fit equally well.
    pub fn find(&self, text: &str) -> Result<usize, LabelsError> {
        let wanted = fold(text);
        let tests: [&dyn Fn(&str) -> bool; 3] = [&|name| name == text, &|name| fold(name) == wanted, &|name| {
            name.split(',').any(|part| fold(part) == wanted)
        }];
        for test in tests {
            let found: Vec<(usize, &String)> = self.0.iter().enumerate().filter(|(_, name)| test(name)).collect();
            match found.as_slice() {
                [] => {}
                [(index, _)] => return Ok(*index),
                _ => {
                    let candidates = found.into_iter().map(|(i, name)| (i, name.clone())).collect();
                    return Err(LabelsError::Ambiguous { text: text.into(), candidates });
                }
            }
        }
        let nearness =
            |name: &String| name.split(',').map(|part| strsim::jaro_winkler(&fold(part), &wanted)).fold(0.0, f64::max);
        let mut near: Vec<(f64, &String)> = self.0.iter().map(|name| (nearness(name), name)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        Err(LabelsError::NotFound {
            text: text.into(),
            near: near.into_iter().take(5).map(|(_, name)| name.clone()).collect(),
        })
    }
}

fn fold(text: &str) -> String {
    text.trim().replace('_', " ").to_lowercase()
}

fn list(candidates: &[(usize, String)]) -> String {
    candidates.iter().map(|(i, name)| format!("{i} {name}")).collect::<Vec<_>>().join(" | ")
}

fn name(value: Value) -> Result<String, LabelsError> {
    match value {
        Value::String(name) => Ok(name),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(LabelsError::Invalid(format!("`{other}` is not a name"))),
    }
}

/// Rewrites Python's `{0: 'cat', 1: "dog's"}` as JSON: strings in double quotes, numbers as keys in quotes.
fn json_of_python(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut string = String::new();
                while let Some(d) = chars.next() {
                    match d {
                        d if d == c => break,
                        '\\' => match chars.next() {
                            Some('n') => string.push('\n'),
                            Some('t') => string.push('\t'),
                            Some(d) => string.push(d),
                            None => {}
                        },
                        d => string.push(d),
                    }
                }
                out.push_str(&Value::String(string).to_string());
            }
            '0'..='9' => {
                let mut number = String::from(c);
                while let Some(d) = chars.next_if(char::is_ascii_digit) {
                    number.push(d);
                }
                while chars.next_if(|d| d.is_whitespace()).is_some() {}
                let is_key = chars.peek() == Some(&':');
                out.push_str(&if is_key { format!("\"{number}\"") } else { number });
            }
            c => out.push(c),
        }
    }
    // Python allows a comma after the last entry.
    let body = out.trim_end();
    match body.strip_suffix(['}', ']']).map(str::trim_end).and_then(|b| b.strip_suffix(',')) {
        Some(inner) => format!("{inner}{}", if body.ends_with('}') { '}' } else { ']' }),
        None => out,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_give_the_same() {
        let expected = Labels::new(vec!["cat".into(), "dog's".into(), "eel".into()]);
        for text in [
            r#"["cat", "dog's", "eel"]"#,
            r#"{"1": "dog's", "0": "cat", "2": "eel"}"#,
            r#"{"cat": 0, "eel": 2, "dog's": 1}"#,
            r#"{"model_type": "resnet", "id2label": {"0": "cat", "1": "dog's", "2": "eel"}, "label2id": {}}"#,
            r#"{0: 'cat', 1: "dog's", 2: 'eel'}"#,
            r"['cat', 'dog\'s', 'eel',]",
            "\u{feff}{0 : 'cat',\n 1: 'dog\\'s', 2: 'eel', }",
        ] {
            assert_eq!(Labels::parse(text).unwrap(), expected, "{text}");
        }
        assert_eq!(Labels::lines("cat\r\ndog's\neel\n\n").unwrap(), expected);
    }

    #[test]
    fn damage_is_an_error() {
        for text in [
            "",
            "3",
            "{}",
            "[]",
            "{'0': 'a'",
            r#"{"0": "a", "2": "b"}"#,
            r#"{"0": "a", "00": "b"}"#,
            r#"{"a": 1.5}"#,
            r#"{"a": -1}"#,
        ] {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
        assert!(Labels::parse(r#"[["a"]]"#).is_err());
        assert!(Labels::parse(r#"{"id2label": 3}"#).is_err());
        assert!(Labels::parse(r#"{"99999999999": "a"}"#).is_err());
        assert!(Labels::lines(" \n").is_err());
        assert!(matches!(Labels::open("/absent/labels.txt"), Err(LabelsError::Io { .. })));
    }

    #[test]
    fn classes_are_found_by_name() {
        let labels =
            Labels::lines("tabby, tabby cat\ntiger cat\ncrane\ntiger, Panthera tigris\ncrane\nCrane, lifting machine")
                .unwrap();
        assert_eq!(labels.find("tiger cat").unwrap(), 1);
        assert_eq!(labels.find("Tiger_Cat").unwrap(), 1);
        assert_eq!(labels.find("TABBY CAT").unwrap(), 0);
        assert_eq!(labels.find("tiger").unwrap(), 3);
        assert_eq!(labels.find("lifting machine").unwrap(), 5);
        let error = labels.find("crane").unwrap_err();
        assert!(matches!(&error, LabelsError::Ambiguous { candidates, .. } if candidates.len() == 2), "{error}");
        let LabelsError::NotFound { near, .. } = labels.find("tigre").unwrap_err() else { panic!() };
        assert!(near[0].starts_with("tiger"), "{near:?}");
    }

    #[test]
    fn the_number_of_classes_is_checked() {
        let labels =
            Labels::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/efficientnet-lite0.labels.txt")).unwrap();
        assert!(labels.check(1000).is_ok());
        assert!(matches!(labels.check(1001), Err(LabelsError::Count { labels: 1000, classes: 1001 })));
        assert_eq!(labels.find("tiger cat").unwrap(), 282);
        assert_eq!(labels.get(1000), None);
    }
}
