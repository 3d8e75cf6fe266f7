//! Where a function saturates its slope keeps its digits in float32, on every engine: against the reference in f64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{AttributeProto, NodeProto};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, head, onnx, reference};
use hirescam_engine::Array;
use hirescam_testing::by_hand;
use hirescam_testing::max_abs;
use std::collections::HashMap;

/// Places where |y − end| is between 1e-6 and 1e-9 for one function or another, and the middle.
const ENDS: &[f64] =
    &[-20.0, -17.0, -15.0, -14.0, -10.0, -8.5, -7.0, -1.0, 0.0, 1.0, 7.0, 8.5, 10.0, 14.0, 15.0, 17.0, 20.0];

/// A model of one operator from `x` to `y`, of the same shape.
fn operator(op: &str, attributes: Vec<AttributeProto>, shape: &[usize]) -> Model {
    let node = NodeProto {
        op_type: Some(op.into()),
        input: vec!["x".into()],
        output: vec!["y".into()],
        attribute: attributes,
        ..Default::default()
    };
    let float = |name: &str| by_hand::info(name, DataType::Float, shape);
    Model::new(by_hand::model(24, vec![node], vec![float("x")], vec![float("y")], &[])).unwrap()
}

/// The largest error of the derivative of ⟨seed, y⟩, each entry relative to itself.
fn worst(model: &Model, x: &Tensor, seed: &Tensor, engine: &dyn hirescam_engine::Engine) -> f64 {
    let made = head::gradient(model, "x", "y").unwrap();
    let known = HashMap::from([("x".to_owned(), x.clone()), (made.seed.clone(), seed.clone())]);
    let exact = reference::evaluate(&Model::new(made.model.clone()).unwrap(), known, &[&made.gradient]).unwrap();
    let session = engine.prepare(&onnx::write(&made.model)).unwrap();
    let array = |t: &Tensor| Array::from(t.data.mapv(|v| v as f32));
    let (x, seed) = (array(x), array(seed));
    let outputs = session.run(&[("x", &x), (&made.seed, &seed)]).unwrap();
    let got = outputs.iter().find(|(name, _)| *name == made.gradient).unwrap().1.to_f64();
    let apart = |(exact, got): (&f64, &f64)| (exact - got) / exact.abs().max(1e-30);
    max_abs(&exact[0].data.iter().zip(&got).map(apart).collect::<Vec<_>>())
}

#[test]
fn slopes_keep_their_digits_at_both_ends() {
    let shape = [1, ENDS.len()];
    let x = Tensor::new(DataType::Float, &shape, ENDS.to_vec()).unwrap();
    let ones = Tensor::new(DataType::Float, &shape, vec![1.0; ENDS.len()]).unwrap();
    for engine in hirescam_testing::engines::engines(1) {
        for (op, attributes) in [
            ("Sigmoid", vec![]),
            ("Tanh", vec![]),
            ("Softplus", vec![]),
            ("Softsign", vec![]),
            ("Elu", vec![]),
            ("Selu", vec![]),
            ("Celu", vec![]),
            ("Mish", vec![]),
            ("Swish", vec![]),
            ("Gelu", vec![attribute("approximate", "tanh")]),
            ("Gelu", vec![]),
            ("Erf", vec![]),
        ] {
            // Below this float32 has fewer digits.
            let deep = |v: &f64| matches!(op, "Erf" | "Gelu") && v.abs() > 7.5;
            let x = Tensor { data: x.data.mapv(|v| if deep(&v) { v / 4.0 } else { v }), ..x.clone() };
            let worst = worst(&operator(op, attributes, &shape), &x, &ones, engine.as_ref());
            assert!(worst < 1e-3, "{} {op}: {worst:.1e}", engine.name());
        }
    }
}

#[test]
fn a_softmax_keeps_its_digits_where_one_entry_is_nearly_all() {
    let seeds = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, -2.0, 0.5, 3.0]];
    for engine in hirescam_testing::engines::engines(1) {
        for op in ["Softmax", "LogSoftmax"] {
            for (ahead, seed) in [6.0, 12.0, 15.0, 18.0].into_iter().flat_map(|a| seeds.map(|s| (a, s))) {
                let x = Tensor::new(DataType::Float, &[1, 4], vec![ahead, 0.5, -1.0, 0.0]).unwrap();
                let seed = Tensor::new(DataType::Float, &[1, 4], seed.to_vec()).unwrap();
                let model = operator(op, vec![attribute("axis", 1)], &[1, 4]);
                let worst = worst(&model, &x, &seed, engine.as_ref());
                assert!(worst < 1e-3, "{} {op} {ahead} {seed:?}: {worst:.1e}", engine.name());
            }
        }
    }
}
