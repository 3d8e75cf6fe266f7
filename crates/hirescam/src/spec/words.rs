//! Specs of words: each option by its name alone, whichever part of the spec it belongs to, as on a command line.

use super::Spec;
use crate::Error;
use hirescam_core::near;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The parts of a spec. That of the engine has the name of its first option.
const PARTS: [&str; 3] = [ENGINE, "settings", "picture"];
const ENGINE: &str = "engine";
const NAME: &str = "name";
/// What goes on within a word of its own.
const PLANS: [&str; 2] = ["compare", "check"];
/// What is explained is said by one of these.
const EXPLAINED: [&str; 3] = ["class", "top", "target"];

impl Spec {
    /// The options by their names, in the order in which they are declared: those of the parts come after those of the spec itself.
    ///
    /// # Errors
    /// [`Error::Argument`] for what cannot be written as JSON.
    pub fn words(&self) -> Result<Map<String, Value>, Error> {
        let mut tree = self.tree()?;
        let parts = PARTS.map(|part| tree.remove(part));
        for (part, options) in PARTS.iter().zip(parts) {
            let Some(Value::Object(options)) = options else { continue };
            tree.extend(options.into_iter().map(|(name, value)| match (*part, name.as_str()) {
                (ENGINE, NAME) => (ENGINE.to_owned(), value),
                _ => (name, value),
            }));
        }
        Ok(tree)
    }

    /// The same spec, in which these options are other ones. Null stands for what an option is when nothing is said. A part may
    /// be given whole. What is explained is said anew where it is said at all, and a target that is a number or a list stands for
    /// classes.
    ///
    /// # Errors
    /// [`Error::Core`] with near names for an unknown option, [`Error::Argument`] for a value that it does not take.
    pub fn with(&self, words: Map<String, Value>) -> Result<Spec, Error> {
        let start = || {
            let mut tree = self.tree()?;
            if words.keys().any(|word| EXPLAINED.contains(&word.as_str())) {
                EXPLAINED.iter().for_each(|word| drop(tree.remove(*word)));
            }
            Ok::<_, Error>(tree)
        };
        let mut tree = start()?;
        let nothing = Spec::default().tree()?;
        for (word, value) in &words {
            put(&mut tree, &nothing, word, value.clone())?;
        }
        Spec::deserialize(Value::Object(tree)).map_err(|all| {
            // Which of them it is, is found by trying each alone.
            let wrong = words.iter().find_map(|(word, value)| {
                let mut tree = start().ok()?;
                put(&mut tree, &nothing, word, value.clone()).ok()?;
                Some((word, Spec::deserialize(Value::Object(tree)).err()?))
            });
            let of = |(word, error): (&String, serde_json::Error)| {
                let error = error.to_string().replace("expected usize", "expected a whole number, 0 or more");
                format!("the option `{word}`: {error}")
            };
            Error::Argument(wrong.map_or_else(|| all.to_string(), of))
        })
    }

    fn tree(&self) -> Result<Map<String, Value>, Error> {
        match serde_json::to_value(self) {
            Ok(Value::Object(tree)) => Ok(tree),
            Ok(_) => Ok(Map::new()),
            Err(error) => Err(Error::Argument(error.to_string())),
        }
    }
}

/// Puts an option where it belongs.
fn put(tree: &mut Map<String, Value>, nothing: &Map<String, Value>, word: &str, value: Value) -> Result<(), Error> {
    let word = match value {
        Value::Number(_) | Value::Array(_) if word == "target" => "class",
        _ => word,
    };
    let part_of = |name: &str| {
        let has = |part: &&&str| nothing.get(**part).is_some_and(|options| options.get(name).is_some());
        PARTS.iter().find(has).copied()
    };
    let (part, name) = match word {
        ENGINE if !value.is_object() => (Some(ENGINE), NAME),
        NAME => (None, word),
        _ if nothing.contains_key(word) => (None, word),
        _ => (part_of(word), word),
    };
    let known = match part {
        Some(part) => nothing.get(part).and_then(|options| options.get(name)),
        None => nothing.get(name),
    };
    let Some(known) = known else {
        let all = Spec::default().words()?;
        let near = near(word, all.keys().map(String::as_str));
        return Err(hirescam_core::Error::NotFound { kind: "option", name: word.to_owned(), near }.into());
    };
    let value = if value.is_null() { known.clone() } else { value };
    let options = match part {
        Some(part) => tree.get_mut(part).and_then(Value::as_object_mut),
        None => Some(tree),
    };
    let Some(options) = options else { return Ok(()) };
    match options.get_mut(name) {
        // A part that is given whole says only what it says.
        Some(Value::Object(there)) if PARTS.contains(&name) || PLANS.contains(&name) => {
            there.extend(value.as_object().cloned().unwrap_or_default())
        }
        Some(there) => *there = value,
        None => drop(options.insert(name.to_owned(), value)),
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::spec::{EngineChoice, Grid, Picture};
    use serde_json::json;

    fn with(spec: &Spec, words: Value) -> Result<Spec, Error> {
        let Value::Object(words) = words else { panic!("{words}") };
        spec.with(words)
    }

    #[test]
    fn every_option_has_a_name_of_its_own() {
        let tree = Spec::default().tree().unwrap();
        let parts = PARTS.iter().map(|part| tree[*part].as_object().unwrap().len()).sum::<usize>();
        assert_eq!(Spec::default().words().unwrap().len(), tree.len() - PARTS.len() + parts);
    }

    #[test]
    fn options_are_found_in_whichever_part_they_are() {
        let words = json!({"layer": "a", "engine": "tract", "threads": 2, "signed": true, "seed": 7, "grid": "14x7"});
        let spec = with(&Spec::default(), words).unwrap();
        assert_eq!(spec.layers, ["a"]);
        assert_eq!(spec.engine, EngineChoice { threads: 2, ..EngineChoice::from("tract") });
        assert_eq!((spec.picture.signed, spec.settings.seed, &spec.grid), (true, 7, &Some(Grid(vec![14, 7]))));
        assert_eq!(with(&Spec::default(), Value::Object(spec.words().unwrap())).unwrap(), spec);
        let picture = with(&spec, json!({"picture": {"clip": 99.0}, "seed": null})).unwrap();
        assert_eq!(picture.picture, Picture { signed: true, clip: Some(99.0), ..Picture::default() });
        assert_eq!((picture.settings.seed, &picture.layers), (0, &spec.layers));
        let check = with(&spec, json!({"check": {"places": 3}})).unwrap().check;
        assert_eq!(check, crate::check::Plan { places: 3, ..spec.check });
    }

    #[test]
    fn what_is_explained_is_said_anew() {
        let top = Spec { top: Some(3), ..Spec::default() };
        for (words, classes) in [
            (json!({"class": "cat"}), vec!["cat"]),
            (json!({"target": 281}), vec!["281"]),
            (json!({"target": [1, "dog"]}), vec!["1", "dog"]),
            (json!({"top": null}), vec![]),
        ] {
            let spec = with(&top, words).unwrap();
            assert_eq!(
                (spec.classes, spec.top, spec.target),
                (classes.into_iter().map(String::from).collect(), None, None)
            );
        }
        assert_eq!(with(&top, json!({"layer": "a"})).unwrap().top, Some(3));
    }

    #[test]
    fn an_option_that_is_none_or_takes_no_such_value_is_named() {
        for (word, known) in [("layr", "layer"), ("tops", "top"), ("name", "grid"), ("preprocessing", "preprocess")] {
            match with(&Spec::default(), json!({word: 1})) {
                Err(Error::Core(hirescam_core::Error::NotFound { kind: "option", name, near })) => {
                    assert!(name == word && (word == "name" || near.iter().any(|n| n == known)), "{near:?}");
                }
                other => panic!("{word}: {other:?}"),
            }
        }
        for (word, value) in [("top", json!("many")), ("seed", json!(-1)), ("layer", json!({})), ("signed", json!(3))] {
            match with(&Spec::default(), json!({"memory": 5, word: value})) {
                Err(Error::Argument(text)) => assert!(text.contains(&format!("`{word}`")), "{text}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }
}
