//! Annotations in XML, as PASCAL VOC and ImageNet write them.

use super::example::{Object, Region};
use super::files::{Files, broken};
use super::short;
use crate::Error;
use hirescam::photo::Photo;
use quick_xml::events::Event;

/// Elements within elements; VOC has five.
const DEEPEST: usize = 32;

/// What an annotation says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Annotation {
    /// Width and height of the image, where they are given.
    pub size: Option<(f64, f64)>,
    pub objects: Vec<Annotated>,
}

/// An object of an annotation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Annotated {
    pub name: String,
    pub difficult: bool,
    pub truncated: bool,
    /// `[xmin, ymin, xmax, ymax]` as they are written.
    pub corners: [f64; 4],
}

/// How corners are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Corners {
    /// The first pixel is 1, and the last belongs to the box: VOC.
    FromOne,
    /// The first pixel is 0, and the last belongs to the box: ImageNet.
    FromZero,
}

impl Annotation {
    /// Reads a file.
    pub fn read(files: &Files, name: &str) -> Result<Self, Error> {
        let text = files.text(name)?;
        parse(&text).or_else(|because| broken(files.path(name), format!("the annotation is broken: {because}")))
    }

    /// Refuses an annotation of an image of another size.
    pub fn same_size(&self, files: &Files, name: &str, photo: &Photo) -> Result<(), Error> {
        let (w, h) = (photo.width(), photo.height());
        match self.size {
            Some((width, height)) if (width, height) != (f64::from(w), f64::from(h)) => broken(
                files.path(name),
                format!(
                    "the annotation is of an image of {width}×{height} pixels (width × height), its image has {w}×{h}"
                ),
            ),
            _ => Ok(()),
        }
    }
}

impl Annotated {
    /// The object, of a class, with its box as a region of the image.
    pub fn object(&self, class: usize, count: Corners, photo: &Photo) -> Result<Object, String> {
        let [left, top, right, bottom] = self.corners;
        let (before, after) = match count {
            Corners::FromOne => (1.0, 0.0),
            Corners::FromZero => (0.0, 1.0),
        };
        let region = rectangle([left - before, top - before, right + after, bottom + after], photo)
            .map_err(|because| format!("of the {}, {because}", self.name))?;
        Ok(Object { difficult: self.difficult, truncated: self.truncated, ..Object::new(class, Some(region)) })
    }
}

/// The part of a rectangle that lies in the image.
pub(crate) fn rectangle([left, top, right, bottom]: [f64; 4], photo: &Photo) -> Result<Region, String> {
    let written = format!("the box from ({left}, {top}) to ({right}, {bottom})");
    if ![left, top, right, bottom].iter().all(|v| v.is_finite()) || left >= right || top >= bottom {
        return Err(format!("{written} holds no pixel"));
    }
    let (width, height) = (f64::from(photo.width()), f64::from(photo.height()));
    if left >= width || top >= height || right <= 0.0 || bottom <= 0.0 {
        return Err(format!("{written} lies outside of the image of {width}×{height} pixels (width × height)"));
    }
    Ok(Region::Rectangle {
        left: left.max(0.0),
        top: top.max(0.0),
        right: right.min(width),
        bottom: bottom.min(height),
    })
}

/// An annotation from its text. Entities that a file defines itself are not followed.
fn parse(text: &str) -> Result<Annotation, String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut reading = Reading::default();
    let mut rooted = false;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|e| format!("{e}, at byte {at}"))?;
        let (name, whole) = match event {
            Event::Start(start) => (start.name().as_ref().to_owned(), false),
            Event::Empty(start) => (start.name().as_ref().to_owned(), true),
            Event::End(_) => {
                reading.end(&open, content.trim())?;
                open.pop();
                content.clear();
                continue;
            }
            Event::Text(text) => {
                content.push_str(&text);
                continue;
            }
            Event::CData(text) => {
                content.push_str(&text);
                continue;
            }
            Event::GeneralRef(reference) => {
                let letter = match &*reference {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref().map_err(|e| e.to_string())?,
                };
                content.push(letter.ok_or_else(|| format!("the entity &{};, which is not followed", &*reference))?);
                continue;
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
        };
        if open.is_empty() {
            if name != "annotation" {
                return Err(format!("it begins with <{}> instead of <annotation>", short(&name)));
            }
            rooted = true;
        }
        if open.len() >= DEEPEST {
            return Err(format!("it has more than {DEEPEST} elements within each other"));
        }
        content.clear();
        open.push(name);
        reading.start(&open);
        if whole {
            reading.end(&open, "")?;
            open.pop();
        }
    }
    match open.last() {
        Some(name) => Err(format!("the file ends within <{name}>")),
        None if !rooted => Err("there is no <annotation>".into()),
        None => Ok(reading.annotation),
    }
}

#[derive(Default)]
struct Reading {
    annotation: Annotation,
    object: Annotated,
    size: [Option<f64>; 2],
    corners: [Option<f64>; 4],
}

impl Reading {
    fn start(&mut self, open: &[String]) {
        if matches!(open, [_, object] if object == "object") {
            self.object = Annotated::default();
            self.corners = [None; 4];
        }
    }

    fn end(&mut self, open: &[String], content: &str) -> Result<(), String> {
        let path: Vec<&str> = open.iter().map(String::as_str).collect();
        match *path.get(1..).unwrap_or_default() {
            ["size", "width"] => self.size[0] = optional(content),
            ["size", "height"] => self.size[1] = optional(content),
            ["size"] => self.annotation.size = self.size[0].zip(self.size[1]),
            ["object", "name"] => self.object.name = content.to_owned(),
            ["object", "difficult"] => self.object.difficult = flag("difficult", content)?,
            ["object", "truncated"] => self.object.truncated = flag("truncated", content)?,
            ["object", "bndbox", "xmin"] => self.corners[0] = Some(number("xmin", content)?),
            ["object", "bndbox", "ymin"] => self.corners[1] = Some(number("ymin", content)?),
            ["object", "bndbox", "xmax"] => self.corners[2] = Some(number("xmax", content)?),
            ["object", "bndbox", "ymax"] => self.corners[3] = Some(number("ymax", content)?),
            ["object"] => {
                let which = self.annotation.objects.len() + 1;
                let name = &self.object.name;
                if name.is_empty() {
                    return Err(format!("object {which} has no name"));
                }
                let [Some(left), Some(top), Some(right), Some(bottom)] = self.corners else {
                    return Err(format!("object {which}, {name}, has no whole box"));
                };
                self.object.corners = [left, top, right, bottom];
                self.annotation.objects.push(self.object.clone());
            }
            _ => {}
        }
        Ok(())
    }
}

/// An extent; 0 stands for one that is not known.
fn optional(content: &str) -> Option<f64> {
    content.parse().ok().filter(|v| *v > 0.0)
}

fn number(field: &str, content: &str) -> Result<f64, String> {
    let value = content.parse().ok().filter(|v: &f64| v.is_finite());
    value.ok_or_else(|| format!("{field} is {:?} and no number", short(content)))
}

fn flag(field: &str, content: &str) -> Result<bool, String> {
    match content.to_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "" | "0" | "false" | "unspecified" => Ok(false),
        other => Err(format!("{field} is {:?} instead of 0 or 1", short(other))),
    }
}
