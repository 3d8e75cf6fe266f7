//! Data sets: images with what is known of them.
//!
//! A [`DataSet`] knows the names of its images and reads one at a time, so that none of them need fit into memory. What an image
//! shows is a list of [`Object`]s, each of a class, with the places that it takes up. [`open`] reads any of [`FORMATS`].
//!
//! ```no_run
//! use hirescam_evaluate::data::{Options, open};
//!
//! let voc = open("VOCdevkit/VOC2012".as_ref(), &Options { split: Some("val".into()), ..Options::default() })?;
//! let example = voc.read(0)?;
//! for class in example.classes() {
//!     println!("{}: {:?} of the image", voc.classes()[class], example.object_share(class));
//! }
//! # Ok::<(), hirescam_evaluate::Error>(())
//! ```

mod annotation;
mod coco;
mod example;
mod files;
mod folders;
mod imagenet;
mod masks;
mod names;
mod options;
mod polygon;
mod read;
mod rle;
mod table;
mod voc;

pub use example::{Example, Object, Region};
pub(crate) use names::folded;
pub use options::{Duplicates, Options, Present, Truth};

use crate::Error;
use files::{Files, broken};
use std::fmt::Write;
use std::path::Path;

/// Images with what is known of them.
pub trait DataSet: Send + Sync {
    /// What it is, for people: the format and where it lies.
    fn title(&self) -> String;

    /// The names of its classes.
    fn classes(&self) -> &[String];

    /// The names of its images, in its own order.
    fn ids(&self) -> &[String];

    /// Reads the image number `index`, and what is known of it. After an error the others can be read as before.
    ///
    /// # Errors
    /// [`Error::Data`] where a file is missing, broken, or does not go with the others.
    fn read(&self, index: usize) -> Result<Example, Error>;

    /// What there is to know of it beside, a sentence each: what was left out, what was counted twice.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// A way in which data sets are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name in options.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What has to lie there.
    pub expects: &'static str,
    /// Which of the fields of [`Options`] count for it, beside `format`.
    pub takes: &'static [&'static str],
    /// Whether it is a file that is named, or can be.
    of_file: bool,
    recognise: fn(&Files) -> bool,
    open: fn(&Files, &Options) -> Result<Box<dyn DataSet>, Error>,
}

/// All formats, in the order in which they are tried where none is named.
pub const FORMATS: &[Format] =
    &[voc::VOC, voc::SBD, coco::COCO, table::TABLE, imagenet::IMAGENET, masks::MASKS, folders::FOLDERS];

/// Opens the data set at `path`: a folder, a tar archive (which is not unpacked), or a file that names the others.
///
/// # Errors
/// [`Error::NotFound`] for a format that there is not; [`Error::Argument`] for options that mean nothing to the format;
/// [`Error::Data`] where there is nothing that any format knows, or not what the format needs.
pub fn open(path: &Path, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let files = Files::open(path)?;
    let formats = match &options.format {
        Some(name) => std::slice::from_ref(format(name)?),
        None => FORMATS,
    };
    let (format, files) = match (recognise(&files, formats, options)?, formats) {
        (Some(found), _) => found,
        // What it misses, it says best itself.
        (None, [format]) => (format, files),
        (None, _) => {
            let mut because = "no data set was recognised here. What can be read:".to_owned();
            for Format { name, expects, .. } in FORMATS {
                // Writing to a string cannot fail.
                let _ = write!(because, "\n  {name}: {expects}");
            }
            return broken(path.to_owned(), because);
        }
    };
    if let Some(other) = options.given().into_iter().find(|field| !format.takes.contains(field)) {
        let takes = format.takes.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        return Err(Error::Argument(format!(
            "`{other}` means nothing to data of the format {}, which takes {takes}",
            format.name
        )));
    }
    let data = (format.open)(&files, options)?;
    if data.ids().is_empty() {
        return broken(path.to_owned(), format!("there are no images in this data set ({})", format.title));
    }
    Ok(data)
}

/// The format of what lies there, or in the one folder that archives like to put around everything.
fn recognise<'a>(
    files: &Files,
    formats: &'a [Format],
    options: &Options,
) -> Result<Option<(&'a Format, Files)>, Error> {
    const DEEPEST: usize = 3;
    let mut here = files.clone();
    for _ in 0..DEEPEST {
        let mut fitting = formats.iter().filter(|format| here.given.is_none() || format.of_file);
        if let Some(format) = fitting.find(|format| (format.recognise)(&here)) {
            return Ok(Some((format, here)));
        }
        if here.given.is_some() {
            break;
        }
        match here.folders("")?.as_slice() {
            [only] if here.list("")?.is_empty() && options.split.as_ref() != Some(only) => here = here.within(only),
            _ => break,
        }
    }
    Ok(None)
}

/// The format called `name`.
///
/// # Errors
/// [`Error::NotFound`] with near names.
pub fn format(name: &str) -> Result<&'static Format, Error> {
    let missing = || Error::NotFound {
        what: "format of data",
        name: name.to_owned(),
        near: hirescam::core::near(name, FORMATS.iter().map(|f| f.name)),
    };
    FORMATS.iter().find(|f| f.name == name).ok_or_else(missing)
}

/// The formats as a table in Markdown.
pub fn table() -> String {
    let mut text = "| format | | what has to lie there | options |\n|---|---|---|---|\n".to_owned();
    for Format { name, title, expects, takes, .. } in FORMATS {
        let takes = takes.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {title} | {expects} | {takes} |");
    }
    text
}

/// The beginning of what a file says, for messages.
fn short(text: &str) -> &str {
    const LONGEST: usize = 80;
    text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Refuses an image that the data set does not have.
fn no_image<T>(index: usize, images: usize) -> Result<T, Error> {
    Err(Error::Argument(format!("there is no image {index} among {images}")))
}
