//! Many images through one explainer: read, explained, drawn and written a few at a time, so that memory stays bounded.

use crate::error::Error;
use crate::explained::Explained;
use crate::explainer::Explainer;
use crate::explanation::Explanation;
use crate::fusion::{Fuse, Fused, fuse};
use crate::labels::Labels;
use crate::overlay::Style;
use crate::record::{self, Files, Mark, Origin, Record};
use crate::sample::{Input, Sample};
use crate::sink::{Claim, Folder, fingerprint, npy, part_of, png, put};
use crate::source;
use crate::spec::Spec;
use crate::watch::{Progress, Watch};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use ndarray::ArrayD;
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// The longer side of a small picture in pixels.
const SIDE: u32 = 320;

/// How images are explained, and what is written of them.
pub struct Pipeline<'a> {
    /// What explains them.
    pub explainer: &'a Explainer,
    /// Whether a picture is drawn of each.
    pub pictures: bool,
    /// Whether a small one is made of each for a page.
    pub thumbnails: bool,
    /// Whether the pictures show negative evidence too.
    pub signed: bool,
    /// How the pictures look; title and caption are made here.
    pub style: Style,
    /// How the maps of several layers become one more.
    pub fuse: Option<Fuse>,
    /// What the explainer was made for.
    pub spec: &'a Spec,
}

/// What came of an image file.
pub struct Outcome<'a> {
    /// The file.
    pub file: &'a Path,
    /// The results of each of its images, or why there are none; or why there are none of the file.
    pub images: Result<Vec<Result<Vec<Written>, Error>>, Error>,
}

impl Outcome<'_> {
    /// What stands below the pictures of the maps.
    pub fn captions(&self) -> impl Iterator<Item = String> {
        self.images.iter().flatten().flatten().flatten().filter_map(|written| match &written.made {
            Made::Map(e) => Some(e.caption()),
            Made::Fused(_) => None,
        })
    }
}

/// A result, and what was written of it.
pub struct Written {
    /// The result.
    pub made: Made,
    /// Its record.
    pub record: Record,
    /// Its picture without words, as a JPEG file, where it is to be shown and there is one.
    pub thumbnail: Option<Vec<u8>>,
}

/// What a result is.
pub enum Made {
    /// A map.
    Map(Box<Explanation>),
    /// The maps of several layers in one.
    Fused(Box<Fused>),
}

/// What was read of a file: its image, and its SHA-256.
type Read = Result<(Input, String), Error>;

/// What was made of a file: of each image in it, and its SHA-256.
type OfFile = Result<(Vec<Result<Explained, Error>>, String), Error>;

/// The images of some files, explained, and the names of what is to be written of them.
type Claimed<'f> = Vec<(&'f Path, Result<(Vec<Result<Explained, Error>>, String, Claim), Error>)>;

impl Pipeline<'_> {
    /// What decides the results of an image, but for the image: two runs of which this is the same have the same results.
    pub fn run(&self) -> String {
        let about = self.explainer.about();
        let labels = about.labels.as_ref().map(Labels::names);
        let all = json!([
            env!("CARGO_PKG_VERSION"),
            about.model_sha256,
            about.engine_version,
            self.explainer.preprocess(),
            labels,
            self.fuse.map(|how| how.to_string()),
            self.pictures,
            self.spec,
        ]);
        fingerprint(&all)
    }

    /// Explains the images in `files` and writes the results into `folder`; `each` is told what came of each file, in their
    /// order. A file that fails spoils no other. Of methods of several runs, `watch` is told how far they are.
    ///
    /// # Errors
    /// [`Error::Protected`] and [`Error::Exists`] before anything is explained, where results would replace what they must
    /// not; [`Error::MissingInput`] and [`Error::Rows`] for inputs beside the image; what `each` gives.
    pub fn explain<E: From<Error>>(
        &self,
        files: &[PathBuf],
        folder: &mut Folder,
        watch: &mut dyn FnMut(Progress),
        each: &mut dyn FnMut(Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        self.explainer.are_fed(None)?;
        let names = folder.names(files, source::hash)?;
        let samples: Vec<(&Path, &str)> =
            files.iter().map(PathBuf::as_path).zip(names.iter().map(String::as_str)).collect();
        let together = self.explainer.together();
        // While some are explained, the next are read and those before are written.
        std::thread::scope(|scope| {
            let (send, reads) = mpsc::sync_channel::<Vec<Read>>(0);
            let parts = samples.chunks(together);
            scope.spawn(move || {
                for part in parts {
                    let read = part.par_iter().map(|(file, _)| source::read(file)).collect();
                    if send.send(read).is_err() {
                        return;
                    }
                }
            });
            let (mut seen, mut waiting) = (0, Claimed::new());
            for (part, read) in samples.chunks(together).zip(reads) {
                let (made, written) = std::thread::scope(|scope| {
                    let folder = &*folder;
                    let before = std::mem::take(&mut waiting);
                    let writing = scope.spawn(move || self.write_all(before, folder));
                    let made = self.explained(part, read, &mut seen, watch);
                    (made, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                });
                written.into_iter().try_for_each(&mut *each)?;
                // Names are given in the order of the files, whoever is done first.
                for (made, (file, name)) in made.into_iter().zip(part) {
                    let claimed = made.and_then(|(images, hash)| {
                        let claim = folder.claim(name, &self.suffixes(&images), &hash)?;
                        Ok((images, hash, claim))
                    });
                    if claimed.is_err() {
                        folder.forget(name);
                    }
                    waiting.push((*file, claimed));
                }
            }
            self.write_all(waiting, folder).into_iter().try_for_each(&mut *each)?;
            Ok(self.explainer.are_fed(Some(seen))?)
        })
    }

    /// Explains files that were read; `seen` counts the images, those of files before too.
    fn explained(
        &self,
        files: &[(&Path, &str)],
        read: Vec<Read>,
        seen: &mut usize,
        watch: &mut dyn FnMut(Progress),
    ) -> Vec<OfFile> {
        let (mut all, mut samples): (_, Vec<Sample>) = (Vec::new(), Vec::new());
        let first = *seen;
        for (read, (file, _)) in read.into_iter().zip(files) {
            let of_file = read.and_then(|(input, hash)| {
                let of_file = self.explainer.samples(&file.to_string_lossy(), input)?;
                Ok((of_file, hash))
            });
            all.push(of_file.map(|(of_file, hash)| {
                let count = of_file.len();
                // Inputs beside the image have their rows in the order of the images.
                let rows = *seen..;
                samples.extend(of_file.into_iter().zip(rows).map(|(sample, row)| sample.with_row(row)));
                *seen += count;
                (count, hash)
            }));
            // The row of a file that failed counts all the same.
            *seen += usize::from(all.last().is_some_and(Result::is_err));
        }
        let mut watch = Watch::new(|p| watch(Progress { sample: first + p.sample, ..p }));
        let mut made = self.explainer.explain(&samples, &mut watch).into_iter();
        let mut of_file = |(count, hash): (usize, String)| {
            let mut images: Vec<_> = made.by_ref().take(count).collect();
            match images.pop() {
                Some(Err(error)) if images.is_empty() => Err(error),
                last => Ok((images.into_iter().chain(last).collect(), hash)),
            }
        };
        all.into_iter().map(|one: Result<_, Error>| of_file(one?)).collect()
    }

    fn write_all<'f>(&self, files: Claimed<'f>, folder: &Folder) -> Vec<Outcome<'f>> {
        let write = |(file, claimed): (&'f Path, Result<_, Error>)| {
            let images = claimed.and_then(|(images, hash, claim): (_, String, Claim)| {
                self.write(images, (file, &hash), &claim, folder)
            });
            Outcome { file, images }
        };
        files.into_par_iter().map(write).collect()
    }

    /// What tells the results of one file apart: image, class, layer.
    fn suffixes(&self, images: &[Result<Explained, Error>]) -> Vec<String> {
        let mut suffixes = Vec::new();
        for (n, of_image) in images.iter().enumerate().filter_map(|(n, made)| Some((n, made.as_ref().ok()?))) {
            let (classes, layers) = (of_image.classes().len(), of_image.layers());
            let image = if images.len() > 1 { format!("-{n}") } else { String::new() };
            for rank in 0..classes {
                let class = if classes > 1 { format!("-{}", rank + 1) } else { String::new() };
                let layer = |i: usize| if layers > 1 { format!("-layer{}", i + 1) } else { String::new() };
                suffixes.extend((0..layers).map(|i| format!("{image}{class}{}", layer(i))));
                suffixes.extend(self.fuse.map(|_| format!("{image}{class}-fused")));
            }
        }
        suffixes
    }

    /// Writes what was made of the images in one file, in the order of [`Self::suffixes`].
    fn write(
        &self,
        images: Vec<Result<Explained, Error>>,
        (file, sha256): (&Path, &str),
        claim: &Claim,
        folder: &Folder,
    ) -> Result<Vec<Result<Vec<Written>, Error>>, Error> {
        let mut bases = claim.bases.iter();
        let mut put =
            |map: &ArrayD<f32>, picture: Option<Result<RgbImage, Error>>, record: &dyn Fn(Files, Mark) -> Record| {
                let base = bases.next().ok_or_else(|| Error::Argument("a result has no name".into()))?;
                let mut parts = vec![("npy", npy(map)?)];
                let mut files = Files { map: record::path(&part_of(base, "npy")), ..Files::default() };
                match picture {
                    Some(Ok(picture)) => {
                        parts.push(("png", png(&picture)?));
                        files.overlay = Some(record::path(&part_of(base, "png")));
                    }
                    // There is a map all the same.
                    Some(Err(Error::Argument(why))) => files.no_overlay = Some(why),
                    Some(Err(error)) => return Err(error),
                    None => {}
                }
                let record = record(files, folder.mark(&claim.sample));
                parts.push(("json", record.to_json()?));
                put(base, &parts)?;
                Ok(record)
            };
        let mut all = Vec::new();
        for (index, of_image) in images.into_iter().enumerate() {
            let of_image = match of_image {
                Ok(made) => made,
                Err(error) => {
                    all.push(Err(error));
                    continue;
                }
            };
            let (of, mut written) = (Origin::new(file, Some(sha256), Some(index)), Vec::new());
            let layers = of_image.layers();
            let mut of_image = of_image.into_maps().into_iter();
            while of_image.len() > 0 {
                let of_class: Vec<Explanation> = of_image.by_ref().take(layers).collect();
                let fused =
                    self.fuse.map(|how| Ok::<_, Error>((how, fuse(&of_class.iter().collect::<Vec<_>>(), how)?)));
                let fused = fused.transpose()?.zip(of_class.first().cloned());
                for e in of_class {
                    let record = |files, mark| Record::map(&e, self.explainer, of.clone(), self.spec, files, mark);
                    let record = put(&e.map, self.pictures.then(|| e.overlay(self.signed, &self.style(&e))), &record)?;
                    let thumbnail =
                        self.thumbnails.then(|| e.thumbnail(self.signed, &self.style(&e), SIDE)).transpose();
                    let thumbnail = thumbnail.ok().flatten().map(|picture| jpeg(&picture)).transpose()?;
                    written.push(Written { made: Made::Map(e.into()), record, thumbnail });
                }
                if let Some(((how, fused), first)) = fused {
                    let record = |files, mark| Record::fused((&fused, how), &first, of.clone(), self.spec, files, mark);
                    let record = put(
                        &fused.map,
                        self.pictures.then(|| fused.overlay(&self.style_of_fused(&fused, &first))),
                        &record,
                    )?;
                    written.push(Written { made: Made::Fused(Box::new(fused)), record, thumbnail: None });
                }
            }
            all.push(Ok(written));
        }
        claim.clear();
        Ok(all)
    }

    fn style(&self, e: &Explanation) -> Style {
        Style { title: e.unit(), caption: e.caption(), ..self.style.clone() }
    }

    fn style_of_fused(&self, fused: &Fused, first: &Explanation) -> Style {
        let (name, method, how, layers) = (first.name(), first.shared.method.title, fused.how, fused.layers.len());
        Style {
            title: "for the eye, without a unit".into(),
            caption: format!("{name} · {method} · {how} of {layers} layers, each divided by its maximum"),
            range: Some((0.0, 1.0)),
            ..self.style.clone()
        }
    }
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(picture);
    written.map_err(|error| Error::Argument(format!("the picture cannot be written: {error}")))?;
    Ok(bytes)
}
