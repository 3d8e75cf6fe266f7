//! Every derivative rule against central differences of its card's own forward, in f64, in one random direction;
//! and every rule on a cotangent that stands for a whole axis against the same cotangent written out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::onnx::messages::{ModelProto, NodeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use hirescam_core::ops::{self, Card, Case, CaseInput};
use hirescam_core::shape::{Dim, Shapes};
use hirescam_core::tensor::{DataType, is_float};
use hirescam_core::{Error, Model, Tensor, analysis, flow, grad, reference};
use hirescam_testing::by_hand;
use hirescam_testing::by_hand::{info, single_node};
use hirescam_testing::each::{self, Completion, Failed, Tests, all_right};
use hirescam_testing::{Random, max_abs};
use ndarray::ArrayD;
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

/// How many operators had a rule, at least, when this was written.
const RULES: usize = 100;

type Values = HashMap<String, Tensor>;

fn run(model: &Model, values: &Values, wanted: &str) -> Tensor {
    reference::evaluate(model, values.clone(), &[wanted]).unwrap().remove(0)
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (&a.data * &b.data).sum()
}

/// ⟨Jᵀȳ, v⟩ from the emitted nodes, for input `x` and output `y`, with the cotangent `dy`.
fn symbolic(model: &Model, values: &Values, x: &str, y: &str, dy: &Tensor) -> Tensor {
    let image = analysis::image_input(model, None).unwrap().name();
    let shapes = Shapes::infer(model, image, None).unwrap();
    let dependence = flow::dependence(model, &shapes, x);
    let graph = Graph::new(model, &shapes);
    let seed = graph.constant(dy.clone());
    let path: Vec<usize> = (0..model.graph().node.len()).collect();
    let dx = grad::vjp(model, &graph, &path, &dependence, (y, seed), x).unwrap();
    let dx = dx.expand_as(graph.value(x).unwrap());
    let mut proto = model.proto().clone();
    proto.graph.as_mut().unwrap().node.extend(graph.finish(&[(dx, "dx")], &HashSet::new()).unwrap());
    run(&Model::new(proto).unwrap(), values, "dx")
}

fn check(card: &Card, case: &Case, seed: u64) {
    let mut random = Random::new(seed);
    let (model, values) = single_node(card, case, &mut random);
    let context = || format!("{} {:?} {:?}", card.name, case.attributes, case.inputs);
    for y in model.graph().node[0].output.clone() {
        let out = run(&model, &values, &y);
        if !is_float(out.dtype) {
            continue;
        }
        let bar = random.tensor(out.shape(), -1.0, 1.0);
        for (i, given) in case.inputs.iter().enumerate() {
            let CaseInput::Varied(shape, ..) = given else { continue };
            let x = format!("x{i}");
            let v = random.tensor(shape, -1.0, 1.0);
            let h = 1e-6;
            let at = |h: f64| {
                let mut values = values.clone();
                values.get_mut(&x).unwrap().data += &(&v.data * h);
                dot(&run(&model, &values, &y), &bar)
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            let rule = dot(&symbolic(&model, &values, &x, &y, &bar), &v);
            assert!(
                (numeric - rule).abs() < 1e-6 * (1.0 + numeric.abs()),
                "{}: numeric {numeric}, rule {rule}, input {i}",
                context()
            );
            // Along any set of axes, a cotangent of extent 1 must mean the same as one written out.
            for mask in 1..1u32 << out.shape().len().min(5) {
                let one: Vec<usize> =
                    out.shape().iter().enumerate().map(|(a, &n)| if mask >> a & 1 == 1 { 1 } else { n }).collect();
                let short = random.tensor(&one, -1.0, 1.0);
                let long = Tensor { dtype: short.dtype, data: short.data.broadcast(out.shape()).unwrap().to_owned() };
                let [a, b] = [short, long].map(|dy| symbolic(&model, &values, &x, &y, &dy));
                let worst = max_abs(&(&a.data - &b.data));
                // Constants are stored in f32.
                assert!(
                    worst < 1e-6,
                    "{}: a cotangent of the shape {one:?} gives {worst} more than the whole",
                    context()
                );
            }
        }
    }
}

fn rule_matches_central_differences(card: &Card) -> Result<(), String> {
    for case in (card.cases)() {
        (0..3).for_each(|seed| check(card, &case, seed));
    }
    Ok(())
}

fn the_silu_is_differentiated_by_both_ways_to_x() {
    let x = Tensor::new(DataType::Float, &[1, 6], vec![-100.0, -3.0, -0.5, 0.0, 1.25, 100.0]).unwrap();
    let dy = Tensor::new(DataType::Float, &[1, 1], vec![2.0]).unwrap();
    for factors in [["x", "s"], ["s", "x"]] {
        let float = |name| info(name, DataType::Float, &[1, 6]);
        let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: Some(op.into()),
            input: inputs.iter().map(|&i| i.into()).collect(),
            output: vec![output.into()],
            ..Default::default()
        };
        let nodes = vec![node("Sigmoid", &["x"], "s"), node("Mul", &factors, "y")];
        let model = Model::new(by_hand::model(17, nodes, vec![float("x")], vec![float("y")], &[])).unwrap();
        let values = HashMap::from([("x".to_owned(), x.clone())]);
        let slope = |v: f64| {
            let sigma = 1.0 / (1.0 + (-v).exp());
            2.0 * sigma * (1.0 + v * (1.0 - sigma))
        };
        let close = |made: Tensor, expected: ArrayD<f64>| {
            assert!((&made.data - expected).iter().all(|d| d.abs() < 1e-12), "{factors:?}: {made:?}");
        };
        close(symbolic(&model, &values, "x", "y", &dy), x.data.mapv(slope));
        // By σ alone, which is a layer as any other.
        close(symbolic(&model, &values, "s", "y", &dy), &x.data * 2.0);
    }
}

/// The same model with a batch of any size: the leading axes of 2 of all inputs are open. With the inputs a cotangent
/// `dy` of the output `y` comes in. None where the case holds for a batch of 2 only.
fn with_free_batch(model: &Model, y: &str) -> Option<(Model, Shapes)> {
    let free = |info: &mut ValueInfoProto| {
        let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            return;
        };
        let batch = t.shape.as_mut().and_then(|s| s.dim.first_mut()).map(|d| &mut d.value);
        if let Some(d) = batch.filter(|d| **d == Some(dimension::Value::DimValue(2))) {
            *d = Some(dimension::Value::DimParam("N".into()));
        }
    };
    let mut proto = model.proto().clone();
    proto.graph.as_mut()?.input.iter_mut().for_each(free);
    let shapes = |proto: &ModelProto| {
        let model = Model::new(proto.clone()).unwrap();
        let image = analysis::image_input(&model, None).unwrap().name().to_owned();
        Shapes::infer(&model, &image, None).ok().filter(|s| s.free_batch() && s.fault.is_none()).map(|s| (model, s))
    };
    let dims = shapes(&proto)?.1.dims(y)?;
    if dims.iter().skip(1).any(|d| matches!(d, Dim::Batch(_))) || dims.first() != Some(&Dim::Batch(1)) {
        return None;
    }
    let sizes: Vec<usize> = dims.iter().enumerate().map(|(i, d)| if i == 0 { 2 } else { d.per_image() }).collect();
    let mut dy = info("dy", DataType::Float, &sizes);
    free(&mut dy);
    proto.graph.as_mut()?.input.push(dy);
    shapes(&proto)
}

fn rule_gives_the_same_whatever_is_known_of_the_batch(card: &Card) -> Result<Completion, Failed> {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in (card.cases)() {
        let mut random = Random::new(5);
        let (model, mut values) = single_node(card, &case, &mut random);
        let Some((free, shapes)) = with_free_batch(&model, "y0") else { continue };
        let shape = run(&model, &values, "y0").shape().to_vec();
        // Each image with a cotangent of its own, or one for all, which may stand for other axes as well.
        let rest = 0..1usize << (shape.len() - 1).min(4);
        let rows =
            rest.map(|m| (0..shape.len()).map(|a| if (1 | m << 1) >> a & 1 == 1 { 1 } else { shape[a] }).collect());
        for one in [shape.clone()].into_iter().chain(rows) {
            let dy = random.tensor(&one, -1.0, 1.0);
            values.insert("dy".into(), dy.clone());
            let varied = case.inputs.iter().enumerate().filter(|(_, g)| matches!(g, CaseInput::Varied(..)));
            for x in varied.map(|(i, _)| format!("x{i}")) {
                let graph = Graph::new(&free, &shapes);
                let seed = if one == shape { graph.value("dy").unwrap() } else { graph.constant(dy.clone()) };
                let dependence = flow::dependence(&free, &shapes, &x);
                let made = grad::vjp(&free, &graph, &[0], &dependence, ("y0", seed), &x).and_then(|dx| {
                    let dx = dx.expand_as(graph.value(&x)?);
                    let mut proto = free.proto().clone();
                    proto.graph.as_mut().unwrap().node.extend(graph.finish(&[(dx, "dx")], &HashSet::new())?);
                    reference::evaluate(&Model::new(proto)?, values.clone(), &["dx"])
                });
                tried += 1;
                let failed = match made {
                    // What would mix the images of a batch is refused.
                    Err(Error::Unsupported { what, .. }) if what.contains("the images of a batch") => continue,
                    Err(error) => error.to_string(),
                    Ok(made) => {
                        let fixed = symbolic(&model, &values, &x, "y0", &dy);
                        let worst = max_abs(&(&made[0].data - &fixed.data));
                        let size = max_abs(&fixed.data).max(1.0);
                        // What is folded into a constant is rounded to float32.
                        if worst < 1e-6 * size {
                            continue;
                        }
                        format!("{worst} apart")
                    }
                };
                wrong.push(format!("{} {:?} by {x} from {one:?}: {failed}", card.name, case.inputs));
            }
        }
    }
    all_right(&wrong)?;
    if tried == 0 {
        return Ok(Completion::ignored_with("no case follows the batch"));
    }
    Ok(Completion::Completed)
}

fn rule_has_a_case_that_differentiates(card: &Card) -> Result<(), String> {
    let varied = |c: &Case| c.inputs.iter().any(|g| matches!(g, CaseInput::Varied(..)));
    if (card.cases)().iter().any(varied) { Ok(()) } else { Err("no case differentiates it".into()) }
}

fn each_operator_has_one_card() {
    let mut seen = HashSet::new();
    assert!(ops::all().all(|c| seen.insert((c.domain, c.name))));
}

fn main() -> ExitCode {
    let rules = || each::cards(|card| card.vjp.is_some());
    let of_onnx = each::cards(|card| card.vjp.is_some() && card.domain.is_empty());
    Tests::default()
        .each("rule_matches_central_differences", RULES, rules(), rule_matches_central_differences)
        .each_or_ignored(
            "rule_gives_the_same_whatever_is_known_of_the_batch",
            RULES,
            rules(),
            rule_gives_the_same_whatever_is_known_of_the_batch,
        )
        .each("rule_has_a_case_that_differentiates", RULES, of_onnx, rule_has_a_case_that_differentiates)
        .one("the_silu_is_differentiated_by_both_ways_to_x", the_silu_is_differentiated_by_both_ways_to_x)
        .one("each_operator_has_one_card", each_operator_has_one_card)
        .run()
        .exit_code()
}
