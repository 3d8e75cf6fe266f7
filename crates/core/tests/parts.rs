//! Heads and bodies as models of their own: they make what the whole model makes, for any number of images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{self, Analysis, Hints};
use hirescam_core::cam::{self, Request, Target};
use hirescam_core::onnx::messages::{NodeProto, tensor_shape_proto::dimension, type_proto};
use hirescam_core::shape::declared;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, head, layers, onnx, reference};
use hirescam_testing::by_hand::{info, model};
use hirescam_testing::{FIXTURES, Random, max_abs, zoo};
use std::collections::HashMap;

/// Nearer than the rounding of a graph's constants to float32, relative to the largest value.
fn assert_near(a: &Tensor, b: &Tensor, context: &str) {
    assert_eq!(a.shape(), b.shape(), "{context}");
    let largest = max_abs(&b.data).max(1e-12);
    let apart = max_abs(&(&a.data - &b.data));
    assert!(apart <= 1e-6 * largest, "{context}: {apart} apart, of {largest}");
}

/// Each part read back from bytes.
fn again(proto: &onnx::messages::ModelProto) -> Model {
    Model::from_bytes(onnx::write(proto)).unwrap()
}

/// The names of the inputs that a caller feeds.
fn fed(model: &Model) -> Vec<&str> {
    model.inputs().map(|i| i.name()).collect()
}

#[test]
fn body_and_head_together_are_the_network() {
    let mut tried = 0;
    for entry in std::fs::read_dir(format!("{FIXTURES}/zoo")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if !file.ends_with(".onnx") {
            continue;
        }
        let model = zoo(&file);
        let Ok(analysis) = Analysis::of(&model, &Hints::default()) else { continue };
        let Analysis { shapes, score, .. } = &analysis;
        let image = analysis::image_input(&model, None).unwrap();
        let n = if shapes.free_batch() { 4 } else { shapes.probes[0].0 };
        let shape: Vec<usize> = declared(image).iter().map(|d| d.unwrap_or(n)).collect();
        let x = Random::new(5).tensor(&shape, -1.0, 1.0);
        let known = HashMap::from([(image.name().to_owned(), x)]);
        let listed = layers::layers(&analysis, true).unwrap();
        let names = listed.iter().map(|l| l.name.clone()).chain([image.name().to_owned()]);
        for layer in names.step_by(3) {
            let context = format!("{layer} of {file}");
            let cut = head::cut(&analysis, &layer, None).unwrap();
            let part = match head::model(&analysis, &cut) {
                Ok(part) => again(&part),
                // Attention in windows: what goes around the layer counts windows, not images.
                Err(Error::Unsupported { what, .. }) if what.contains("way around the layer") => continue,
                Err(why) => panic!("{context}: {why}"),
            };
            let values = fed(&part);
            assert_eq!(values[0], layer, "{context}");
            let mut wanted = values.clone();
            wanted.push(&score.logits);
            let whole = reference::evaluate(&model, known.clone(), &wanted).unwrap();
            if layer != image.name() {
                let body = again(&head::body(&analysis, &values).unwrap());
                assert_eq!(fed(&body), [image.name()], "{context}");
                for (made, expected) in reference::evaluate(&body, known.clone(), &values).unwrap().iter().zip(&whole) {
                    assert_near(made, expected, &context);
                }
            }
            let given = values.iter().map(|v| (*v).to_owned()).zip(whole.clone()).collect();
            let logits = reference::evaluate(&part, given, &[&score.logits]).unwrap();
            assert_near(&logits[0], whole.last().unwrap(), &context);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn heads_hold_what_they_need_and_nothing_more() {
    let model = zoo("resnet.ts.onnx");
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let cut = head::cut(&analysis, "/Relu_2_output_0", None).unwrap();
    let part = head::model(&analysis, &cut).unwrap().graph.unwrap();
    assert!(part.node.len() <= 4, "{:?}", part.node.iter().map(|n| n.op_type()).collect::<Vec<_>>());
    assert_eq!(part.input.len(), 1);
    assert!(part.initializer.len() <= 4);
}

#[test]
fn what_goes_around_the_layer_becomes_an_input() {
    let model = zoo("bypassed.ts.onnx");
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let listed = layers::layers(&analysis, true).unwrap();
    let carried = listed.iter().filter(|l| l.certificate.as_ref().is_ok_and(|c| c.bypass.is_some())).map(|l| {
        let cut = head::cut(&analysis, &l.name, None).unwrap();
        Model::new(head::model(&analysis, &cut).unwrap()).unwrap().inputs().count()
    });
    assert!(carried.max().unwrap() >= 2);
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

#[test]
fn a_shape_taken_from_the_body_follows_the_batch_of_the_activation() {
    // r = relu(x); logits = reshape(relu(r), [batch of x, 6]) · w
    let nodes = vec![
        node("Relu", &["x"], "r"),
        node("Shape", &["x"], "shape"),
        node("Gather", &["shape", "zero"], "n"),
        node("Concat", &["n", "six"], "to"),
        node("Relu", &["r"], "a"),
        node("Reshape", &["a", "to"], "flat"),
        node("MatMul", &["flat", "w"], "logits"),
    ];
    let mut nodes = nodes;
    nodes[3].attribute = vec![hirescam_core::onnx::attribute("axis", 0)];
    let stored =
        [("zero", Tensor::ints(&[0])), ("six", Tensor::ints(&[6])), ("w", Random::new(1).tensor(&[6, 2], -1.0, 1.0))];
    let (mut x, y) = (info("x", DataType::Float, &[1, 2, 3]), info("logits", DataType::Float, &[1, 2]));
    let Some(type_proto::Value::TensorType(t)) = &mut x.r#type.as_mut().unwrap().value else { panic!() };
    t.shape.as_mut().unwrap().dim[0].value = Some(dimension::Value::DimParam("N".into()));
    let model = Model::new(model(17, nodes, vec![x], vec![y], &stored)).unwrap();
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let cut = head::cut(&analysis, "r", None).unwrap();
    let part = again(&head::model(&analysis, &cut).unwrap());
    assert_eq!(fed(&part), ["r"]);
    for n in [1, 7] {
        let x = Random::new(2).tensor(&[n, 2, 3], -1.0, 1.0);
        let whole = reference::evaluate(&model, HashMap::from([("x".into(), x)]), &["r", "logits"]).unwrap();
        let made = reference::evaluate(&part, HashMap::from([("r".into(), whole[0].clone())]), &["logits"]).unwrap();
        assert_near(&made[0], &whole[1], "logits");
    }
}

#[test]
fn indices_that_the_body_makes_are_handed_over() {
    let mut argmax = node("ArgMax", &["x"], "which");
    argmax.attribute = vec![hirescam_core::onnx::attribute("axis", 2)];
    let mut sum = node("ReduceSum", &["chosen", "axes"], "logits");
    sum.attribute = vec![hirescam_core::onnx::attribute("keepdims", 0)];
    let mut gather = node("GatherElements", &["a", "which"], "chosen");
    gather.attribute = vec![hirescam_core::onnx::attribute("axis", 2)];
    let nodes = vec![node("Relu", &["x"], "a"), argmax, gather, sum];
    let x = info("x", DataType::Float, &[1, 2, 3]);
    let y = info("logits", DataType::Float, &[1, 2]);
    let model = Model::new(model(17, nodes, vec![x], vec![y], &[("axes", Tensor::ints(&[2]))])).unwrap();
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let cut = head::cut(&analysis, "a", None).unwrap();
    let part = again(&head::model(&analysis, &cut).unwrap());
    assert_eq!(fed(&part), ["a", "which"]);
    let x = Random::new(3).tensor(&[1, 2, 3], -1.0, 1.0);
    let whole = reference::evaluate(&model, HashMap::from([("x".into(), x)]), &["a", "which", "logits"]).unwrap();
    let known = HashMap::from([("a".into(), whole[0].clone()), ("which".into(), whole[1].clone())]);
    assert_near(&reference::evaluate(&part, known, &["logits"]).unwrap()[0], &whole[2], "logits");
}

#[test]
fn the_gradient_of_a_head_makes_the_map_of_the_network() {
    for (file, layer) in [
        ("resnet.ts.onnx", "/Relu_1_output_0"),
        ("bypassed.ts.onnx", "/Relu_1_output_0"),
        ("squashed.ts.onnx", "/Relu_1_output_0"),
    ] {
        let model = zoo(file);
        let image = analysis::image_input(&model, None).unwrap();
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let score = &analysis.score;
        let cut = head::cut(&analysis, layer, None).unwrap();
        let part = Model::new(head::model(&analysis, &cut).unwrap()).unwrap();
        let made = head::gradient(&part, layer, &score.logits).unwrap();
        let shape: Vec<usize> = declared(image).iter().map(|d| d.unwrap_or(2)).collect();
        let x = Random::new(3).tensor(&shape, -1.0, 1.0);
        let request = Request { layer: Some(layer.into()), target: Target::Classes(vec![1]), ..Request::default() };
        let explaining = Model::new(cam::attach(&model, &request).unwrap().model.as_ref().clone()).unwrap();
        let values = fed(&part);
        let wanted: Vec<&str> = values.iter().copied().chain(["map", &score.logits]).collect();
        let known = HashMap::from([(image.name().to_owned(), x)]);
        let mut whole = reference::evaluate(&explaining, known, &wanted).unwrap();
        let (logits, map) = (whole.pop().unwrap(), whole.pop().unwrap());
        let mut seed = logits.clone();
        seed.data.indexed_iter_mut().for_each(|(i, v)| *v = f64::from(u8::from(i[1] == 1)));
        let activation = whole[0].clone();
        let mut given: HashMap<String, Tensor> = values.iter().map(|v| (*v).to_owned()).zip(whole).collect();
        given.insert(made.seed, seed);
        let g = reference::evaluate(&Model::new(made.model).unwrap(), given, &[&made.gradient]).unwrap().remove(0);
        let product = Tensor::float((&g.data * &activation.data).sum_axis(ndarray::Axis(cut.channels.unwrap())));
        assert_near(&product, &map, file);
    }
}

#[test]
fn picks_are_what_the_graph_picks() {
    let model = zoo("resnet.ts.onnx");
    let image = analysis::image_input(&model, None).unwrap();
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let score = &analysis.score;
    let shape: Vec<usize> = declared(image).iter().map(|d| d.unwrap_or(1)).collect();
    let x = Random::new(4).tensor(&shape, -1.0, 1.0);
    for target in ["top:3", "class:2,0", "all", "contrast:2,1", "weights:0=0.5,1=2", "sum:1:3", "element:1"] {
        let target: Target = target.parse().unwrap();
        let request = Request { target: target.clone(), logits: true, ..Request::default() };
        let made = cam::attach(&model, &request).unwrap();
        let o = &made.outputs;
        let known = HashMap::from([(image.name().to_owned(), x.clone())]);
        let wanted = [o.class.as_str(), &o.score, o.logits.as_deref().unwrap()];
        let [class, score_of, logits] = <[Tensor; 3]>::try_from(
            reference::evaluate(&Model::new(made.model.as_ref().clone()).unwrap(), known, &wanted).unwrap(),
        )
        .unwrap();
        let logits: Vec<f32> = logits.data.iter().map(|&v| v as f32).collect();
        let picks = target.picks(score, &logits).unwrap();
        let classes: Vec<f64> = picks.iter().map(|p| p.class.map_or(-1.0, |c| c as f64)).collect();
        assert_eq!(classes, class.data.iter().copied().collect::<Vec<_>>(), "{target}");
        for (pick, expected) in picks.iter().zip(&score_of.data) {
            assert!((pick.score(&logits) - expected).abs() < 1e-5, "{target}");
        }
    }
    assert!(Target::Seed.picks(score, &[]).is_err());
}
