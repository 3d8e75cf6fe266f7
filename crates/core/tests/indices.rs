//! Derivatives of choices by indices, when the indices are stored and when they are only known at run time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::ops::{self, CaseInput};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, flow, grad, reference};
use hirescam_testing::by_hand::{info, single_node};
use hirescam_testing::{Random, max_abs};
use std::collections::{HashMap, HashSet};

/// The derivative of ⟨`y0`, `dy`⟩ by `x`.
fn derivative(model: &Model, values: &HashMap<String, Tensor>, x: &str, dy: &Tensor) -> Tensor {
    let shapes = Shapes::infer(model, "x0", None).unwrap();
    let graph = Graph::new(model, &shapes);
    let path: Vec<usize> = (0..model.graph().node.len()).collect();
    let seed = graph.constant(dy.clone());
    let dependence = flow::dependence(model, &shapes, x);
    let dx = grad::vjp(model, &graph, &path, &dependence, ("y0", seed), x).unwrap();
    let nodes = graph.finish(&[(dx.expand_as(graph.value(x).unwrap()), "dx")], &HashSet::new()).unwrap();
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(nodes);
    reference::evaluate(&Model::new(proto).unwrap(), values.clone(), &["dx"]).unwrap().remove(0)
}

#[test]
fn indices_known_at_run_time_give_the_same_as_stored_ones() {
    let mut compared = 0;
    for card in ops::all().filter(|c| c.name.starts_with("Gather") || c.name.starts_with("Scatter")) {
        for case in (card.cases)() {
            let mut random = Random::new(3);
            let (stored, values) = single_node(card, &case, &mut random);
            let CaseInput::Fixed(indices) = &case.inputs[1] else { panic!("{} has no indices", card.name) };

            // The indices as an input of floats, which a Cast turns into integers.
            let mut proto = stored.proto().clone();
            let graph = proto.graph.as_mut().unwrap();
            graph.initializer.retain(|t| t.name() != "x1");
            graph.input.push(info("indices", DataType::Float, indices.shape()));
            let cast = NodeProto {
                op_type: Some("Cast".into()),
                input: vec!["indices".into()],
                output: vec!["x1".into()],
                attribute: vec![attribute("to", DataType::Int64 as i64)],
                ..Default::default()
            };
            graph.node.insert(0, cast);
            let fed = Model::new(proto).unwrap();
            let mut more = values.clone();
            more.insert("indices".into(), Tensor::float(indices.data.clone()));

            let out = reference::evaluate(&stored, values.clone(), &["y0"]).unwrap().remove(0);
            let dy = random.tensor(out.shape(), -1.0, 1.0);
            for i in (0..case.inputs.len()).filter(|&i| matches!(case.inputs[i], CaseInput::Varied(..))) {
                let x = format!("x{i}");
                let [a, b] = [derivative(&stored, &values, &x, &dy), derivative(&fed, &more, &x, &dy)];
                let apart = max_abs(&(&a.data - &b.data));
                assert!(apart < 1e-6, "{} {:?} by {x}: {apart}", card.name, case.attributes);
                compared += 1;
            }
        }
    }
    assert!(compared > 20);
}
