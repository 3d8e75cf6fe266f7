//! What `explain` says of its results: all of one image, a line for each of many and a summary; and the lists of all.

use crate::error::Error;
use crate::output::{self, say};
use hirescam::pipeline::Outcome;
use hirescam::record::Record;
use hirescam::sink::{Gallery, Table};
use hirescam::summary::{self, Summary};
use std::path::Path;

/// How results are told.
pub struct Report {
    /// As JSON, a line each.
    pub json: bool,
    /// Whether there is one file only.
    pub one: bool,
    pub table: Option<Table>,
    pub gallery: Option<Gallery>,
    pub summary: Summary,
}

impl Report {
    /// Tells what came of a file. Of a single one that failed the error is given back.
    pub fn tell(&mut self, Outcome { file, images, .. }: Outcome) -> Result<(), Error> {
        let images = match images {
            Ok(images) => images,
            Err(error) => {
                if !self.one {
                    return self.failed(file, None, error);
                }
                self.note(file, None, &error)?;
                return Err(error.into());
            }
        };
        let several = images.len() > 1;
        for (index, of_image) in images.into_iter().enumerate() {
            let of_image = match of_image {
                Ok(of_image) => of_image,
                Err(error) => {
                    self.failed(file, Some(index), error)?;
                    continue;
                }
            };
            let of_image = &of_image;
            self.summary.image(of_image);
            if of_image.is_empty() {
                let nothing = Record::nothing(file, index);
                self.list(&nothing, None)?;
                if self.json {
                    output::json(&nothing)?;
                }
            }
            for written in of_image {
                self.list(&written.record, written.thumbnail.as_deref())?;
                if self.json {
                    output::json(&written.record)?;
                }
            }
            if self.json {
                continue;
            }
            match self.one && !several && !of_image.is_empty() {
                true => of_image
                    .iter()
                    .flat_map(|written| summary::lines(written, file))
                    .try_for_each(|line| say!("{line}"))?,
                false => say!("{}", summary::line(file, several.then_some(index), of_image))?,
            }
        }
        Ok(())
    }

    /// Tells of a file that failed, or of one of its images.
    fn failed(&mut self, file: &Path, index: Option<usize>, error: hirescam::Error) -> Result<(), Error> {
        self.note(file, index, &error)?;
        output::failed(file, index, &error.into());
        Ok(())
    }

    /// Writes down that a file failed, or one of its images.
    fn note(&mut self, file: &Path, index: Option<usize>, error: &hirescam::Error) -> Result<(), Error> {
        self.summary.failed(file, error);
        let failure = Record::failed(file, index, error);
        if self.json {
            output::json(&failure)?;
        }
        self.list(&failure, None)
    }

    fn list(&mut self, record: &Record, thumbnail: Option<&[u8]>) -> Result<(), Error> {
        self.table.as_mut().map_or(Ok(()), |table| table.add(record))?;
        self.gallery.as_mut().map_or(Ok(()), |gallery| gallery.add(record, thumbnail))?;
        Ok(())
    }

    /// Ends the lists, and sums up where there was more than one image; how many files failed. `replaced` is how many results
    /// took the place of those of the same run before, in the folder `out`.
    pub fn end(self, out: &Path, replaced: usize) -> Result<usize, Error> {
        let lines = self.summary.lines();
        self.table.map_or(Ok(()), Table::finish)?;
        self.gallery.map_or(Ok(()), |gallery| gallery.finish(&lines))?;
        if !self.json {
            if !self.one || self.summary.images() > 1 {
                say!("")?;
                lines.iter().try_for_each(|line| say!("{line}"))?;
                say!("  overlays, maps and records: {}", out.display())?;
            }
            if replaced > 0 {
                say!("  replaced the same results of an earlier run: {replaced}")?;
            }
        }
        Ok(self.summary.failures())
    }
}
