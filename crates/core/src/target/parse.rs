//! How one writes a target.

use super::{Span, Target, Vector};
use crate::Error;
use crate::error::near;
use std::fmt;
use std::str::FromStr;

/// The kinds of targets, as they are written.
const KINDS: &[&str] = &[
    "top",
    "class",
    "all",
    "above",
    "contrast",
    "weights",
    "element",
    "sum",
    "predicted",
    "dot",
    "cosine",
    "class-input",
    "seed-input",
];

impl Target {
    /// Reads a target. `class` finds a class by its label, `file` reads the numbers in a file.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown kind, [`Error::Argument`] with what is expected, or what `class` or `file` says.
    pub fn parse(
        text: &str,
        class: impl Fn(&str) -> Result<usize, String>,
        file: impl Fn(&str) -> Result<Vec<f64>, String>,
    ) -> Result<Target, Error> {
        let (kind, rest) = text.split_once(':').map_or((text, ""), |(kind, rest)| (kind, rest.trim()));
        let written = TargetText { text, kind: kind.trim(), rest, class: &class, file: &file };
        match written.kind {
            "dot" => Ok(Target::Dot(written.vector()?)),
            "cosine" => Ok(Target::Cosine(written.vector()?)),
            kind @ ("all" | "seed-input") if !rest.is_empty() => {
                Err(written.wrong(format!("{kind} takes nothing more")))
            }
            "all" => Ok(Target::All),
            "seed-input" => Ok(Target::Seed),
            "top" => Ok(Target::Top(written.count()?)),
            "class-input" => Ok(Target::Given(written.count()?)),
            "class" => Ok(Target::Classes(written.classes()?)),
            "contrast" => match written.items()?.as_slice() {
                [a, b] => Ok(Target::Weighted(vec![(written.class(a)?, 1.0), (written.class(b)?, -1.0)])),
                _ => Err(written.wrong("a contrast is of two classes, as contrast:3,5".into())),
            },
            "weights" => Ok(Target::Weighted(written.all(|item| written.weighted(item))?)),
            "element" => Ok(Target::Part(written.all(|item| written.entry(item))?)),
            "above" => match rest.parse::<f64>() {
                Ok(threshold) if threshold.is_finite() => Ok(Target::Above(threshold)),
                _ => Err(written.wrong("above: takes a number, as above:0.5".into())),
            },
            "predicted" => match written.items()?.as_slice() {
                [one] => Ok(Target::Predicted(written.class(one)?)),
                _ => Err(written.wrong("the places of one class are asked for, as predicted:3".into())),
            },
            "sum" => Ok(Target::Part(written.all(|item| written.span(item))?)),
            number if number.parse::<usize>().is_ok() => Err(written.wrong(format!("did you mean class:{text}?"))),
            kind => Err(Error::NotFound {
                kind: "kind of target",
                name: kind.to_owned(),
                near: near(kind, KINDS.iter().copied()),
            }),
        }
    }
}

/// A target in writing.
struct TargetText<'a> {
    text: &'a str,
    /// What stands before the first colon, and behind it.
    kind: &'a str,
    rest: &'a str,
    class: &'a dyn Fn(&str) -> Result<usize, String>,
    file: &'a dyn Fn(&str) -> Result<Vec<f64>, String>,
}

impl TargetText<'_> {
    fn wrong(&self, what: String) -> Error {
        Error::Argument(format!("the target {:?}: {what}", self.text))
    }

    fn number(&self, text: &str, least: usize) -> Result<usize, Error> {
        match text.parse() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(self.wrong(format!("{text:?} is no number of at least {least}"))),
        }
    }

    /// How many: one where nothing is said.
    fn count(&self) -> Result<usize, Error> {
        if self.rest.is_empty() { Ok(1) } else { self.number(self.rest, 1) }
    }

    fn items(&self) -> Result<Vec<Item>, Error> {
        match items(self.rest) {
            Some(items) if !items.is_empty() => Ok(items),
            Some(_) => Err(self.wrong(format!("{}: takes something after the colon", self.kind))),
            None => Err(self.wrong("a quotation mark is not closed".into())),
        }
    }

    fn all<T>(&self, of: impl Fn(&Item) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.items()?.iter().map(of).collect()
    }

    fn class(&self, item: &Item) -> Result<usize, Error> {
        match item.text.parse() {
            Ok(n) if !item.quoted => Ok(n),
            _ => (self.class)(&item.text).map_err(|what| self.wrong(what)),
        }
    }

    fn classes(&self) -> Result<Vec<usize>, Error> {
        let items = self.items()?;
        // A label may have commas of its own.
        let whole = if items.len() > 1 { (self.class)(self.rest).ok() } else { None };
        match whole {
            Some(one) => Ok(vec![one]),
            None => items.iter().map(|item| self.class(item)).collect(),
        }
    }

    fn weighted(&self, item: &Item) -> Result<(usize, f64), Error> {
        let (name, weight) = item.text.rsplit_once('=').unwrap_or((&item.text, ""));
        match weight.trim().parse::<f64>() {
            Ok(weight) if weight.is_finite() => {
                Ok((self.class(&Item { text: name.trim().into(), quoted: item.quoted })?, weight))
            }
            _ => Err(self.wrong(format!("{:?} is no class and weight, as 3=0.5", item.text))),
        }
    }

    /// A label names a class, a number an entry.
    fn entry(&self, item: &Item) -> Result<Span, Error> {
        match item.text.parse() {
            Ok(n) if !item.quoted => Ok(Span::at(n)),
            _ => Ok(Span::class(self.class(item)?)),
        }
    }

    fn span(&self, item: &Item) -> Result<Span, Error> {
        let Some((start, end)) = item.text.split_once(':').filter(|_| !item.quoted) else {
            return self.entry(item);
        };
        let bound = |text: &str| if text.is_empty() { Ok(None) } else { self.number(text, 0).map(Some) };
        let (start, end) = (bound(start.trim())?.unwrap_or(0), bound(end.trim())?);
        match end.is_some_and(|end| end <= start) {
            true => Err(self.wrong(format!("{:?} is empty; 10:20 is the entries 10 to 19", item.text))),
            false => Ok(Span { start, end, class: false }),
        }
    }

    fn vector(&self) -> Result<Vector, Error> {
        let numbers: Result<Vec<f64>, _> = self.rest.split(',').map(|n| n.trim().parse()).collect();
        let values = match numbers {
            Ok(numbers) => numbers,
            Err(_) if self.rest.is_empty() => {
                return Err(self.wrong(format!("{}: takes numbers or a file", self.kind)));
            }
            Err(_) => (self.file)(self.rest).map_err(|what| self.wrong(what))?,
        };
        Ok(Vector { name: self.rest.to_owned(), values })
    }
}

/// What stands between two commas.
struct Item {
    text: String,
    quoted: bool,
}

/// The parts between commas; commas in double quotes do not count. None where a quote is not closed.
fn items(text: &str) -> Option<Vec<Item>> {
    let (mut items, mut item, mut open) = (Vec::new(), Item { text: String::new(), quoted: false }, false);
    for c in text.chars() {
        match c {
            '"' => {
                open = !open;
                item.quoted = true;
            }
            ',' if !open => items.push(std::mem::replace(&mut item, Item { text: String::new(), quoted: false })),
            c => item.text.push(c),
        }
    }
    if !text.is_empty() {
        items.push(item);
    }
    items.iter_mut().for_each(|i| i.text = i.text.trim().to_owned());
    (!open).then_some(items)
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = |name: &str| Err(format!("{name:?} is no number, and no labels are known"));
        Target::parse(text, unknown, |name| Err(format!("{name:?} are no numbers, and files are not read here")))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(",");
        match self {
            Target::Top(n) => write!(f, "top:{n}"),
            Target::Classes(classes) => write!(f, "class:{}", list(classes.iter().map(usize::to_string).collect())),
            Target::All => f.write_str("all"),
            Target::Above(threshold) => write!(f, "above:{threshold}"),
            Target::Predicted(class) => write!(f, "predicted:{class}"),
            Target::Weighted(weights) => match weights.as_slice() {
                [(a, 1.0), (b, -1.0)] => write!(f, "contrast:{a},{b}"),
                weights => write!(f, "weights:{}", list(weights.iter().map(|(c, w)| format!("{c}={w}")).collect())),
            },
            Target::Part(spans) if spans.iter().all(|s| s.is_single()) => {
                write!(f, "element:{}", list(spans.iter().map(|s| s.start.to_string()).collect()))
            }
            Target::Part(spans) => write!(f, "sum:{}", list(spans.iter().map(Span::to_string).collect())),
            Target::Dot(r) => write!(f, "dot:{}", r.name),
            Target::Cosine(r) => write!(f, "cosine:{}", r.name),
            Target::Given(1) => f.write_str("class-input"),
            Target::Given(n) => write!(f, "class-input:{n}"),
            Target::Seed => f.write_str("seed-input"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.start, self.end) {
            (start, _) if self.is_single() => write!(f, "{start}"),
            (0, None) => f.write_str(":"),
            (start, None) => write!(f, "{start}:"),
            (start, Some(end)) => write!(f, "{start}:{end}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LABELS: &[&str] = &["cat", "tench, Tinca tinca", "traffic light: red", "t-shirt"];

    fn parse(text: &str) -> Result<Target, Error> {
        let class =
            |name: &str| LABELS.iter().position(|l| *l == name).ok_or_else(|| format!("there is no class {name:?}"));
        Target::parse(text, class, |name| match name {
            "face.npy" => Ok(vec![1.0, 2.0]),
            _ => Err(format!("there is no file {name:?}")),
        })
    }

    #[test]
    fn what_is_written_can_be_read() {
        for text in [
            "top:1",
            "top:5",
            "class:3",
            "class:3,5",
            "all",
            "above:0.5",
            "above:-3",
            "predicted:3",
            "contrast:3,5",
            "weights:3=0.5,5=-2",
            "element:0,3,17",
            "sum:1,10:20,:",
            "sum:0,5:,0:7",
            "dot:1,0.5,-2",
            "cosine:0,1",
            "class-input",
            "class-input:3",
            "seed-input",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("top".parse::<Target>().unwrap(), Target::Top(1));
        assert_eq!("sum::7".parse::<Target>().unwrap().to_string(), "sum:0:7");
        assert_eq!(" sum: 1 , 10 : 20 ".parse::<Target>().unwrap().to_string(), "sum:1,10:20");
    }

    #[test]
    fn labels_stand_for_classes_anywhere() {
        let span = |start, end| Span { start, end, class: false };
        for (text, target) in [
            ("class:cat", Target::Classes(vec![0])),
            ("class:tench, Tinca tinca", Target::Classes(vec![1])),
            ("class:cat,t-shirt,7", Target::Classes(vec![0, 3, 7])),
            ("class:\"tench, Tinca tinca\",cat", Target::Classes(vec![1, 0])),
            ("contrast:\"traffic light: red\",cat", Target::Weighted(vec![(2, 1.0), (0, -1.0)])),
            ("weights:cat=1,\"tench, Tinca tinca\"=-0.5", Target::Weighted(vec![(0, 1.0), (1, -0.5)])),
            ("sum:\"traffic light: red\",2:,:", Target::Part(vec![Span::class(2), span(2, None), span(0, None)])),
        ] {
            assert_eq!(parse(text).unwrap(), target, "{text}");
        }
    }

    #[test]
    fn references_are_numbers_or_files() {
        let vector = |name: &str, values: &[f64]| Vector { name: name.into(), values: values.to_vec() };
        assert_eq!(parse("dot: 1, -2").unwrap(), Target::Dot(vector("1, -2", &[1.0, -2.0])));
        assert_eq!(parse("cosine:face.npy").unwrap(), Target::Cosine(vector("face.npy", &[1.0, 2.0])));
    }

    #[test]
    fn what_cannot_be_read_says_what_would_help() {
        for (text, hint) in [
            ("3", "class:3"),
            ("clas:3", "\"class\""),
            ("class:", "after the colon"),
            ("class:dog", "no class \"dog\""),
            ("class:cat,dog", "no class \"dog\""),
            ("class:\"cat", "quotation mark"),
            ("top:0", "at least 1"),
            ("top:many", "at least 1"),
            ("all:3", "nothing more"),
            ("contrast:3", "two classes"),
            ("above:", "above:0.5"),
            ("above:much", "above:0.5"),
            ("predicted:3,4", "one class"),
            ("weights:3", "3=0.5"),
            ("weights:3=inf", "3=0.5"),
            ("sum:20:10", "empty"),
            ("sum:-1", "no class \"-1\""),
            ("dot:", "numbers or a file"),
            ("cosine:foe.npy", "no file"),
            ("", "kind of target"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{text:?}: {error}");
        }
    }
}
