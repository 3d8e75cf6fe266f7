//! What a derivative costs goes with the network: its nodes with the network's nodes, whatever the extents; and a network
//! whose values are beyond what its image and its weights explain is refused before anything runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::build::Graph;
use hirescam_core::cam::{self, Request};
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{ModelProto, NodeProto};
use hirescam_core::ops::{self, CaseInput};
use hirescam_core::shape::Shapes;
use hirescam_core::tensor::{DataType, is_float};
use hirescam_core::{Error, Model, Tensor, analysis, flow, grad, memory};
use hirescam_testing::Random;
use hirescam_testing::by_hand::{info, model, single_node};
use std::collections::HashSet;

/// One node of a made-up network.
fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("the {op} of {output}")),
        input: inputs.iter().map(|&i| i.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

/// How the layers of a dense block join what came before.
#[derive(Clone, Copy, Debug)]
enum Join {
    Appended,
    Prepended,
    Nested,
}

/// A dense block of so many layers, and the nodes of its map at the first.
fn dense_block(layers: usize, join: Join) -> (usize, usize) {
    let mut random = Random::new(1);
    let mut stored = vec![("first".to_owned(), random.tensor(&[2, 1, 3, 3], -1.0, 1.0))];
    let pads = || vec![attribute("pads", [1, 1, 1, 1])];
    let mut nodes = vec![NodeProto { attribute: pads(), ..node("Conv", &["image", "first"], "f0") }];
    let (mut parts, mut all) = (vec!["f0".to_owned()], "f0".to_owned());
    for layer in 1..=layers {
        let [relu, made, joined] = ["relu", "f", "all"].map(|name| format!("{name}{layer}"));
        nodes.push(node("Relu", &[&all], &relu));
        let weight = format!("w{layer}");
        stored.push((weight.clone(), random.tensor(&[2, 2 * layer, 3, 3], -1.0, 1.0)));
        nodes.push(NodeProto { attribute: pads(), ..node("Conv", &[&relu, &weight], &made) });
        match join {
            Join::Appended => parts.push(made),
            Join::Prepended => parts.insert(0, made),
            Join::Nested => parts = vec![all, made],
        }
        let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        nodes.push(NodeProto { attribute: vec![attribute("axis", 1)], ..node("Concat", &inputs, &joined) });
        all = joined;
    }
    nodes.push(node("Relu", &[&all], "last"));
    nodes.push(node("GlobalAveragePool", &["last"], "pooled"));
    nodes.push(node("Flatten", &["pooled"], "scores"));
    let stored: Vec<(&str, Tensor)> = stored.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    let image = info("image", DataType::Float, &[1, 1, 6, 6]);
    let scores = info("scores", DataType::Float, &[1, 2 * (layers + 1)]);
    let own = nodes.len();
    let network = Model::new(model(17, nodes, vec![image], vec![scores], &stored)).unwrap();
    let made = cam::attach(&network, &Request { layer: Some("f0".into()), ..Request::default() }).unwrap();
    (own, made.model.graph.as_ref().unwrap().node.len() - own)
}

#[test]
fn a_dense_block_takes_nodes_in_proportion_to_its_layers() {
    for join in [Join::Appended, Join::Prepended, Join::Nested] {
        let [(_, few), (own, more), (_, most)] = [8, 16, 32].map(|layers| dense_block(layers, join));
        assert_eq!(most - more, 2 * (more - few), "{join:?}");
        assert!(more <= 6 * own, "{join:?}: {more} nodes for {own}");
    }
}

/// The most nodes that a derivative takes for one node of a network, and for each place of a window that it looks at.
const MOST: usize = 60;
const MOST_A_PLACE: usize = 8;

#[test]
fn no_rule_takes_more_nodes_than_a_constant() {
    for card in ops::all().filter(|c| c.vjp.is_some()) {
        for case in (card.cases)() {
            let (model, _) = single_node(card, &case, &mut Random::new(7));
            let image = analysis::image_input(&model, None).unwrap().name();
            let shapes = Shapes::infer(&model, image, None).unwrap();
            let graph = Graph::new(&model, &shapes);
            let mut made = Vec::new();
            for y in model.graph().node[0].output.iter().filter(|y| shapes.dtype(y).is_some_and(is_float)) {
                let sizes: Vec<usize> = shapes.dims(y).unwrap().iter().map(|d| d.per_image()).collect();
                let seed = graph.constant(Random::new(11).tensor(&sizes, -1.0, 1.0));
                for i in (0..case.inputs.len()).filter(|&i| matches!(case.inputs[i], CaseInput::Varied(..))) {
                    let x = format!("x{i}");
                    let dependence = flow::dependence(&model, &shapes, &x);
                    made.extend(
                        grad::vjp(&model, &graph, &[0], &dependence, (y, seed), &x).map(|d| (d, format!("{y}{x}"))),
                    );
                }
            }
            let wanted: Vec<_> = made.iter().map(|(v, name)| (*v, name.as_str())).collect();
            let nodes = graph.finish(&wanted, &HashSet::new()).unwrap();
            let nodes = nodes.iter().filter(|n| n.op_type() != "Constant").count();
            let window: i64 =
                case.attributes.iter().filter(|a| a.name() == "kernel_shape").flat_map(|a| &a.ints).product();
            let most = MOST * made.len().max(1) + MOST_A_PLACE * usize::try_from(window).unwrap();
            assert!(nodes <= most, "{} {:?}: {nodes} nodes, {most} at most", card.name, case.attributes);
        }
    }
}

/// A network that adds the mean of what `nodes` make, `made`, to its image.
fn beside(nodes: Vec<NodeProto>, stored: &[(&str, Tensor)]) -> ModelProto {
    let mut nodes = nodes;
    nodes.push(NodeProto { attribute: vec![attribute("keepdims", 0)], ..node("ReduceMean", &["made"], "mean") });
    nodes.push(node("Add", &["image", "mean"], "sum"));
    nodes.push(node("Relu", &["sum"], "layer"));
    nodes.push(node("GlobalAveragePool", &["layer"], "pooled"));
    nodes.push(node("Flatten", &["pooled"], "scores"));
    let image = info("image", DataType::Float, &[1, 1, 8, 8]);
    model(17, nodes, vec![image], vec![info("scores", DataType::Float, &[1, 1])], stored)
}

#[test]
fn networks_that_ask_for_much_memory_are_refused_by_the_node() {
    let many = 1 << 30;
    let ints = |v: &[i64]| Tensor::ints(v);
    let scalar = |v: f64| Tensor { dtype: DataType::Int64, data: ndarray::arr0(v).into_dyn() };
    let random = NodeProto { attribute: vec![attribute("shape", [many])], ..node("RandomNormal", &[], "made") };
    let wide = node("Reshape", &["image", "one row"], "row");
    let cases: Vec<(Vec<NodeProto>, Vec<(&str, Tensor)>)> = vec![
        (vec![node("ConstantOfShape", &["n"], "made")], vec![("n", ints(&[many]))]),
        (vec![node("Expand", &["one", "n"], "made")], vec![("one", ints(&[1])), ("n", ints(&[many]))]),
        (vec![node("Tile", &["one", "n"], "made")], vec![("one", ints(&[1])), ("n", ints(&[many]))]),
        (
            vec![wide.clone(), node("Tile", &["row", "n"], "made")],
            vec![("one row", ints(&[64])), ("n", ints(&[1 << 24]))],
        ),
        (
            vec![wide.clone(), node("Expand", &["row", "n"], "made")],
            vec![("one row", ints(&[64])), ("n", ints(&[1 << 24, 1]))],
        ),
        (vec![wide, node("Pad", &["row", "n"], "made")], vec![("one row", ints(&[64])), ("n", ints(&[0, many]))]),
        (
            vec![node("Range", &["from", "to", "by"], "made")],
            vec![("from", scalar(0.0)), ("to", scalar(1e9)), ("by", scalar(1.0))],
        ),
        (vec![random], vec![]),
        (
            vec![node("OneHot", &["at", "depth", "values"], "made")],
            vec![("at", ints(&[1; 1024])), ("depth", ints(&[1 << 22])), ("values", ints(&[0, 1]))],
        ),
    ];
    for (nodes, stored) in cases {
        let op = nodes.last().unwrap().op_type().to_owned();
        let network = Model::new(beside(nodes, &stored)).unwrap();
        match cam::attach(&network, &Request::default()) {
            Err(Error::Memory { at, .. }) => assert!(at.contains(&op), "{at}"),
            other => panic!("{op}: {:?}", other.map(drop)),
        }
        let shapes = Shapes::infer(&network, "image", None).unwrap();
        assert!(memory::check(&network, &shapes, 1 << 40).is_ok(), "{op}");
    }
}

#[test]
fn what_image_and_weights_explain_is_not_refused() {
    for (n, fits) in [(memory::SPARE / 4 - 64, true), (memory::SPARE / 4 + (1 << 20), false)] {
        let n = [("n", Tensor::ints(&[i64::try_from(n).unwrap()]))];
        let network = Model::new(beside(vec![node("ConstantOfShape", &["n"], "made")], &n)).unwrap();
        let shapes = Shapes::infer(&network, "image", None).unwrap();
        assert_eq!(memory::check(&network, &shapes, memory::SPARE).is_ok(), fits);
    }
}
