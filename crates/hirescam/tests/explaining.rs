//! What comes of samples: each has its own result, with what it brings itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::engine::Array;
use hirescam::photo::Photo;
use hirescam::spec::FurtherInput;
use hirescam::{Error, Explainer, Network, Sample, Spec, Watch};
use ndarray::{ArrayD, arr0, arr2};
use spec::tract;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn digits(method: &str) -> Explainer {
    let options = Spec { method: method.into(), ..tract() };
    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap().explainer(&options).unwrap()
}

fn seven() -> Sample {
    Sample::new("seven", Photo::open(format!("{FIXTURES}/photos/seven.png")).unwrap())
}

fn tensor(value: f32) -> Array {
    ArrayD::from_elem(vec![1, 1, 28, 28], value).into()
}

#[test]
fn a_sample_that_fails_spoils_no_other_and_progress_is_told_of_the_others() {
    for method in ["hirescam", "reciprocam"] {
        let explainer = digits(method);
        let small = Array::from(ArrayD::<f32>::zeros(vec![1, 1, 27, 28]));
        let several = Array::from(ArrayD::<f32>::zeros(vec![2, 1, 28, 28]));
        let samples = [
            Sample::new("nan", tensor(f32::NAN)),
            seven(),
            Sample::new("small", small),
            Sample::new("half", tensor(0.5)),
            Sample::new("several", several),
            Sample::new("overflow", tensor(f32::MAX)),
            seven(),
        ];
        let done = RefCell::new(Vec::new());
        let mut watch = Watch::new(|p| {
            if p.done == p.of {
                done.borrow_mut().push(p.sample);
            }
        });
        let made = explainer.explain(&samples, &mut watch);
        assert_eq!(made.len(), samples.len());
        assert!(matches!(&made[0], Err(Error::NotFinite { .. })));
        assert!(matches!(&made[2], Err(Error::Argument(_))));
        assert!(matches!(&made[4], Err(Error::Argument(_))));
        assert!(matches!(&made[5], Err(Error::NotFinite { .. })));
        let alone = explainer.explain_one(seven()).unwrap();
        for at in [1, 6] {
            let explained = made[at].as_ref().unwrap();
            assert_eq!((explained.id(), explained.maps().len()), ("seven", 1));
            assert_eq!(explained.maps()[0].map, alone.maps()[0].map);
        }
        assert_eq!(made[3].as_ref().unwrap().id(), "half");
        let mut done = done.borrow().clone();
        done.dedup();
        assert_eq!(done, [1, 3, 5, 6], "{method}");
    }
}

#[test]
fn what_is_made_is_found_by_class_method_and_layer() {
    let file = format!("{FIXTURES}/digits-cnn.onnx");
    let layers = digits("hirescam").explain_one(seven()).unwrap();
    let layer = layers.maps()[0].layer().to_owned();
    let earlier = hirescam::Network::open(&file).unwrap();
    let relu = earlier.model().graph().node.iter().find(|n| n.op_type() == "Relu").unwrap().output[0].clone();
    assert_ne!(relu, layer);
    let classes = ["7", "1", "3"].map(str::to_owned).to_vec();
    let layers = vec![layer.clone(), relu.clone()];
    let method = "gradcam,hirescam".to_owned();
    let options = Spec { method, layers, classes, ..tract() };
    let made = Network::open(&file).unwrap().explainer(&options).unwrap().explain_one(seven()).unwrap();
    assert_eq!((made.methods(), made.layers(), made.maps().len(), made.classes().len()), (2, 2, 12, 3));
    for (rank, (of_class, class)) in made.classes().zip([7, 1, 3]).enumerate() {
        assert!(of_class.iter().all(|e| e.class == Some(class)));
        let places: Vec<_> = of_class.iter().map(|e| (e.method().name, e.layer())).collect();
        let of = |method| [(method, layer.as_str()), (method, relu.as_str())];
        assert_eq!(places, [of("gradcam"), of("hirescam")].concat());
        for (method, name) in places {
            let e = made.at(rank, method, name).unwrap();
            assert_eq!((e.method().name, e.layer(), e.class), (method, name, Some(class)));
        }
        assert!(made.at(rank, "hirescam", "none").is_none() && made.at(rank, "layercam", &layer).is_none());
    }
    assert!(made.at(3, "hirescam", &layer).is_none());
}

#[test]
fn work_stops_between_runs() {
    for (method, seen) in [("hirescam", 0), ("occlusion", 1)] {
        let explainer = digits(method);
        let stop = AtomicBool::new(seen == 0);
        let told = RefCell::new(0);
        // A method of several runs is stopped after its first run of changed images.
        let mut watch = Watch::new(|_| {
            *told.borrow_mut() += 1;
            stop.store(true, Ordering::Relaxed);
        })
        .stopped_by(&stop);
        let made = explainer.explain(&[seven(), seven()], &mut watch);
        assert!(made.iter().all(|made| matches!(made, Err(Error::Cancelled))), "{method}: {made:?}");
        drop(watch);
        stop.store(false, Ordering::Relaxed);
        assert!(explainer.explain_one(seven()).is_ok(), "{method}");
    }
}

#[test]
fn a_sample_brings_its_own_inputs() {
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{FIXTURES}/inputs/golden.json")).unwrap()).unwrap();
    let (file, golden) = golden.as_object().unwrap().iter().find(|(name, _)| name.contains("patient")).unwrap();
    let array = |value: &serde_json::Value| {
        let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
        ArrayD::from_shape_vec(shape, serde_json::from_value::<Vec<f64>>(value["data"].clone()).unwrap()).unwrap()
    };
    let options = |inputs: Vec<(String, Array)>| Spec {
        layers: vec![golden["layer"].as_str().unwrap().into()],
        image_input: Some("image".into()),
        classes: vec!["1".into()],
        inputs: inputs.into_iter().map(|(name, array)| FurtherInput::new(&name, array)).collect(),
        ..tract()
    };
    let path = format!("{FIXTURES}/inputs/{file}");
    let inputs = golden["inputs"].as_object().unwrap();
    let images = Array::from(array(&inputs["image"]).mapv(|v| v as f32));
    let others: Vec<(String, Array)> =
        inputs.iter().filter(|(name, _)| *name != "image").map(|(name, v)| (name.clone(), array(v).into())).collect();
    let shared = Network::open(&path).unwrap().explainer(&options(others.clone())).unwrap();
    let bare = Network::open(&path).unwrap().explainer(&options(Vec::new())).unwrap();
    let samples = bare.samples("", images).unwrap();
    assert!(samples.len() > 1);
    for (i, sample) in samples.into_iter().enumerate() {
        let row = |array: &Array| array.rows(&[i]).unwrap();
        let own = others.iter().fold(sample.clone(), |s, (name, array)| s.with_input(name, row(array)));
        let expected = shared.explain_one(sample.clone().with_row(i)).unwrap();
        // In any order, alone and with others.
        assert_eq!(bare.explain_one(own.clone()).unwrap().maps()[0].map, expected.maps()[0].map);
        let changed = own.with_input("age", Array::from(arr2(&[[0.125f32]])));
        assert_ne!(shared.explain_one(changed).unwrap().maps()[0].score, expected.maps()[0].score);
        assert!(matches!(bare.explain_one(sample.clone()), Err(Error::MissingInput { .. })));
        assert!(matches!(shared.explain_one(sample.clone()), Err(Error::Argument(_))), "no row is its own");
        assert!(matches!(shared.explain_one(sample.clone().with_row(99)), Err(Error::Argument(_))));
        let unknown = shared.explain_one(sample.with_row(i).with_input("agee", Array::from(arr0(1f32))));
        assert!(matches!(unknown, Err(Error::Core(hirescam::core::Error::NotFound { .. }))));
    }
}
