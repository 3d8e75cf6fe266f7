//! The report of an evaluation: its rows, with what is proven of the methods on the network, and pictures of the maps to look at.

use super::methods::Methods;
use super::{Evaluation, Manifest};
use crate::Error;
use crate::data::Example;
use crate::report::{self, Certificate, Summary, Wanted};
use crate::rows::Row;
use hirescam::sink::png;
use hirescam::{Explanation, Sample};
use image::{Rgb, RgbImage};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longer side of a picture, in pixels.
const SIDE: u32 = 360;

impl Evaluation<'_> {
    /// Writes the report of the rows of the folder `out`, into it, as [`report::write`] does, with what is proven of each method at each layer, and with
    /// pictures. The few images that the report's rule chooses are read and explained once more for it, one at a time. Where `stop` is true,
    /// it goes without these.
    ///
    /// # Errors
    /// Those of [`Manifest::open`] and [`report::write`]; [`Error::Explain`] where no method can be made ready.
    pub fn report(&self, out: &Path, rows: &[Row], stop: &AtomicBool) -> Result<Summary, Error> {
        let mut manifest = Manifest::open(out)?.for_report();
        if stop.load(Ordering::Relaxed) {
            return report::write(out, &manifest, rows, None);
        }
        let methods = Methods::new(self.network, self.spec, &self.plan.methods)?;
        let again = Again { evaluation: self, order: self.order(), methods, stop };
        manifest.certificates = again.certificates(rows);
        manifest.layers = manifest.certificates.iter().map(|c| c.layer.clone()).collect();
        report::write(out, &manifest, rows, Some(&|wanted| again.picture(wanted)))
    }
}

/// What explains images of an evaluation once more.
struct Again<'a> {
    evaluation: &'a Evaluation<'a>,
    /// The positions of images in the data set.
    order: Vec<usize>,
    methods: Methods,
    stop: &'a AtomicBool,
}

impl Again<'_> {
    /// An image, with its maps of a class by some of the methods at all layers.
    fn explained(&self, methods: &[&str], index: u64, class: u64) -> Option<(Example, Vec<Explanation>)> {
        let position = self.order.get(usize::try_from(index).ok()?)?;
        let example = self.evaluation.data.read(*position).ok()?;
        let sample = Sample::from(example.photo.clone());
        let made = self.methods.explain(methods, &[(&sample, &[usize::try_from(class).ok()?])], self.stop);
        let maps = made.into_iter().flatten().flatten().flatten().flatten();
        Some((example, maps.collect()))
    }

    /// What is proven of each method at each layer: what the first map says that there is.
    fn certificates(&self, rows: &[Row]) -> Vec<Certificate> {
        let names: Vec<&str> = self.methods.names().iter().map(String::as_str).collect();
        let first = rows.iter().find(|row| row.method.is_some() && row.error.is_none());
        let explained = first.and_then(|row| self.explained(&names, row.index, row.class_index?));
        let certificate = |e: Explanation| Certificate {
            layer: e.layer().to_owned(),
            method: e.method().name.to_owned(),
            verdict: e.certificate().verdict.to_string(),
            words: e.proven(),
        };
        explained.into_iter().flat_map(|(_, maps)| maps).map(certificate).collect()
    }

    /// A map over its image, as PNG, with the outline of what the data set says to be there of the class.
    fn picture(&self, wanted: &Wanted<'_>) -> Option<Vec<u8>> {
        let (example, maps) = self.explained(&[wanted.method], wanted.index, wanted.class_index?)?;
        let map = maps.iter().find(|e| e.layer() == wanted.layer)?;
        let picture = &self.evaluation.spec.picture;
        let mut drawn = map.thumbnail(picture.signed, &picture.style().ok()?, SIDE).ok()?;
        let class = self.evaluation.data.classes().iter().position(|name| name == wanted.class);
        if let Some(class) = class {
            outline(&mut drawn, &example, class);
        }
        png(&drawn).ok()
    }
}

/// Draws the outline of a class's objects: white within, black around, to be seen on any ground.
fn outline(picture: &mut RgbImage, example: &Example, class: usize) {
    let (width, height) = picture.dimensions();
    let regions: Vec<_> =
        example.objects.iter().filter(|o| o.class == class && !o.crowd).filter_map(|o| o.region.as_ref()).collect();
    let pixel = |at: u32, of: u32, pixels: u32| (f64::from(at) + 0.5) * f64::from(pixels) / f64::from(of);
    for region in regions {
        let holds = |x: i64, y: i64| {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return false };
            let at = (pixel(y, height, example.photo.height()), pixel(x, width, example.photo.width()));
            x < width && y < height && region.holds((at.0 as usize, at.1 as usize))
        };
        for (x, y, colour) in picture.enumerate_pixels_mut() {
            let (x, y) = (i64::from(x), i64::from(y));
            let inside = holds(x, y);
            if [(-1, 0), (1, 0), (0, -1), (0, 1)].iter().any(|(right, down)| holds(x + right, y + down) != inside) {
                *colour = Rgb([if inside { 255 } else { 0 }; 3]);
            }
        }
    }
}
