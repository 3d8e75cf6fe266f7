//! Many images through one explainer: read, explained, drawn and written a few at a time, so that memory stays bounded.

mod compare;
mod stream;

pub use compare::{Comparing, WrittenComparison};

use crate::error::Error;
use crate::explained::Explained;
use crate::explainer::Explainer;
use crate::explanation::Explanation;
use crate::fusion::{Fused, fuse};
use crate::overlay::Style;
use crate::record::{self, Files, Mark, Origin, Record};
use crate::sample::{Input, Sample};
use crate::sink::{Claim, Folder, fingerprint, npy, part_of, png, put};
use crate::spec::Picture;
use crate::watch::{Progress, Watch};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use serde_json::json;
use std::path::{Path, PathBuf};
use stream::{Work, stream};

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
    /// How the pictures look; title and caption are made here.
    pub style: Style,
}

/// What came of an image file.
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The file.
    pub file: &'a Path,
    /// What came of each of its images, or why there are none.
    pub images: Result<Vec<OfImage>, Error>,
}

/// What came of an image: its results, each written or why it is not. None where no score is what the target asks for; one
/// that failed has the reason alone.
pub type OfImage = Vec<Result<Written, Error>>;

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
#[non_exhaustive]
pub struct Written {
    /// The result.
    pub made: Made,
    /// Its record.
    pub record: Record,
    /// Its picture without words, as a JPEG file, where it is to be shown and there is one.
    pub thumbnail: Option<Vec<u8>>,
}

/// What a result is.
#[non_exhaustive]
pub enum Made {
    /// A map.
    Map(Box<Explanation>),
    /// The maps of several layers in one.
    Fused(Box<Fused>),
}

impl Pipeline<'_> {
    /// What decides the results of an image, but for the image: two runs of which this is the same have the same results.
    pub fn run(&self) -> String {
        fingerprint(&json!([self.explainer.decides(), self.pictures]))
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
        let mut watch = |_: &str, progress| watch(progress);
        let mut each = |file: &Path, images| each(Outcome { file, images });
        let seen = stream(self, files, folder, &mut watch, &mut each)?;
        Ok(self.explainer.served(&[], seen)?)
    }

    fn picture(&self) -> &Picture {
        &self.explainer.spec().picture
    }

    fn style(&self, e: &Explanation) -> Style {
        Style { title: e.unit(), caption: e.caption(), ..self.style.clone() }
    }

    fn style_of_fused(&self, fused: &Fused, first: &Explanation) -> Style {
        let (name, method, how, layers) = (first.name(), first.method().title, fused.how, fused.layers.len());
        Style {
            title: "for the eye, without a unit".into(),
            caption: format!("{name} · {method} · {how} of {layers} layers, each divided by its maximum"),
            range: Some((0.0, 1.0)),
            ..self.style.clone()
        }
    }
}

/// How far the work is, counted among all images: those of files before, and those that could not be read, too.
fn in_all(samples: &[Sample], p: Progress) -> Progress {
    Progress { sample: samples.get(p.sample).and_then(|sample| sample.row).unwrap_or(p.sample), ..p }
}

/// What was made of each image of a file.
type OfFile = Vec<Result<Explained, Error>>;

impl Work for Pipeline<'_> {
    type Made = OfFile;
    type Written = Vec<OfImage>;

    fn together(&self) -> usize {
        self.explainer.together()
    }

    fn make(
        &self,
        read: Vec<(&Path, Result<Input, Error>)>,
        seen: &mut usize,
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Vec<Result<OfFile, Error>> {
        let (mut all, mut samples): (_, Vec<Sample>) = (Vec::new(), Vec::new());
        let title = self.explainer.title();
        for (file, input) in read {
            let of_file = input.and_then(|input| self.explainer.samples(&file.to_string_lossy(), input));
            all.push(of_file.map(|of_file| {
                let count = of_file.len();
                // Inputs beside the image have their rows in the order of the images.
                let rows = *seen..;
                samples.extend(of_file.into_iter().zip(rows).map(|(sample, row)| sample.with_row(row)));
                *seen += count;
                count
            }));
            // The row of a file that failed counts all the same.
            *seen += usize::from(all.last().is_some_and(Result::is_err));
        }
        let mut watch = Watch::new(|p| watch(title, in_all(&samples, p)));
        let mut made = self.explainer.explain(&samples, &mut watch).into_iter();
        let mut of_file = |count: usize| {
            let mut images: Vec<_> = made.by_ref().take(count).collect();
            match images.pop() {
                Some(Err(error)) if images.is_empty() => Err(error),
                last => Ok(images.into_iter().chain(last).collect()),
            }
        };
        all.into_iter().map(|one: Result<_, Error>| of_file(one?)).collect()
    }

    /// Image, class, method and layer.
    fn suffixes(&self, images: &OfFile) -> Vec<String> {
        let mut suffixes = Vec::new();
        for (n, of_image) in images.iter().enumerate().filter_map(|(n, made)| Some((n, made.as_ref().ok()?))) {
            let (methods, layers) = (of_image.methods(), of_image.layers());
            let (classes, several) = (of_image.classes(), of_image.classes().len() > 1);
            let image = if images.len() > 1 { format!("-{n}") } else { String::new() };
            for (rank, of_class) in classes.enumerate() {
                let class = if several { format!("-{}", rank + 1) } else { String::new() };
                for of_method in of_class.chunks(layers) {
                    let name = of_method.first().map_or("", |e| e.method().name);
                    let method = if methods > 1 { format!("-{name}") } else { String::new() };
                    let layer = |i: usize| if layers > 1 { format!("-layer{}", i + 1) } else { String::new() };
                    suffixes.extend((0..layers).map(|i| format!("{image}{class}{method}{}", layer(i))));
                    suffixes.extend(self.picture().fuse.map(|_| format!("{image}{class}{method}-fused")));
                }
            }
        }
        suffixes
    }

    fn write(
        &self,
        images: OfFile,
        (file, sha256): (&Path, &str),
        claim: &Claim,
        folder: &Folder,
    ) -> Result<Self::Written, Error> {
        let mut bases = claim.bases.iter();
        let mut all = Vec::new();
        for (index, of_image) in images.into_iter().enumerate() {
            let of_image = match of_image {
                Ok(made) => made,
                Err(error) => {
                    all.push(vec![Err(error)]);
                    continue;
                }
            };
            let (of, mut written) = (Origin::new(file, Some(sha256), Some(index)), Vec::new());
            for of_method in of_image.maps().chunks(of_image.layers()) {
                let fused = self.picture().fuse.map(|how| fuse(&of_method.iter().collect::<Vec<_>>(), how));
                let maps = of_method.iter().map(|e| Ok((Made::Map(Box::new(e.clone())), e)));
                let fused =
                    fused.into_iter().zip(of_method).map(|(fused, first)| Ok((Made::Fused(Box::new(fused?)), first)));
                for made in maps.chain(fused) {
                    // A result that fails has its name all the same.
                    let base = bases.next().ok_or_else(|| Error::Argument("a result has no name".into()));
                    let put = |(made, of_map)| self.put(made, of_map, of.clone(), base?, folder.mark(&claim.sample));
                    written.push(made.and_then(put));
                }
            }
            all.push(written);
        }
        // Where nothing was written of the only image, that is the file's own failure.
        let nothing = |of_image: &OfImage| !of_image.is_empty() && of_image.iter().all(Result::is_err);
        if all.len() == 1
            && all.iter().all(nothing)
            && let Some(Err(error)) = all.pop().and_then(|of_image| of_image.into_iter().next())
        {
            return Err(error);
        }
        claim.clear();
        Ok(all)
    }
}

impl Pipeline<'_> {
    /// Writes a result under the name `base`: a map, or that of several layers of which `of_map` is the first.
    fn put(&self, made: Made, of_map: &Explanation, of: Origin, base: &Path, mark: Mark) -> Result<Written, Error> {
        let (map, picture) = match &made {
            Made::Map(e) => (&e.map, self.pictures.then(|| e.overlay(self.picture().signed, &self.style(e)))),
            Made::Fused(fused) => {
                (&fused.map, self.pictures.then(|| fused.overlay(&self.style_of_fused(fused, of_map))))
            }
        };
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
        let record = match &made {
            Made::Map(e) => Record::map(e, of, files, mark),
            Made::Fused(fused) => Record::fused((fused, fused.how), of_map, of, files, mark),
        };
        parts.push(("json", record.to_json()?));
        let small = match &made {
            Made::Map(e) if self.thumbnails => e.thumbnail(self.picture().signed, &self.style(e), SIDE).ok(),
            _ => None,
        };
        let thumbnail = small.map(|picture| jpeg(&picture)).transpose()?;
        put(base, &parts)?;
        Ok(Written { made, record, thumbnail })
    }
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(picture);
    written.map_err(|error| Error::Argument(format!("the picture cannot be written: {error}")))?;
    Ok(bytes)
}
