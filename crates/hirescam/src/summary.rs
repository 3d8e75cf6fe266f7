//! What came of many images, in a line each and a few sentences for all.

use crate::error::Error;
use crate::explanation::{Explanation, number, percent};
use crate::pipeline::{Made, Written};
use hirescam_core::cam::Target;
use hirescam_core::certify::{Certificate, Verdict};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// How many classes, failures and remarks are named; the others are counted.
const MOST: usize = 10;
/// What is said of an image that has no map.
pub(crate) const NOTHING: &str = "no score is above the threshold";

/// The class and its score: `espresso (score 11.4004, probability 95.1 %)`.
pub fn headline(e: &Explanation) -> String {
    // Only what the network makes into one has one.
    let probability = e.probability.map_or(String::new(), |p| format!(", probability {}", percent(p)));
    format!("{} (score {}{probability})", e.name(), number(e.score))
}

/// What was found of one image, in a line: each class with its score and what the cells of its maps add up to. `index` is which
/// image of its file it is, where that has several.
pub fn line(file: &Path, index: Option<usize>, of_image: &[Written]) -> String {
    let maps = of_image.iter().filter_map(|written| match &written.made {
        Made::Map(e) => Some(e.as_ref()),
        Made::Fused(_) => None,
    });
    let maps: Vec<_> = maps.collect();
    let place = |e: &Explanation| (e.method().name, e.layer().to_owned());
    let classes = maps.chunk_by(|a, b| a.entry == b.entry && place(a) != place(b)).map(|of_class| {
        let several =
            |of: &dyn Fn(&Explanation) -> String| of_class.iter().map(|e| of(e)).collect::<HashSet<_>>().len() > 1;
        let methods = several(&|e| e.method().name.to_owned());
        let layers = several(&|e| e.layer().to_owned());
        let sum = |e: &&Explanation| {
            let share = share(e.share(), e.other_tokens.is_some(), e.certificate().scale);
            let method = if methods { format!(" by {}", e.method().title) } else { String::new() };
            let layer = if layers { format!(" at {}", e.layer()) } else { String::new() };
            format!("{}{share}{method}{layer}", number(e.sum))
        };
        let sums: Vec<String> = of_class.iter().filter(|e| e.residual.is_some()).map(sum).collect();
        let sums = if sums.is_empty() { String::new() } else { format!(", Σ map {}", sums.join(", ")) };
        let none = of_class.iter().all(|e| e.nothing_positive().is_some());
        let none = if none { ", no cell is positive" } else { "" };
        of_class.first().map_or(String::new(), |e| headline(e)) + &sums + none
    });
    let index = index.map_or(String::new(), |index| format!(" [{index}]"));
    let classes = if of_image.is_empty() { NOTHING.into() } else { classes.collect::<Vec<_>>().join("; ") };
    format!("{}{index}: {classes}", file.display())
}

/// All that is said of a result of `file`, a line each.
pub fn lines(written: &Written, file: &Path) -> Vec<String> {
    let mut lines = match &written.made {
        Made::Map(e) => {
            let first = format!("{}: {}", file.display(), headline(e));
            let place = format!("  {} at {}", e.method().title, e.layer());
            [first, place].into_iter().chain(e.in_words().iter().map(|line| format!("  {line}"))).collect()
        }
        Made::Fused(fused) => vec![format!("  {}", fused.in_words())],
    };
    if let Some(files) = written.record.files() {
        lines.extend(files.overlay.iter().map(|file| format!("  overlay: {file}")));
        lines.extend(files.no_overlay.iter().map(|why| format!("  no picture: {why}")));
        lines.push(format!("  map: {}", files.map));
    }
    lines
}

/// How much of the score is in the map, in brackets: of Σ map, with the other tokens where there are some, over the scale.
pub(crate) fn share(share: Option<f64>, tokens: bool, scale: usize) -> String {
    let Some(share) = share else { return String::new() };
    let tokens = if tokens { "with the other tokens, " } else { "" };
    let scale = if scale > 1 { format!("divided by {scale}, ") } else { String::new() };
    format!(" ({tokens}{scale}{} of the score)", percent(share))
}

/// What is proven for every image, in a sentence; whether there are `tokens` that are not in the map.
pub(crate) fn proven(c: &Certificate, tokens: bool) -> String {
    let because = c.reason.as_ref().map_or(String::new(), |reason| format!(" because of the {reason}"));
    let sum = match (tokens, c.scale) {
        (false, 1) => "Σ map".to_owned(),
        (true, 1) => "Σ map + other tokens".to_owned(),
        (false, scale) => format!("Σ map / {scale}"),
        (true, scale) => format!("(Σ map + other tokens) / {scale}"),
    };
    let means = match c.verdict {
        Verdict::Exact if c.scale > 1 => format!(
            "the cells are {} times each place's contribution to the score; {sum} + b = score, b the same for every image",
            c.scale
        ),
        Verdict::Exact => {
            format!(
                "the cells are each place's contribution to the score; {sum} + b = score, b the same for every image"
            )
        }
        Verdict::LocallyLinear => format!(
            "the cells are contributions to the linear form that the network follows for an image; {sum} + b = score, b belongs to the image"
        ),
        Verdict::GradientOnly => {
            "a place that the score does not depend on gets 0; the cells need not add up to the score".into()
        }
        Verdict::SumOnly => {
            format!("{sum} + b = score, but the maps can show places that the network did not use")
        }
        Verdict::Unproven => "the maps can show places that the network did not use, and hide some that it did".into(),
    };
    format!("{}{because}: {means}", c.verdict)
}

/// Counts what came of many images.
#[derive(Default)]
pub struct Summary {
    images: usize,
    failed: Failures,
    target: String,
    /// Of how many images a class was the best.
    classes: Vec<(String, usize)>,
    /// Method and layer, with what is proven there.
    layers: Vec<[String; 2]>,
    /// What is said of maps, and of how many.
    remarks: Vec<(String, usize)>,
    maps: usize,
    without_picture: Vec<(String, usize)>,
    errors: Vec<(String, Failures)>,
    /// Where each text stands in these lists.
    places: HashMap<(u8, String), usize>,
}

impl Summary {
    /// Counts an image.
    pub fn image(&mut self, of_image: &[Written]) {
        self.images += 1;
        let mut first = true;
        for written in of_image {
            if let Some(why) = written.record.files().and_then(|files| files.no_overlay.as_ref()) {
                count(&mut self.without_picture, &mut self.places, 0, why.to_owned());
            }
            let Made::Map(e) = &written.made else { continue };
            self.maps += 1;
            self.target = e.target().to_string();
            // Of classes that are the same for every image there is nothing to count.
            if std::mem::take(&mut first) && matches!(e.target(), Target::Top(_)) {
                count(&mut self.classes, &mut self.places, 1, e.name());
            }
            let layer =
                [format!("{} at {}", e.method().title, e.layer()), proven(e.certificate(), e.other_tokens.is_some())];
            if !self.layers.contains(&layer) {
                self.layers.push(layer);
            }
            // The first is what is proven, with the numbers of the image.
            for remark in e.in_words().into_iter().skip(1) {
                count(&mut self.remarks, &mut self.places, 2, remark);
            }
        }
    }

    /// Counts what failed of a file.
    pub fn failed(&mut self, file: &Path, what: Failed, error: &Error) {
        let text = error.without(file);
        let at = *self.places.entry((3, text.clone())).or_insert(self.errors.len());
        if at == self.errors.len() {
            self.errors.push((text, Failures::default()));
        }
        let of_error = self.errors.get_mut(at).map(|(_, failures)| failures);
        of_error.into_iter().chain([&mut self.failed]).for_each(|failures| failures.count(what));
    }

    /// How many images were explained.
    pub fn images(&self) -> usize {
        self.images
    }

    /// How many files failed, and images and results of others.
    pub fn failures(&self) -> usize {
        self.failed.all()
    }

    /// The whole, a line each.
    pub fn lines(&self) -> Vec<String> {
        let failed = if self.failed.all() > 0 { format!(", {}", self.failed) } else { String::new() };
        let mut lines = vec![format!("{} explained{failed}", counted(self.images, "image"))];
        for [place, proven] in &self.layers {
            lines.extend([format!("  {place}"), format!("  {proven}")]);
        }
        if self.maps > 0 {
            lines.push(match self.classes.is_empty() {
                true => format!("  explained: {}", self.target),
                false => format!("  best classes: {}", most(&self.classes)),
            });
        }
        let of = |n: usize| if n == self.maps { String::new() } else { format!("{n} of {} maps: ", self.maps) };
        // What is said once has numbers of its image, and stands in its record.
        let common = largest(&self.remarks).into_iter().filter(|(_, n)| *n > 1 || self.maps == 1);
        lines.extend(common.take(MOST).map(|(remark, n)| format!("  {}{remark}", of(n))));
        for (why, n) in &self.without_picture {
            lines.push(format!("  {n} without a picture: {why}"));
        }
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by_key(|(_, failures)| Reverse(failures.all()));
        lines.extend(errors.iter().take(MOST).map(|(error, failures)| format!("  {failures}: {error}")));
        if self.errors.len() > MOST {
            lines.push(format!("  and {} more reasons", self.errors.len() - MOST));
        }
        lines
    }
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failed {
    /// A whole file.
    File,
    /// One of its images.
    Image,
    /// One of several results of an image.
    Result,
}

/// How many files failed, and how many images and results of others.
#[derive(Clone, Copy, Default)]
struct Failures {
    files: usize,
    images: usize,
    results: usize,
}

impl Failures {
    fn count(&mut self, what: Failed) {
        *match what {
            Failed::File => &mut self.files,
            Failed::Image => &mut self.images,
            Failed::Result => &mut self.results,
        } += 1;
    }

    fn all(self) -> usize {
        self.files + self.images + self.results
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let counts = [("file", self.files), ("image", self.images), ("result", self.results)];
        let parts: Vec<String> = counts.into_iter().filter(|&(_, n)| n > 0).map(|(what, n)| counted(n, what)).collect();
        write!(f, "{} failed", parts.join(" and "))
    }
}

fn count(list: &mut Vec<(String, usize)>, places: &mut HashMap<(u8, String), usize>, which: u8, text: String) {
    let place = *places.entry((which, text.clone())).or_insert(list.len());
    match list.get_mut(place) {
        Some((_, n)) => *n += 1,
        None => list.push((text, 1)),
    }
}

/// The largest counts first; of equal ones the first.
fn largest(list: &[(String, usize)]) -> Vec<(String, usize)> {
    let mut sorted = list.to_vec();
    sorted.sort_by_key(|(_, n)| Reverse(*n));
    sorted
}

fn most(list: &[(String, usize)]) -> String {
    let sorted = largest(list);
    let mut shown: Vec<String> = sorted.iter().take(MOST).map(|(text, n)| format!("{text}: {n}")).collect();
    if let Some(rest) = sorted.get(MOST..).filter(|rest| !rest.is_empty()) {
        shown.push(format!("{} others: {}", rest.len(), rest.iter().map(|(_, n)| n).sum::<usize>()));
    }
    shown.join("; ")
}

/// `1 image`, `2 images`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_says_what_it_is_of() {
        assert_eq!(share(None, true, 49), "");
        assert_eq!(share(Some(0.5), false, 1), " (50.0 % of the score)");
        assert_eq!(share(Some(0.5), true, 49), " (with the other tokens, divided by 49, 50.0 % of the score)");
    }

    #[test]
    fn the_rarest_of_many_are_counted_together() {
        let mut list: Vec<(String, usize)> = (0..12).map(|i| (format!("c{i}"), i + 1)).collect();
        assert_eq!(
            most(&list),
            "c11: 12; c10: 11; c9: 10; c8: 9; c7: 8; c6: 7; c5: 6; c4: 5; c3: 4; c2: 3; 2 others: 3"
        );
        list.truncate(2);
        assert_eq!(most(&list), "c1: 2; c0: 1");
    }
}
