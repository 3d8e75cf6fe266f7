//! What `explain` says of its results: all of one image, a line for each of many and a summary; and the lists of all.

use crate::error::Error;
use crate::output::{self, say};
use hirescam::pipeline::{Outcome, Written};
use hirescam::record::Record;
use hirescam::sink::{Gallery, Table};
use hirescam::summary::{self, Failed, Summary};
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
            let nothing = of_image.is_empty();
            let (mut made, mut failed) = (Vec::new(), Vec::new());
            of_image.into_iter().for_each(|one| match one {
                Ok(written) => made.push(written),
                Err(error) => failed.push(error),
            });
            if nothing || !made.is_empty() {
                self.image(file, (index, several), &made)?;
            }
            let what = if made.len() + failed.len() > 1 { Failed::Result } else { Failed::Image };
            failed.into_iter().try_for_each(|error| self.failed(file, Some((index, what)), error))?;
        }
        Ok(())
    }

    /// Tells what was written of an image: which of its file it is, and whether that has several.
    fn image(&mut self, file: &Path, (index, several): (usize, bool), made: &[Written]) -> Result<(), Error> {
        self.summary.image(made);
        if made.is_empty() {
            let nothing = Record::nothing(file, index);
            self.list(&nothing, None)?;
            if self.json {
                output::json(&nothing)?;
            }
        }
        for written in made {
            self.list(&written.record, written.thumbnail.as_deref())?;
            if self.json {
                output::json(&written.record)?;
            }
        }
        if self.json {
            return Ok(());
        }
        match self.one && !several && !made.is_empty() {
            true => made.iter().flat_map(|written| summary::lines(written, file)).try_for_each(|line| say!("{line}")),
            false => say!("{}", summary::line(file, several.then_some(index), made)),
        }
    }

    /// Tells of a file that failed, or of what failed of one of its images.
    fn failed(&mut self, file: &Path, of: Option<(usize, Failed)>, error: hirescam::Error) -> Result<(), Error> {
        self.note(file, of, &error)?;
        output::failed(file, of.map(|(index, _)| index), &error.into());
        Ok(())
    }

    /// Writes down that a file failed, or what failed of one of its images.
    fn note(&mut self, file: &Path, of: Option<(usize, Failed)>, error: &hirescam::Error) -> Result<(), Error> {
        self.summary.failed(file, of.map_or(Failed::File, |(_, what)| what), error);
        let failure = Record::failed(file, of.map(|(index, _)| index), error);
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

    /// Whether nothing was told yet.
    pub fn is_empty(&self) -> bool {
        self.summary.images() + self.summary.failures() == 0
    }

    /// Ends the lists, and sums up where there was more than one image; how many files, images and results failed.
    /// `replaced` is how many results took the place of those of the same run before, in the folder `out`.
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
