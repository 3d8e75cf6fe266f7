//! A network, and what is true of it by other ways than those of the sentences.

use hirescam::core::Model;
use hirescam::core::analysis::{Analysis, Hints, image_input};
use hirescam::core::onnx::describe;
use hirescam::core::score::Score;
use hirescam::core::shape::{declared, element_type};
use hirescam::core::tensor::DataType;
use hirescam::engine::{Array, Kind};
use hirescam::methods::Settings;
use hirescam::{Error, Explainer, Explanation, Input, Network, Sample, Spec};
use hirescam_testing::engines;
use ndarray::{ArrayD, IxDyn};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Extents that a file leaves open.
const OPEN: usize = 32;

/// A network with two samples.
pub struct Subject {
    pub network: Network,
    pub samples: [Sample; 2],
    /// None where its graph is refused.
    pub score: Option<Score>,
    /// What the network gives for the first sample, by an engine alone.
    pub outputs: HashMap<String, Array>,
}

/// Multiples of the golden ratio, modulo 1, within ±1; of levels those up to 255, of other whole numbers 0 and 1.
fn noise(shape: &[usize], kind: Kind, seed: usize) -> Array {
    let value = |i: usize| ((i + 7919 * seed) as f64 * 0.618_033_988_749_895) % 1.0 * 2.0 - 1.0;
    let of_kind = |v: f64| match kind {
        Kind::U8 => (127.5 * (v + 1.0)).round(),
        kind if kind.is_float() => v,
        _ => f64::from(u8::from(v > 0.0)),
    };
    let values = (0..shape.iter().product()).map(|i| of_kind(value(i)) as f32).collect();
    Array::from(ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()).to_kind(kind).unwrap()
}

fn kind(dtype: Option<DataType>) -> Kind {
    match dtype {
        Some(DataType::Float16) => Kind::F16,
        Some(DataType::Double) => Kind::F64,
        Some(DataType::Uint8) => Kind::U8,
        Some(DataType::Int64) => Kind::I64,
        _ => Kind::F32,
    }
}

impl Subject {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let network = Network::open(path)?;
        let model = network.model();
        let image = image_input(model, None)?.name().to_owned();
        let free = |i: usize, n: Option<usize>| n.unwrap_or(if i == 0 { 1 } else { OPEN });
        let sample = |seed: usize| {
            let mut sample = None;
            let mut further = Vec::new();
            for input in model.inputs() {
                let shape: Vec<usize> = declared(input).into_iter().enumerate().map(|(i, n)| free(i, n)).collect();
                let array = noise(&shape, kind(element_type(input)), seed);
                match input.name() == image {
                    true => sample = Some(Sample::from(array)),
                    false => further.push((input.name().to_owned(), array)),
                }
            }
            further.into_iter().fold(sample.unwrap(), |sample, (name, array)| sample.with_input(name, array))
        };
        let samples = [sample(0), sample(1)];
        let score = Analysis::of(model, &Hints::default()).ok().map(|a| a.score.clone());
        let subject = Subject { samples, score, outputs: HashMap::new(), network };
        Ok(Subject { outputs: subject.run().unwrap_or_default(), ..subject })
    }

    pub fn model(&self) -> &Model {
        self.network.model()
    }

    fn run(&self) -> Option<HashMap<String, Array>> {
        let session = engines::named("tract").prepare(self.network.bytes()).ok()?;
        let image = image_input(self.model(), None).ok()?.name();
        let Input::Tensor(tensor) = &self.samples[0].image else { return None };
        let beside = self.samples[0].inputs.iter().map(|(name, array)| (name.as_str(), &**array));
        let given: Vec<(&str, &Array)> = [(image, tensor)].into_iter().chain(beside).collect();
        Some(session.run(&given).ok()?.into_iter().collect())
    }

    /// The spec of a method at a layer; `target` none for the best class.
    pub fn spec(&self, method: &str, layer: Option<&str>, target: Option<&str>) -> Spec {
        let settings = Settings { samples: Some(4), steps: Some(2), cells: 3, ..Settings::default() };
        Spec {
            method: method.into(),
            layers: layer.map(str::to_owned).into_iter().collect(),
            target: target.map(str::to_owned),
            settings,
            engine: "tract".into(),
            ..Spec::default()
        }
    }

    /// The maps of both samples.
    pub fn explain(&self, spec: &Spec) -> Result<Vec<Explanation>, Error> {
        let explainer: Explainer = self.network.explainer(spec)?;
        self.samples.iter().map(|sample| Ok(explainer.explain_one(sample.clone())?.into_maps().remove(0))).collect()
    }

    /// How far the numbers of the first image are apart.
    pub fn range(&self) -> f64 {
        let Input::Tensor(image) = &self.samples[0].image else { return f64::NAN };
        let values = image.to_f64();
        let fold = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).unwrap_or(f64::NAN);
        fold(f64::max) - fold(f64::min)
    }

    /// What is explained where the best class cannot be: an entry in the middle of scores that are not one a class.
    pub fn entry(&self) -> Option<String> {
        let score = self.score.as_ref().filter(|s| s.is_dense())?;
        let at: Vec<String> = score.dims.iter().map(|n| (n / 2).to_string()).collect();
        Some(format!("element:{}", at.join(",")))
    }

    /// Every node that a sentence names must be there.
    pub fn names_nodes(&self, sentence: &str) -> Result<(), String> {
        for (at, _) in sentence.match_indices(" node ") {
            let rest = &sentence[at..];
            if !rest.starts_with(" node \"") && !rest.starts_with(" node that makes \"") {
                continue;
            }
            let start = sentence[..at].rfind(' ').map_or(0, |space| space + 1);
            let said = &sentence[start..];
            let mut nodes = self.model().graph().node.iter();
            if !nodes.any(|node| said.starts_with(&describe(node))) {
                return Err("it names a node that is not there".into());
            }
        }
        Ok(())
    }

    /// The values that something given reaches by a path that avoids `layer`.
    pub fn around(&self, layer: &str) -> HashSet<String> {
        let given = self.model().inputs().map(|input| input.name().to_owned());
        let mut reached: HashSet<String> = given.filter(|name| name != layer).collect();
        for node in self.in_order() {
            // An extent carries nothing of what the value holds.
            let carries = !matches!(node.op_type(), "Shape" | "Size");
            if carries && node.input.iter().any(|input| reached.contains(input)) {
                reached.extend(node.output.iter().filter(|o| *o != layer).cloned());
            }
        }
        reached
    }

    fn in_order(&self) -> impl Iterator<Item = &hirescam::core::onnx::messages::NodeProto> {
        self.model().order().map(|(_, node)| node)
    }
}
