//! Every derivative rule where the batch is free: what is emitted once must be right for any number of images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{AttributeProto, NodeProto, tensor_shape_proto::dimension, type_proto};
use hirescam_core::ops::{self, Card, Case, CaseInput};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::{DataType, is_float};
use hirescam_core::{Model, Tensor, analysis, flow, grad, reference};
use hirescam_testing::by_hand::{info, model, single_node};
use hirescam_testing::{Random, max_abs};
use std::collections::{HashMap, HashSet};

/// More images than the batches at which shapes are inferred.
const IMAGES: usize = 5;

/// The case with so many images along the first axis of `x0` and of what goes with it: varied inputs, and weights if
/// `weights`. None where no input is a batch.
fn batched(case: &Case, weights: bool) -> Option<(Case, Vec<usize>)> {
    let Some(CaseInput::Varied(first, ..)) = case.inputs.first() else { return None };
    let (n, rank) = (*first.first()?, first.len());
    let mut case = case.clone();
    let mut follow = Vec::new();
    for (i, input) in case.inputs.iter_mut().enumerate() {
        match input {
            CaseInput::Varied(shape, ..) if shape.len() == rank && shape[0] == n => {
                shape[0] = IMAGES;
                follow.push(i);
            }
            CaseInput::Weight(shape, ..) if weights && shape.first() == Some(&n) => {
                shape[0] = IMAGES;
                follow.push(i);
            }
            _ => {}
        }
    }
    Some((case, follow))
}

/// The same model with a free first axis of the inputs `follow`.
fn free(model: &Model, follow: &[usize]) -> Model {
    let mut proto = model.proto().clone();
    for info in &mut proto.graph.as_mut().unwrap().input {
        if follow.iter().any(|i| info.name() == format!("x{i}")) {
            let Some(type_proto::Value::TensorType(t)) = &mut info.r#type.as_mut().unwrap().value else { panic!() };
            t.shape.as_mut().unwrap().dim[0].value = Some(dimension::Value::DimParam("N".into()));
        }
    }
    Model::new(proto).unwrap()
}

/// The derivative of ⟨`y`, `dy`⟩ by `x`, with nodes emitted for `model`; none where its shapes do not follow the batch.
fn derivative(model: &Model, values: &HashMap<String, Tensor>, x: &str, y: &str, dy: &Tensor) -> Option<Tensor> {
    let shapes = Shapes::infer(model, analysis::image_input(model, None).unwrap().name(), None).unwrap();
    if shapes.fault.is_some() || [x, y].iter().any(|v| shapes.dims(v).is_none()) {
        return None;
    }
    let graph = Graph::new(model, &shapes);
    let seed = graph.constant(dy.clone());
    let dependence = flow::dependence(model, &shapes, x);
    let path: Vec<usize> = (0..model.graph().node.len()).collect();
    let dx = grad::vjp(model, &graph, &path, &dependence, (y, seed), x).ok()?.expand_as(graph.value(x).unwrap());
    let nodes = graph.finish(&[(dx, "dx")], &HashSet::new()).ok()?;
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(nodes);
    Some(reference::evaluate(&Model::new(proto).unwrap(), values.clone(), &["dx"]).unwrap().remove(0))
}

/// How many derivatives of the case were compared.
fn check(card: &Card, case: &Case, weights: bool) -> usize {
    let Some((case, follow)) = batched(case, weights) else { return 0 };
    let mut random = Random::new(5);
    let (fixed, values) = single_node(card, &case, &mut random);
    let free = free(&fixed, &follow);
    let mut compared = 0;
    for y in fixed.graph().node[0].output.clone() {
        let Ok(out) = reference::evaluate(&fixed, values.clone(), &[&y]) else { return compared };
        let Some(out) = out.first().filter(|t| is_float(t.dtype) && t.shape().first() == Some(&IMAGES)) else {
            continue;
        };
        // The same for all images, so that it fits any number of them.
        let dy = random.tensor(&[&[1], &out.shape()[1..]].concat(), -1.0, 1.0);
        for i in follow.iter().filter(|&&i| matches!(case.inputs[i], CaseInput::Varied(..))) {
            let x = format!("x{i}");
            let [expected, made] = [&fixed, &free].map(|m| derivative(m, &values, &x, &y, &dy));
            let (Some(expected), Some(made)) = (expected, made) else { continue };
            let apart = max_abs(&(&expected.data - &made.data));
            assert!(apart < 1e-6, "{} {:?}: {apart} apart with a free batch", card.name, case.attributes);
            compared += 1;
        }
    }
    compared
}

#[test]
fn what_is_emitted_for_a_free_batch_fits_every_batch() {
    let mut met = HashSet::new();
    for card in ops::all().filter(|c| c.vjp.is_some()) {
        for case in (card.cases)() {
            if check(card, &case, false) + check(card, &case, true) > 0 {
                met.insert(card.name);
            }
        }
    }
    // Some cards have only cases whose shapes are constants.
    let all = ops::all().filter(|c| c.vjp.is_some()).count();
    assert!(met.len() * 4 > all * 3, "only {met:?} of {all} follow the batch");
}

#[test]
fn an_image_is_resized_to_sizes_made_of_the_batchs() {
    let node = |op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>| NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        attribute,
        ..Default::default()
    };
    let nodes = vec![
        node("Shape", &["x0"], "shape", vec![]),
        node("Slice", &["shape", "start", "end"], "lead", vec![]),
        node("Concat", &["lead", "space"], "sizes", vec![attribute("axis", 0)]),
        node("Resize", &["x0", "", "", "sizes"], "y", vec![attribute("mode", "linear")]),
    ];
    let stored = [("start", Tensor::ints(&[0])), ("end", Tensor::ints(&[2])), ("space", Tensor::ints(&[7, 3]))];
    let proto = model(17, nodes, vec![info("x0", DataType::Float, &[IMAGES, 2, 4, 5])], vec![], &stored);
    let fixed = Model::new(proto).unwrap();
    let mut random = Random::new(5);
    let values = HashMap::from([("x0".to_owned(), random.tensor(&[IMAGES, 2, 4, 5], -1.0, 1.0))]);
    let dy = random.tensor(&[1, 2, 7, 3], -1.0, 1.0);
    let [expected, made] = [fixed.proto().clone(), free(&fixed, &[0]).proto().clone()]
        .map(|proto| derivative(&Model::new(proto).unwrap(), &values, "x0", "y", &dy).unwrap());
    assert!((&expected.data - &made.data).iter().all(|v| v.abs() < 1e-6));
    assert_eq!(made.shape(), [IMAGES, 2, 4, 5]);
}
