//! The sanity check of Adebayo et al. 2018, arXiv:1810.03292: a map that stays the same when the network's weights are
//! randomised does not depend on what was learnt.

use super::report::{Correlation, Randomisation, Stage};
use super::{CheckedImage, StepCounter};
use crate::Error;
use crate::Spec;
use crate::explainer::with_setup;
use crate::methods::cut::{BodyOutput, CutNetwork, GradientUse, Setup};
use crate::network::Network;
use crate::random::Random;
use crate::stats::spearman;
use crate::watch::Stop;
use hirescam_core::analysis::Analysis;
use hirescam_core::cam::{self, Pick, Target};
use hirescam_core::graph::reads;
use hirescam_core::onnx::messages::{GraphProto, TensorProto};
use hirescam_core::onnx::write;
use hirescam_core::tensor::{DataType, is_float};
use hirescam_core::{Model, Tensor, flow};
use ndarray::{ArrayD, Axis};
use std::collections::HashSet;

/// What is randomised, and for whom.
pub(super) struct Trial<'a> {
    /// The network as it is.
    pub(super) setup: &'a Setup<'a>,
    pub(super) layer: &'a str,
    pub(super) methods: &'a [&'static cam::Method],
    pub(super) images: &'a [&'a CheckedImage],
}

/// The maps of one image, one for each method; none that is no map.
type Maps = Vec<Option<ArrayD<f64>>>;

impl Trial<'_> {
    /// Randomises 1, 2, 4, 8 … weight tensors, counted from the score, and at last all. `cut` is the network as it is, where it
    /// was cut at the layer before.
    pub(super) fn run(&self, cut: Option<CutNetwork>, watch: &mut StepCounter) -> Randomisation {
        let weights = weights(self.setup.analysis);
        let mut found = Randomisation {
            layer: self.layer.to_owned(),
            images: self.images.len(),
            weights: weights.len(),
            stages: Vec::new(),
            error: None,
        };
        if weights.is_empty() {
            found.error = Some("the network stores no weights with two axes or more".into());
            return found;
        }
        let original =
            match cut.map_or_else(|| self.cut(self.setup), Ok).and_then(|cut| self.maps(self.setup, &cut, None)) {
                Ok(original) => original,
                Err(error) => return Randomisation { error: Some(error.to_string()), ..found },
            };
        let stages = stages(weights.len());
        watch.of += stages.len();
        for count in stages {
            if watch.step("randomised weights").is_err() {
                break;
            }
            let (taken, _) = weights.split_at(count);
            let down_to = taken.last().cloned().unwrap_or_default();
            let stage = match self.stage(taken, &original) {
                Ok(methods) => Stage { randomised: count, down_to, methods, error: None },
                Err(error) => Stage { randomised: count, down_to, methods: Vec::new(), error: Some(error.to_string()) },
            };
            found.stages.push(stage);
        }
        found
    }

    /// How much the maps of the network with `taken` randomised are like those of the original.
    fn stage(&self, taken: &[String], original: &[(Pick, Maps)]) -> Result<Vec<Correlation>, Error> {
        let Setup { analysis, options, engine, .. } = self.setup;
        let model = randomised(analysis.model(), taken, options.spec.settings.seed)?;
        let picks: Vec<Pick> = original.iter().map(|(pick, _)| pick.clone()).collect();
        let random = Analysis::of(&model, analysis.hints())?;
        let made = with_setup(&random, options, *engine, |setup| self.maps(setup, &self.cut(setup)?, Some(&picks)))?;
        Ok(correlations(self.methods, original, &made))
    }

    /// The network of `setup`, cut at the layer.
    fn cut(&self, setup: &Setup) -> Result<CutNetwork, Error> {
        let given = (setup.options.spec.channel_axis, setup.options.grid());
        CutNetwork::new(setup, self.layer, given, GradientUse::Always)
    }

    /// The maps of every image and method: of what `picks` say, else of the target.
    fn maps(&self, setup: &Setup, cut: &CutNetwork, picks: Option<&[Pick]>) -> Result<Vec<(Pick, Maps)>, Error> {
        let mut of_images = Vec::new();
        for (i, seen) in self.images.iter().enumerate() {
            let state = cut.state(&seen.image, &seen.beside, Stop::default())?;
            let pick = match picks.and_then(|picks| picks.get(i)) {
                Some(pick) => pick.clone(),
                None => pick(cut, &state, setup, &setup.options.target)?,
            };
            let mut gradient = None;
            cut.gradients(&state, 1, |_, _| {}, &pick.weights, |_, g| gradient = Some(g.mapv(f64::from)))?;
            let batch = |one: ArrayD<f64>| one.insert_axis(Axis(0));
            let (activation, gradient) = (batch(state.activation.mapv(f64::from)), gradient.map(batch));
            let map =
                |method: &&cam::Method| cam::on_arrays(method, &activation, gradient.as_ref()?, cut.channels + 1).ok();
            of_images.push((pick, self.methods.iter().map(map).collect()));
        }
        Ok(of_images)
    }
}

impl Network {
    /// The network with 1, 2, 4, 8 … of its weight tensors, counted from the score, and at last all, in a random order drawn from the
    /// seed of the spec's settings: each tensor keeps all of its values, and nothing else of what was learnt. None where it stores no
    /// weights with two axes or more.
    ///
    /// # Errors
    /// As [`Network::explainer`].
    pub fn randomised(&self, spec: &Spec) -> Result<Vec<Network>, Error> {
        let options = spec.resolve(self)?;
        let analysis = self.analysis(&options)?;
        let weights = weights(&analysis);
        let stage = |count: usize| {
            let taken = weights.get(..count).unwrap_or_default();
            Network::from_bytes(write(randomised(analysis.model(), taken, spec.settings.seed)?.proto()))
        };
        stages(weights.len()).into_iter().map(stage).collect()
    }
}

/// What `target` explains of an image.
pub(super) fn pick(cut: &CutNetwork, state: &BodyOutput, setup: &Setup, target: &Target) -> Result<Pick, Error> {
    let mut logits = Vec::new();
    cut.scores(state, 1, |_, _| {}, |_, row| logits = row.to_vec())?;
    let picks = target.picks(&setup.analysis.score, &logits)?;
    picks.into_iter().next().ok_or_else(|| Error::Argument(format!("the target {target} asks for nothing")))
}

/// The means over images of the rank correlations of each method's maps.
fn correlations(
    methods: &[&'static cam::Method],
    original: &[(Pick, Maps)],
    made: &[(Pick, Maps)],
) -> Vec<Correlation> {
    let mean = |m: usize, value: fn(f64) -> f64| {
        let values = |(_, maps): &(Pick, Maps)| -> Option<Vec<f64>> {
            Some(maps.get(m)?.as_ref()?.iter().copied().map(value).collect())
        };
        let both = original.iter().zip(made).filter_map(|(a, b)| spearman(&values(a)?, &values(b)?));
        let found: Vec<f64> = both.collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    };
    let correlation = |(m, method): (usize, &&'static cam::Method)| Correlation {
        method: method.name.into(),
        title: method.title.into(),
        signed: mean(m, |v| v),
        absolute: mean(m, f64::abs),
    };
    methods.iter().enumerate().map(correlation).collect()
}

/// 1, 2, 4, 8 … up to `n`, and `n`.
fn stages(n: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(1), |&k: &usize| k.checked_mul(2));
    doubled.take_while(|&k| k < n).chain((n > 0).then_some(n)).collect()
}

/// The weights between the image and the score: the stored tensors and constants with two axes or more, floating-point or
/// quantised to 8 bits, those that are read last first. So biases, and the numbers of a batch normalisation, are none.
fn weights(analysis: &Analysis) -> Vec<String> {
    let Analysis { shapes, score, image, .. } = analysis;
    let model = analysis.model();
    let from_image = flow::dependence(model, shapes, image);
    let (mut needed, mut seen) = (HashSet::from([score.logits.as_str()]), HashSet::new());
    let mut found = Vec::new();
    for (_, node) in model.order().rev() {
        if !node.output.iter().any(|o| needed.contains(o.as_str()) && from_image.contains_key(o)) {
            continue;
        }
        let (through, mut open): (Vec<&str>, Vec<&str>) =
            reads(node).into_iter().partition(|r| from_image.contains_key(*r));
        needed.extend(through);
        // What does not depend on the image leads back to stored tensors, perhaps transposed or cast on the way.
        while let Some(value) = open.pop() {
            // The way back from a shape may reach what does.
            if from_image.contains_key(value) || !seen.insert(value) {
                continue;
            }
            if stored(model, value).is_some_and(is_weight) {
                found.push(value.to_owned());
            } else if let Some(maker) = model.maker(value) {
                open.extend(reads(maker));
            }
        }
    }
    found
}

fn is_weight(tensor: &TensorProto) -> bool {
    let numbers = |dtype| is_float(dtype) || matches!(dtype, DataType::Int8 | DataType::Uint8);
    DataType::try_from(tensor.data_type()).is_ok_and(numbers)
        && tensor.dims.len() >= 2
        && tensor.dims.iter().any(|&n| n > 1)
}

/// The tensor that an initialiser or a Constant holds.
fn stored<'m>(model: &'m Model, value: &str) -> Option<&'m TensorProto> {
    let constant =
        || model.maker(value).filter(|n| n.op_type() == "Constant")?.attribute.iter().find_map(|a| a.t.as_ref());
    model.initializer(value).or_else(constant)
}

fn stored_mut<'g>(graph: &'g mut GraphProto, value: &str) -> Option<&'g mut TensorProto> {
    if let Some(i) = graph.initializer.iter().position(|t| t.name() == value) {
        return graph.initializer.get_mut(i);
    }
    let node = graph.node.iter_mut().find(|n| n.op_type() == "Constant" && n.output.iter().any(|o| o == value))?;
    node.attribute.iter_mut().find_map(|a| a.t.as_mut())
}

/// The network with the entries of each of `weights` in a random order: each tensor keeps its mean, its deviation and all
/// of its values, and nothing else of what was learnt.
fn randomised(model: &Model, weights: &[String], seed: u64) -> Result<Model, Error> {
    let mut proto = model.proto().clone();
    let broken = |name: &str, what: String| hirescam_core::Error::Invalid { at: format!("the tensor {name:?}"), what };
    for (i, name) in weights.iter().enumerate() {
        let Some(tensor) = proto.graph.as_mut().and_then(|graph| stored_mut(graph, name)) else { continue };
        let Tensor { dtype, data } = Tensor::from_proto(tensor).map_err(|fault| broken(name, fault.to_string()))?;
        let (mut random, shape) = (Random::of_sample(seed, i), data.shape().to_vec());
        let mut values = data.into_raw_vec_and_offset().0;
        // Fisher & Yates 1938, from the end.
        for last in (1..values.len()).rev() {
            values.swap(last, random.below(last + 1));
        }
        let shuffled = Tensor::new(dtype, &shape, values).and_then(|t| t.to_proto(tensor.name()));
        *tensor = shuffled.map_err(|fault| broken(name, fault.to_string()))?;
    }
    Ok(Model::new(proto)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::Sample;
    use crate::engine::{self, engine};
    use crate::photo::Photo;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    #[test]
    fn stages_double_and_end_with_all() {
        assert!(stages(0).is_empty());
        assert_eq!(stages(1), [1]);
        assert_eq!(stages(8), [1, 2, 4, 8]);
        assert_eq!(stages(11), [1, 2, 4, 8, 11]);
    }

    /// The trial of all methods at the recommended layer of the digits network, on a seven.
    fn on_a_seven<T>(then: impl FnOnce(&Trial) -> T) -> T {
        let file = Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap();
        let engine = engine("tract", &engine::Options::default()).unwrap();
        let spec = Spec { engine: "tract".into(), ..Spec::default() };
        let options = spec.resolve(&file).unwrap();
        let seven = Photo::open(format!("{FIXTURES}/photos/seven.png")).unwrap();
        let explainer = file.explainer(&spec).unwrap();
        let sample = Sample::from(seven);
        let (image, beside) = explainer.prepared(&sample, &|_| Ok(())).unwrap();
        let seen = CheckedImage { index: 0, sample, image, beside };
        let methods: Vec<&cam::Method> = cam::METHODS.iter().filter(|m| m.name != "cam").collect();
        let analysis = file.analysis(&options).unwrap();
        let made = with_setup(&analysis, &options, engine.as_ref(), |setup| {
            let layer = hirescam_core::layers::recommended(setup.analysis)?;
            Ok(then(&Trial { setup, layer: &layer, methods: &methods, images: &[&seen] }))
        });
        made.unwrap()
    }

    #[test]
    fn weights_are_listed_from_the_score_downwards_and_keep_their_values() {
        on_a_seven(|trial| {
            let found = weights(trial.setup.analysis);
            let model = trial.setup.analysis.model();
            let shapes: Vec<usize> = found.iter().map(|name| model.initializer(name).unwrap().dims.len()).collect();
            assert_eq!(shapes, [2, 2, 4, 4, 4]);
            let sorted = |model: &Model, name: &str| {
                let tensor = Tensor::from_proto(model.initializer(name).unwrap()).unwrap();
                let values: Vec<f64> = tensor.data.iter().copied().collect();
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                (values, sorted)
            };
            let shuffled = randomised(model, &found[..3], 0).unwrap();
            for (i, name) in found.iter().enumerate() {
                let ((before, mut a), (after, b)) = (sorted(model, name), sorted(&shuffled, name));
                assert_eq!(before == after, i >= 3, "{name}");
                a.sort_by(f64::total_cmp);
                assert_eq!(a, b);
            }
            let again = randomised(model, &found[..3], 0).unwrap();
            let other = randomised(model, &found[..3], 1).unwrap();
            assert!(again.proto() == shuffled.proto() && other.proto() != shuffled.proto());
        });
    }

    #[test]
    fn the_same_weights_give_the_same_maps_and_random_ones_others() {
        on_a_seven(|trial| {
            let original = trial.maps(trial.setup, &trial.cut(trial.setup).unwrap(), None).unwrap();
            for c in trial.stage(&[], &original).unwrap() {
                assert!((c.signed.unwrap() - 1.0).abs() < 1e-12, "{}: {:?}", c.method, c.signed);
            }
            let all = trial.stage(&weights(trial.setup.analysis), &original).unwrap();
            let of = |made: &[Correlation], name: &str| made.iter().find(|c| c.method == name).unwrap().signed.unwrap();
            assert!(of(&all, "hirescam").abs() < 0.5, "{}", of(&all, "hirescam"));
            // The layer itself stays when only what comes after it is randomised; Eigen-CAM sees nothing else.
            let head = trial.stage(&weights(trial.setup.analysis)[..2], &original).unwrap();
            assert!(of(&head, "eigencam") > 1.0 - 1e-12);
            assert!(of(&head, "hirescam") < 0.9, "{}", of(&head, "hirescam"));
        });
    }

    #[test]
    fn maps_are_those_of_explaining_models() {
        on_a_seven(|trial| {
            let (_, maps) = &trial.maps(trial.setup, &trial.cut(trial.setup).unwrap(), None).unwrap()[0];
            for (method, map) in trial.methods.iter().zip(maps) {
                let options = Spec {
                    method: method.name.into(),
                    layers: vec![trial.layer.into()],
                    ..trial.setup.options.spec.clone()
                };
                let explainer =
                    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap().explainer(&options).unwrap();
                let explained = explainer.explain_one(trial.images[0].image.clone()).unwrap();
                let explained = &explained.first().unwrap().map;
                let map = map.as_ref().unwrap();
                let largest = map.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                let apart = map.iter().zip(explained).fold(0.0f64, |m, (a, b)| m.max((a - f64::from(*b)).abs()));
                assert!(apart <= 1e-4 * largest, "{}: {apart} of {largest}", method.name);
            }
        });
    }
}
