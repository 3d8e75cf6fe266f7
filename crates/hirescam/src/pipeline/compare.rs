//! Many images through one comparison of methods.

use super::in_all;
use super::stream::{Work, stream};
use crate::comparison::{Comparer, Comparison};
use crate::error::Error;
use crate::overlay::Style;
use crate::record::{Origin, Record};
use crate::sample::{Input, Sample};
use crate::sink::{Claim, Folder, fingerprint, part_of, png, put};
use crate::watch::Progress;
use std::path::{Path, PathBuf};

/// How methods are compared on images, and what is written of them.
pub struct Comparing<'a> {
    /// What compares them.
    pub comparer: &'a Comparer,
    /// How the pictures look; title and caption are made here.
    pub style: Style,
}

/// A comparison, and what was written of it.
#[non_exhaustive]
pub struct WrittenComparison {
    /// The methods side by side.
    pub comparison: Comparison,
    /// Its record.
    pub record: Record,
    /// The picture of all, or why there is none.
    pub picture: Result<PathBuf, String>,
}

impl Comparing<'_> {
    /// What decides the results of an image, but for the image: two runs of which this is the same have the same results.
    pub fn run(&self) -> String {
        fingerprint(&self.comparer.decides())
    }

    /// Compares the methods on each of `files` and writes the results into `folder`; `each` is told what came of each file, in
    /// their order. A file that fails spoils no other. `watch` is told the method that runs and how far it is.
    ///
    /// # Errors
    /// As those of [`Pipeline::explain`](super::Pipeline::explain).
    pub fn compare<E: From<Error>>(
        &self,
        files: &[PathBuf],
        folder: &mut Folder,
        watch: &mut dyn FnMut(&str, Progress),
        each: &mut dyn FnMut(&Path, Result<WrittenComparison, Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.comparer.are_fed(None)?;
        let seen = stream(self, files, folder, watch, each)?;
        Ok(self.comparer.are_fed(Some(seen))?)
    }
}

impl Work for Comparing<'_> {
    type Made = Comparison;
    type Written = WrittenComparison;

    fn together(&self) -> usize {
        self.comparer.together()
    }

    fn make(
        &self,
        read: Vec<(&Path, Result<Input, Error>)>,
        seen: &mut usize,
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Vec<Result<Comparison, Error>> {
        let first = *seen;
        *seen += read.len();
        let (mut samples, mut failed) = (Vec::new(), Vec::new());
        for (row, (file, input)) in (first..).zip(read) {
            let sample = input.map(|input| Sample::new(file.to_string_lossy(), input).with_row(row));
            failed.push(sample.map(|sample| samples.push(sample)).err());
        }
        let mut watch = |title: &str, p: Progress| watch(title, in_all(&samples, p));
        let mut made = self.comparer.compare(&samples, &mut watch).into_iter();
        let one = |failed: Option<Error>| match failed {
            Some(error) => Err(error),
            None => made.next().unwrap_or(Err(Error::Cancelled)),
        };
        failed.into_iter().map(one).collect()
    }

    fn suffixes(&self, _: &Comparison) -> Vec<String> {
        vec!["-compared".into()]
    }

    fn write(
        &self,
        comparison: Comparison,
        (file, sha256): (&Path, &str),
        claim: &Claim,
        folder: &Folder,
    ) -> Result<WrittenComparison, Error> {
        let base = claim.bases.first().ok_or_else(|| Error::Argument("a result has no name".into()))?;
        let (look, mut parts) = (&self.comparer.spec().picture, Vec::new());
        let picture = match comparison.picture(look.signed, look.scale, &self.style) {
            Ok(drawn) => {
                parts.push(("png", png(&drawn)?));
                Ok(part_of(base, "png"))
            }
            // Tensors and maps of other than two axes have no picture.
            Err(Error::Argument(why)) => Err(why),
            Err(error) => return Err(error),
        };
        let origin = Origin::new(file, Some(sha256), Some(0));
        let drawn = picture.as_deref().map_err(Clone::clone);
        let record = Record::comparison(&comparison, origin, drawn, folder.mark(&claim.sample));
        parts.push(("json", record.to_json()?));
        put(base, &parts)?;
        claim.clear();
        Ok(WrittenComparison { comparison, record, picture })
    }
}
