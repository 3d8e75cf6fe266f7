//! Methods as plain functions of arrays.

use super::methods::{Method, MethodInput};
use crate::build::Graph;
use crate::onnx::messages::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::shape::{Dim, Shapes, value_info};
use crate::tensor::DataType;
use crate::{Error, Model, Tensor, reference};
use ndarray::{ArrayD, Axis, Slice};
use std::collections::{HashMap, HashSet};

/// The map `[N, places…]` that `method` makes of an activation `[N, …]` and the gradient of the score by it, wherever
/// both come from. `channels` is the axis that counts channels.
///
/// The gradient has the activation's shape; an extent of 1 stands for the same gradient all along the axis. A gradient
/// that is the same at all places counts as uniform, for the methods to which that matters.
///
/// The method is emitted into a graph of its own and evaluated in f64 by the [reference](crate::reference), so this is
/// the very map that explaining models compute. It is meant for use beside other frameworks, not for speed.
///
/// ```
/// use hirescam_core::cam;
/// use ndarray::{ArrayD, IxDyn, array};
///
/// // One image, two channels, 1×2 places, as another framework gave them.
/// let activation = ArrayD::from_shape_vec(IxDyn(&[1, 2, 1, 2]), vec![1.0, 2.0, 3.0, 4.0])?;
/// let gradient = ArrayD::from_shape_vec(IxDyn(&[1, 2, 1, 2]), vec![1.0, 0.0, -1.0, 0.5])?;
/// let map = cam::on_arrays(cam::method("hirescam")?, &activation, &gradient, 1)?;
/// assert_eq!(map, array![[[1.0 - 3.0, 0.0 + 2.0]]].into_dyn());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for shapes that do not go together, or a gradient that the method is not defined for.
pub fn on_arrays(
    method: &Method,
    activation: &ArrayD<f64>,
    gradient: &ArrayD<f64>,
    channels: usize,
) -> Result<ArrayD<f64>, Error> {
    let (shape, given) = (activation.shape(), gradient.shape());
    let fits = shape.len() == given.len() && shape.iter().zip(given).all(|(a, g)| a == g || *g == 1);
    if shape.len() < 3 || shape.contains(&0) || !(1..shape.len()).contains(&channels) || !fits {
        return Err(Error::Argument(format!(
            "an activation {shape:?}, a gradient {given:?} and the channel axis {channels} make no map: wanted are [N, channels, places…] twice, in any order after N"
        )));
    }
    let space: Vec<usize> = (1..shape.len()).filter(|&a| a != channels).collect();
    let mut gradient = gradient.clone();
    for &axis in &space {
        let first = gradient.slice_axis(Axis(axis), Slice::from(0..1)).to_owned();
        if first.broadcast(gradient.raw_dim()).is_some_and(|same| same == gradient) {
            gradient = first;
        }
    }
    let inputs = [("activation", activation), ("gradient", &gradient)];
    let model = Model::new(model(&inputs, Vec::new()))?;
    let shapes = Shapes::infer(&model, "activation", None)?;
    let graph = Graph::new(&model, &shapes);
    let input = MethodInput {
        activation: graph.value("activation")?,
        gradient: graph.value("gradient")?,
        channels,
        space: &space,
    };
    let map = input.finish((method.map)(&input)?);
    let nodes = graph.finish(&[(map, "map")], &HashSet::new())?;
    let model = Model::new(self::model(&inputs, nodes))?;
    let known = inputs.map(|(name, data)| (name.to_owned(), Tensor { dtype: DataType::Double, data: data.clone() }));
    let made = reference::evaluate(&model, HashMap::from(known), &["map"])?;
    Ok(made.into_iter().next().map(|t| t.data).unwrap_or_default())
}

/// A model with float64 inputs in the shapes of arrays.
fn model(inputs: &[(&str, &ArrayD<f64>)], node: Vec<NodeProto>) -> ModelProto {
    let info = |(name, data): &(&str, &ArrayD<f64>)| {
        let dims: Vec<Dim> = data.shape().iter().map(|&n| Dim::Fixed(n)).collect();
        value_info(name, DataType::Double, &dims, None)
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(17) };
    let graph = GraphProto { node, input: inputs.iter().map(info).collect(), ..Default::default() };
    ModelProto { opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}
