//! A built study: the folder that a server serves, and the key that lies apart.
//!
//! ```text
//! DIR/manifest.json       what a server needs; it names arms by letters that say nothing
//! DIR/panels/….png        pictures under random names, all of one size in pixels for an item and of one length in bytes
//! DIR/preregistration.md  what was laid down, with the hash of the manifest and of the key
//! DIR-key.json            which letter is which arm, and what made each picture: nobody opens it before the answers are in
//! ```

use crate::Error;
use crate::design::{Consent, Design, Exclude, Finish, Raters};
use crate::kinds::Question;
use hirescam::record::Provenance;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The version of the manifest and of the key.
pub const SCHEMA: u32 = 1;

/// All that serving a study needs. Raters see of it what their trials show, never the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub schema: u32,
    /// The version of the program that built it.
    pub version: String,
    /// What the study is called by files and databases: 32 hexadecimal digits, random.
    pub study: String,
    /// What raters see on top of every page.
    pub title: String,
    /// What is asked.
    pub question: Question,
    /// How many arms there are; trials name them by number, in an order drawn by the seed.
    pub arms: usize,
    /// What it is asked about, in the order in which it is numbered: those that count, then practice, then checks.
    pub items: Vec<Item>,
    /// Draws the [schedule](crate::schedule).
    pub seed: u64,
    /// Who is asked, how much, how often.
    pub raters: Raters,
    /// Whose answers do not count; a server shows the owner how many these are.
    pub exclude: Exclude,
    /// What raters read and agree to.
    pub consent: Consent,
    /// What raters read at the end.
    pub finish: Finish,
    /// The SHA-256 of each picture by its file, relative to the folder, in hexadecimal digits.
    pub files: BTreeMap<String, String>,
    /// The SHA-256 of the key.
    pub key: String,
}

/// An image and a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// A random name that says nothing.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// The class's name as raters read it.
    pub class: String,
    /// The photo's file, relative to the folder.
    pub photo: String,
    /// Width and height of all its pictures, in pixels.
    pub size: [u32; 2],
    /// For each arm its pictures' files: one, or of `reveal` one a step, the least uncovered first; none of `locate`.
    pub pictures: Vec<Vec<String>>,
    /// Of `reveal`: what share of the image each step uncovers, 0 to 1, for each arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<Vec<f64>>,
    /// Of `reveal`: the classes to choose from, in the order in which they are shown; empty where the name is typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Of a check: the arm whose picture is the right one (`prefer`, `trust`), see [`schedule`](crate::schedule); the words on the page tell
    /// attentive raters what to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// What an item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It counts.
    Counts,
    /// Raters practise on it.
    Practice,
    /// It shows whether raters look: one answer is right.
    Check,
}

/// The right answer to a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// The picture that stands at this position (0 or 1) in [`Item::pictures`].
    Picture(usize),
    /// At least this many points (`rate`).
    AtLeast(u32),
    /// At most this many points (`rate`).
    AtMost(u32),
    /// A mark that reaches into the rectangle `[left, top, right, bottom]`, in shares of width and height (`locate`).
    Within([f64; 4]),
    /// The class (`reveal`).
    Class(String),
}

/// What tells the arms. Results need it; nobody else does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The version of this form.
    pub schema: u32,
    /// The study that it belongs to.
    pub study: String,
    /// The design, as it was followed.
    pub design: Design,
    /// The arms in the order in which the manifest numbers them.
    pub arms: Vec<KeyArm>,
    /// The items in the order of the manifest.
    pub items: Vec<KeyItem>,
    /// Images of which there is no item, with the reason.
    pub failed: Vec<(String, String)>,
}

/// An arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyArm {
    /// What it is called.
    pub name: String,
    /// What made its maps.
    pub provenance: Provenance,
}

/// What made an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyItem {
    /// The item.
    pub id: String,
    /// The image's file, or its name in the data set.
    pub image: PathBuf,
    /// The class as the first arm's network numbers it.
    pub class: usize,
    /// For each arm what is known of its map; empty for checks.
    pub maps: Vec<KeyMap>,
    /// Whether all arms' maps are the same: such an item says nothing of the arms.
    pub same: bool,
    /// Metrics of each arm's map by name, those that could be found: `faithfulness` metrics of docs/metrics.md.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<BTreeMap<String, f64>>,
}

/// What is known of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyMap {
    /// What is proven of it: the certificate's verdict.
    pub verdict: String,
    /// The class's score in the arm's network.
    pub score: f64,
    /// The map at the layer's resolution, raw and signed, row by row.
    pub map: Vec<f32>,
    /// Rows and columns of the map.
    pub shape: [usize; 2],
    /// `[left, top, right, bottom]` of what the network saw, in shares of the photo's width and height.
    pub view: [f64; 4],
}

impl Manifest {
    /// Its name in the study's folder.
    pub const FILE: &str = "manifest.json";

    /// The pre-registration's name in the study's folder.
    pub const PREREGISTRATION: &str = "preregistration.md";

    /// Reads the manifest of the study that was built into `folder`, and checks it against the hash in the pre-registration, where that lies
    /// beside it, and every file against its hash.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file that is missing, broken, or was changed since.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        let damaged = |path: PathBuf, because: &str| Err(Error::Damaged { path, because: because.into() });
        if !path.is_file() {
            return damaged(folder.to_owned(), &format!("it is no built study: there is no {} in it", Self::FILE));
        }
        let (bytes, manifest): (_, Manifest) = read(&path, "manifest of a study")?;
        if manifest.schema != SCHEMA {
            return damaged(path, &format!("version {} of the form, and this program reads {SCHEMA}", manifest.schema));
        }
        // Who keeps the pre-registration elsewhere can compare it there.
        if let Ok(laid_down) = std::fs::read_to_string(folder.join(Self::PREREGISTRATION))
            && !laid_down.contains(&hash(&bytes))
        {
            let because = "it was changed after the study was built: its hash is not the one in";
            return damaged(path, &format!("{because} {}", Self::PREREGISTRATION));
        }
        for (file, sha256) in &manifest.files {
            let path = folder.join(file);
            // A manifest comes from outside: what it names has to lie within the folder.
            if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
                return damaged(path, "it lies outside of the study's folder");
            }
            let bytes = std::fs::read(&path);
            as_built(path, bytes, sha256)?;
        }
        if let Some(missing) = manifest.shown().find(|file| !manifest.files.contains_key(*file)) {
            return damaged(path, &format!("{missing} is shown, and has no hash"));
        }
        Ok(manifest)
    }

    /// Every file that an item shows.
    pub fn shown(&self) -> impl Iterator<Item = &String> {
        self.items.iter().flat_map(|item| std::iter::once(&item.photo).chain(item.pictures.iter().flatten()))
    }
}

impl Key {
    /// Where the key of the study in `folder` lies if nothing else is said: beside it.
    pub fn beside(folder: &Path) -> PathBuf {
        let mut name = folder.file_name().unwrap_or_else(|| "study".as_ref()).to_owned();
        name.push("-key.json");
        folder.with_file_name(name)
    }

    /// Reads the key of the study.
    ///
    /// # Errors
    /// [`Error::WrongKey`] for the key of another study; [`Error::Damaged`] where it is missing, broken, or was changed since.
    pub fn open(path: &Path, manifest: &Manifest) -> Result<Self, Error> {
        let (bytes, key): (_, Key) = read(path, "key of a study")?;
        if key.study != manifest.study {
            return Err(Error::WrongKey { path: path.to_owned(), found: key.study, wanted: manifest.study.clone() });
        }
        match hash(&bytes) == manifest.key {
            true => Ok(key),
            false => Err(Error::Damaged {
                path: path.to_owned(),
                because: "it was changed after the study was built".into(),
            }),
        }
    }
}

/// The SHA-256 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that were read from a file of the study, where they are those that it was built with.
///
/// # Errors
/// [`Error::Damaged`] where the file is missing, cannot be read, or was changed since.
pub fn as_built(path: PathBuf, bytes: std::io::Result<Vec<u8>>, sha256: &str) -> Result<Vec<u8>, Error> {
    let because = match bytes {
        Ok(bytes) if hash(&bytes) == sha256 => return Ok(bytes),
        Ok(_) => "it was changed after the study was built".into(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => "it was removed after the study was built".into(),
        Err(e) => e.to_string(),
    };
    Err(Error::Damaged { path, because })
}

/// A file's bytes, and what they say; `what` it has to be.
fn read<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<(Vec<u8>, T), Error> {
    let damaged = |because: String| Error::Damaged { path: path.to_owned(), because };
    let bytes = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => damaged(format!("there is no such file, and the {what} is needed")),
        _ => damaged(e.to_string()),
    })?;
    let content = serde_json::from_slice(&bytes).map_err(|e| damaged(format!("it is no {what}: {e}")))?;
    Ok((bytes, content))
}
