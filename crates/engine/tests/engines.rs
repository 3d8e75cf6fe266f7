//! What holds for every engine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use half::f16;
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, onnx};
use hirescam_engine::{Array, ENGINES, Error, Kind, Options, engine};
use hirescam_testing::engines::{compare, engines, named, noise, run};
use hirescam_testing::{Random, by_hand, fixture, max_abs};
use ndarray::{Array1, Array2, array};
use std::collections::HashMap;

/// The bytes of a model beside these tests, as `data/make.py` wrote it.
fn model(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The real networks, with the name and the shape of their input.
const NETWORKS: [(&str, &str, [usize; 4]); 2] =
    [("digits-cnn.onnx", "input", [1, 1, 28, 28]), ("efficientnet-lite0.onnx", "input", [1, 3, 224, 224])];

#[test]
fn the_engines_agree_on_real_networks() {
    for (file, input, shape) in NETWORKS {
        let bytes = fixture(file);
        let image = noise(&shape, 1);
        let mut results = Vec::new();
        for engine in engines(1) {
            let session = engine.prepare(&bytes).unwrap();
            results.push((engine.name(), session.run(&[(input, &image)]).unwrap()));
        }
        let (_, first) = &results[0];
        assert!(first.iter().any(|(_, array)| array.len() > 1));
        for (name, other) in &results[1..] {
            assert_eq!(first.len(), other.len());
            for ((a_name, a), (b_name, b)) in first.iter().zip(other) {
                assert_eq!((a_name, a.shape(), a.kind()), (b_name, b.shape(), b.kind()));
                let largest = max_abs(&(&a.to_f64() - &b.to_f64()));
                assert!(largest <= 1e-4, "{file} on {name}: {a_name} differs by {largest}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for (file, input, shape) in NETWORKS {
        let bytes = fixture(file);
        let image = noise(&shape, 2);
        let one = engine("tract", &Options { threads: 1, ..Options::default() }).unwrap();
        let expected = one.prepare(&bytes).unwrap().run(&[(input, &image)]).unwrap();
        for threads in [0, 2, 3] {
            let more = engine("tract", &Options { threads, ..Options::default() }).unwrap();
            let outputs = more.prepare(&bytes).unwrap().run(&[(input, &image)]).unwrap();
            assert!(outputs == expected, "{file} with {threads} threads");
        }
    }
}

#[test]
fn several_threads_run_one_session() {
    for engine in engines(1) {
        let session = engine.prepare(&model("network.onnx")).unwrap();
        let images: Vec<_> = (0..4).map(|seed| noise(&[1, 3, 8, 8], seed)).collect();
        let alone: Vec<_> = images.iter().map(|image| session.run(&[("image", image)]).unwrap()).collect();
        std::thread::scope(|scope| {
            for (image, expected) in images.iter().zip(&alone) {
                let session = &session;
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert_eq!(session.run(&[("image", image)]).unwrap(), *expected);
                    }
                });
            }
        });
    }
}

#[test]
fn several_lists_of_inputs_give_what_each_gives_alone() {
    let images: Vec<_> = (0..5).map(|seed| noise(&[1, 3, 8, 8], seed)).collect();
    let wrong = noise(&[1, 3, 8, 9], 1);
    for engine in [1, 3].into_iter().flat_map(engines) {
        let session = engine.prepare(&model("network.onnx")).unwrap();
        let alone: Vec<_> = images.iter().map(|image| session.run(&[("image", image)]).unwrap()).collect();
        let mut lists: Vec<_> = images.iter().map(|image| vec![("image", image)]).collect();
        let made: Result<Vec<_>, _> = session.run_all(&lists).into_iter().collect();
        assert_eq!(made.unwrap(), alone, "{}", engine.name());
        assert!(session.run_all(&[]).is_empty());
        lists[3] = vec![("image", &wrong)];
        for (i, made) in session.run_all(&lists).into_iter().enumerate() {
            match i {
                3 => assert!(matches!(made, Err(Error::Input(_))), "{}", engine.name()),
                i => assert_eq!(made.unwrap(), alone[i], "{}", engine.name()),
            }
        }
    }
}

#[test]
fn a_free_batch_takes_any_number_of_images() {
    for engine in engines(1) {
        let session = engine.prepare(&model("network.onnx")).unwrap();
        for batch in [1, 3, 2, 1] {
            let images = noise(&[batch, 3, 8, 8], 5);
            let scores = run(&*session, &[("image", &images)]).unwrap();
            assert_eq!(scores[0].shape(), [batch, 5], "{}", engine.name());

            let last = images.to_f32();
            let last = last.index_axis(ndarray::Axis(0), batch - 1).insert_axis(ndarray::Axis(0));
            let alone = run(&*session, &[("image", &last.to_owned().into())]).unwrap();
            let scores = scores[0].to_f32();
            for (a, b) in scores.row_of(batch - 1).iter().zip(alone[0].to_f32().iter()) {
                assert!((a - b).abs() < 1e-5, "{}: {a} {b}", engine.name());
            }
        }
    }
}

/// A row of a two-dimensional array whose rank is known at run time only.
trait RowOf {
    fn row_of(&self, row: usize) -> Vec<f32>;
}

impl RowOf for ndarray::ArrayD<f32> {
    fn row_of(&self, row: usize) -> Vec<f32> {
        self.index_axis(ndarray::Axis(0), row).iter().copied().collect()
    }
}

#[test]
fn inputs_go_by_name_and_outputs_come_in_order() {
    let a = Array::from(array![[1f32, 5., 2., 0.], [3., 3., 3., 9.]]);
    let b = Array::from(array![[0f32, 5., 4., 0.], [6., 3., 1., -9.]]);
    for engine in engines(1) {
        let session = engine.prepare(&model("several.onnx")).unwrap();
        let outputs = session.run(&[("b", &b), ("a", &a)]).unwrap();
        let expected: [(_, Array); 3] = [
            ("larger", array![[true, false, false, false], [false, false, true, true]].into()),
            // The second row is a tie: the first of the largest counts.
            ("best", array![1i64, 0].into()),
            ("sum", array![[1f32, 10., 6., 0.], [9., 6., 4., 0.]].into()),
        ];
        assert_eq!(outputs, expected.map(|(n, v)| (n.to_owned(), v)), "{}", engine.name());
    }
}

#[test]
fn integers_go_in_and_come_out() {
    let index = Array::from(array![2i64, 0, 2]);
    for engine in engines(1) {
        let session = engine.prepare(&model("rows.onnx")).unwrap();
        let outputs = run(&*session, &[("index", &index)]).unwrap();
        let rows = array![[4f32, 5.], [0., 1.], [4., 5.]];
        assert_eq!(outputs, [rows.into(), Array::from(array![3i64])], "{}", engine.name());
    }
}

#[test]
fn half_precision_goes_in_and_comes_out() {
    let x = Array::from(array![1.5, -2.0].mapv(f16::from_f64));
    for engine in engines(1) {
        let outputs = run(&*engine.prepare(&model("half.onnx")).unwrap(), &[("x", &x)]).unwrap();
        assert_eq!(outputs[0].kind(), Kind::F16);
        assert_eq!(outputs[0].to_f32(), array![3f32, -4.].into_dyn(), "{}", engine.name());
    }
}

#[test]
fn elements_may_lie_in_any_order() {
    // Columns first in memory.
    let x = Array::from(array![[1f32, 0.], [5., 0.], [2., 0.], [0., 1.]].reversed_axes());
    let b = Array::from(Array2::<f32>::zeros((2, 4)));
    for engine in engines(1) {
        let session = engine.prepare(&model("several.onnx")).unwrap();
        let outputs = run(&*session, &[("a", &x), ("b", &b)]).unwrap();
        let sum = array![[1f32, 5., 2., 0.], [0., 0., 0., 1.]];
        assert_eq!(outputs[2], Array::from(sum), "{}", engine.name());
    }
}

#[test]
fn initialisers_among_the_inputs_may_be_left_out_or_replaced() {
    let x = Array::from(array![1f32, 3.]);
    let ten = Array::from(array![10f32]);
    for file in ["defaults.onnx", "replaceable.onnx"] {
        for engine in engines(1) {
            let session = engine.prepare(&model(file)).unwrap();
            for _ in 0..2 {
                let outputs = run(&*session, &[("x", &x)]).unwrap();
                assert_eq!(outputs, [array![4f32, 12.].into()], "{}", engine.name());

                let outputs = run(&*session, &[("scale", &ten), ("x", &x)]);
                if file == "defaults.onnx" && engine.name() == "onnxruntime" {
                    // Before IR version 4 ONNX Runtime takes every initialiser for a constant.
                    assert!(matches!(outputs, Err(Error::Input(_))), "{outputs:?}");
                } else {
                    let expected = [array![20f32, 60.].into()];
                    assert_eq!(outputs.unwrap(), expected, "{}", engine.name());
                }
            }
        }
    }
}

#[test]
fn wrong_inputs_are_errors_that_say_what_is_wanted() {
    let row = |n| Array::from(Array2::<f32>::zeros((1, n)));
    for engine in engines(1) {
        let session = engine.prepare(&model("affine.onnx")).unwrap();
        let fails = |inputs: &[(&str, &Array)]| match session.run(inputs) {
            Err(Error::Input(message)) => {
                assert!(message.contains("`x`, float32 [1,3]"), "{message}");
            }
            other => panic!("{} on {inputs:?}: {other:?}", engine.name()),
        };
        fails(&[]);
        fails(&[("z", &row(3))]);
        fails(&[("x", &row(3)), ("z", &row(3))]);
        fails(&[("x", &row(4))]);
        fails(&[("x", &Array::from(Array1::<f32>::zeros(3)))]);
        fails(&[("x", &Array::from(Array2::<f64>::zeros((1, 3))))]);
        assert!(session.run(&[("x", &row(3))]).is_ok(), "{}", engine.name());
    }
}

#[test]
fn sizes_that_only_the_run_finds_wrong_are_errors() {
    let (a, b) = (noise(&[2, 4], 1), noise(&[3, 4], 1));
    for engine in engines(1) {
        let session = engine.prepare(&model("several.onnx")).unwrap();
        let outcome = session.run(&[("a", &a), ("b", &b)]);
        assert!(matches!(outcome, Err(Error::Run { .. })), "{}: {outcome:?}", engine.name());
        assert!(session.run(&[("a", &a), ("b", &a)]).is_ok(), "{}", engine.name());
    }
}

#[test]
fn bytes_that_are_no_model_are_invalid() {
    let whole = fixture("digits-cnn.onnx");
    for engine in engines(1) {
        let fails = |what: &str, bytes: &[u8]| match engine.prepare(bytes) {
            Err(Error::Invalid { engine: name, reason }) => {
                assert_eq!(name, engine.name());
                assert!(!reason.is_empty());
            }
            Err(error) => panic!("{what} on {}: {error:?}", engine.name()),
            Ok(_) => panic!("{what} on {} is taken for a model", engine.name()),
        };
        fails("nothing", &[]);
        fails("text", b"this is not a model");
        fails("zeros", &[0; 64]);
        fails("a model cut in half", &whole[..whole.len() / 2]);
        fails("a misfit", &model("misfit.onnx"));
        fails("an output from nowhere", &model("nowhere.onnx"));
    }
}

#[test]
fn every_cut_and_flipped_model_is_an_outcome() {
    let whole = model("network.onnx");
    // ONNX Runtime's own parser is not what is tested here, and takes long.
    let tract = engine("tract", &Options { threads: 1, ..Options::default() }).unwrap();
    let image = noise(&[1, 3, 8, 8], 1);
    for at in (0..whole.len()).step_by(3) {
        let _ = tract.prepare(&whole[..at]);
        let mut flipped = whole.clone();
        flipped[at] ^= 0x15;
        if let Ok(session) = tract.prepare(&flipped) {
            let _ = session.run(&[("image", &image)]);
        }
    }
}

#[test]
fn foreign_operators_are_not_taken_for_onnx_ones() {
    for engine in engines(1) {
        match engine.prepare(&model("foreign.onnx")) {
            Err(Error::Unsupported { what, .. }) => {
                assert!(what.contains("com.example") && what.contains("Relu"), "{what}");
            }
            Err(error) => panic!("{}: {error:?}", engine.name()),
            Ok(_) => panic!("{} runs another's Relu", engine.name()),
        }
    }
}

#[test]
fn a_panic_is_an_error_and_leaves_the_engine_whole() {
    let tract = engine("tract", &Options { threads: 2, ..Options::default() }).unwrap();
    let row = Array::from(array![[1f32, 2., 3., 4.]]);
    let outcome = tract.prepare(&model("panics.onnx")).and_then(|session| session.run(&[("x", &row)]));
    let Err(Error::Panicked { engine: "tract", message }) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("node `beyond`"), "{message}");

    let x = Array::from(array![[1f32, 2., 3.]]);
    let session = tract.prepare(&model("affine.onnx")).unwrap();
    assert_eq!(run(&*session, &[("x", &x)]).unwrap(), [Array::from(array![[3f32, 5., 7.]])]);
}

#[test]
fn negative_pads_take_places_away() {
    let row = Array::from(array![[1f32, 2., 3., 4.]]);
    for engine in engines(1) {
        let session = engine.prepare(&model("crop.onnx")).unwrap();
        assert_eq!(run(&*session, &[("x", &row)]).unwrap(), [Array::from(array![[2f32, 3.]])], "{}", engine.name());
    }
}

#[test]
fn more_threads_than_can_be_of_use_are_refused() {
    for entry in ENGINES {
        let asked = engine(entry.name, &Options { threads: 100_000, ..Options::default() });
        assert!(matches!(asked, Err(Error::Argument(ref words)) if words.contains("100000")), "{:?}", asked.err());
    }
}

#[test]
fn an_unknown_engine_is_an_error_that_names_the_near_one() {
    let says = |name| match engine(name, &Options::default()) {
        Err(Error::NotFound(message)) => message,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("there is an engine `{name}`"),
    };
    assert!(says("trakt").contains("did you mean `tract`?"));
    let unlike = says("pytorch");
    assert!(!unlike.contains("did you mean") && unlike.contains("tract"), "{unlike}");
    if ENGINES.iter().any(|entry| entry.name == "onnxruntime") {
        for name in ["onnx", "onnx-runtime", "ONNXRuntime"] {
            assert!(says(name).contains("did you mean `onnxruntime`?"), "{name}");
        }
    }
}

#[test]
fn engines_tell_name_and_version() {
    for engine in engines(1) {
        assert!(ENGINES.iter().any(|entry| entry.name == engine.name()));
        assert!(!engine.version().is_empty(), "{}", engine.name());
    }
}

/// Batch normalisation in training mode of stored weights, which a convolution takes, as with standardised weights.
fn standardised(opset: i64, kind: DataType, channels: usize, inputs: usize) -> Model {
    let mut random = Random::new(6);
    let mut stored = |shape: &[usize], low: f64, high: f64| Tensor { dtype: kind, ..random.tensor(shape, low, high) };
    let vector = [channels];
    let stored = [
        ("raw", stored(&[1, channels, inputs * 9], -1.0, 3.0)),
        ("scale", stored(&vector, 0.5, 1.5)),
        ("bias", stored(&vector, -1.0, 1.0)),
        ("mean", stored(&vector, 5.0, 6.0)),
        ("var", stored(&vector, 5.0, 6.0)),
        ("shape", Tensor::ints(&[channels as i64, inputs as i64, 3, 3])),
    ];
    let (mut attributes, mut further) = (vec![("epsilon", 0.01f32.into())], vec!["m", "v"]);
    match opset {
        14.. => attributes.push(("training_mode", 1.into())),
        _ => further.extend(["sm", "sv"]),
    }
    let mut normalised = by_hand::node("BatchNormalization", &["raw", "scale", "bias", "mean", "var"], "n", attributes);
    normalised.output.extend(further.into_iter().map(str::to_owned));
    let nodes = vec![
        normalised,
        by_hand::node("Reshape", &["n", "shape"], "k", vec![]),
        by_hand::node("Conv", &["x", "k"], "y", vec![]),
    ];
    let image = by_hand::info("x", kind, &[1, inputs, 5, 5]);
    let made = by_hand::info("y", kind, &[1, channels, 3, 3]);
    Model::new(by_hand::model(opset, nodes, vec![image], vec![made], &stored)).unwrap()
}

#[test]
fn weights_are_standardised_however_many_they_are() {
    // tract computes beforehand what fits into 4 MiB.
    for (opset, channels, inputs) in [(17, 8, 4), (12, 8, 4), (18, 8, 4), (17, 512, 256)] {
        let model = standardised(opset, DataType::Float, channels, inputs);
        let x = Random::new(7).tensor(&[1, inputs, 5, 5], -1.0, 1.0);
        for engine in engines(1) {
            // Before operator set 14 ONNX Runtime takes the stored mean and variance.
            if opset < 14 && engine.name() != "tract" {
                continue;
            }
            let same = compare(engine.as_ref(), &model, &HashMap::from([("x".to_owned(), x.clone())]));
            same.unwrap_or_else(|why| panic!("{} {opset} {channels}: {why:.200}", engine.name()));
        }
    }
    let tract = named("tract");
    for kind in [DataType::Double, DataType::Float16] {
        tract.prepare(&onnx::write(standardised(17, kind, 8, 4).proto())).unwrap();
    }
}

#[test]
fn tract_refuses_what_it_would_take_too_long_to_get_ready() {
    let chain = |n: usize| {
        let name = |i: usize| if i == n { "y".to_owned() } else { format!("v{i}") };
        let nodes = (1..=n).map(|i| {
            let from = if i == 1 { "x".to_owned() } else { name(i - 1) };
            by_hand::node("Relu", &[&from], &name(i), vec![])
        });
        let float = |name: &str| by_hand::info(name, DataType::Float, &[1, 2]);
        let proto = by_hand::model(17, nodes.collect(), vec![float("x")], vec![float("y")], &[]);
        named("tract").prepare(&onnx::write(&proto)).map(drop)
    };
    chain(100).unwrap();
    let refused = chain(10_001).unwrap_err();
    assert!(matches!(&refused, Error::Unsupported { what, .. } if what.contains("10001 nodes")), "{refused}");
}
