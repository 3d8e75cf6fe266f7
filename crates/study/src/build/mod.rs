//! Building a study: from its design to a folder of blinded pictures, and the key that lies apart.
//!
//! Nothing but its map tells an arm: pictures have random names, one size in pixels for an item, one length in bytes and one time of change for
//! the whole study, no metadata, and the same colours, scale and size for all arms. In which order the manifest numbers arms is drawn by the seed.
//!
//! **The same design, seed and files give the same bytes**, but for the study's name, which is random, and the hashes of what
//! it stands in.
//!
//! **Checks** have an answer that is asked for in words, drawn into a picture like all others (an instructional manipulation check, Oppenheimer et al. 2009,
//! 10.1016/j.jesp.2009.03.009). A map that is right and one that is wrong would be no check: they would teach raters which maps the
//! authors hold to be good, and a rater who thinks otherwise is not inattentive. So there is "Choose this picture." beside "Do not choose
//! this picture." (`prefer`, `trust`), "Answer: 1" and "Answer: 5" by turns (`rate`), "Answer: cat" on a whole photo (`reveal`), and a white
//! square to be marked (`locate`).

mod arms;
mod blind;
mod draw;
mod items;
mod measure;
mod preregistration;
mod source;

use crate::design::Design;
use crate::manifest::{Item, Key, KeyArm, KeyItem, Manifest, Role, SCHEMA, hash};
use crate::{Error, schedule::Schedule};
use arms::Ready;
use blind::{Pictures, failed, seed, shuffle};
use draw::Pencil;
use hirescam::random::Random;
use items::Making;
use source::Images;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// In so many steps curves of metrics are measured: a study's items are few, and its maps have few cells.
pub const CURVE_STEPS: usize = 32;

/// How far a study is built.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What is done, in words.
    pub what: &'static str,
    /// How much of it is done.
    pub done: usize,
    /// How much there is, at most.
    pub of: usize,
}

/// Builds the study into the folder `out`, which must not be there, and writes its key to `key`, which lies outside of it. Paths in the design are seen from
/// `base`.
///
/// An image that fails has no item, and stands in the key with the reason.
///
/// # Errors
/// As [`Design::check`]; [`Error::Design`] where too few images are left, or all arms' maps look the same for all of them; [`Error::Output`] where folder or key are there already or cannot be
/// written; what keeps a network or a data set from being opened. Nothing is left behind then.
pub fn build(
    design: &Design,
    base: &Path,
    out: &Path,
    key: &Path,
    watch: &mut dyn FnMut(&Progress),
) -> Result<(Manifest, Key), Error> {
    design.check()?;
    free(out, key)?;
    let images = Images::open(&design.items, base)?;
    let mut arms = arms::ready(design, images.classes(), base)?;
    let mut order: Vec<usize> = (0..arms.len()).collect();
    shuffle(&mut order, &mut Random::of_sample(seed(design.seed, "arms"), 0));

    let parent = folder_of(out);
    fs::create_dir_all(&parent).map_err(|e| failed(&parent, &e))?;
    // What lies in here is gone whatever happens, but for what was moved out.
    let room = tempfile::Builder::new().prefix(".hirescam-study-").tempdir_in(&parent);
    let room = room.map_err(|e| failed(&parent, &e))?;
    let mut made = Making {
        design,
        base,
        images: &images,
        order: &order,
        pencil: Pencil::new(&design.picture, base)?,
        pictures: Pictures::new(room.path().join("pictures"), design.seed)?,
        items: Vec::new(),
        measured: Vec::new(),
        provenance: BTreeMap::new(),
        failed: Vec::new(),
    };
    made.all(&mut arms, watch)?;
    if !design.metrics.is_empty() {
        let ready: Vec<&Ready> = order.iter().filter_map(|arm| arms.get(*arm)).collect();
        let found = measure::measure(&design.metrics, &ready, &images, &made.measured, room.path(), watch)?;
        for (item, of_key) in &mut made.items {
            of_key.metrics = found.get(&item.id).cloned().unwrap_or_default();
        }
    }
    written(made, &room.path().join("study"), out, key)
}

/// Sees to it that nothing is replaced, before any work is done.
fn free(out: &Path, key: &Path) -> Result<(), Error> {
    let refuse = |path: &Path, because: &str| Err(Error::Output { path: path.to_owned(), because: because.into() });
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for path in [out, key] {
        if path.symlink_metadata().is_ok() {
            return refuse(path, "it is there already, and nothing of another study is replaced");
        }
    }
    if absolute(key).starts_with(absolute(out)) {
        return refuse(key, "the key would lie within the study's folder, where raters might find it");
    }
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes all of a study: whole, or not at all.
fn written(made: Making, stage: &Path, out: &Path, key_path: &Path) -> Result<(Manifest, Key), Error> {
    let Making { design, order, pictures, mut items, provenance, failed: without, .. } = made;
    fs::create_dir_all(stage).map_err(|e| failed(stage, &e))?;
    let files = pictures.write(stage)?;
    // Those that count come first; within a role the order stays.
    items.sort_by_key(|(item, _)| match item.role {
        Role::Counts => 0,
        Role::Practice => 1,
        Role::Check => 2,
    });
    let (items, of_key): (Vec<Item>, Vec<KeyItem>) = items.into_iter().unzip();
    let study = random_name()?;
    let of_arm = |arm: &usize| {
        Some(KeyArm { name: design.arms.get(*arm)?.name.clone(), provenance: provenance.get(arm)?.clone() })
    };
    let key = Key {
        schema: SCHEMA,
        study: study.clone(),
        design: design.clone(),
        arms: order.iter().filter_map(of_arm).collect(),
        items: of_key,
        failed: without,
    };
    // Most of it is the cells of maps.
    let key_bytes = serde_json::to_vec(&key).map_err(no_json)?;
    let manifest = Manifest {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        study,
        title: design.title.clone(),
        question: design.question.clone(),
        arms: order.len(),
        items,
        seed: seed(design.seed, "schedule"),
        raters: design.raters.clone(),
        exclude: design.exclude.clone(),
        consent: design.consent.clone(),
        finish: design.finish.clone(),
        files,
        key: hash(&key_bytes),
    };
    let manifest_bytes = serde_json::to_vec_pretty(&manifest).map_err(no_json)?;
    let slots = Schedule::of(&manifest).slots();
    let text = preregistration::text(&manifest, &key, &hash(&manifest_bytes), slots);
    for (name, bytes) in [(Manifest::FILE, manifest_bytes.as_slice()), (Manifest::PREREGISTRATION, text.as_bytes())] {
        let path = stage.join(name);
        fs::write(&path, bytes).map_err(|e| failed(&path, &e))?;
    }
    let own = [Manifest::FILE, Manifest::PREREGISTRATION].into_iter();
    own.chain(manifest.files.keys().map(String::as_str)).try_for_each(|file| blind::timeless(&stage.join(file)))?;

    // The key first: a study whose key is lost is lost, and a key without its study says nothing. Neither replaces what is there.
    let folder = folder_of(key_path);
    fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
    let put = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".hirescam-key-").tempfile_in(&folder)?;
        file.write_all(&key_bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(key_path).map(drop).map_err(|e| e.error)
    };
    put().map_err(|e| failed(key_path, &e))?;
    if let Err(error) = fs::rename(stage, out) {
        // It is this study's own, of which there is nothing else.
        let _ = fs::remove_file(key_path);
        return Err(failed(out, &error));
    }
    Ok((manifest, key))
}

/// The study's name: 128 random bits.
fn random_name() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    let none = |e: getrandom::Error| hirescam::Error::Argument(format!("this machine gives no random numbers: {e}"));
    getrandom::fill(&mut bytes).map_err(none)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn no_json(error: serde_json::Error) -> Error {
    hirescam::Error::Argument(error.to_string()).into()
}
