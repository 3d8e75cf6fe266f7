//! Several methods on one image, with numbers, and in one picture.

use crate::error::Error;
use crate::explainer::Explainer;
use crate::explanation::Explanation;
use crate::methods::{self, Any, Settings};
use crate::network::Network;
use crate::overlay::{Scales, Style, Tile, number, side_by_side};
use crate::sample::Sample;
use crate::spec::{Resolved, Spec};
use crate::watch::{Progress, Watch};
use hirescam_core::cam::{self, Guarantee, Target};
use image::RgbImage;
use ndarray::{ArrayD, Axis};

/// Several methods on one image.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// HiResCAM's map, which the others are held against.
    pub hirescam: Explanation,
    /// The methods, in the order in which they were asked for.
    pub methods: Vec<Compared>,
}

/// One method among others.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its map.
    pub explanation: Explanation,
    /// The share of Σ |map| that lies where HiResCAM is zero or negative; none where the map is 0 everywhere, or has other
    /// axes of space. Where the two have different cells, a cell counts with the part of it that lies there.
    pub outside: Option<f64>,
    /// The share that lies where HiResCAM is 0, counted in the same way: at places that the network did not use.
    pub unused: Option<f64>,
}

impl Compared {
    pub(crate) fn new(explanation: Explanation, hirescam: &ArrayD<f32>) -> Self {
        let outside = share(&explanation.map, hirescam, |v| v <= 0.0);
        let unused = share(&explanation.map, hirescam, |v| v == 0.0);
        Compared { explanation, outside, unused }
    }
}

impl Network {
    /// Explains one sample by each of `methods`, all for the class that HiResCAM explains. Methods at the image are made there,
    /// the others at one layer. `watch` is told the method that runs and how far it is.
    ///
    /// # Errors
    /// [`Error::Argument`] for several layers or a target of several maps, otherwise as [`Explainer::explain`].
    pub fn compare(
        &self,
        spec: &Spec,
        methods: &[String],
        sample: &Sample,
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Result<Comparison, Error> {
        let options = spec.resolve(self)?;
        if !options.further_layers().is_empty() {
            return Err(Error::Argument("methods are compared at one layer".into()));
        }
        let mut explain = |options: Resolved| {
            let target = options.target.to_string();
            let explainer = Explainer::resolved(self.clone(), options)?;
            let title = explainer.title();
            let mut watch = Watch::new(|p| watch(title, p));
            let made = explainer.explain(std::slice::from_ref(sample), &mut watch).pop();
            let mut maps = made.unwrap_or(Err(Error::Cancelled))?.into_maps();
            match (maps.pop(), maps.len()) {
                (Some(only), 0) => Ok(only),
                (last, others) => Err(Error::Argument(format!(
                    "methods are compared for one class, and {} are asked for ({target})",
                    others + last.iter().len(),
                ))),
            }
        };
        let by = |name: &str| Spec { method: name.to_owned(), ..options.spec.clone() };
        let hirescam = explain(Resolved { spec: by("hirescam"), ..options.clone() })?;
        let target = match &options.target {
            Target::Top(_) => Target::Classes(hirescam.entry.into_iter().collect()),
            other => other.clone(),
        };
        let mut compared = Vec::new();
        for name in methods {
            let explanation = if name == "hirescam" {
                hirescam.clone()
            } else {
                let here = !at_image(name, &options.spec.settings)?;
                let layers = here.then(|| hirescam.shared.layer.clone()).into_iter().collect();
                let mut spec = Spec { layers, ..by(name) };
                // What is said of the layer does not hold for the image.
                if !here {
                    (spec.channel_axis, spec.grid) = (None, None);
                }
                explain(Resolved { spec, target: target.clone(), ..options.clone() })?
            };
            compared.push(Compared::new(explanation, &hirescam.map));
        }
        Ok(Comparison { hirescam, methods: compared })
    }
}

/// Whether a method is made at the image.
fn at_image(name: &str, settings: &Settings) -> Result<bool, Error> {
    Ok(match methods::method(name)? {
        Any::OneRun(method) => method.at_image,
        Any::SeveralRuns(method) if method.row.name == "smoothgrad" => methods::one_run(&settings.base)?.at_image,
        Any::SeveralRuns(method) => method.at_image,
    })
}

/// The share of Σ |map| that lies where `counts` is true of `reference`.
fn share(map: &ArrayD<f32>, reference: &ArrayD<f32>, counts: fn(f32) -> bool) -> Option<f64> {
    if map.ndim() != reference.ndim() || reference.is_empty() {
        return None;
    }
    let mut part = reference.mapv(|v| if counts(v) { 1.0 } else { 0.0f64 });
    for (axis, &n) in map.shape().iter().enumerate() {
        part = overlaps(&part, Axis(axis), n);
    }
    let all: f64 = map.iter().map(|v| f64::from(v.abs())).sum();
    let there: f64 = map.iter().zip(&part).map(|(v, part)| f64::from(v.abs()) * part).sum();
    (all > 0.0).then(|| there / all)
}

/// The means of `values` over each of `n` cells of equal width along an axis.
fn overlaps(values: &ArrayD<f64>, axis: Axis, n: usize) -> ArrayD<f64> {
    let m = values.len_of(axis);
    let mut shape = values.raw_dim();
    ndarray::Dimension::slice_mut(&mut shape).iter_mut().skip(axis.index()).take(1).for_each(|d| *d = n);
    let mut means = ArrayD::zeros(shape);
    for (i, mut mean) in means.axis_iter_mut(axis).enumerate() {
        for (j, value) in values.axis_iter(axis).enumerate() {
            // In units of 1 / (n m), cell i spans i m … (i+1) m, and value j spans j n … (j+1) n.
            let common = ((i + 1) * m).min((j + 1) * n).saturating_sub((i * m).max(j * n));
            if common > 0 {
                mean.scaled_add(common as f64 / m as f64, &value);
            }
        }
    }
    means
}

impl Comparison {
    /// Why some of the maps are the same, where that is proven.
    pub fn why_equal(&self) -> Option<String> {
        let certificate = &self.hirescam.shared.certificate;
        let places = self.methods.iter().map(|m| m.explanation.shared.certificate.scale).max().unwrap_or(1);
        let of = |wanted: Guarantee| -> Vec<&str> {
            let methods = self.methods.iter().map(|m| m.explanation.shared.method.name);
            let methods = methods.filter_map(|name| cam::METHODS.iter().find(|m| m.name == name));
            let there = methods.filter(|m| !m.at_image && (m.guarantee)(true) == wanted);
            there.map(|m| m.title).collect()
        };
        let (same, means) = (of(Guarantee::Faithful), of(Guarantee::Mean));
        if !certificate.uniform || same.len() + means.len() < 2 {
            return None;
        }
        let mut text = format!("The gradient is the same at all places here, so {} must be the same map", list(&same));
        if !means.is_empty() {
            text += &format!(", and {} is that map times {places} places", list(&means));
        }
        Some(text)
    }

    /// Whether a map's values mean something else than HiResCAM's: another unit, or cells of another size.
    fn is_alone(&self, m: &Compared) -> bool {
        !m.explanation.shared.method.scored || m.explanation.map.shape() != self.hirescam.map.shape()
    }

    /// What the picture shows, in sentences.
    pub fn caption(&self, scales: Scales) -> String {
        let e = &self.hirescam;
        let mut lines = vec![e.caption()];
        let others = self.methods.iter().filter(|m| self.is_alone(m));
        let others: Vec<&str> = others.map(|m| m.explanation.shared.method.title).collect();
        let own = "each map has a scale of its own, so that colours cannot be compared between maps";
        let shared = match others.as_slice() {
            [] => "one scale for all maps".into(),
            _ if others.len() == self.methods.len() => own.into(),
            others => format!(
                "one scale for all maps in units of the score and with the same cells; on scales of their own: {}",
                list(others)
            ),
        };
        lines.push(match scales {
            Scales::Own => format!("Colours: {own}."),
            _ if others.len() == self.methods.len() => format!("Colours: {own}."),
            Scales::Shared => format!("Colours: {shared}."),
            Scales::Both => format!("Upper row: {shared}. Lower row: {own}."),
        });
        lines.extend(self.why_equal().map(|why| why + "."));
        let others = e.other_tokens.map_or("", |_| ", without the tokens that are no places");
        if self.methods.iter().any(|m| m.explanation.tested().is_some()) {
            lines.push(format!("Residual: the score without Σ{others} and without b, where one is known beforehand."));
        }
        lines.join("\n")
    }

    /// The methods side by side on the photo, with verdict, Σ, residual and the share outside HiResCAM below each. Where methods
    /// share one scale, those that are not in units of the score or have other cells have their own. Without `signed`, negative
    /// values are left out of the pictures. Of the style, title and caption are made here.
    ///
    /// # Errors
    /// [`Error::Argument`] when the image was given as a tensor or a map is no picture, [`Error::Overlay`].
    pub fn picture(&self, signed: bool, scales: Scales, style: &Style) -> Result<RgbImage, Error> {
        let (photo, view) =
            self.hirescam.seen().ok_or_else(|| Error::Argument("a tensor has no photo to draw on".into()))?;
        let tile = |m: &Compared| {
            let (e, heatmap) = (&m.explanation, m.explanation.heatmap()?);
            let place = if e.shared.layer == self.hirescam.shared.layer { "" } else { ", at the image" };
            let short = |v: f64| number(v as f32);
            let sums = |residual: f64| match e.bias {
                Some(b) if e.bias_is_known => {
                    format!("Σ {}, b {}, residual {}", short(e.sum), short(b), short(residual))
                }
                Some(b) => format!("Σ {}, the rest is b {}", short(e.sum), short(b)),
                None => format!("Σ {}, residual {}", short(e.sum), short(residual)),
            };
            let mut lines = vec![e.shared.certificate.verdict.to_string()];
            lines.push(e.residual.map_or("not meant to add up".into(), sums));
            lines.extend(m.outside.map(|share| format!("{:.0} % where HiResCAM ≤ 0", 100.0 * share)));
            Ok(Tile {
                heatmap: if signed { heatmap } else { heatmap.rectify() },
                title: format!("{}{place}", e.shared.method.title),
                lines,
                own_scale: self.is_alone(m),
            })
        };
        let tiles = self.methods.iter().map(tile).collect::<Result<Vec<_>, Error>>()?;
        let caption = [Some(self.caption(scales)), style.clipped().map(|clipped| format!("The {clipped}."))];
        let caption = caption.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let style = Style { title: "in units of the score".into(), caption, ..style.clone() };
        Ok(side_by_side(photo, view, &tiles, scales, &style)?)
    }
}

/// `a, b and c`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn what_lies_outside_is_counted_by_area() {
        let reference = array![[1.0f32, -1.0], [0.0, 2.0]].into_dyn();
        let outside = |map: ArrayD<f32>| share(&map, &reference, |v| v <= 0.0);
        assert_eq!(outside(reference.clone()), Some(0.25));
        assert_eq!(share(&array![[1.0f32, 1.0], [2.0, 0.0]].into_dyn(), &reference, |v| v == 0.0), Some(0.5));
        assert_eq!(outside(array![[0.0f32, 0.0], [5.0, 0.0]].into_dyn()), Some(1.0));
        // One cell over all: half of it lies where the reference is not positive.
        assert_eq!(outside(array![[3.0f32]].into_dyn()), Some(0.5));
        // Three cells across: the middle one lies half here, half there.
        assert!((outside(array![[1.0f32, 1.0, 1.0]].into_dyn()).unwrap() - 0.5).abs() < 1e-12);
        let fine = ArrayD::from_shape_fn(ndarray::IxDyn(&[4, 4]), |i| if i[0] < 2 && i[1] >= 2 { -1.0 } else { 0.0 });
        assert_eq!(outside(fine), Some(1.0));
        assert_eq!(outside(array![[0.0f32]].into_dyn()), None);
        assert_eq!(outside(array![1.0f32].into_dyn()), None);
    }
}
