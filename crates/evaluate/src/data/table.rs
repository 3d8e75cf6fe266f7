//! A table: a CSV file with a row for each object.

use super::annotation::rectangle;
use super::example::{Example, Object, Region};
use super::files::{Files, broken};
use super::options::Options;
use super::{DataSet, Format, read, rle, short};
use crate::Error;
use hirescam::photo::Photo;
use std::collections::{BTreeSet, HashMap};

pub(super) const TABLE: Format = Format {
    name: "table",
    title: "a table",
    expects: "a CSV file with the columns image and class, and for where the object lies left, top, right, bottom (pixels, the first from 0 to 1), or mask (a file), or rle (COCO's run lengths); also difficult, truncated, crowd (0 or 1); a row for each object, files relative to the table",
    takes: &["images"],
    of_file: true,
    recognise: |files| files.given.as_ref().is_some_and(|name| is_table(name)),
    open,
};

/// The columns that a table may have.
const COLUMNS: [&str; 11] =
    ["image", "class", "left", "top", "right", "bottom", "mask", "rle", "difficult", "truncated", "crowd"];

fn is_table(name: &str) -> bool {
    let lower = name.to_lowercase();
    [".csv", ".tsv"].iter().any(|ending| lower.ends_with(ending))
}

/// A row, with its line in the file.
struct Line {
    line: u64,
    /// In the order of [`COLUMNS`]; empty where there is nothing.
    cells: [String; 11],
    /// What is wrong with the row as such.
    wrong: Option<String>,
}

struct Table {
    title: String,
    files: Files,
    name: String,
    photos: Files,
    classes: Vec<String>,
    ids: Vec<String>,
    /// By image.
    lines: Vec<Vec<Line>>,
}

fn open(files: &Files, options: &Options) -> Result<Box<dyn DataSet>, Error> {
    let Some(name) = files.given.clone() else {
        return broken(files.path(""), format!("a table is a file: {}", TABLE.expects));
    };
    let text = files.text(&name)?;
    let fail = |because: String| Error::Data { path: files.path(&name), because };
    let header = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|d| header.bytes().filter(|b| b == d).count());
    let mut reader = csv::ReaderBuilder::new();
    reader.flexible(true).trim(csv::Trim::All).delimiter(delimiter.unwrap_or(b','));
    let mut reader = reader.from_reader(text.as_bytes());
    let header: Vec<String> =
        reader.headers().map_err(|e| fail(e.to_string()))?.iter().map(str::to_lowercase).collect();
    let mut columns = Vec::new();
    for column in &header {
        let Some(at) = COLUMNS.iter().position(|known| known == column) else {
            let near = hirescam::core::near(column, COLUMNS);
            let hint = match near.as_slice() {
                [] => format!("; there are: {}", COLUMNS.join(", ")),
                near => format!("; did you mean {}?", near.join(" or ")),
            };
            return Err(fail(format!("there is no column {:?}{hint}", short(column))));
        };
        if columns.contains(&at) {
            return Err(fail(format!("the column {column} comes twice")));
        }
        columns.push(at);
    }
    if let Some((_, missing)) = COLUMNS.iter().enumerate().take(2).find(|(at, _)| !columns.contains(at)) {
        return Err(fail(format!("there is no column {missing}, which a table has to have")));
    }
    let corners = (2..6).filter(|at| columns.contains(at)).count();
    if corners != 0 && corners != 4 {
        return Err(fail("a box takes all four of left, top, right and bottom".into()));
    }
    let (mut ids, mut lines, mut place): (Vec<String>, Vec<Vec<Line>>, HashMap<String, usize>) = Default::default();
    for record in reader.records() {
        let record = record.map_err(|e| fail(e.to_string()))?;
        let mut cells: [String; 11] = Default::default();
        for (at, cell) in columns.iter().zip(record.iter()) {
            if let Some(to) = cells.get_mut(*at) {
                *to = cell.to_owned();
            }
        }
        let wrong = (record.len() != columns.len())
            .then(|| format!("it has {} cells, the table {} columns", record.len(), columns.len()));
        let line = record.position().map_or(0, csv::Position::line);
        let [image, ..] = &cells;
        if image.is_empty() {
            return Err(fail(format!("line {line} names no image")));
        }
        let at = *place.entry(image.clone()).or_insert_with(|| {
            ids.push(image.clone());
            lines.push(Vec::new());
            ids.len() - 1
        });
        if let Some(of_image) = lines.get_mut(at) {
            of_image.push(Line { line, cells, wrong });
        }
    }
    let classes: BTreeSet<String> =
        lines.iter().flatten().map(|l| l.cells[1].clone()).filter(|c| !c.is_empty()).collect();
    let photos = match &options.images {
        Some(folder) => Files::open(folder)?,
        None => files.within(""),
    };
    let title = format!("{}, {}", TABLE.title, files.path(&name).display());
    Ok(Box::new(Table {
        title,
        files: files.clone(),
        name,
        photos,
        classes: classes.into_iter().collect(),
        ids,
        lines,
    }))
}

impl Table {
    fn object(&self, line: &Line, photo: &Photo) -> Result<Option<Object>, Error> {
        let fail = |because: String| Error::Data {
            path: self.files.path(&self.name),
            because: format!("line {}: {because}", line.line),
        };
        if let Some(wrong) = &line.wrong {
            return Err(fail(wrong.clone()));
        }
        let [_, class, left, top, right, bottom, mask, rle, difficult, truncated, crowd] = &line.cells;
        let corners = [left, top, right, bottom];
        let boxed = corners.iter().any(|cell| !cell.is_empty());
        if class.is_empty() {
            if boxed || !mask.is_empty() || !rle.is_empty() {
                return Err(fail("it says where something lies, and not of which class it is".into()));
            }
            return Ok(None);
        }
        let class = self.classes.binary_search(class).map_err(|_| fail(format!("there is no class {class:?}")))?;
        let region = match (boxed, mask.as_str(), rle.as_str()) {
            (false, "", "") => None,
            (true, "", "") => {
                let mut numbers = [0.0; 4];
                for ((to, cell), name) in numbers.iter_mut().zip(corners).zip(COLUMNS.into_iter().skip(2)) {
                    *to = cell.parse().map_err(|_| fail(format!("{name} is {:?} and no number", short(cell))))?;
                }
                Some(rectangle(numbers, photo).map_err(fail)?)
            }
            (false, name, "") => {
                let mask = read::nonzero(&self.files, name)?;
                read::same_size(&self.files, name, mask.dim(), photo)?;
                Some(Region::Mask(mask))
            }
            (false, "", text) => {
                let counts: Result<Vec<u64>, String> =
                    match text.bytes().all(|b| b.is_ascii_digit() || b == b' ') && text.contains(' ') {
                        true => text
                            .split_whitespace()
                            .map(|n| n.parse::<u64>().map_err(|_| format!("{n:?} is no run length")))
                            .collect(),
                        false => rle::counts(text),
                    };
                let (height, width) = (photo.height() as usize, photo.width() as usize);
                Some(Region::Mask(counts.and_then(|counts| rle::mask(&counts, height, width)).map_err(fail)?))
            }
            _ => return Err(fail("it says in several ways where the object lies".into())),
        };
        let flag = |name: &str, cell: &str| match cell {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            other => Err(fail(format!("{name} is {:?} instead of 0 or 1", short(other)))),
        };
        Ok(Some(Object {
            class,
            region,
            difficult: flag("difficult", difficult)?,
            truncated: flag("truncated", truncated)?,
            crowd: flag("crowd", crowd)?,
        }))
    }
}

impl DataSet for Table {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn read(&self, index: usize) -> Result<Example, Error> {
        let Some((id, lines)) = self.ids.get(index).zip(self.lines.get(index)) else {
            return super::no_image(index, self.ids.len());
        };
        let photo = read::photo(&self.photos, id)?;
        let masks = lines.iter().filter(|line| !line.cells[6].is_empty() || !line.cells[7].is_empty()).count();
        read::affordable(masks, &photo).or_else(|because| broken(self.photos.path(id), because))?;
        let mut objects = Vec::new();
        for line in lines {
            objects.extend(self.object(line, &photo)?);
        }
        Ok(Example { photo, objects, void: None })
    }
}
