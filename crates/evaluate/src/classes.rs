//! Which of a network's classes stand for those of a data set.
//!
//! Names differ (`tvmonitor`, `television, television system`), and one class of the data set may stand for many of the
//! network's: VOC's `dog` for 118 of ImageNet's. A [`ClassMap`] is found by labels, by WordNet ids, or from a table; what has no
//! counterpart is named.
//!
//! ```
//! use hirescam_evaluate::classes::{ClassMap, How};
//!
//! let [data, network] = [vec!["cat", "traffic light"], vec!["tiger cat, cat", "dog"]].map(|names| names.into_iter().map(String::from).collect::<Vec<_>>());
//! let map = ClassMap::new(&data, &network, &How::Label)?;
//! assert_eq!(map.network_classes(0), [0]);
//! assert_eq!(map.unmapped()[0].name, "traffic light");
//! # Ok::<(), hirescam_evaluate::Error>(())
//! ```

use crate::Error;
use crate::data::folded;
use hirescam::core::near;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{LazyLock, OnceLock};

/// A class of ImageNet's challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synset {
    /// Its WordNet id.
    pub id: &'static str,
    /// Its names, between commas.
    pub names: &'static str,
}

/// The 1000 classes of ImageNet's challenge, in the order in which networks have them.
///
/// Ids of Russakovsky et al. 2015, names of WordNet (Princeton University, WordNet License), both as timm (Apache-2.0) ships them.
pub fn imagenet() -> &'static [Synset] {
    static LIST: LazyLock<Vec<Synset>> = LazyLock::new(|| {
        let lines = include_str!("classes/imagenet.txt").lines();
        lines.filter_map(|line| line.split_once(' ').map(|(id, names)| Synset { id, names })).collect()
    });
    &LIST
}

/// Tables that are built in: name, what it says, text.
const TABLES: [(&str, &str, &str); 2] = [
    ("voc-imagenet", "VOC's classes to ImageNet's", include_str!("classes/voc_imagenet.toml")),
    ("coco-imagenet", "COCO's classes to ImageNet's", include_str!("classes/coco_imagenet.toml")),
];

/// How the classes of a data set are found among a network's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum How {
    /// By WordNet ids where all of the data set's classes have one; by the built-in table where the network has ImageNet's classes
    /// and the data set VOC's or COCO's; by order where the network has no labels; else by label.
    #[default]
    Auto,
    /// By label: letters and digits, whatever the case; synonyms stand between commas.
    Label,
    /// By WordNet id.
    WordNet,
    /// By order: class 0 is class 0. Both have to have as many.
    Order,
    /// By a table: the name of a built-in one (`voc-imagenet`, `coco-imagenet`), or a TOML file with a line
    /// `class = label | WordNet id | index | [several of these]` for each class.
    Table(String),
}

impl FromStr for How {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_table = TABLES.iter().any(|(name, ..)| *name == text) || text.to_lowercase().ends_with(".toml");
        match text {
            "auto" => Ok(How::Auto),
            "label" => Ok(How::Label),
            "wordnet" => Ok(How::WordNet),
            "order" => Ok(How::Order),
            _ if is_table => Ok(How::Table(text.to_owned())),
            _ => {
                let names =
                    ["auto", "label", "wordnet", "order"].into_iter().chain(TABLES.iter().map(|(name, ..)| *name));
                Err(Error::NotFound { what: "way to map classes", name: text.to_owned(), near: near(text, names) })
            }
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Auto => "auto",
            How::Label => "label",
            How::WordNet => "wordnet",
            How::Order => "order",
            How::Table(name) => name.as_str(),
        })
    }
}

impl TryFrom<String> for How {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<How> for String {
    fn from(how: How) -> String {
        how.to_string()
    }
}

/// Which of a network's classes stand for those of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    how: String,
    of: Vec<Vec<usize>>,
    unmapped: Vec<Unmapped>,
}

/// A class of the data set that the network does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmapped {
    /// Its position in the data set's classes.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// Why there is none.
    pub because: String,
}

impl ClassMap {
    /// Finds the classes of a data set among those of a network, which has one label a class, empty where it has none.
    ///
    /// # Errors
    /// [`Error::Argument`] where the way does not fit (ids that the network does not have, a table that names classes or labels
    /// that do not exist or numbers that are out of range); [`Error::Data`] for a table that cannot be read.
    pub fn new(data_classes: &[String], network_labels: &[String], how: &How) -> Result<Self, Error> {
        let labels = Labels::new(network_labels);
        match how {
            How::Auto => Self::auto(data_classes, &labels),
            How::Label => {
                let of = |name: &String| labels.by_names(name);
                Ok(Self::of_each("by label".into(), data_classes, of))
            }
            How::WordNet => {
                let ids = labels.ids()?;
                let of = |name: &String| {
                    let id = wordnet_id(name).ok_or("it has no WordNet id")?;
                    ids.get(id)
                        .map(|index| vec![*index])
                        .ok_or_else(|| "the network has no class of this WordNet id".to_owned())
                };
                Ok(Self::of_each(format!("by WordNet id{}", labels.assumed()), data_classes, of))
            }
            How::Order if data_classes.len() == network_labels.len() => Ok(Self {
                how: "by order".into(),
                of: (0..data_classes.len()).map(|index| vec![index]).collect(),
                unmapped: Vec::new(),
            }),
            How::Order => Err(Error::Argument(format!(
                "the data set has {} classes and the network {}, so that they cannot be mapped by their order",
                data_classes.len(),
                network_labels.len()
            ))),
            How::Table(name) => match TABLES.iter().find(|(table, ..)| table == name) {
                Some((_, what, text)) => Self::built_in(data_classes, &labels, what, text),
                None => Self::file(data_classes, &labels, name.into()),
            },
        }
    }

    fn auto(data_classes: &[String], labels: &Labels) -> Result<Self, Error> {
        if data_classes.iter().all(|name| wordnet_id(name).is_some()) && labels.ids().is_ok() {
            return Self::new(data_classes, labels.list, &How::WordNet);
        }
        if labels.ids().is_ok() {
            for (_, what, text) in TABLES {
                let known: BTreeSet<String> = parse(text).unwrap_or_default().keys().map(|name| folded(name)).collect();
                // COCO has classes that ImageNet has not: what is left must still be most of the data set.
                let found = data_classes.iter().filter(|name| known.contains(&folded(name))).count();
                if found * 10 >= data_classes.len() * 7 {
                    return Self::built_in(data_classes, labels, what, text);
                }
            }
        }
        if labels.none() && data_classes.len() != labels.list.len() {
            let because = || Err("the network has no labels, and another number of classes".to_owned());
            return Ok(Self::of_each("not at all".into(), data_classes, |_| because()));
        }
        if labels.none() {
            let map = Self::new(data_classes, labels.list, &How::Order)?;
            return Ok(Self { how: "by order, for the network has no labels".into(), ..map });
        }
        Self::new(data_classes, labels.list, &How::Label)
    }

    fn of_each(how: String, classes: &[String], of: impl Fn(&String) -> Result<Vec<usize>, String>) -> Self {
        let mut map = Self { how, of: Vec::with_capacity(classes.len()), unmapped: Vec::new() };
        for (class, name) in classes.iter().enumerate() {
            let found = of(name).unwrap_or_else(|because| {
                map.unmapped.push(Unmapped { class, name: name.clone(), because });
                Vec::new()
            });
            map.of.push(found);
        }
        map
    }

    fn built_in(classes: &[String], labels: &Labels, what: &str, text: &str) -> Result<Self, Error> {
        let table = parse(text).map_err(Error::Argument)?;
        let resolved = table.into_iter().map(|(name, entries)| Ok((folded(&name), labels.resolve(&entries)?)));
        let resolved: HashMap<String, Vec<usize>> = resolved.collect::<Result<_, String>>().map_err(Error::Argument)?;
        let of = |name: &String| {
            resolved.get(&folded(name)).cloned().ok_or_else(|| format!("the table ({what}) has nothing for it"))
        };
        Ok(Self::of_each(format!("by the built-in table: {what}{}", labels.assumed()), classes, of))
    }

    fn file(classes: &[String], labels: &Labels, path: PathBuf) -> Result<Self, Error> {
        let fail = |because: String| Error::Data { path: path.clone(), because };
        let text = std::fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
        let mut resolved: HashMap<&str, Vec<usize>> = HashMap::new();
        for (name, entries) in parse(&text).map_err(fail)? {
            let Some(class) = classes.iter().find(|class| is_called(class, &name)) else {
                return Err(fail(format!("the data set has no class {name:?}{}", hint(&name, classes))));
            };
            let indices = labels.resolve(&entries).map_err(|because| fail(format!("{name}: {because}")))?;
            resolved.insert(class, indices);
        }
        let of = |name: &String| match resolved.get(name.as_str()).filter(|indices| !indices.is_empty()) {
            Some(indices) => Ok(indices.clone()),
            None => Err(format!("{} has nothing for it", path.display())),
        };
        Ok(Self::of_each(format!("by {}", path.display()), classes, of))
    }

    /// How they were found, in words.
    pub fn how(&self) -> &str {
        &self.how
    }

    /// The network's classes that stand for a class of the data set; none where it is unmapped.
    pub fn network_classes(&self, data_class: usize) -> &[usize] {
        self.of.get(data_class).map_or(&[], Vec::as_slice)
    }

    /// The classes of the data set that a class of the network stands for.
    pub fn data_classes(&self, network_class: usize) -> impl Iterator<Item = usize> {
        self.of.iter().enumerate().filter(move |(_, of)| of.contains(&network_class)).map(|(class, _)| class)
    }

    /// The classes of the data set that the network does not have.
    pub fn unmapped(&self) -> &[Unmapped] {
        &self.unmapped
    }
}

/// The WordNet id in a label: n and eight digits, a word of its own.
pub fn wordnet_id(label: &str) -> Option<&str> {
    let is_id =
        |word: &&str| word.len() == 9 && word.strip_prefix('n').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    label.split(|c: char| !c.is_ascii_alphanumeric()).find(is_id)
}

/// What stands for a class in a table.
#[derive(Clone, Debug)]
enum Entry {
    Index(i64),
    Label(String),
}

fn parse(text: &str) -> Result<BTreeMap<String, Vec<Entry>>, String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| format!("this is no TOML: {e}"))?;
    let entry = |name: &str, value: toml::Value| match value {
        toml::Value::Integer(index) => Ok(Entry::Index(index)),
        toml::Value::String(label) => Ok(Entry::Label(label)),
        _ => Err(format!("{name} is neither a label nor an index, nor a list of these")),
    };
    let entries = |(name, value): (String, toml::Value)| {
        let list = match value {
            toml::Value::Array(list) => list.into_iter().map(|value| entry(&name, value)).collect::<Result<_, _>>()?,
            value => vec![entry(&name, value)?],
        };
        Ok((name, list))
    };
    table.into_iter().map(entries).collect()
}

/// A network's labels, to be found by what they say.
struct Labels<'a> {
    list: &'a [String],
    /// By each of their names, and by all of them together.
    by_name: HashMap<String, BTreeSet<usize>>,
    /// By WordNet id, where they have such.
    by_id: OnceLock<Option<HashMap<&'a str, usize>>>,
}

impl<'a> Labels<'a> {
    fn new(list: &'a [String]) -> Self {
        let mut by_name: HashMap<String, BTreeSet<usize>> = HashMap::new();
        for (index, label) in list.iter().enumerate() {
            for name in names(label) {
                by_name.entry(name).or_default().insert(index);
            }
        }
        Self { list, by_name, by_id: OnceLock::new() }
    }

    /// Whether there are none.
    fn none(&self) -> bool {
        self.list.iter().all(String::is_empty)
    }

    /// What is taken for granted where WordNet ids are found, for people.
    fn assumed(&self) -> &'static str {
        if self.none() { "; the network has no labels, and its classes are taken for ImageNet's" } else { "" }
    }

    /// The class that one of a class's names belongs to; the first of the names that any class has decides.
    fn by_names(&self, name: &str) -> Result<Vec<usize>, String> {
        let Some(found) = names(name).into_iter().find_map(|name| self.by_name.get(&name)) else {
            return Err(format!("no label of the network is called so{}", hint(name, self.list)));
        };
        if found.len() > 1 {
            let which: Vec<String> = found.iter().map(|i| i.to_string()).collect();
            return Err(format!("several of the network's classes are called so: {}", which.join(", ")));
        }
        Ok(found.iter().copied().collect())
    }

    /// The classes by WordNet id: of the labels, or by order where they are ImageNet's.
    fn ids(&self) -> Result<&HashMap<&'a str, usize>, Error> {
        let ids = self.by_id.get_or_init(|| self.find_ids()).as_ref();
        ids.ok_or_else(|| {
            Error::Argument(
                "the network's labels have no WordNet ids, and are not those of ImageNet in their order".into(),
            )
        })
    }

    fn find_ids(&self) -> Option<HashMap<&'a str, usize>> {
        let own = self.list.iter().enumerate().filter_map(|(i, label)| Some((wordnet_id(label)?, i)));
        let own: HashMap<&str, usize> = own.collect();
        if !own.is_empty() {
            return Some(own);
        }
        // Networks of TensorFlow have a class for the background before all others.
        let first = usize::from(self.list.len() == imagenet().len() + 1);
        let agrees = |label: &String, synset: &Synset| {
            let known = names(synset.names);
            label.is_empty() || names(label).iter().any(|name| known.contains(name))
        };
        let labels = self.list.iter().skip(first);
        let agreeing = labels.clone().zip(imagenet()).filter(|(label, synset)| agrees(label, synset)).count();
        // Lists of labels differ in a few names.
        let enough = labels.len() == imagenet().len() && agreeing * 10 >= imagenet().len() * 9;
        enough.then(|| imagenet().iter().enumerate().map(|(i, synset)| (synset.id, i + first)).collect())
    }

    fn resolve(&self, entries: &[Entry]) -> Result<Vec<usize>, String> {
        let mut found = BTreeSet::new();
        for entry in entries {
            match entry {
                Entry::Index(index) => {
                    let known = usize::try_from(*index).ok().filter(|index| *index < self.list.len());
                    found.insert(
                        known.ok_or_else(|| {
                            format!("there is no class {index} among the network's {}", self.list.len())
                        })?,
                    );
                }
                Entry::Label(label) if wordnet_id(label) == Some(label) => {
                    let ids = self.ids().map_err(|e| e.to_string())?;
                    found.insert(*ids.get(label.as_str()).ok_or_else(|| format!("the network has no class {label}"))?);
                }
                Entry::Label(label) => {
                    found.extend(self.by_names(label).map_err(|because| format!("{label:?}: {because}"))?)
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Whether a label, one of its names or its WordNet id is this.
fn is_called(label: &str, name: &str) -> bool {
    names(label).contains(&folded(name)) || wordnet_id(label) == Some(name)
}

/// The names that a label has, all together and one by one, by letters and digits alone and without a WordNet id.
fn names(label: &str) -> Vec<String> {
    let label = match wordnet_id(label) {
        Some(id) => label.replacen(id, "", 1),
        None => label.to_owned(),
    };
    let mut names: Vec<String> = std::iter::once(label.as_str()).chain(label.split(',')).map(folded).collect();
    names.retain(|name| !name.is_empty());
    names
}

fn hint(name: &str, labels: &[String]) -> String {
    match near(name, labels.iter().map(String::as_str)).as_slice() {
        [] => String::new(),
        near => format!("; near: {}", near.join(" | ")),
    }
}
