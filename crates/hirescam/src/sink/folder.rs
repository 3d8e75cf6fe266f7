//! A folder of results: what each is called, and what it may replace.
//!
//! A result is a map, its picture and its record under one name: `NAME.npy`, `NAME.png`, `NAME.json`. All names in a folder
//! are distinct, also where case does not count. What an earlier run wrote is known by its records: a run that gives the same
//! results may replace them, any other only when it is told to.

use super::protected::Protected;
use super::whole;
use crate::error::Error;
use crate::record::Mark;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The parts of a result.
const PARTS: [&str; 3] = ["png", "npy", "json"];
/// More bytes than any record has.
const MOST_RECORD: u64 = 1 << 24;

/// The most bytes of a name that is taken from an image file: systems allow 255.
const LONGEST: usize = 200;

/// A folder of results.
pub struct Folder {
    path: PathBuf,
    /// Which command writes here.
    command: &'static str,
    /// Stands for everything that decides what the results of an image are, but for the image.
    run: String,
    overwrite: bool,
    protected: Protected,
    /// Names, in lower case.
    taken: HashSet<String>,
    /// Results of earlier runs, by their names in lower case.
    earlier: HashMap<String, Earlier>,
    /// Their names, by the samples in lower case.
    of_sample: HashMap<String, Vec<String>>,
    replaced: usize,
}

/// A result of an earlier run, as its record tells.
struct Earlier {
    name: String,
    sample: String,
    command: String,
    run: String,
    image: String,
    /// The names of its parts.
    files: Vec<String>,
}

/// The names of what was made of one image file.
pub struct Claim {
    /// The name of the image among those in the folder.
    pub sample: String,
    /// The path of each result, without the suffix of its parts.
    pub bases: Vec<PathBuf>,
    /// Files of an earlier run that would lie among the new ones.
    stale: Vec<PathBuf>,
}

impl Folder {
    /// The folder `path`, made where it is not there, for the results of `command`. `run` stands for everything that decides
    /// what they are, but for the image: two runs of the same have the same results. With `overwrite` what is there is
    /// replaced, `protected` files never are.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be made or listed.
    pub fn open(
        path: &Path,
        command: &'static str,
        run: String,
        protected: Protected,
        overwrite: bool,
    ) -> Result<Self, Error> {
        let fail = |error| Error::File { path: path.to_owned(), error };
        std::fs::create_dir_all(path).map_err(fail)?;
        let mut earlier = HashMap::new();
        let mut of_sample: HashMap<String, Vec<String>> = HashMap::new();
        for entry in std::fs::read_dir(path).map_err(fail)? {
            if let Some(found) = Earlier::read(&entry.map_err(fail)?.path()) {
                let name = found.name.to_lowercase();
                if found.command == command {
                    of_sample.entry(found.sample.to_lowercase()).or_default().push(name.clone());
                }
                earlier.insert(name, found);
            }
        }
        let (path, taken) = (path.to_owned(), HashSet::new());
        Ok(Folder { path, command, run, overwrite, protected, taken, earlier, of_sample, replaced: 0 })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the records of this folder have to say to be known again.
    pub fn mark(&self, sample: &str) -> Mark {
        Mark { command: self.command.into(), sample: sample.to_owned(), run: self.run.clone() }
    }

    /// How many results took the place of equal ones that an earlier run made.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// A name for each image file that no other of them has, before anything is done. `hash` is a file's SHA-256.
    ///
    /// # Errors
    /// [`Error::Protected`] where a result could come to lie over a file that is read, [`Error::Exists`] where other results
    /// of the images are there already.
    pub fn names(
        &self,
        files: &[PathBuf],
        hash: impl Fn(&Path) -> Result<String, Error>,
    ) -> Result<Vec<String>, Error> {
        let mut taken = HashSet::new();
        let names: Vec<String> = files.iter().map(|file| unique(&stem(file), &mut taken)).collect();
        for entry in std::fs::read_dir(&self.path).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            let part = path.extension().is_some_and(|e| PARTS.iter().any(|part| e.eq_ignore_ascii_case(part)));
            let could = part && origins(&stem(&path).to_lowercase()).iter().any(|name| taken.contains(*name));
            if could && self.protected.holds(&path) {
                return Err(Error::Protected { path });
            }
        }
        let mut others = Vec::new();
        for (file, name) in files.iter().zip(&names) {
            let earlier = self.earlier_of(name);
            let same_image = !earlier.is_empty() && !self.overwrite && {
                let hash = hash(file).ok();
                earlier.iter().all(|e| Some(&e.image) == hash.as_ref() && e.run == self.run)
            };
            if !same_image && !self.overwrite {
                others.extend(earlier.first().map(|e| self.path.join(format!("{}.json", e.name))));
            }
        }
        match others.first() {
            Some(path) => Err(Error::Exists { path: path.clone(), others: others.len() - 1 }),
            None => Ok(names),
        }
    }

    fn earlier_of(&self, sample: &str) -> Vec<&Earlier> {
        let names = self.of_sample.get(&sample.to_lowercase());
        names.into_iter().flatten().filter_map(|name| self.earlier.get(name)).collect()
    }

    /// Names for what was made of the image file called `name`, whose SHA-256 is `image`: one result for each of `suffixes`.
    /// Files that are claimed in the same order get the same names.
    ///
    /// # Errors
    /// [`Error::Exists`] where a name is taken by what this run does not give again.
    pub fn claim(&mut self, name: &str, suffixes: &[String], image: &str) -> Result<Claim, Error> {
        let of = |sample: &str| -> Vec<String> { suffixes.iter().map(|suffix| format!("{sample}{suffix}")).collect() };
        let free = |names: &[String]| {
            names.iter().all(|name| {
                !self.taken.contains(&name.to_lowercase())
                    && PARTS.iter().all(|part| !self.protected.holds(&self.path.join(format!("{name}.{part}"))))
            })
        };
        let mut sample = name.to_owned();
        let mut n = 2;
        while !free(&of(&sample)) {
            sample = format!("{name}_{n}");
            n += 1;
        }
        let names = of(&sample);
        let again = |e: &Earlier| {
            e.command == self.command && e.run == self.run && e.image == image && e.sample.eq_ignore_ascii_case(&sample)
        };
        let mut replaced = 0;
        for name in &names {
            let file = |part: &str| self.path.join(format!("{name}.{part}"));
            match (self.earlier.get(&name.to_lowercase()), PARTS.iter().find(|part| file(part).exists())) {
                (Some(e), _) if again(e) => replaced += 1,
                (_, Some(_)) if self.overwrite => {}
                (_, Some(part)) => return Err(Error::Exists { path: file(part), others: 0 }),
                (_, None) => {}
            }
        }
        let stale = self.earlier_of(&sample);
        let stale = stale.iter().filter(|e| names.iter().all(|name| !name.eq_ignore_ascii_case(&e.name)));
        let stale: Vec<PathBuf> = stale.flat_map(|e| self.parts(&e.name)).collect();
        if let Some(path) = stale.first().filter(|_| !self.overwrite) {
            return Err(Error::Exists { path: path.clone(), others: 0 });
        }
        self.replaced += replaced;
        self.taken.extend(names.iter().map(|name| name.to_lowercase()));
        let bases = names.iter().map(|name| self.path.join(name)).collect();
        Ok(Claim { sample, bases, stale })
    }

    /// Takes away what an earlier run made of an image file that came to nothing now, where it is to be replaced.
    pub fn forget(&self, name: &str) {
        if self.overwrite {
            self.earlier_of(name).iter().for_each(|e| remove(&self.parts(&e.name)));
        }
    }

    fn parts(&self, name: &str) -> Vec<PathBuf> {
        PARTS.iter().map(|part| self.path.join(format!("{name}.{part}"))).filter(|path| path.exists()).collect()
    }
}

impl Claim {
    /// Takes away what an earlier run made of the image and this one did not make again.
    pub fn clear(&self) {
        remove(&self.stale);
    }
}

/// Writes the parts of a result, all or none, over those of an earlier one.
///
/// # Errors
/// [`Error::File`] when one cannot be written.
pub fn put(base: &Path, parts: &[(&str, Vec<u8>)]) -> Result<(), Error> {
    whole::write_all(parts.iter().map(|(part, bytes)| (part_of(base, part), bytes)))?;
    let rest: Vec<PathBuf> =
        PARTS.iter().filter(|part| parts.iter().all(|(p, _)| p != *part)).map(|p| part_of(base, p)).collect();
    remove(&rest);
    Ok(())
}

/// The path of a part of a result.
pub fn part_of(base: &Path, part: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(".");
    path.push(part);
    path.into()
}

fn remove(files: &[PathBuf]) {
    for file in files {
        // What is not there is as it should be.
        let _ = std::fs::remove_file(file);
    }
}

impl Earlier {
    /// What a record tells; none where the file is none.
    fn read(path: &Path) -> Option<Self> {
        if path.extension()? != "json" || path.metadata().ok()?.len() > MOST_RECORD {
            return None;
        }
        let record: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        record.get("version")?;
        let (name, image) =
            (path.file_stem()?.to_string_lossy().into_owned(), record.get("image_sha256")?.as_str()?.to_owned());
        let sample = match text("sample") {
            none if none.is_empty() => stem(Path::new(&text("image"))),
            sample => sample,
        };
        let command = match text("command") {
            none if none.is_empty() => if record.get("methods").is_some() { "compare" } else { "explain" }.into(),
            command => command,
        };
        let parts = ["map", "overlay", "picture"].map(&text);
        let parts = parts.iter().filter_map(|part| Some(Path::new(part).file_name()?.to_string_lossy().into_owned()));
        let files = parts.chain([format!("{name}.json")]).collect();
        Some(Earlier { name, sample, command, run: text("run"), image, files })
    }
}

/// Whether a file is a part of a result, as a record beside it tells.
pub(crate) fn is_result(path: &Path) -> bool {
    let part = path.extension().is_some_and(|e| PARTS.iter().any(|part| e == *part));
    part && Earlier::read(&path.with_extension("json"))
        .is_some_and(|e| e.files.iter().any(|f| Some(f.as_ref()) == path.file_name()))
}

/// The name of an image file without its ending. Bytes that are no text are replaced, and the end of a long one is left out,
/// so that there is room for what is added.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().map_or("image".into(), |s| s.to_string_lossy().into_owned());
    stem.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST).map(|(_, c)| c).collect()
}

/// A name that is not taken yet, also where case does not count.
fn unique(stem: &str, taken: &mut HashSet<String>) -> String {
    let mut name = stem.to_owned();
    let mut n = 2;
    while !taken.insert(name.to_lowercase()) {
        name = format!("{stem}_{n}");
        n += 1;
    }
    name
}

/// The names of image files whose results could be called so: `cat-3-1-layer2` may be the first class of the image number 3
/// of `cat`.
fn origins(name: &str) -> Vec<&str> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mut origins, mut rest) = (vec![name], name);
    let named = |last: &str| last == "fused" || last == "compared" || last.strip_prefix("layer").is_some_and(number);
    if let Some((before, _)) = rest.rsplit_once('-').filter(|(_, last)| named(last)) {
        origins.push(before);
        rest = before;
    }
    for _ in 0..2 {
        if let Some((before, last)) = rest.rsplit_once('-').filter(|(_, last)| number(last)) {
            let _ = last;
            origins.push(before);
            rest = before;
        }
    }
    origins
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_result_it_could_be() {
        assert_eq!(origins("cat"), ["cat"]);
        assert_eq!(origins("cat-3-1-layer2"), ["cat-3-1-layer2", "cat-3-1", "cat-3", "cat"]);
        assert_eq!(origins("cat-fused"), ["cat-fused", "cat"]);
        assert_eq!(origins("cat-1-2-3"), ["cat-1-2-3", "cat-1-2", "cat-1"]);
        assert_eq!(origins("a-b-"), ["a-b-"]);
    }

    #[test]
    fn no_name_is_too_long_for_what_is_added() {
        let long = "ü".repeat(125);
        let name = stem(Path::new(&format!("photos/{long}.png")));
        assert_eq!(name, "ü".repeat(100));
        let mut taken = HashSet::new();
        assert_eq!(unique(&name, &mut taken), name);
        assert_eq!(unique(&name.to_uppercase(), &mut taken), format!("{}_2", "Ü".repeat(100)));
    }

    #[test]
    fn a_file_that_is_not_finished_is_not_there() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("a.txt");
        std::fs::write(&at, "old").unwrap();
        let mut file = whole::Whole::create(&at).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(std::fs::read(&at).unwrap(), b"old");
        drop(file);
        whole::write(&at, b"new").unwrap();
        assert_eq!(std::fs::read(&at).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            // Behind a link the file is replaced, and the link stays.
            let link = folder.path().join("link");
            std::os::unix::fs::symlink("a.txt", &link).unwrap();
            whole::write(&link, b"through").unwrap();
            assert!(link.is_symlink());
            assert_eq!(std::fs::read(&at).unwrap(), b"through");
        }
    }
}
