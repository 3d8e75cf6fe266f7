//! How methods fare at a layer.

use super::ablation::{self, Ablated};
use super::report::{Ablation, ImageReport, LayerReport, MethodReport, Numbers, PictureReport, Spread};
use super::{CheckedImage, Checking, ReadyLayer, SIDE, StepCounter, png, randomisation};
use crate::comparison::{Compared, Comparison};
use crate::layers::resolution;
use crate::methods::cut::{CutNetwork, GradientUse};
use crate::overlay::{Style, bare};
use crate::watch::Stop;
use crate::{Error, Explanation};
use hirescam_core::cam::{self, Target};
use hirescam_core::{layers, shape};

impl Checking<'_> {
    /// One method's explanations of the images.
    fn explain(
        &self,
        layer: &str,
        method: &str,
        seen: &[CheckedImage],
        ready: Option<&ReadyLayer>,
    ) -> Result<Vec<Result<Explanation, Error>>, Error> {
        let own;
        let explainer = match ready.filter(|ready| ready.layer == layer && method == "hirescam") {
            Some(ready) => &ready.explainer,
            None => {
                own = self.explainer(layer, method)?;
                &own
            }
        };
        let one = |seen: &CheckedImage| {
            let made = explainer.explain_one(seen.sample.clone())?;
            made.into_maps().into_iter().next().ok_or_else(|| Error::Argument("the engine gave no map".into()))
        };
        Ok(seen.iter().map(one).collect())
    }

    /// Checks a layer. What is `ready` is not made again; where the network was cut at the recommended layer is kept.
    ///
    /// # Errors
    /// [`Error::Cancelled`]. All else that fails stands in the report.
    pub(super) fn layer(
        &self,
        found: &layers::Layer,
        seen: &[CheckedImage],
        images: &mut [ImageReport],
        (ready, kept): (Option<&ReadyLayer>, &mut Option<CutNetwork>),
        watch: &mut StepCounter,
    ) -> Result<LayerReport, Error> {
        let mut layer = LayerReport::new(
            found,
            shape::show(&found.dims),
            resolution(self.setup.analysis, self.setup.options.spec.channel_axis, found),
        );
        if seen.is_empty() || layer.error.is_some() {
            return Ok(layer);
        }
        // For each image HiResCAM, and the methods held against it.
        let mut compared: Vec<Option<Comparison>> = seen.iter().map(|_| None).collect();
        let mut errors: Vec<Option<String>> = self.methods.iter().map(|_| None).collect();
        for (method, error) in self.methods.iter().zip(&mut errors) {
            watch.step(method.title)?;
            let made = match self.explain(&layer.name, method.name, seen, ready) {
                Ok(made) => made,
                Err(why) => {
                    *error = Some(why.to_string());
                    continue;
                }
            };
            for ((seen, made), comparison) in seen.iter().zip(made).zip(&mut compared) {
                let Some(image) = images.get_mut(seen.index) else { continue };
                let fits = made.and_then(|e| same_class(e, image));
                match (fits, comparison) {
                    (Ok(e), Some(comparison)) => {
                        comparison.methods.push(Compared::new(e, &comparison.hirescam.map));
                    }
                    (Ok(e), none) if method.name == "hirescam" => {
                        let hirescam = Compared::new(e.clone(), &e.map);
                        *none = Some(Comparison { hirescam: e, methods: vec![hirescam] });
                    }
                    (Ok(_), None) => {}
                    (Err(why), _) => {
                        error.get_or_insert_with(|| format!("{}: {why}", image.name));
                    }
                }
            }
        }
        layer.equal = compared.iter().flatten().next().and_then(Comparison::why_equal);
        let mut ablated: Vec<Option<Ablated>> = Vec::new();
        if self.plan.places > 0 {
            watch.step("taking places out")?;
            let keep = layer.recommended && self.plan.randomise;
            let wanted = if keep { GradientUse::Always } else { GradientUse::Nothing };
            let given = (self.setup.options.spec.channel_axis, self.setup.options.grid());
            let cut = CutNetwork::new(self.setup, &layer.name, given, wanted);
            let (summary, found) = self.ablation(cut.as_ref(), seen, &compared);
            layer.ablation = Some(summary);
            ablated = found;
            if keep {
                *kept = cut.ok();
            }
        }
        for (method, error) in self.methods.iter().zip(errors) {
            layer.methods.push(self.method(method, error, seen, &compared, &ablated));
        }
        Ok(layer)
    }

    /// Takes places out of the first images.
    fn ablation(
        &self,
        cut: Result<&CutNetwork, &Error>,
        seen: &[CheckedImage],
        compared: &[Option<Comparison>],
    ) -> (Ablation, Vec<Option<Ablated>>) {
        let mut summary = Ablation {
            images: 0,
            places: 0,
            deviation: 0.0,
            deviation_relative: 0.0,
            rounding: 0.0,
            zeros: 0,
            change_at_zeros: None,
            error: None,
        };
        let cut = match cut {
            Ok(cut) => cut,
            Err(error) => return (Ablation { error: Some(error.to_string()), ..summary }, Vec::new()),
        };
        let mut found: Vec<Option<Ablated>> = Vec::new();
        for (seen, comparison) in seen.iter().zip(compared).take(self.plan.sample.max(1)) {
            let Some(hirescam) = comparison.as_ref().map(|c| &c.hirescam) else {
                found.push(None);
                continue;
            };
            let ablated = match self.ablate(cut, seen, hirescam) {
                Ok(ablated) => ablated,
                Err(error) => {
                    summary.error.get_or_insert(error.to_string());
                    found.push(None);
                    continue;
                }
            };
            let cells = ablated.cells(&hirescam.map);
            let largest = hirescam.map.iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
            let deviation = cells.iter().fold(0.0f64, |m, (cell, change)| m.max((change - cell).abs()));
            summary.images += 1;
            summary.places = summary.places.max(ablated.len());
            summary.deviation = summary.deviation.max(deviation);
            let rounding = ablated.rounding();
            summary.rounding = if summary.images == 1 { rounding } else { summary.rounding.min(rounding) };
            let zeros = cells.iter().filter(|(cell, _)| *cell == 0.0);
            summary.zeros += zeros.clone().count();
            if largest > 0.0 {
                summary.deviation_relative = summary.deviation_relative.max(deviation / largest);
                let change = zeros.map(|(_, change)| change.abs() / largest).reduce(f64::max);
                summary.change_at_zeros = summary.change_at_zeros.into_iter().chain(change).reduce(f64::max);
            }
            found.push(Some(ablated));
        }
        (summary, found)
    }

    fn ablate(&self, cut: &CutNetwork, seen: &CheckedImage, hirescam: &Explanation) -> Result<Ablated, Error> {
        let target = match &self.setup.options.target {
            Target::Top(_) => Target::Classes(hirescam.entry.into_iter().collect()),
            other => other.clone(),
        };
        let state = cut.state(&seen.image, &seen.beside, Stop::default())?;
        let pick = randomisation::pick(cut, &state, self.setup, &target)?;
        ablation::ablate(cut, &state, &pick, &hirescam.map, self.plan.places)
    }

    /// A method's numbers.
    fn method(
        &self,
        method: &'static cam::Method,
        error: Option<String>,
        seen: &[CheckedImage],
        compared: &[Option<Comparison>],
        ablated: &[Option<Ablated>],
    ) -> MethodReport {
        let mut made = MethodReport {
            method: method.name.into(),
            title: method.title.into(),
            verdict: None,
            in_units_of_the_score: method.scored,
            error,
            residual: None,
            residual_relative: None,
            unused: None,
            outside: None,
            idle: None,
            agreement: None,
            images: Vec::new(),
            pictures: Vec::new(),
        };
        let (mut residual, mut relative) = (Vec::new(), Vec::new());
        let (mut unused, mut outside, mut idle, mut agreement) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, (seen, comparison)) in seen.iter().zip(compared).enumerate() {
            let of_image = comparison.iter().flat_map(|c| &c.methods);
            let Some(m) = of_image.into_iter().find(|m| m.explanation.method().name == method.name) else {
                continue;
            };
            let e = &m.explanation;
            made.verdict = Some(e.certificate().verdict.to_string());
            residual.extend(e.residual.map(f64::abs));
            relative.extend(e.residual.filter(|_| e.score != 0.0).map(|r| (r / e.score).abs()));
            unused.extend(m.unused);
            outside.extend(m.outside);
            if let Some(Some(ablated)) = ablated.get(i) {
                idle.extend(ablated.idle(&e.map));
                agreement.extend(ablated.agreement(&e.map));
            }
            made.images.push(Numbers {
                image: seen.index,
                score: e.score,
                sum: e.sum,
                bias: e.bias,
                residual: e.residual,
                unused: m.unused,
                outside: m.outside,
            });
            made.pictures.extend(picture(e, seen.index));
        }
        made.residual = Spread::of(&residual);
        made.residual_relative = Spread::of(&relative);
        made.unused = Spread::of(&unused);
        made.outside = Spread::of(&outside);
        made.idle = Spread::of(&idle);
        made.agreement = Spread::of_correlations(&agreement);
        made
    }
}

/// The explanation, if it is of the class that was explained of this image before.
fn same_class(e: Explanation, image: &mut ImageReport) -> Result<Explanation, Error> {
    let explained = image.explained.get_or_insert_with(|| e.name());
    image.score.get_or_insert(e.score);
    match *explained == e.name() {
        true => Ok(e),
        false => Err(Error::Argument(format!(
            "two classes are so close that rounding decides ({explained} or {}): name one",
            e.name()
        ))),
    }
}

/// The map on its photo, where there is one to draw on.
fn picture(e: &Explanation, image: usize) -> Option<PictureReport> {
    let (photo, view) = e.seen()?;
    let heatmap = e.heatmap().ok()?;
    let largest = heatmap.max().max(-heatmap.min());
    let drawn = bare(photo, view, &heatmap, &Style::default(), SIDE).ok()?;
    Some(PictureReport { image, largest, png: png(&drawn)? })
}
