//! Several methods on the same images, with numbers, and in one picture.

use crate::error::Error;
use crate::explained::Explained;
use crate::explainer::Explainer;
use crate::explanation::Explanation;
use crate::methods;
use crate::network::Network;
use crate::overlay::{Scales, Style, Tile, number, side_by_side};
use crate::sample::Sample;
use crate::spec::{Resolved, Spec};
use crate::watch::{Progress, Watch};
use hirescam_core::cam::{self, Guarantee, Target};
use image::RgbImage;
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// Several methods on one image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// HiResCAM's map, which the others are held against.
    pub hirescam: Explanation,
    /// The methods, in the order in which they were asked for.
    pub methods: Vec<Compared>,
}

/// One method among others.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

/// What is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The methods; `hirescam methods` lists them
    #[cfg_attr(feature = "clap", arg(long, value_name = "METHODS", value_delimiter = ',', default_values_t = Plan::default().methods))]
    pub methods: Vec<String>,
}

impl Default for Plan {
    /// What people compare with, as far as one run is enough for it.
    fn default() -> Self {
        let methods = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam", "eigencam"];
        Plan { methods: methods.map(str::to_owned).to_vec() }
    }
}

/// Methods made ready to be compared on any number of samples.
///
/// HiResCAM and the methods that one run is enough for at its layer are made by one run. It says at which layer and for which class
/// the others explain a sample: methods at the image and those of several runs. Each of these is made ready once, when it is first
/// needed, and holds a copy of the network's weights in its engine. A clone shares them.
#[derive(Clone)]
pub struct Comparer {
    network: Network,
    options: Resolved,
    /// HiResCAM, and the methods that share its run.
    together: Arc<Explainer>,
    /// Their names, HiResCAM's first.
    of_one_run: Vec<&'static str>,
    /// What stops them.
    stop: Option<Arc<AtomicBool>>,
    /// The other methods by name and layer.
    others: Arc<Mutex<HashMap<(String, String), Arc<Explainer>>>>,
}

impl Network {
    /// Makes HiResCAM ready to be compared with the methods of the spec's plan.
    ///
    /// # Errors
    /// [`Error::Argument`] for several layers, [`Error::Core`] for an unknown method or one that the layer's head is not for, otherwise as [`Network::explainer`].
    pub fn comparer(&self, spec: &Spec) -> Result<Comparer, Error> {
        let options = spec.resolve(self)?;
        if !options.further_layers().is_empty() {
            return Err(Error::Argument("methods are compared at one layer".into()));
        }
        let mut of_one_run = vec!["hirescam"];
        for name in &spec.compare.methods {
            let method = methods::method(name)?;
            let shares = !method.is_at_image(&spec.settings)? && !method.is_of_several_runs();
            if shares && !of_one_run.contains(&method.name()) {
                of_one_run.push(method.name());
            }
        }
        let together = Arc::new(Explainer::resolved(self.clone(), options.by(&of_one_run.join(",")))?);
        Ok(Comparer { network: self.clone(), options, together, of_one_run, stop: None, others: Arc::default() })
    }
}

impl Comparer {
    /// What it was made for.
    pub fn spec(&self) -> &Spec {
        self.together.spec()
    }

    /// Stops between two runs once `stop` is true: what is not made by then is [`Error::Cancelled`].
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Comparer { stop: Some(stop), ..self }
    }

    /// All that decides what comes of an image, but for the image.
    pub(crate) fn decides(&self) -> Value {
        self.together.decides()
    }

    /// As [`Explainer::are_fed`].
    pub(crate) fn are_fed(&self, samples: Option<usize>) -> Result<(), Error> {
        self.together.are_fed(samples)
    }

    /// How many images are compared together where there are many, as [`Explainer::together`].
    pub fn together(&self) -> usize {
        let several = |name: &String| methods::method(name).is_ok_and(|method| method.is_of_several_runs());
        if self.spec().compare.methods.iter().any(several) { 1 } else { self.together.together() }
    }

    /// Explains samples by each method: HiResCAM for the spec's target, the others for the class that it explains of a sample.
    /// Methods at the image are made there, the others at one layer. What came of each sample is given in their order; one
    /// that fails spoils no other. `watch` is told the method that runs and how far it is.
    ///
    /// # Errors
    /// Of a sample: [`Error::Argument`] for a target of several maps, otherwise as [`Explainer::explain`] and
    /// [`Network::explainer`].
    pub fn compare(&self, samples: &[Sample], watch: &mut dyn FnMut(&str, Progress)) -> Vec<Result<Comparison, Error>> {
        let together = self.explain(&self.together, samples, watch);
        let (mut all, made): (Vec<Result<Comparison, Error>>, Vec<Vec<Explanation>>) = together
            .into_iter()
            .map(|of_sample| match of_sample {
                Ok(maps) => match maps.first().cloned() {
                    Some(hirescam) => (Ok(Comparison { hirescam, methods: Vec::new() }), maps),
                    None => (Err(Error::Cancelled), Vec::new()),
                },
                Err(error) => (Err(error), Vec::new()),
            })
            .unzip();
        for name in &self.spec().compare.methods {
            if self.of_one_run.contains(&name.as_str()) {
                for (comparison, maps) in all.iter_mut().zip(&made) {
                    let Ok(comparison) = comparison else { continue };
                    let own = maps.iter().find(|e| e.method().name == name).cloned();
                    comparison.methods.extend(own.map(|e| Compared::new(e, &comparison.hirescam.map)));
                }
                continue;
            }
            let mut explained = self.by_method(name, samples, &all, watch);
            for ((i, one), sample) in all.iter_mut().enumerate().zip(samples) {
                let Ok(comparison) = one else { continue };
                let made = explained.remove(&i).unwrap_or(Err(Error::Cancelled));
                let made = made.and_then(|e| self.of_same_class(name, e, &comparison.hirescam, sample, watch));
                match made {
                    Ok(e) => comparison.methods.push(Compared::new(e, &comparison.hirescam.map)),
                    Err(error) => *one = Err(error),
                }
            }
        }
        all
    }

    /// What a method makes of the samples that HiResCAM explained, by their numbers: where its layer is another for another
    /// size of the image, of those of each layer together.
    fn by_method(
        &self,
        name: &str,
        samples: &[Sample],
        all: &[Result<Comparison, Error>],
        watch: &mut dyn FnMut(&str, Progress),
    ) -> HashMap<usize, Result<Explanation, Error>> {
        let mut of_layer: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, comparison) in all.iter().enumerate() {
            if let Ok(comparison) = comparison {
                of_layer.entry(comparison.hirescam.layer()).or_default().push(i);
            }
        }
        let mut found = HashMap::new();
        for (layer, numbers) in of_layer {
            let own: Vec<Sample> = numbers.iter().filter_map(|&i| samples.get(i).cloned()).collect();
            match self.explainer(name, layer) {
                Ok(explainer) => {
                    let mut watch = |title: &str, p: Progress| {
                        watch(title, Progress { sample: numbers.get(p.sample).copied().unwrap_or_default(), ..p });
                    };
                    found.extend(numbers.iter().copied().zip(self.explain_alone(&explainer, &own, &mut watch)));
                }
                Err(error) => found.extend(numbers.iter().map(|&i| (i, Err(error.again())))),
            }
        }
        found
    }

    /// The explanation, of the class that HiResCAM explained: where rounding decides between two, the method is asked for that
    /// one by name.
    fn of_same_class(
        &self,
        name: &str,
        explanation: Explanation,
        hirescam: &Explanation,
        sample: &Sample,
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Result<Explanation, Error> {
        if explanation.entry == hirescam.entry || !matches!(self.options.target, Target::Top(_)) {
            return Ok(explanation);
        }
        let target = Target::Classes(hirescam.entry.into_iter().collect());
        let options = Resolved { target, ..self.at(name, hirescam.layer())? };
        let explainer = Explainer::resolved(self.network.clone(), options)?;
        self.explain_alone(&explainer, std::slice::from_ref(sample), watch).pop().unwrap_or(Err(Error::Cancelled))
    }

    /// The one map of each sample, of an explainer of one method.
    fn explain_alone(
        &self,
        explainer: &Explainer,
        samples: &[Sample],
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Vec<Result<Explanation, Error>> {
        let made = self.explain(explainer, samples, watch);
        made.into_iter().map(|made| made?.pop().ok_or(Error::Cancelled)).collect()
    }

    /// The maps of the one class of each sample.
    fn explain(
        &self,
        explainer: &Explainer,
        samples: &[Sample],
        watch: &mut dyn FnMut(&str, Progress),
    ) -> Vec<Result<Vec<Explanation>, Error>> {
        let title = explainer.title();
        let watch = Watch::new(|p| watch(title, p));
        let made = explainer.explain(
            samples,
            &mut match &self.stop {
                Some(stop) => watch.stopped_by(stop),
                None => watch,
            },
        );
        let only = |made: Result<Explained, Error>| {
            let made = made?;
            let classes = made.classes().len();
            match classes {
                1 => Ok(made.into_maps()),
                _ => Err(Error::Argument(format!(
                    "methods are compared for one class, and {classes} are asked for ({})",
                    self.options.target
                ))),
            }
        };
        made.into_iter().map(only).collect()
    }

    /// The method made ready, at the layer that HiResCAM explains.
    fn explainer(&self, name: &str, layer: &str) -> Result<Arc<Explainer>, Error> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), layer.to_owned());
        if let Some(ready) = others.get(&key) {
            return Ok(ready.clone());
        }
        let ready = Arc::new(Explainer::resolved(self.network.clone(), self.at(name, layer)?)?);
        others.insert(key, ready.clone());
        Ok(ready)
    }

    /// What a method is made ready with: the layer that HiResCAM explains, or the image.
    fn at(&self, name: &str, layer: &str) -> Result<Resolved, Error> {
        let mut options = self.options.by(name);
        if methods::method(name)?.is_at_image(&options.spec.settings)? {
            // What is said of the layer does not hold for the image.
            (options.spec.layers, options.spec.channel_axis, options.spec.grid) = (Vec::new(), None, None);
        } else {
            options.spec.layers = vec![layer.to_owned()];
        }
        Ok(options)
    }
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
    /// What is compared at which layer, and the numbers of each method, a line each.
    pub fn in_words(&self) -> Vec<String> {
        let hirescam = &self.hirescam;
        let mut lines = vec![
            format!("{} (score {:.4}) at {}", hirescam.name(), hirescam.score, hirescam.layer()),
            format!(
                "  {:21} {:>11} {:>11} {:>11} {:>13}  {}",
                "method", "sum", "b", "residual", "HiResCAM ≤ 0", "proven"
            ),
        ];
        for m in &self.methods {
            let e = &m.explanation;
            let shown = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.4}"));
            let (sum, b, residual) = (shown(e.residual.map(|_| e.sum)), shown(e.bias), shown(e.tested()));
            let outside = m.outside.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
            let place = if e.layer() == hirescam.layer() { String::new() } else { format!(", at {}", e.layer()) };
            lines.push(format!(
                "  {:21} {sum:>11} {b:>11} {residual:>11} {outside:>13}  {}{place}",
                e.method().name,
                e.certificate().verdict
            ));
        }
        let no = |missing: &dyn Fn(&Explanation) -> bool| self.methods.iter().any(|m| missing(&m.explanation));
        if no(&|e| e.residual.is_none()) {
            lines.push("  sum -: the cells are not meant to add up to the score".into());
        }
        if no(&|e| e.residual.is_some() && e.tested().is_none()) {
            lines.push("  residual -: b is what the cells leave of the score, so that there is none".into());
        }
        lines.push("  HiResCAM ≤ 0: the share of |map| that lies where HiResCAM is zero or negative".into());
        lines.extend(self.why_equal().map(|why| format!("  {why}")));
        lines
    }

    /// Why some of the maps are the same, where that is proven.
    pub fn why_equal(&self) -> Option<String> {
        let certificate = self.hirescam.certificate();
        let places = self.methods.iter().map(|m| m.explanation.certificate().scale).max().unwrap_or(1);
        let of = |wanted: Guarantee| -> Vec<&str> {
            let methods = self.methods.iter().map(|m| m.explanation.method().name);
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
        !m.explanation.method().scored || m.explanation.map.shape() != self.hirescam.map.shape()
    }

    /// What the picture shows, in sentences.
    pub fn caption(&self, scales: Scales) -> String {
        let e = &self.hirescam;
        let mut lines = vec![e.caption()];
        let others = self.methods.iter().filter(|m| self.is_alone(m));
        let others: Vec<&str> = others.map(|m| m.explanation.method().title).collect();
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
            let place = if e.layer() == self.hirescam.layer() { "" } else { ", at the image" };
            let short = |v: f64| number(v as f32);
            let sums = |residual: f64| match e.bias {
                Some(b) if e.bias_is_known => {
                    format!("Σ {}, b {}, residual {}", short(e.sum), short(b), short(residual))
                }
                Some(b) => format!("Σ {}, the rest is b {}", short(e.sum), short(b)),
                None => format!("Σ {}, residual {}", short(e.sum), short(residual)),
            };
            let mut lines = vec![e.certificate().verdict.to_string()];
            lines.push(e.residual.map_or("not meant to add up".into(), sums));
            lines.extend(m.outside.map(|share| format!("{:.0} % where HiResCAM ≤ 0", 100.0 * share)));
            Ok(Tile {
                heatmap: if signed { heatmap } else { heatmap.rectify() },
                title: format!("{}{place}", e.method().title),
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
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::photo::Photo;
    use ndarray::array;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    #[test]
    fn methods_are_made_ready_once_and_explain_the_class_that_hirescam_does() {
        let network = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let names = ["hirescam", "gradcam", "gradcam++", "eigencam", "saliency", "ablationcam", "smoothgrad"];
        let compare = Plan { methods: names.map(str::to_owned).to_vec() };
        let mut spec = Spec { engine: "tract".into(), compare, ..Spec::default() };
        spec.settings.samples = Some(3);
        let comparer = network.comparer(&spec).unwrap();
        let photo = |name: &str| Sample::from(Photo::open(format!("{FIXTURES}/photos/{name}.png")).unwrap());
        let ready = || -> HashMap<(String, String), Arc<Explainer>> { comparer.others.lock().unwrap().clone() };
        let mut before = None;
        for samples in [vec![photo("seven")], vec![photo("three"), photo("seven")]] {
            let made = comparer.compare(&samples, &mut |_, _| {});
            let ready = ready();
            // The others share HiResCAM's run.
            assert_eq!(ready.len(), ["saliency", "ablationcam", "smoothgrad"].len());
            let before = before.get_or_insert_with(|| ready.clone());
            assert!(ready.iter().all(|(key, explainer)| Arc::ptr_eq(explainer, &before[key])));
            for (compared, sample) in made.into_iter().zip(&samples) {
                let compared = compared.unwrap();
                let class = compared.hirescam.class.unwrap();
                for (m, name) in compared.methods.iter().zip(names) {
                    let layers =
                        (!["saliency", "smoothgrad"].contains(&name)).then(|| compared.hirescam.layer().to_owned());
                    let classes = vec![class.to_string()];
                    let layers = layers.into_iter().collect();
                    let by_name = Spec { method: name.into(), layers, classes, ..spec.clone() };
                    let alone = network.explainer(&by_name).unwrap().explain_one(sample.clone()).unwrap();
                    let alone = alone.first().unwrap();
                    assert_eq!((m.explanation.method().name, m.explanation.class), (name, Some(class)));
                    assert_eq!((&m.explanation.map, m.explanation.score), (&alone.map, alone.score), "{name}");
                    assert_eq!((m.explanation.bias, m.explanation.sum), (alone.bias, alone.sum), "{name}");
                }
            }
        }
    }

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
