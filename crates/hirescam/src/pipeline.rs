//! Many images through one explainer: read, explained, drawn and written a few at a time, so that memory stays bounded.

use crate::error::Error;
use crate::explainer::{Explainer, Input};
use crate::explanation::Explanation;
use crate::fusion::{Fuse, Fused, fuse};
use crate::labels::Labels;
use crate::methods::Progress;
use crate::overlay::Style;
use crate::record::{self, Origin};
use crate::sink::{Claim, Folder, fingerprint, part_of, png, put};
use crate::source;
use crate::spec::Spec;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use ndarray::ArrayD;
use ndarray_npy::WriteNpyExt;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// No more files are held in memory at a time.
const MOST_TOGETHER: usize = 32;

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
    /// The results of each of its images, or why there are none.
    pub images: Result<Vec<Vec<Written>>, Error>,
}

impl Outcome<'_> {
    /// What stands below the pictures of the maps.
    pub fn captions(&self) -> impl Iterator<Item = String> {
        self.images.iter().flatten().flatten().filter_map(|written| match &written.made {
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
    pub record: Value,
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

/// A file that was explained: the explanations of each image in it, and its SHA-256.
type Explained = Result<(Vec<Vec<Explanation>>, String), Error>;

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
    /// not; [`Error::Argument`] for inputs beside the image that have other rows; what `each` gives.
    pub fn explain<E: From<Error>>(
        &self,
        files: &[PathBuf],
        folder: &mut Folder,
        watch: &mut dyn FnMut(Progress),
        each: &mut dyn FnMut(Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let names = folder.names(files, source::hash)?;
        let samples: Vec<(&Path, &str)> =
            files.iter().map(PathBuf::as_path).zip(names.iter().map(String::as_str)).collect();
        // Methods of several runs tell how far they are with each image.
        let together = match self.explainer.takes_several_runs() {
            true => 1,
            false => (2 * rayon::current_num_threads()).min(MOST_TOGETHER),
        };
        let mut seen = 0;
        for part in samples.chunks(together) {
            let read: Vec<_> = part.par_iter().map(|(file, _)| source::read(file)).collect();
            let explained = explained(self.explainer, seen, read, watch);
            // Names are given in the order of the files, whoever is done first.
            let claimed: Vec<_> = explained
                .into_iter()
                .zip(part)
                .map(|(made, (_, name))| {
                    let claimed = made.and_then(|(images, hash)| {
                        let claim = folder.claim(name, &self.suffixes(&images), &hash)?;
                        Ok((images, hash, claim))
                    });
                    if claimed.is_err() {
                        folder.forget(name);
                    }
                    claimed
                })
                .collect();
            let folder = &*folder;
            let written: Vec<_> = claimed
                .into_par_iter()
                .zip(part)
                .map(|(claimed, (file, _))| {
                    let (images, hash, claim) = claimed?;
                    self.write(images, (file, &hash), &claim, folder)
                })
                .collect();
            for (images, (file, _)) in written.into_iter().zip(part) {
                // The row of one that failed counts all the same.
                seen += images.as_ref().map_or(1, Vec::len);
                each(Outcome { file, images })?;
            }
        }
        Ok(self.explainer.check_rows(seen)?)
    }

    /// What tells the results of one file apart: image, class, layer.
    fn suffixes(&self, images: &[Vec<Explanation>]) -> Vec<String> {
        let layers = self.explainer.about().layers;
        let mut suffixes = Vec::new();
        for (n, of_image) in images.iter().enumerate() {
            let image = if images.len() > 1 { format!("-{n}") } else { String::new() };
            for rank in 0..of_image.len().div_ceil(layers) {
                let class = if of_image.len() > layers { format!("-{}", rank + 1) } else { String::new() };
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
        images: Vec<Vec<Explanation>>,
        (file, sha256): (&Path, &str),
        claim: &Claim,
        folder: &Folder,
    ) -> Result<Vec<Vec<Written>>, Error> {
        let layers = self.explainer.about().layers;
        let mut bases = claim.bases.iter();
        let mut put = |map: &ArrayD<f32>, picture: Option<Result<RgbImage, Error>>, record: Value| {
            let base = bases.next().ok_or_else(|| Error::Argument("a result has no name".into()))?;
            let mut parts = vec![("npy", npy(map)?)];
            let (mut overlay, mut no_overlay) = (Value::Null, Value::Null);
            match picture {
                Some(Ok(picture)) => {
                    parts.push(("png", png(&picture)?));
                    overlay = record::path(&part_of(base, "png"));
                }
                // There is a map all the same.
                Some(Err(Error::Argument(why))) => no_overlay = why.into(),
                Some(Err(error)) => return Err(error),
                None => {}
            }
            let files =
                [("map", record::path(&part_of(base, "npy"))), ("overlay", overlay), ("no_overlay", no_overlay)];
            let record = record::with(record::with(record, files), folder.mark(&claim.sample));
            let text = serde_json::to_string_pretty(&record).map_err(|error| Error::Argument(error.to_string()))?;
            parts.push(("json", (text + "\n").into_bytes()));
            put(base, &parts)?;
            Ok(record)
        };
        let mut all = Vec::new();
        for (index, of_image) in images.into_iter().enumerate() {
            let (of, mut written) = (Origin { file, sha256, index }, Vec::new());
            let mut of_image = of_image.into_iter().peekable();
            while of_image.peek().is_some() {
                let of_class: Vec<Explanation> = of_image.by_ref().take(layers).collect();
                let fused =
                    self.fuse.map(|how| Ok::<_, Error>((how, fuse(&of_class.iter().collect::<Vec<_>>(), how)?)));
                let fused = fused.transpose()?.zip(of_class.first().cloned());
                for e in of_class {
                    let record = record::record(&e, self.explainer, of, self.spec);
                    let record = put(&e.map, self.pictures.then(|| e.overlay(self.signed, &self.style(&e))), record)?;
                    let thumbnail =
                        self.thumbnails.then(|| e.thumbnail(self.signed, &self.style(&e), SIDE)).transpose();
                    let thumbnail = thumbnail.ok().flatten().map(|picture| jpeg(&picture)).transpose()?;
                    written.push(Written { made: Made::Map(e.into()), record, thumbnail });
                }
                if let Some(((how, fused), first)) = fused {
                    let record = record::fused(&fused, how, &first, of, self.spec);
                    let record = put(
                        &fused.map,
                        self.pictures.then(|| fused.overlay(&self.style_of_fused(&fused, &first))),
                        record,
                    )?;
                    written.push(Written { made: Made::Fused(Box::new(fused)), record, thumbnail: None });
                }
            }
            all.push(written);
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

fn npy(map: &ArrayD<f32>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    map.write_npy(&mut bytes).map_err(|error| Error::Argument(format!("the map cannot be written: {error}")))?;
    Ok(bytes)
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(picture);
    written.map_err(|error| Error::Argument(format!("the picture cannot be written: {error}")))?;
    Ok(bytes)
}

/// Explains files that were read, whose first image is the image number `first`: together, or where that fails one after the
/// other, so that one which fails keeps no other from its maps.
fn explained(
    explainer: &Explainer,
    mut first: usize,
    read: Vec<Result<(Input, String), Error>>,
    watch: &mut dyn FnMut(Progress),
) -> Vec<Explained> {
    let inputs: Option<Vec<Input>> = read.iter().map(|r| Some(r.as_ref().ok()?.0.clone())).collect();
    let inputs = inputs.filter(|inputs| inputs.len() > 1);
    let made = inputs.and_then(|inputs| explainer.explain_from(first, &inputs, watch).ok());
    let mut made = made.map(Vec::into_iter);
    let one = |read: Result<(Input, String), Error>| {
        let explained = read.and_then(|(input, hash)| match &mut made {
            Some(made) => Ok((made.by_ref().take(explainer.samples(&input)).collect::<Vec<_>>(), hash)),
            None => Ok((explainer.explain_from(first, &[input], watch)?, hash)),
        });
        // The row of one that failed counts all the same.
        first += explained.as_ref().map_or(1, |(images, _)| images.len());
        explained
    };
    read.into_iter().map(one).collect()
}
