//! A network in parts, for callers who decide themselves what the scores count for, and what is made of activations and
//! gradients.

use crate::Error;
use crate::network::Network;
use crate::spec::Spec;

use hirescam_core::onnx;
use hirescam_core::onnx::messages::{ModelProto, NodeProto, ValueInfoProto};
use hirescam_core::ops::Dependence;
use hirescam_core::shape::Shapes;
use hirescam_core::{Model, flow, head, near};
use std::collections::HashMap;

/// A network cut at a layer, as models of their own, which share the network's weights: what the body makes is what the others take.
///
/// With several layers nothing is cut: the body is missing, and the others take what the network takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parts {
    /// From the network's inputs to the activation and what goes around it; none where these are inputs themselves.
    pub body: Option<ModelProto>,
    /// From there to the scores.
    pub head: ModelProto,
    /// The same with the gradients: its outputs are the scores, the activations that are no inputs, and the gradients.
    pub gradient: ModelProto,
    /// The input that carries the image.
    pub image: String,
    /// The output with the scores.
    pub scores: String,
    /// The input of `gradient` that says what each score counts for, in the shape of the scores.
    pub seed: String,
    /// The outputs of `gradient` with the gradients, one for each layer.
    pub gradients: Vec<String>,
}

/// A gradient differentiated once more: from ⟨direction, gradient⟩, of a head cut at one layer.
#[derive(Clone, Debug)]
pub struct Second {
    /// The model: it takes what [`Parts::gradient`] takes, and the direction.
    pub model: ModelProto,
    /// The input with the direction, in the shape of the activation.
    pub direction: String,
    /// The output with the derivative by the activation, which is the Hessian of ⟨seed, scores⟩ times the direction; none where the
    /// gradient is the same for every activation.
    pub by_activation: Option<String>,
    /// The output with the derivative by the seed, which says how fast the scores change along the direction.
    pub by_seed: Option<String>,
}

impl Parts {
    /// Differentiates the gradient by the activation of `layer`, which the parts were cut at, and by the seed.
    ///
    /// # Errors
    /// Those of reading the gradient's model and of differentiating, above all for a layer that the parts were not cut at.
    pub fn second(&self, layer: &str) -> Result<Second, Error> {
        let model = Model::new(self.gradient.clone())?;
        let shapes = Shapes::infer(&model, layer, None)?;
        let Some(gradient) = self.gradients.first() else {
            return Err(Error::Argument("no layer is asked for".into()));
        };
        let smoothly =
            |value: &str| flow::dependence(&model, &shapes, value).get(gradient) == Some(&Dependence::Smooth);
        let by: Vec<&str> = [layer, self.seed.as_str()].into_iter().filter(|value| smoothly(value)).collect();
        let made = head::gradients(&model, &shapes, &by, gradient)?;
        let of = |value: &str| by.iter().position(|v| *v == value).and_then(|i| made.gradients.get(i)).cloned();
        let (by_activation, by_seed) = (of(layer), of(&self.seed));
        Ok(Second { model: made.model, direction: made.seed, by_activation, by_seed })
    }
}

/// A value that a node makes, and where that is in the program that the network was exported from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Made {
    /// The value's name.
    pub value: String,
    /// The node's name.
    pub node: String,
    /// The modules around the node, from the outermost on, and the operation at last, as PyTorch's exporter writes them; none
    /// where it did not.
    pub scopes: Option<String>,
}

impl Network {
    /// Cuts the network at a layer; with several layers it stays whole.
    ///
    /// # Errors
    /// Those of reading what the spec names, of [`Analysis::of`](hirescam_core::analysis::Analysis::of), [`head::cut`] and of differentiating; [`Error::Argument`] without a layer.
    pub fn parts(&self, spec: &Spec) -> Result<Parts, Error> {
        let resolved = spec.resolve(self)?;
        let analysis = self.analysis(&resolved)?;
        let (scores, image) = (analysis.score.logits.clone(), analysis.image.clone());
        let layers: Vec<&str> = resolved.spec.layers.iter().map(String::as_str).collect();
        let [layer] = layers.as_slice() else {
            let missing = layers.iter().find(|layer| !analysis.model().has_value(layer));
            if let Some(name) = missing {
                let near = near(name, analysis.model().values());
                return Err(hirescam_core::Error::NotFound { kind: "layer", name: (*name).to_owned(), near }.into());
            }
            if layers.is_empty() {
                return Err(Error::Argument("no layer is asked for".into()));
            }
            let made = head::gradients(analysis.model(), &analysis.shapes, &layers, &scores)?;
            return Ok(Parts {
                body: None,
                head: analysis.model().proto().clone(),
                gradient: made.model,
                image,
                scores,
                seed: made.seed,
                gradients: made.gradients,
            });
        };
        let cut = head::cut(&analysis, layer, resolved.spec.channel_axis)?;
        let part = Model::new(head::model(&analysis, &cut)?)?;
        let inputs: Vec<&str> = analysis.model().inputs().map(|i| i.name()).collect();
        let taken = part.inputs().map(|i| i.name());
        let body = match taken.filter(|name| !inputs.contains(name)).collect::<Vec<_>>().as_slice() {
            [] => None,
            values => Some(head::body(&analysis, values)?),
        };
        let made = head::gradient(&part, layer, &scores)?;
        Ok(Parts {
            body,
            head: part.proto().clone(),
            gradient: made.model,
            image,
            scores,
            seed: made.seed,
            gradients: vec![made.gradient],
        })
    }

    /// The values that nodes make, in the order of the nodes.
    pub fn values(&self) -> Vec<Made> {
        let order = self.model().order();
        let of = |(_, node): (usize, &NodeProto)| {
            let scopes =
                node.metadata_props.iter().find(|entry| entry.key() == SCOPES).map(|entry| entry.value().to_owned());
            let made = node.output.iter().filter(|value| !value.is_empty());
            made.map(|value| Made { value: value.clone(), node: node.name().to_owned(), scopes: scopes.clone() })
                .collect::<Vec<_>>()
        };
        order.flat_map(of).collect()
    }

    /// The network with `values` as its only outputs.
    ///
    /// # Errors
    /// [`hirescam_core::Error::NotFound`] for one that is not there.
    pub fn with_outputs(&self, values: &[String]) -> Result<Vec<u8>, Error> {
        if let Some(name) = values.iter().find(|value| !self.model().has_value(value)) {
            let near = near(name, self.model().values());
            return Err(hirescam_core::Error::NotFound { kind: "value", name: name.clone(), near }.into());
        }
        let mut proto: ModelProto = self.model().proto().clone();
        if let Some(graph) = &mut proto.graph {
            let known: HashMap<String, ValueInfoProto> = graph
                .value_info
                .iter()
                .chain(&graph.output)
                .map(|info| (info.name().to_owned(), info.clone()))
                .collect();
            let bare = |name: &String| ValueInfoProto { name: Some(name.clone()), ..Default::default() };
            graph.output = values.iter().map(|name| known.get(name).cloned().unwrap_or_else(|| bare(name))).collect();
        }
        Ok(onnx::write(&proto))
    }

    /// The network with other names for values.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that another value has.
    pub fn renamed(&self, names: &HashMap<String, String>) -> Result<Vec<u8>, Error> {
        let taken = self.model().names();
        let mut new = std::collections::HashSet::new();
        let clash = names.iter().find(|(old, name)| {
            !new.insert(name.as_str()) || (taken.contains(name.as_str()) && *old != *name && !names.contains_key(*name))
        });
        if let Some((_, name)) = clash {
            return Err(Error::Argument(format!("a value is called {name:?} already")));
        }
        let mut proto: ModelProto = self.model().proto().clone();
        proto.graph.iter_mut().for_each(|graph| onnx::rename(graph, names));
        Ok(onnx::write(&proto))
    }
}

/// The entry in which PyTorch's exporter writes the modules around a node.
const SCOPES: &str = "pkg.torch.onnx.name_scopes";
