//! Model files that lie, by hand: each is an error in words, or costs no more than it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Explaining, Request};
use hirescam_core::onnx;
use hirescam_core::onnx::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto, type_proto,
};
use hirescam_core::onnx::{AttributeValue, attribute};
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, layers};
use hirescam_testing::by_hand::{info, model};
use std::time::{Duration, Instant};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&s| s.into()).collect(),
        output: outputs.iter().map(|&s| s.into()).collect(),
        ..Default::default()
    }
}

fn set(mut node: NodeProto, name: &str, value: impl Into<AttributeValue>) -> NodeProto {
    node.attribute.push(attribute(name, value));
    node
}

fn floats(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::new(DataType::Float, shape, (0..count).map(|i| (i % 7) as f64 - 3.0).collect()).unwrap()
}

/// `x [1,3,8,8]` through `nodes`, which end in `a`, then the mean over all places, and a Gemm with 5 classes from `channels`.
fn classifier(nodes: Vec<NodeProto>, channels: usize, stored: &[(&str, Tensor)]) -> ModelProto {
    let tail =
        [node("GlobalAveragePool", &["a"], &["g"]), node("Flatten", &["g"], &["f"]), node("Gemm", &["f", "w"], &["y"])];
    let stored: Vec<(&str, Tensor)> = stored.iter().cloned().chain([("w", floats(&[channels, 5]))]).collect();
    let image = info("x", DataType::Float, &[1, 3, 8, 8]);
    model(17, nodes.into_iter().chain(tail).collect(), vec![image], vec![info("y", DataType::Float, &[1, 5])], &stored)
}

fn plain() -> ModelProto {
    classifier(vec![node("Relu", &["x"], &["r"]), node("Neg", &["r"], &["a"])], 3, &[])
}

fn attach(proto: ModelProto, layer: Option<&str>) -> Result<Explaining, Error> {
    let request = Request { layer: layer.map(str::to_owned), ..Request::default() };
    cam::attach(&Model::new(proto)?, &request)
}

/// The error of a model that breaks ONNX's rules: where, and what.
fn invalid(proto: ModelProto) -> String {
    match Model::new(proto) {
        Err(Error::Invalid { at, what }) => format!("{at}: {what}"),
        other => panic!("{other:?}"),
    }
}

fn graph(proto: &mut ModelProto) -> &mut GraphProto {
    proto.graph.as_mut().unwrap()
}

fn within(limit: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < Duration::from_secs(limit), "{:?}", start.elapsed());
}

#[test]
fn a_plain_network_is_explained() {
    assert_eq!(attach(plain(), None).unwrap().head.layer, "a");
}

// ---- the file ---------------------------------------------------------------------------------------------------

#[test]
fn what_holds_no_network_is_refused() {
    assert!(matches!(onnx::read(&b""[..]), Err(Error::Invalid { .. })));
    assert!(matches!(onnx::read(&b"\x89PNG\r\n\x1a\n"[..]), Err(Error::Decode(_))));
    let empty = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
    assert!(matches!(onnx::read(onnx::write(&empty)), Err(Error::Invalid { .. })));
    assert!(invalid(ModelProto::default()).contains("no graph"));
}

#[test]
fn no_prefix_of_a_file_is_taken_for_the_whole() {
    let bytes = onnx::write(&plain());
    for end in 0..bytes.len() {
        // A file that ends between two fields is whole, as far as protobuf can tell.
        if let Ok(model) = Model::from_bytes(bytes[..end].to_vec()) {
            assert!(model.opset() == 1 || onnx::write(model.proto()).len() == end, "{end}");
        }
    }
}

#[test]
fn endless_nesting_is_refused() {
    let mut graph = GraphProto { node: vec![node("Identity", &["x"], &["y"])], ..Default::default() };
    for _ in 0..60 {
        let branch = AttributeProto { name: Some("then_branch".into()), g: Some(graph), ..Default::default() };
        let outer = NodeProto { attribute: vec![branch], ..node("If", &["c"], &["y"]) };
        graph = GraphProto { node: vec![outer], ..Default::default() };
    }
    let bytes = onnx::write(&ModelProto { graph: Some(graph), ..Default::default() });
    assert!(matches!(onnx::read(bytes), Err(Error::Decode(_))));
}

#[test]
fn a_small_file_cannot_decode_to_gigabytes() {
    // A graph (field 7) with a node (1) of three million empty attributes (5).
    let field = |tag: u8, payload: Vec<u8>| {
        let byte = |i: usize| (payload.len() >> (7 * i) & 127) as u8 | if i < 3 { 128 } else { 0 };
        [vec![tag << 3 | 2], (0..4).map(byte).collect(), payload].concat()
    };
    let bytes = field(7, field(1, [5 << 3 | 2, 0].repeat(3_000_000)));
    within(5, || match onnx::read(bytes) {
        Err(Error::Invalid { what, .. }) => assert!(what.contains("more nodes"), "{what}"),
        other => panic!("{:?}", other.is_ok()),
    });
}

#[test]
fn fields_of_later_versions_stay_in_the_file() {
    // Field 1000 of the model, of its graph and of a node, which no version of ONNX has.
    let unknown = [0xc2, 0x3e, 5, b'l', b'a', b't', b'e', b'r'];
    let length = |payload: &[u8], tag: u8| {
        assert!(payload.len() < 1 << 14);
        [&[tag, (payload.len() & 127) as u8 | 128, (payload.len() >> 7) as u8], payload].concat()
    };
    let proto = plain();
    let whole = proto.graph.clone().unwrap();
    let mut inner: Vec<u8> = Vec::new();
    for n in &whole.node {
        let one = ModelProto {
            graph: Some(GraphProto { node: vec![n.clone()], ..Default::default() }),
            ..Default::default()
        };
        let encoded = onnx::write(&one);
        // Without the headers of model and graph: two bytes each.
        inner.extend(length(&[&encoded[4..], &unknown].concat(), 0x0a));
    }
    let rest = onnx::write(&ModelProto { graph: Some(GraphProto { node: vec![], ..whole }), ..Default::default() });
    let skip = if rest[1] & 128 == 0 { 2 } else { 3 };
    inner.extend(&rest[skip..]);
    inner.extend(unknown);
    let outer = onnx::write(&ModelProto { graph: None, ..proto });
    let bytes = [&outer, &unknown[..], &length(&inner, 0x3a), &unknown].concat();
    let count = |bytes: &[u8]| bytes.windows(unknown.len()).filter(|w| *w == unknown).count();
    let nodes = whole.node.len();
    assert_eq!(count(&bytes), nodes + 3);

    let explaining = cam::attach(&Model::from_bytes(bytes.clone()).unwrap(), &Request::default()).unwrap();
    let written = explaining.to_bytes();
    assert_eq!(count(&written), nodes + 3);
    assert!(onnx::read(written.clone()).unwrap() == *explaining.model);
    // Explaining it again replaces the map that is there.
    let again = cam::attach(&Model::from_bytes(written).unwrap(), &Request::default()).unwrap();
    assert!(again.model == explaining.model && again.to_bytes() == explaining.to_bytes());
    assert!(cam::strip(&again.to_bytes()).unwrap().unwrap() == bytes);
}

#[test]
fn every_fixture_is_written_as_it_was_read() {
    let zoo = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/zoo")).unwrap();
    for path in zoo.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(onnx::write(&onnx::read(bytes.clone()).unwrap()) == bytes, "{}", path.display());
    }
}

// ---- the graph --------------------------------------------------------------------------------------------------

#[test]
fn a_cycle_is_an_error_that_names_a_node() {
    let text = invalid(classifier(vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"])], 3, &[]));
    assert!(text.contains("Add node") && text.contains("depends on its own output"), "{text}");
    let text = invalid(classifier(vec![node("Add", &["x", "a"], &["a"])], 3, &[]));
    assert!(text.contains("depends on its own output"), "{text}");
}

#[test]
fn a_name_stands_for_one_value() {
    let twice = |extra: NodeProto| {
        let mut proto = plain();
        graph(&mut proto).node.push(extra);
        invalid(proto)
    };
    assert!(twice(node("Neg", &["x"], &["r"])).contains("\"r\" is made a second time"));
    assert!(twice(node("Neg", &["r"], &["x"])).contains("\"x\" is made a second time"));
    assert!(twice(node("Neg", &["r"], &["w"])).contains("\"w\" is made a second time"));
    let mut proto = plain();
    let input = graph(&mut proto).input[0].clone();
    graph(&mut proto).input.push(input);
    assert!(invalid(proto).contains("declared twice"));
    let mut proto = plain();
    graph(&mut proto).initializer.push(floats(&[3, 4]).to_proto("w").unwrap());
    assert!(invalid(proto).contains("stored twice"));
}

#[test]
fn a_name_that_nothing_makes_is_an_error() {
    let text = invalid(classifier(vec![node("Add", &["x", "ghost"], &["a"])], 3, &[]));
    assert!(text.contains("reads \"ghost\", which nothing makes"), "{text}");
    let mut proto = plain();
    graph(&mut proto).output.push(info("ghost", DataType::Float, &[1]));
    assert!(invalid(proto).contains("\"ghost\""));
}

#[test]
fn messages_stay_short_whatever_the_names() {
    let name = "é".repeat(1 << 20);
    let text = invalid(classifier(vec![node("Add", &["x", &name], &["a"])], 3, &[]));
    assert!(text.len() < 2000);
}

#[test]
fn a_subgraph_that_takes_the_layer_is_no_constant() {
    let inner = GraphProto {
        node: vec![node("Neg", &["r"], &["n"])],
        output: vec![info("n", DataType::Float, &[1, 3, 8, 8])],
        ..Default::default()
    };
    let branch = |name: &str| AttributeProto { name: Some(name.into()), g: Some(inner.clone()), ..Default::default() };
    let choice =
        NodeProto { attribute: vec![branch("then_branch"), branch("else_branch")], ..node("If", &["c"], &["i"]) };
    let yes = Tensor::new(DataType::Bool, &[], vec![1.0]).unwrap();
    let nodes = vec![node("Relu", &["x"], &["r"]), choice, node("Add", &["r", "i"], &["a"])];
    let mut proto = classifier(nodes, 3, &[("c", yes)]);
    graph(&mut proto).value_info.push(info("i", DataType::Float, &[1, 3, 8, 8]));
    match attach(proto.clone(), Some("r")) {
        Err(Error::Unsupported { at, what, .. }) => {
            assert!(at.starts_with("If") && what.contains("no derivative rule"))
        }
        other => panic!("{other:?}"),
    }
    // Behind it, it does not matter.
    assert_eq!(attach(proto, None).unwrap().head.layer, "a");
}

#[test]
fn operators_of_other_domains_are_not_onnx_s_own() {
    for op in ["Shape", "Identity", "Softmax"] {
        let mut foreign = node(op, &["r"], &["a"]);
        foreign.domain = Some("other.domain".into());
        let mut proto = classifier(vec![node("Relu", &["x"], &["r"]), foreign], 3, &[]);
        graph(&mut proto).value_info.push(info("a", DataType::Float, &[1, 3, 8, 8]));
        let error = attach(proto, Some("r")).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { at, .. } if at.starts_with(op)), "{op}: {error}");
    }
}

#[test]
fn an_attribute_of_a_function_that_is_not_there_is_an_error() {
    let alpha =
        AttributeProto { name: Some("alpha".into()), ref_attr_name: Some("slope".into()), ..Default::default() };
    let leaky = NodeProto { attribute: vec![alpha], ..node("LeakyRelu", &["x"], &["a"]) };
    assert!(invalid(classifier(vec![leaky], 3, &[])).contains("\"alpha\" refers to"));
}

#[test]
fn operator_sets_that_are_too_old_say_what_helps() {
    for version in [Some(6), Some(1), Some(-3), Some(i64::MIN), None] {
        let mut proto = plain();
        proto.opset_import =
            version.map(|v| OperatorSetIdProto { domain: None, version: Some(v) }).into_iter().collect();
        match attach(proto, None) {
            Err(Error::Unsupported { remedy, .. }) => assert!(remedy.contains("convert_version"), "{remedy}"),
            other => panic!("{other:?}"),
        }
    }
}

// ---- functions --------------------------------------------------------------------------------------------------

fn function(name: &str, nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("own".into()),
        input: vec!["p".into()],
        output: vec!["q".into()],
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    }
}

fn call(name: &str, x: &str, y: &str) -> NodeProto {
    NodeProto { domain: Some("own".into()), ..node(name, &[x], &[y]) }
}

#[test]
fn a_function_that_calls_itself_is_an_error() {
    let mut proto = classifier(vec![call("F", "x", "a")], 3, &[]);
    proto.functions = vec![function("F", vec![call("G", "p", "q")]), function("G", vec![call("F", "p", "q")])];
    assert!(invalid(proto).contains("calls itself"));
}

#[test]
fn functions_do_not_multiply_without_bound() {
    let mut proto = classifier(vec![call("F0", "x", "a")], 3, &[]);
    for level in 0..30 {
        let next = format!("F{}", level + 1);
        let twice = vec![call(&next, "p", "half"), call(&next, "half", "q")];
        proto.functions.push(function(&format!("F{level}"), twice));
    }
    proto.functions.push(function("F30", vec![node("Relu", &["p"], &["q"])]));
    let mut wide = proto.clone();
    within(60, || match Model::new(proto) {
        Err(Error::Unsupported { what, .. }) => assert!(what.contains("functions called"), "{what}"),
        other => panic!("{:?}", other.is_ok()),
    });
    // A call that is never made costs nothing.
    graph(&mut wide).node[0] = node("Relu", &["x"], &["a"]);
    within(5, || drop(attach(wide, None).unwrap()));
}

// ---- tensors ----------------------------------------------------------------------------------------------------

#[test]
fn tensors_hold_what_their_shape_says() {
    let with = |change: &dyn Fn(&mut TensorProto)| {
        let mut proto = plain();
        change(graph(&mut proto).initializer.last_mut().unwrap());
        invalid(proto)
    };
    assert!(with(&|t| t.dims[0] = 4).contains("it holds 60 bytes; its shape [4, 5] takes 80"));
    assert!(with(&|t| t.dims[0] = -1).contains("negative"));
    assert!(with(&|t| t.dims = vec![i64::MAX, i64::MAX]).contains("too large"));
    assert!(with(&|t| t.dims = vec![0, i64::MAX, 9]).contains("so large"));
    assert!(with(&|t| t.dims = vec![1; 65]).contains("65 axes"));
    assert!(with(&|t| t.data_type = Some(DataType::Double as i32)).contains("takes 120"));
    assert!(with(&|t| t.raw_data = None).contains("it holds 0 values"));
    assert!(with(&|t| (t.raw_data, t.float_data) = (None, vec![1.0; 14])).contains("it holds 14 values"));
}

#[test]
fn external_entries_are_checked_before_anything_is_fetched() {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let fetch = |entries: Vec<StringStringEntryProto>, inside: bool| {
        let mut proto = plain();
        let mut tensor = graph(&mut proto).initializer.pop().unwrap();
        tensor.raw_data = None;
        tensor.external_data = entries;
        tensor.data_location = Some(1);
        let held = graph(&mut proto);
        if inside {
            let constant = set(node("Constant", &[], &["w"]), "value", AttributeValue::Tensor(Box::new(tensor)));
            let branch = GraphProto { node: vec![constant], ..Default::default() };
            held.node[0].attribute.push(AttributeProto {
                name: Some("g".into()),
                g: Some(branch),
                ..Default::default()
            });
        } else {
            held.initializer.push(tensor);
        }
        let mut asked = Vec::new();
        let found = onnx::embed_external(&mut proto, |location, offset, length| {
            asked.push((location.to_owned(), offset, length));
            Ok(vec![0; length as usize].into())
        });
        found.map(|found| (found, asked)).map_err(|e| e.to_string())
    };
    for inside in [false, true] {
        let whole = vec![entry("location", "w.bin"), entry("offset", "8")];
        assert_eq!(fetch(whole, inside), Ok((true, vec![("w.bin".into(), 8, 60)])));
        let refused = |entries, words: &str| {
            let error = fetch(entries, inside).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(vec![], "no location");
        refused(vec![entry("location", "w"), entry("offset", "-1")], "offset \"-1\" is not a number");
        refused(vec![entry("location", "w"), entry("length", "1e9")], "is not a number");
        refused(vec![entry("location", "w"), entry("length", "61")], "it has 61 bytes; its shape [3, 5] takes 60");
    }
    assert_eq!(onnx::embed_external(&mut plain(), |_, _, _| unreachable!()).ok(), Some(false));
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    for dtype in [DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut proto = plain();
            let mut w = Tensor { dtype, ..floats(&[3, 5]) };
            w.data[[1, 2]] = bad;
            *graph(&mut proto).initializer.last_mut().unwrap() = w.to_proto("w").unwrap();
            let error = attach(proto, None).unwrap_err();
            let words = format!("Gemm node that makes \"y\": the stored tensor \"w\" that it reads holds {bad}");
            assert!(matches!(error, Error::Invalid { .. }) && error.to_string().ends_with(&words), "{error}");
        }
    }
    // A mask may be infinite.
    let mask = Tensor::new(DataType::Float, &[1], vec![f64::NEG_INFINITY]).unwrap();
    attach(classifier(vec![node("Relu", &["x"], &["a"]), node("Add", &["a", "m"], &["z"])], 3, &[("m", mask)]), None)
        .unwrap();
}

// ---- shapes and windows -----------------------------------------------------------------------------------------

#[test]
fn an_image_that_no_network_could_hold_is_refused() {
    for shape in [[1, 3, 1 << 40, 8], [1, 3, 1 << 30, 1 << 30], [usize::MAX >> 1, 3, 8, 8]] {
        let mut proto = plain();
        graph(&mut proto).input[0] = info("x", DataType::Float, &shape);
        let error = attach(proto, None).unwrap_err();
        assert!(matches!(&error, Error::Argument(what) if what.contains("no network is so large")), "{error}");
    }
}

#[test]
fn large_images_cost_nothing() {
    let mut proto = plain();
    graph(&mut proto).input[0] = info("x", DataType::Float, &[1, 3, 1 << 16, 1 << 16]);
    within(5, || drop(attach(proto, None).unwrap()));
}

#[test]
fn windows_of_any_size_end() {
    let most = (1 << 24) - 1;
    let pool = |op: &str| set(node(op, &["x"], &["a"]), "kernel_shape", [8, 8]);
    let cases = vec![
        set(set(node("MaxPool", &["x"], &["a"]), "kernel_shape", [most, most]), "pads", [most; 4]),
        set(set(node("MaxPool", &["x"], &["a"]), "kernel_shape", [3000, 3000]), "pads", [2999; 4]),
        set(set(node("AveragePool", &["x"], &["a"]), "kernel_shape", [4000, 4000]), "pads", [3999; 4]),
        set(pool("AveragePool"), "pads", [i64::MAX; 4]),
        set(pool("MaxPool"), "pads", [most; 4]),
        set(pool("AveragePool"), "pads", [most; 4]),
        set(pool("AveragePool"), "strides", [most, i64::MAX]),
        set(pool("MaxPool"), "dilations", [most, most]),
        set(set(pool("MaxPool"), "auto_pad", "SAME_UPPER"), "strides", [most, most]),
        set(set(node("AveragePool", &["x"], &["a"]), "kernel_shape", [1, 1]), "ceil_mode", 1),
        set(node("MaxPool", &["x"], &["a"]), "kernel_shape", [0, -1]),
        set(node("MaxPool", &["x"], &["a"]), "kernel_shape", vec![1; 100]),
    ];
    for pool in cases {
        within(10, || drop(attach(classifier(vec![pool], 3, &[]), Some("x"))));
    }
    for (name, value) in [("pads", most), ("strides", most), ("dilations", most), ("group", i64::MAX)] {
        let conv = match name {
            "group" => set(node("Conv", &["x", "k"], &["a"]), name, value),
            "pads" => set(node("Conv", &["x", "k"], &["a"]), name, vec![value; 4]),
            _ => set(node("Conv", &["x", "k"], &["a"]), name, vec![value; 2]),
        };
        let transposed = NodeProto { op_type: Some("ConvTranspose".into()), ..conv.clone() };
        for node in [conv, transposed] {
            within(10, || drop(attach(classifier(vec![node], 3, &[("k", floats(&[3, 3, 3, 3]))]), Some("x"))));
        }
    }
}

#[test]
fn slices_of_nothing_and_by_any_step_are_differentiated() {
    let list = |v: i64| Tensor::ints(&[v]);
    for step in [1, 2, -1, -3, i64::MAX, i64::MIN] {
        for (start, end) in [(0, i64::MAX), (3, 3), (7, 0), (-1, i64::MIN), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN)]
        {
            let slice = node("Slice", &["r", "s", "e", "l", "t"], &["p"]);
            let sum = set(node("ReduceSum", &["p", "l"], &["q"]), "keepdims", 1);
            let nodes = vec![node("Relu", &["x"], &["r"]), slice, sum, node("Add", &["r", "q"], &["a"])];
            let stored = [("s", list(start)), ("e", list(end)), ("l", list(3)), ("t", list(step))];
            attach(classifier(nodes, 3, &stored), Some("r")).unwrap();
        }
    }
}

#[test]
fn a_node_that_is_wrong_is_not_saved_by_what_the_file_says_of_its_shape() {
    let pad = node("Pad", &["r", "l"], &["a"]);
    let pads = Tensor::ints(&[0, 0, i64::MIN, 0, 0, 0, 0, 0]);
    let mut proto = classifier(vec![node("Relu", &["x"], &["r"]), pad], 3, &[("l", pads)]);
    graph(&mut proto).value_info.push(info("a", DataType::Float, &[1, 3, 8, 8]));
    let error = attach(proto, Some("r")).unwrap_err();
    assert!(matches!(&error, Error::Invalid { at, .. } if at.starts_with("Pad")), "{error}");
}

#[test]
fn constants_are_folded_within_bounds() {
    let list = |v: &[i64]| Tensor::ints(v);
    let huge = 1 << 40;
    let one = || Tensor::new(DataType::Float, &[1, 1, 1, 1], vec![1.0]).unwrap();
    let cases: Vec<(NodeProto, Vec<(&str, Tensor)>)> = vec![
        (node("Tile", &["c", "l"], &["t"]), vec![("c", one()), ("l", list(&[huge, huge, 1, 1]))]),
        (node("Tile", &["c", "l"], &["t"]), vec![("c", floats(&[0, 1])), ("l", list(&[i64::MAX, 1]))]),
        (node("Expand", &["c", "l"], &["t"]), vec![("c", one()), ("l", list(&[1 << 20, 1 << 20, 1, 1]))]),
        (node("ConstantOfShape", &["l"], &["t"]), vec![("l", list(&[i64::MAX, 0, i64::MAX]))]),
        (node("ConstantOfShape", &["l"], &["t"]), vec![("l", list(&[-1]))]),
        (node("ConstantOfShape", &["l"], &["t"]), vec![("l", list(&vec![1; 60_000]))]),
        (node("Unsqueeze", &["c", "l"], &["t"]), vec![("c", one()), ("l", list(&(0..60_000).collect::<Vec<_>>()))]),
        (
            node("Range", &["p", "q", "r"], &["t"]),
            vec![
                ("p", Tensor::new(DataType::Int64, &[], vec![0.0]).unwrap()),
                ("q", Tensor::new(DataType::Int64, &[], vec![9e18]).unwrap()),
                ("r", Tensor::new(DataType::Int64, &[], vec![1.0]).unwrap()),
            ],
        ),
        (
            node("Slice", &["c", "s", "e", "l"], &["t"]),
            vec![
                ("c", floats(&[60_000])),
                ("s", list(&[0; 30_000])),
                ("e", list(&[i64::MAX; 30_000])),
                ("l", list(&[0; 30_000])),
            ],
        ),
        (
            set(node("Conv", &["c", "k"], &["t"]), "pads", [120; 4]),
            vec![("c", one()), ("k", floats(&[1, 1, 240, 240]))],
        ),
        (
            set(set(node("MaxPool", &["c"], &["t"]), "kernel_shape", [4000, 4000]), "pads", [4000; 4]),
            vec![("c", one())],
        ),
        (set(node("Pad", &["c", "l"], &["t"]), "mode", "constant"), vec![("c", one()), ("l", list(&[i64::MAX; 8]))]),
        (set(node("Split", &["c", "l"], &["t"]), "axis", 0), vec![("c", one()), ("l", list(&[i64::MAX; 9]))]),
    ];
    for (bomb, stored) in cases {
        let op = bomb.op_type().to_owned();
        within(5, || {
            let made = attach(classifier(vec![node("Relu", &["x"], &["a"]), bomb], 3, &stored), None);
            assert!(made.is_ok(), "{op}: {}", made.unwrap_err());
        });
    }
}

#[test]
fn many_constants_take_bounded_memory_and_time() {
    // Each Add makes another quarter of a megabyte, and ten thousand of them more than is run for a small image.
    let mut nodes = vec![node("Relu", &["x"], &["a"]), node("Add", &["big", "big"], &["c0"])];
    nodes.extend((0..10_000).map(|i| node("Add", &[&format!("c{i}"), "big"], &[&format!("c{}", i + 1)])));
    let proto = classifier(nodes, 3, &[("big", floats(&[65_536]))]);
    within(20, || assert!(matches!(attach(proto.clone(), None), Err(Error::Memory { .. }))));
    // Where an engine is allowed to have them, they still take nothing here.
    let allowed = Hints { memory: u64::MAX, ..Hints::default() };
    within(20, || {
        let analysis = Analysis::of(Model::new(proto).unwrap(), &allowed).unwrap();
        drop(cam::attach_to(&analysis, &Request::default(), &cam::Further::default()).unwrap());
    });
}

/// A loop of `rounds` around `nodes`, beside the way to the score.
fn looping(rounds: &str, nodes: Vec<NodeProto>) -> NodeProto {
    let body = GraphProto {
        node: nodes,
        input: vec![info("round", DataType::Int64, &[]), info("goes_on", DataType::Bool, &[])],
        initializer: vec![Tensor::ints(&[2_000]).to_proto("two_thousand").unwrap()],
        ..Default::default()
    };
    let body = AttributeProto { name: Some("body".into()), g: Some(body), ..Default::default() };
    NodeProto { attribute: vec![body], name: Some(format!("{rounds} rounds")), ..node("Loop", &[rounds, ""], &["l"]) }
}

#[test]
fn a_loop_without_end_is_refused() {
    let with = |outer: NodeProto| {
        let stored =
            [("few", Tensor::ints(&[3])), ("thousand", Tensor::ints(&[1_000])), ("all", Tensor::ints(&[i64::MAX]))];
        let mut proto = classifier(vec![node("Relu", &["x"], &["a"])], 3, &stored);
        let constant = node("Identity", &["unknown"], &["made"]);
        let count = node("ReduceMax", &["x"], &["of the image"]);
        graph(&mut proto).node.extend([node("Mystery", &[], &["unknown"]), constant, count, outer]);
        attach(proto, None)
    };
    let refused = |outer: NodeProto| {
        let error = with(outer).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { at, .. } if at.contains("rounds")), "{error}");
        error.to_string()
    };
    for endless in ["", "all", "made"] {
        refused(looping(endless, vec![]));
        refused(looping("few", vec![looping(endless, vec![])]));
    }
    assert!(refused(looping("", vec![])).contains("no number of rounds"));
    assert!(refused(looping("thousand", vec![looping("two_thousand", vec![])])).contains("2000000 rounds"));
    // What the image decides is not known before the network runs.
    for ends in ["few", "thousand", "of the image"] {
        with(looping(ends, vec![looping("few", vec![]), looping("round", vec![])])).unwrap();
    }
}

#[test]
fn a_size_that_does_not_fit_is_no_fault_of_the_network() {
    let nodes = vec![node("Relu", &["x"], &["a"]), node("Flatten", &["a"], &["f"]), node("Gemm", &["f", "w"], &["y"])];
    let output = info("y", DataType::Float, &[1, 5]);
    let (mut image, stored) = (info("x", DataType::Float, &[1, 1, 4, 4]), [("w", floats(&[16, 5]))]);
    let of = |image: &ValueInfoProto, shape: &[usize]| {
        let proto = model(17, nodes.clone(), vec![image.clone()], vec![output.clone()], &stored);
        let hints = Hints { image_shape: Some(shape.to_vec()), ..Hints::default() };
        let analysis = Analysis::of(Model::new(proto).unwrap(), &hints)?;
        cam::attach_to(&analysis, &Request::default(), &cam::Further::default())
            .map(|mut made| made.remove(0).head.layer)
    };
    let Some(type_proto::Value::TensorType(tensor)) = image.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
        panic!()
    };
    tensor.shape.as_mut().unwrap().dim[2..].iter_mut().for_each(|d| d.value = None);
    assert_eq!(of(&image, &[1, 1, 4, 4]).unwrap(), "a");
    let error = of(&image, &[1, 1, 4, 6]).unwrap_err();
    assert!(
        matches!(&error, Error::Argument(what) if what.contains("[1, 1, 4, 6]") && what.contains("Gemm")),
        "{error}"
    );
}

#[test]
fn inputs_of_two_element_types_are_invalid() {
    let doubled = Tensor { dtype: DataType::Double, ..floats(&[3, 5]) };
    let nodes = [node("Relu", &["x"], &["a"]), node("MatMul", &["m", "d"], &["z"]), node("Cast", &["z"], &["y"])];
    let mean = node("ReduceMean", &["a"], &["m"]);
    let mean = set(set(mean, "axes", [2, 3]), "keepdims", 0);
    let nodes = [nodes[0].clone(), mean, nodes[1].clone(), set(nodes[2].clone(), "to", DataType::Float as i64)];
    let image = info("x", DataType::Float, &[1, 3, 8, 8]);
    let output = info("y", DataType::Float, &[1, 5]);
    let error = attach(model(17, nodes.to_vec(), vec![image], vec![output], &[("d", doubled)]), None).unwrap_err();
    assert!(matches!(&error, Error::Invalid { at, .. } if at.contains("\"z\"")), "{error}");
}

// ---- large graphs -----------------------------------------------------------------------------------------------

fn chain(length: usize, op: &str) -> ModelProto {
    let step = |i: usize| {
        let from = if i == 0 { "x".to_owned() } else { format!("v{i}") };
        let to = if i + 1 == length { "a".to_owned() } else { format!("v{}", i + 1) };
        node(op, &[&from], &[&to])
    };
    classifier((0..length).map(step).collect(), 3, &[])
}

#[test]
fn layers_of_long_chains_are_listed_at_once() {
    for (length, all) in [(5_000, false), (5_000, true), (100_000, false)] {
        let model = Model::new(chain(length, "Relu")).unwrap();
        within(60, || {
            let analysis = Analysis::of(&model, &Hints::default()).unwrap();
            let listed = layers::layers(&analysis, all).unwrap();
            assert!(listed.len() >= length);
            assert!(listed.iter().any(|l| l.recommended));
        });
    }
}

#[test]
fn a_long_head_is_differentiated_or_refused() {
    within(60, || drop(attach(chain(20_000, "Relu"), Some("v1")).unwrap()));
    // A step of each MaxPool is dozens of nodes.
    let mut proto = chain(40_000, "MaxPool");
    graph(&mut proto).node.iter_mut().filter(|n| n.op_type() == "MaxPool").for_each(|n| {
        n.attribute = vec![attribute("kernel_shape", [5, 5]), attribute("pads", [2; 4])];
    });
    within(120, || match attach(proto, Some("v1")) {
        Err(Error::Unsupported { what, remedy, .. }) => {
            assert!(what.contains("nodes") && remedy.contains("later layer"))
        }
        other => panic!("{:?}", other.is_ok()),
    });
}

#[test]
fn branches_without_number_are_listed_in_bounded_time() {
    // 3,000 values side by side, each in a branch of its own.
    let mut nodes: Vec<NodeProto> = (0..3_000).map(|i| node("Relu", &["x"], &[&format!("b{i}")])).collect();
    let names: Vec<String> = (0..3_000).map(|i| format!("b{i}")).collect();
    nodes.push(node("Sum", &names.iter().map(String::as_str).collect::<Vec<_>>(), &["a"]));
    let model = Model::new(classifier(nodes, 3, &[])).unwrap();
    within(60, || {
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        assert!(layers::layers(&analysis, true).unwrap().len() > 3_000);
    });
}
