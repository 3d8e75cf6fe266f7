//! A page of all images: each with its picture, class, score, sum and verdict. It holds all it shows and asks for nothing from
//! elsewhere; a browser draws only the pictures that are looked at.

use super::{Protected, Whole, claim, fields};
use crate::error::Error;
use crate::html::{self, base64, escape};
use crate::record::Record;
use crate::summary::share;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// An HTML page that grows by a picture at a time.
pub struct Gallery(Whole);

impl Gallery {
    /// Begins the page at `path`; `title` says of what it is.
    ///
    /// # Errors
    /// As [`claim`], and [`Error::File`] when it cannot be written.
    pub fn create(path: &Path, title: &str, protected: &mut Protected, overwrite: bool) -> Result<Self, Error> {
        claim(path, protected, overwrite, html::is_ours)?;
        let mut gallery = Gallery(Whole::create(path)?);
        let start = html::start(title);
        gallery.put(&format!("{start}<h1>{}</h1>\n<div class=\"pictures wider\">\n", escape(title)))?;
        Ok(gallery)
    }

    /// Adds a result or a failure; `picture` is a JPEG file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn add(&mut self, record: &Record, picture: Option<&[u8]>) -> Result<(), Error> {
        let record = &fields(record)?;
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let number = |key: &str| record.get(key).and_then(Value::as_f64);
        let file = text("image").unwrap_or_default();
        let index = record.get("image_index").and_then(Value::as_u64).filter(|&n| n > 0);
        let file = index.map_or(file.to_owned(), |n| format!("{file} [{n}]"));
        let class = text("explained").or(text("name")).or(text("label")).map(str::to_owned);
        let mut lines: Vec<String> = Vec::new();
        lines.extend(number("score").map(|score| format!("score {score:.4}")));
        lines.extend(number("probability").map(|p| format!("probability {:.1} %", 100.0 * p)));
        let scale = record.get("scale").and_then(Value::as_u64).unwrap_or(1) as usize;
        let share = share(number("share_of_score"), number("other_tokens").is_some(), scale);
        lines
            .extend(number("sum").filter(|_| number("residual").is_some()).map(|sum| format!("Σ map {sum:.4}{share}")));
        lines.extend(text("verdict").map(|verdict| verdict.to_owned()));
        lines.extend(text("fused").map(|how| format!("{how} of several layers, for the eye")));
        lines.extend(text("nothing").map(str::to_owned));
        lines.extend(text("layer").map(|layer| format!("at {layer}")));
        lines.extend(text("no_overlay").filter(|_| picture.is_none()).map(|why| format!("no picture: {why}")));
        lines.extend(record.pointer("/error/text").and_then(Value::as_str).map(|why| format!("failed: {why}")));
        let picture = picture.map_or(String::new(), |jpeg| {
            let alt = format!("{}: {}", file, class.as_deref().unwrap_or_default());
            format!(
                "<img loading=\"lazy\" decoding=\"async\" alt=\"{}\" src=\"data:image/jpeg;base64,{}\" />\n",
                escape(&alt),
                base64(jpeg)
            )
        });
        let class =
            class.map_or(String::new(), |class| format!("<strong><bdi>{}</bdi></strong><br />", escape(&class)));
        self.put(&format!(
            "<figure>\n{picture}<figcaption>{class}{}<br /><bdi>{}</bdi></figcaption>\n</figure>\n",
            escape(&lines.join(" · ")),
            escape(&file).replace('/', "/<wbr />"),
        ))
    }

    /// Ends the page with `lines` about the whole, and puts it in its place.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn finish(mut self, lines: &[String]) -> Result<(), Error> {
        let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
        self.put(&format!("</div>\n<section>\n<h2>In short</h2>\n<ul>\n{items}</ul>\n</section>\n{}", html::END))?;
        self.0.finish()
    }

    fn put(&mut self, text: &str) -> Result<(), Error> {
        let written = self.0.write_all(text.as_bytes());
        written.map_err(|error| Error::File { path: self.0.path().to_owned(), error })
    }
}
