//! What raters see of an item: pictures, all of one size, drawn by one rule for all arms.

use super::arms::Made;
use crate::Error;
use crate::design::Picture;
use hirescam::heatmap::{Heatmap, resize_linear};
use hirescam::overlay::{Font, Style, bare, inscribe, plain};
use hirescam::photo::Photo;
use hirescam::preprocess::Rect;
use hirescam::random::Random;
use hirescam_evaluate::panels::alike;
use image::{Rgb, RgbImage};
use ndarray::Array2;
use std::path::Path;

/// What covers a place that is not uncovered yet: the middle of the scale.
const COVER: Rgb<u8> = Rgb([128; 3]);

/// The side of the square that raters are to mark, as a share of the photo's shorter side.
const SQUARE: f64 = 0.2;

/// Maps that differ by less than this share of their largest cell are the same to the eye: less than a step of 8 bits.
const UNSEEN: f32 = 1.0 / 256.0;

/// How all pictures are drawn.
pub(super) struct Pencil {
    picture: Picture,
    style: Style,
}

impl Pencil {
    pub(super) fn new(picture: &Picture, base: &Path) -> Result<Self, Error> {
        let spec = hirescam::spec::Picture {
            colormap: picture.colormap.clone(),
            opacity: picture.opacity,
            font: picture.font.as_ref().map(|path| base.join(path)),
            ..Default::default()
        };
        Ok(Pencil { picture: picture.clone(), style: spec.style()? })
    }

    /// The photo alone.
    pub(super) fn photo(&self, photo: &Photo) -> Result<RgbImage, Error> {
        Ok(plain(photo, self.picture.side).map_err(hirescam::Error::from)?)
    }

    /// The maps over the photo, each in a picture.
    pub(super) fn maps(&self, photo: &Photo, maps: &[Made]) -> Result<Vec<RgbImage>, Error> {
        let shown: Vec<(Heatmap, Rect)> = maps.iter().map(|made| (self.shown(made), made.view)).collect();
        let shown: Vec<(&Heatmap, Rect)> = shown.iter().map(|(map, view)| (map, *view)).collect();
        Ok(alike(photo, &shown, self.picture.scale, &self.style, self.picture.side)?)
    }

    /// What of a map is shown.
    fn shown(&self, made: &Made) -> Heatmap {
        let map = made.heatmap.clone();
        if self.picture.signed { map } else { map.rectify() }
    }

    /// Whether no eye tells the maps apart.
    pub(super) fn same(&self, maps: &[Made]) -> bool {
        let shown: Vec<Array2<f32>> = maps.iter().map(|made| self.shown(made).into_values()).collect();
        let sizes = shown.iter().map(|map| map.iter().fold(0.0f32, |most, v| most.max(v.abs())));
        let sizes: Vec<f32> = match self.picture.scale {
            hirescam::overlay::Scales::Own => sizes.collect(),
            _ => vec![sizes.fold(0.0, f32::max); shown.len()],
        };
        // One arm's maps are like no other's.
        if shown.len() < 2 {
            return false;
        }
        let Some((first, size)) = shown.first().zip(sizes.first()) else { return false };
        let share = |value: f32, size: f32| if size > 0.0 { value / size } else { 0.0 };
        let like = |(other, of): (&Array2<f32>, &f32)| {
            first.dim() == other.dim()
                && first.iter().zip(other).all(|(a, b)| (share(*a, *size) - share(*b, *of)).abs() < UNSEEN)
        };
        shown.len() > 1 && shown.iter().zip(&sizes).skip(1).all(like)
    }

    /// A picture that has words in the place of a map.
    pub(super) fn words(&self, photo: &Photo, words: &str) -> Result<RgbImage, Error> {
        let nothing = Heatmap::new(Array2::zeros((1, 1))).map_err(hirescam::Error::from)?.rectify();
        let whole = Rect { x: 0.0, y: 0.0, width: photo.width().into(), height: photo.height().into() };
        let style = Style { colormap: None, ..self.style.clone() };
        let mut picture = bare(photo, whole, &nothing, &style, self.picture.side).map_err(hirescam::Error::from)?;
        self.write(&mut picture, words)?;
        Ok(picture)
    }

    /// The photo with words on it.
    pub(super) fn inscribed(&self, photo: &Photo, words: &str) -> Result<RgbImage, Error> {
        let mut picture = self.photo(photo)?;
        self.write(&mut picture, words)?;
        Ok(picture)
    }

    fn write(&self, picture: &mut RgbImage, words: &str) -> Result<(), Error> {
        let missing = self.style.missing(words).map_err(hirescam::Error::from)?;
        if !missing.is_empty() {
            return Err(Error::Design(format!(
                "items.words: no font here can write {missing:?} of {words:?}; picture.font can name one that does"
            )));
        }
        let font: Option<&Font> = self.style.font.as_ref();
        Ok(inscribe(picture, words, font).map_err(hirescam::Error::from)?)
    }

    /// The photo with a white square at a place drawn by chance; the square's `[left, top, right, bottom]` in shares of width and height.
    pub(super) fn square(&self, photo: &Photo, random: &mut Random) -> Result<(RgbImage, [f64; 4]), Error> {
        let mut picture = self.photo(photo)?;
        let (width, height) = picture.dimensions();
        let side = ((SQUARE * f64::from(width.min(height))) as u32).max(1);
        let mut at = |of: u32| random.below((of - side) as usize + 1) as u32;
        let (left, top) = (at(width), at(height));
        // A dark rim, so that it is seen on white, too.
        let rim = side.div_ceil(12);
        for (x, y) in (top..top + side).flat_map(|y| (left..left + side).map(move |x| (x, y))) {
            let inner = |at: u32, from: u32| (from + rim..(from + side).saturating_sub(rim)).contains(&at);
            let ink = if inner(x, left) && inner(y, top) { 255 } else { 0 };
            picture.put_pixel(x, y, Rgb([ink; 3]));
        }
        let share = |at: u32, of: u32| f64::from(at) / f64::from(of);
        let place = [share(left, width), share(top, height), share(left + side, width), share(top + side, height)];
        Ok((picture, place))
    }

    /// The photo uncovered in the order of each map, in `steps` steps: of each map the pictures, and what share of the photo each shows.
    ///
    /// What is uncovered are cells of one grid for all arms: of maps with different cells each is brought to the finest by linear interpolation,
    /// as in pictures of maps. In the step k of n the k/n of the cells with the largest values are uncovered, whatever their sign; of
    /// equals those that the seed draws first, the same for all arms. What a network did not see is uncovered in the last step.
    pub(super) fn uncovered(
        &self,
        photo: &Photo,
        maps: &[Made],
        steps: u32,
        random: &mut Random,
    ) -> Result<Vec<(Vec<RgbImage>, Vec<f64>)>, Error> {
        let grid = maps.iter().map(|made| made.raw.dim()).fold((1, 1), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let ties: Vec<f64> = (0..grid.0 * grid.1).map(|_| random.unit()).collect();
        let ground = self.photo(photo)?;
        let of_map = |made: &Made| {
            let fine = resize_linear(&made.raw, &[grid.0, grid.1]).map_err(hirescam::Error::from)?;
            let ranks = ranks(&fine, &ties);
            let scale = [
                f64::from(photo.width()) / f64::from(ground.width()),
                f64::from(photo.height()) / f64::from(ground.height()),
            ];
            let rank = |x: u32, y: u32| {
                let across = ((f64::from(x) + 0.5) * scale[0] - made.view.x) / made.view.width;
                let down = ((f64::from(y) + 0.5) * scale[1] - made.view.y) / made.view.height;
                let inside = (0.0..1.0).contains(&across) && (0.0..1.0).contains(&down);
                let cell = ((down * grid.0 as f64) as usize, (across * grid.1 as f64) as usize);
                if inside { ranks.get(cell).copied() } else { None }
            };
            let step = |step: u32| {
                let open = (u64::from(step) * ranks.len() as u64).div_ceil(u64::from(steps)) as usize;
                let (mut picture, mut shown) = (ground.clone(), 0u64);
                for (x, y, pixel) in picture.enumerate_pixels_mut() {
                    match step == steps || rank(x, y).is_some_and(|rank| rank < open) {
                        true => shown += 1,
                        false => *pixel = COVER,
                    }
                }
                (picture, shown as f64 / f64::from(ground.width() * ground.height()))
            };
            Ok((1..=steps).map(step).unzip())
        };
        maps.iter().map(of_map).collect()
    }
}

/// Of each cell how many come before it: those with larger values, and of equals those with smaller ties.
fn ranks(map: &Array2<f32>, ties: &[f64]) -> Array2<usize> {
    // A zero has no sign here.
    let mut order: Vec<(usize, f32, f64)> =
        map.iter().zip(ties).enumerate().map(|(cell, (value, tie))| (cell, value + 0.0, *tie)).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.total_cmp(&b.2)));
    let mut ranks = vec![0; order.len()];
    for (rank, (cell, ..)) in order.into_iter().enumerate() {
        ranks.iter_mut().skip(cell).take(1).for_each(|r| *r = rank);
    }
    Array2::from_shape_vec(map.dim(), ranks).unwrap_or_else(|_| Array2::zeros(map.dim()))
}
