//! Files of every legal kind: the same network, written in another way, has the same map.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use bytes::Bytes;
use hirescam_core::build::{EMITTED, OLDEST_OPSET};
use hirescam_core::cam::{self, Explaining, Request};
use hirescam_core::onnx;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
};
use hirescam_core::tensor::{DataType, wide};
use hirescam_core::{Model, Tensor, reference};
use hirescam_testing::by_hand::{info, model};
use hirescam_testing::{Random, max_abs};
use std::collections::HashMap;

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&s| s.into()).collect(),
        output: outputs.iter().map(|&s| s.into()).collect(),
        attribute: attributes,
        ..Default::default()
    }
}

/// Eighths between −1 and 1: exact in every float type.
fn eighths(shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed);
    let values = (0..shape.iter().product()).map(|_| (random.unit() * 16.0).floor() / 8.0 - 1.0).collect();
    Tensor::new(DataType::Float, shape, values).unwrap()
}

/// Convolution, corners, two kinds of pooling, a linear layer and a softmax; any batch of `[3,9,9]`.
fn network(opset: i64, dtype: DataType) -> ModelProto {
    let pool = |k: i64, p: i64| {
        vec![attribute("kernel_shape", [k, k]), attribute("strides", [2, 2]), attribute("pads", [p; 4])]
    };
    let nodes = vec![
        node("Conv", &["x", "k", "kb"], &["c"], vec![attribute("pads", [1; 4])]),
        node("Relu", &["c"], &["r"], vec![]),
        node("MaxPool", &["r"], &["p"], pool(3, 1)),
        node("LeakyRelu", &["p"], &["l"], vec![attribute("alpha", 0.125f32)]),
        node("AveragePool", &["l"], &["m"], pool(2, 0)),
        node("MaxPool", &["m"], &["a"], vec![attribute("kernel_shape", [2, 1]), attribute("strides", [1, 2])]),
        node("GlobalAveragePool", &["a"], &["g"], vec![]),
        node("Flatten", &["g"], &["f"], vec![]),
        node("Gemm", &["f", "w", "wb"], &["y"], vec![]),
        node("Softmax", &["y"], &["s"], vec![attribute("axis", 1)]),
    ];
    let weights = [
        ("k", eighths(&[4, 3, 3, 3], 1)),
        ("kb", eighths(&[4], 2)),
        ("w", eighths(&[4, 5], 3)),
        ("wb", eighths(&[5], 4)),
    ];
    let weights = weights.map(|(name, t)| (name, Tensor { dtype, ..t }));
    let mut proto =
        model(opset, nodes, vec![info("x", dtype, &[0, 3, 9, 9])], vec![info("s", dtype, &[0, 5])], &weights);
    proto.graph.as_mut().unwrap().node[0].attribute.push(attribute("kernel_shape", [3, 3]));
    proto
}

/// The map of two images at `layer`, from the bytes of the explaining model.
fn map(proto: ModelProto, layer: &str) -> Tensor {
    let dtype = proto.graph.as_ref().unwrap().input[0].r#type.clone();
    let request = Request { layer: Some(layer.into()), ..Request::default() };
    let made = cam::attach(&Model::from_bytes(onnx::write(&proto)).unwrap(), &request).unwrap();
    let explaining = Model::from_bytes(made.to_bytes()).unwrap();
    let outputs = &explaining.graph().output;
    let map = outputs.iter().find(|o| o.name() == made.outputs.map).unwrap();
    let own = DataType::try_from(element(&dtype)).unwrap();
    assert_eq!(element(&map.r#type), wide(own) as i32);
    let images = eighths(&[2, 3, 9, 9], 9);
    let known = HashMap::from([("x".to_owned(), images)]);
    reference::evaluate(&explaining, known, &[&made.outputs.map]).unwrap().remove(0)
}

fn element(r#type: &Option<onnx::messages::TypeProto>) -> i32 {
    match &r#type.as_ref().unwrap().value {
        Some(onnx::messages::type_proto::Value::TensorType(t)) => t.elem_type(),
        other => panic!("{other:?}"),
    }
}

const LAYERS: &[&str] = &["a", "m", "p", "r", "c"];

fn same(proto: &ModelProto, what: &str) {
    for layer in LAYERS {
        let (made, expected) = (map(proto.clone(), layer), map(network(17, DataType::Float), layer));
        assert_eq!(made.shape(), expected.shape(), "{what} at {layer}");
        let worst = max_abs(&(&made.data - &expected.data));
        assert!(worst < 1e-12, "{what} at {layer}: {worst}");
    }
}

#[test]
fn operator_sets_from_7_on_give_the_same_map() {
    for opset in OLDEST_OPSET..=25 {
        same(&network(opset, DataType::Float), &format!("operator set {opset}"));
    }
}

#[test]
fn the_bytes_for_an_engine_take_the_file_s_memory() {
    let mut file = Vec::with_capacity(1 << 20);
    file.extend(onnx::write(&network(17, DataType::Float)));
    let (whole, place) = (file.clone(), file.as_ptr());
    let file = Bytes::from(file);
    let model = Model::from_bytes(file.clone()).unwrap();
    let attach = |model: &Model| [cam::attach(model, &Request::default()).unwrap()];
    let mut made = attach(&model);
    let expected = onnx::read(made[0].to_bytes()).unwrap();
    drop(model);
    let (bytes, own) = Explaining::take_bytes(&mut made, file);
    assert!(own == whole && own.as_ptr() == place && bytes.as_ptr() == place);
    assert!(onnx::read(bytes).unwrap().graph == expected.graph);

    // Somebody else holds the file, or the model is no longer what the file says.
    let file = Bytes::from(whole.clone());
    let mut made = attach(&Model::from_bytes(file.clone()).unwrap());
    let (bytes, own) = Explaining::take_bytes(&mut made, file.clone());
    assert!(own == whole && file == whole && onnx::read(bytes).unwrap().graph == expected.graph);
    let model = Model::new(onnx::read(whole.clone()).unwrap()).unwrap();
    let mut made = attach(&model);
    let (bytes, own) = Explaining::take_bytes(&mut made, file);
    assert!(own == whole && onnx::read(bytes).unwrap().graph == expected.graph);
}

#[test]
fn only_what_the_operator_set_has_is_emitted() {
    // The operator set that brought what is newer than the oldest one that is read.
    let since = HashMap::from([("Where", 9), ("Expand", 8), ("Erf", 9), ("Resize", 10)]);
    for opset in OLDEST_OPSET..=13 {
        for layer in LAYERS {
            let proto = network(opset, DataType::Float);
            let count = proto.graph.as_ref().unwrap().node.len();
            let request =
                Request { layer: Some((*layer).into()), heatmap: Some(cam::HeatmapSize::Image), ..Request::default() };
            let made = cam::attach(&Model::new(proto).unwrap(), &request).unwrap();
            for new in &made.model.graph.as_ref().unwrap().node[count..] {
                assert!(new.domain().is_empty(), "{new:?}");
                let op = new.op_type();
                assert!(EMITTED.contains(&op), "{op}");
                assert!(since.get(op).is_none_or(|&since| since <= opset), "{op} at operator set {opset}");
                // Bounds of a Slice and the k of a TopK became inputs with operator set 10.
                let inputs = if opset < 10 && matches!(op, "Slice" | "TopK") { 1 } else { 9 };
                assert!(new.input.len() <= inputs, "{new:?}");
                if let (true, Some(t)) = (opset < 9, new.attribute.iter().find_map(|a| a.t.as_ref())) {
                    assert!(matches!(DataType::try_from(t.data_type()), Ok(DataType::Float | DataType::Double)));
                }
            }
        }
    }
}

#[test]
fn every_float_type_gives_the_same_map() {
    for dtype in [DataType::Float16, DataType::Bfloat16, DataType::Double] {
        same(&network(22, dtype), &format!("{dtype:?}"));
    }
}

#[test]
fn constants_are_of_the_type_that_derivatives_are_computed_in() {
    for dtype in [DataType::Float16, DataType::Bfloat16, DataType::Double] {
        let proto = network(22, dtype);
        let count = proto.graph.as_ref().unwrap().node.len();
        let request = Request { layer: Some("c".into()), ..Request::default() };
        let made = cam::attach(&Model::new(proto).unwrap(), &request).unwrap();
        for t in made.model.graph.as_ref().unwrap().node[count..]
            .iter()
            .flat_map(|n| &n.attribute)
            .filter_map(|a| a.t.as_ref())
        {
            assert!(t.data_type() == wide(dtype) as i32 || t.data_type() == DataType::Int64 as i32, "{t:?}");
        }
    }
}

#[test]
fn raw_and_typed_weights_are_the_same() {
    let mut proto = network(17, DataType::Float);
    for t in &mut proto.graph.as_mut().unwrap().initializer {
        let raw = t.raw_data.take().unwrap();
        t.float_data = raw.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    }
    same(&proto, "typed fields");
}

#[test]
fn stored_tensors_may_be_inputs_too() {
    // Before IR version 4 they had to be.
    let mut proto = network(8, DataType::Float);
    proto.ir_version = Some(3);
    let graph = proto.graph.as_mut().unwrap();
    let inputs: Vec<_> = graph
        .initializer
        .iter()
        .map(|t| info(t.name(), DataType::Float, &t.dims.iter().map(|&d| d as usize).collect::<Vec<_>>()))
        .collect();
    graph.input.splice(0..0, inputs);
    let image = graph.input.pop().unwrap();
    graph.input.insert(2, image);
    let made = {
        let model = Model::from_bytes(onnx::write(&proto)).unwrap();
        cam::attach(&model, &Request { layer: Some("c".into()), ..Request::default() }).unwrap()
    };
    assert_eq!(made.image, "x");
    let graph = proto.graph.as_mut().unwrap();
    graph.input.swap(0, 2);
    same(&proto, "inputs with values");
}

#[test]
fn what_is_not_on_the_path_is_kept_and_does_not_matter() {
    let mut proto = network(17, DataType::Float);
    let graph = proto.graph.as_mut().unwrap();
    let branch = |name: &str, value: &str| {
        let inner = GraphProto {
            node: vec![node("Mystery", &[value], &["inner"], vec![])],
            output: vec![info("inner", DataType::Float, &[1])],
            ..Default::default()
        };
        AttributeProto { name: Some(name.into()), g: Some(inner), ..Default::default() }
    };
    // A choice that takes the layer from around it, unknown operators, nodes of the same name, empty optional inputs,
    // an input that nothing reads, a stored tensor that is sparse, and one without use.
    let choice = node("If", &["yes"], &["i"], vec![branch("then_branch", "r"), branch("else_branch", "c")]);
    graph.node.push(choice);
    graph
        .node
        .push(NodeProto { domain: Some("own".into()), ..node("Unheard", &["i", "", "sparse"], &["u", ""], vec![]) });
    graph.node.push(node("Clip", &["c", "", "six"], &["cc"], vec![]));
    graph.node.iter_mut().for_each(|n| n.name = Some("node".into()));
    graph.initializer.push(Tensor::new(DataType::Bool, &[], vec![1.0]).unwrap().to_proto("yes").unwrap());
    graph.initializer.push(Tensor::new(DataType::Float, &[], vec![6.0]).unwrap().to_proto("six").unwrap());
    graph.initializer.push(Tensor::new(DataType::Int8, &[2], vec![-5.0, 7.0]).unwrap().to_proto("unused").unwrap());
    let values = Tensor::new(DataType::Float, &[1], vec![2.0]).unwrap().to_proto("sparse").unwrap();
    let indices = Tensor::ints(&[3]).to_proto("").unwrap();
    graph.sparse_initializer.push(SparseTensorProto { values: Some(values), indices: Some(indices), dims: vec![5] });
    graph.input.push(info("unread", DataType::Float, &[4]));
    graph.output.push(info("u", DataType::Float, &[1]));
    let before = proto.graph.clone().unwrap();
    let made = cam::attach(&Model::new(proto.clone()).unwrap(), &Request::default()).unwrap();
    let after = made.model.graph.as_ref().unwrap();
    assert!(after.node.starts_with(&before.node) && after.output.starts_with(&before.output));
    assert!(after.initializer == before.initializer && after.input == before.input);
    same(&proto, "company");
}

#[test]
fn nodes_may_come_in_any_order() {
    let mut proto = network(17, DataType::Float);
    proto.graph.as_mut().unwrap().node.reverse();
    same(&proto, "reversed nodes");
}

#[test]
fn local_functions_are_seen_through() {
    let mut proto = network(17, DataType::Float);
    let function = |name: &str, input: &[&str], output: &[&str], nodes: Vec<NodeProto>| FunctionProto {
        name: Some(name.into()),
        domain: Some("own".into()),
        input: input.iter().map(|&s| s.into()).collect(),
        output: output.iter().map(|&s| s.into()).collect(),
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    };
    let own = |node: NodeProto| NodeProto { domain: Some("own".into()), ..node };
    let refers = |name: &str, to: &str| AttributeProto {
        ref_attr_name: Some(to.into()),
        ..AttributeProto { name: Some(name.into()), ..Default::default() }
    };
    // Leaky has a slope by default; Stem passes an output through and gives its own slope on.
    let mut leaky =
        function("Leaky", &["p"], &["q"], vec![node("LeakyRelu", &["p"], &["q"], vec![refers("alpha", "slope")])]);
    leaky.attribute_proto = vec![attribute("slope", 0.5f32)];
    let stem = function(
        "Stem",
        &["x", "k", "unset"],
        &["c", "x", "r"],
        vec![
            node("Conv", &["x", "k", "unset"], &["c"], vec![attribute("pads", [1; 4])]),
            own(node("Leaky", &["c"], &["half"], vec![refers("slope", "s")])),
            node("Identity", &["half"], &["r"], vec![]),
        ],
    );
    proto.functions = vec![leaky, stem];
    let graph = proto.graph.as_mut().unwrap();
    graph.node[0] = own(node("Stem", &["x", "k", "kb"], &["c", "same", "r"], vec![attribute("s", 0.0f32)]));
    graph.node[3] = own(node("Leaky", &["p"], &["l"], vec![attribute("slope", 0.125f32)]));
    graph.node[1] = node("Relu", &["same"], &["spare"], vec![]);
    same(&proto, "functions");
    // The file keeps its functions, and the calls come back.
    let bytes = onnx::write(&proto);
    let model = Model::from_bytes(bytes.clone()).unwrap();
    let made = cam::attach(&model, &Request { layer: Some("c".into()), ..Request::default() }).unwrap();
    assert_eq!(made.model.functions, proto.functions);
    assert!(onnx::read(made.to_bytes()).unwrap() == *made.model);
    assert!(cam::strip(&made.to_bytes()).unwrap().unwrap() == bytes);
    let explaining = Model::from_bytes(made.to_bytes()).unwrap();
    let again = cam::attach(&explaining, &Request { layer: Some("c".into()), ..Request::default() }).unwrap();
    assert!(again.to_bytes() == made.to_bytes());

    // A body for another operator set cannot be put in; off the path it does not matter.
    proto.functions[0].opset_import[0].version = Some(12);
    assert!(
        cam::attach(&Model::new(proto.clone()).unwrap(), &Request { layer: Some("c".into()), ..Request::default() })
            .is_err()
    );
    let of_a = cam::attach(&Model::new(proto).unwrap(), &Request { layer: Some("a".into()), ..Request::default() });
    let error = of_a.unwrap_err().to_string();
    assert!(error.contains("unknown shape"), "{error}");
}

#[test]
fn added_names_are_new() {
    let mut proto = network(17, DataType::Float);
    let graph = proto.graph.as_mut().unwrap();
    // What we would have called it, taken by an input, a stored tensor and a value inside of a subgraph.
    graph.input.push(info("map", DataType::Float, &[1]));
    graph.initializer.push(Tensor::ints(&[1]).to_proto("score").unwrap());
    let inner = GraphProto { node: vec![node("Mystery", &["r"], &["hirescam/Mul_9"], vec![])], ..Default::default() };
    let g = AttributeProto { name: Some("g".into()), g: Some(inner), ..Default::default() };
    graph.node.push(node("If", &["r"], &["b"], vec![g]));
    let made = cam::attach(&Model::new(proto).unwrap(), &Request::default()).unwrap();
    assert_eq!(made.outputs.map, "hirescam_map");
    assert_eq!(made.outputs.score, "hirescam_score");
    assert_eq!(made.outputs.b, "hirescam_b");
    let new = made.model.graph.as_ref().unwrap().node.iter().flat_map(|n| &n.output);
    assert!(new.into_iter().all(|o| !o.starts_with("hirescam/")));
}

#[test]
fn a_mean_and_a_linear_layer_take_no_more_operators_than_by_hand() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/efficientnet-lite0.onnx")).unwrap();
    let model = Model::from_bytes(file).unwrap();
    let own = model.graph().node.len();
    let made = cam::attach(&model, &Request { layer: None, ..Request::default() }).unwrap();
    let nodes = &made.model.graph.as_ref().unwrap().node[own..];
    let operators: Vec<&str> = nodes.iter().map(|n| n.op_type()).filter(|op| *op != "Constant").collect();
    // The best score and its class; the class's weights / places as [N, C, 1, 1]; their product with the layer, summed; class
    // and score without the axis of maps; b.
    let by_hand = ["TopK", "Gather", "Reshape", "Mul", "Mul", "ReduceSum", "Reshape", "Reshape", "Gather"];
    assert_eq!(operators, by_hand);
}
