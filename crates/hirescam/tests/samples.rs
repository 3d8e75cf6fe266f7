//! Samples: fewer images than a file's batch, images that make one score together, and a Squeeze that takes the batch away.
//! With a ReLU, a mean over places and a linear layer the map is known: Σ_c max(x_c, 0) · w_c / places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::Network;
use hirescam::core::Tensor;
use hirescam::core::onnx::attribute;
use hirescam::core::onnx::messages::{AttributeProto, NodeProto, ValueInfoProto};
use hirescam::core::tensor::DataType;
use hirescam::engine::Array;
use hirescam::{Error, Explanation, Spec, Watch};
use hirescam_testing::by_hand::{free, info, model};
use hirescam_testing::engines;
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use spec::tract;

const CHANNELS: usize = 3;
const SIDES: [usize; 2] = [4, 5];
const CLASSES: usize = 3;

/// The weight of a channel for a class.
fn weight(channel: usize, class: usize) -> f32 {
    [[0.5, -1.0, 0.25], [2.0, 0.75, -0.5], [-0.25, 1.5, 1.0]][channel][class]
}

fn images(n: usize) -> ArrayD<f32> {
    let shape = IxDyn(&[n, CHANNELS, SIDES[0], SIDES[1]]);
    ArrayD::from_shape_fn(shape, |i| ((7 * i[0] + 5 * i[1] + 3 * i[2] + 11 * i[3]) % 13) as f32 / 4.0 - 1.0)
}

/// The maps of the class 1 of images, each of which has a score of its own.
fn maps(images: &ArrayD<f32>) -> ArrayD<f32> {
    let places = (SIDES[0] * SIDES[1]) as f32;
    ArrayD::from_shape_fn(IxDyn(&[images.len_of(Axis(0)), SIDES[0], SIDES[1]]), |at| {
        (0..CHANNELS).map(|c| images[[at[0], c, at[1], at[2]]].max(0.0) * weight(c, 1)).sum::<f32>() / places
    })
}

/// Image → "a" → means over places → `steps` (operator, attributes, an integer list as second input) → the output.
/// The first extent of the image is open where `batch` is 0.
fn network(batch: usize, steps: &[(&str, Vec<AttributeProto>, Option<&[i64]>)]) -> Network {
    let w = ArrayD::from_shape_fn(IxDyn(&[CHANNELS, CLASSES]), |i| f64::from(weight(i[0], i[1])));
    let mut stored = vec![("w".to_owned(), Tensor::float(w))];
    let node = |op: &str, input: Vec<String>, output: &str, attribute: Vec<AttributeProto>| NodeProto {
        op_type: Some(op.into()),
        name: Some(format!("the {op}")),
        input,
        output: vec![output.into()],
        attribute,
        ..Default::default()
    };
    let mut nodes =
        vec![node("Relu", vec!["image".into()], "a", vec![]), node("GlobalAveragePool", vec!["a".into()], "p", vec![])];
    let mut at = "p".to_owned();
    for (i, (op, attributes, list)) in steps.iter().enumerate() {
        let mut inputs = vec![at];
        if *op == "MatMul" {
            inputs.push("w".into());
        }
        if let Some(list) = list {
            inputs.push(format!("list{i}"));
            stored.push((format!("list{i}"), Tensor::ints(list)));
        }
        at = format!("v{i}");
        nodes.push(node(op, inputs, &at, attributes.clone()));
    }
    let stored: Vec<(&str, Tensor)> = stored.iter().map(|(name, t)| (name.as_str(), t.clone())).collect();
    let image = free("image", &[batch, CHANNELS, SIDES[0], SIDES[1]]);
    // An output of unknown shape.
    let output = ValueInfoProto { r#type: None, ..info(&at, DataType::Float, &[]) };
    let proto = model(13, nodes, vec![image], vec![output], &stored);
    hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap()
}

fn options(engine: &str) -> Spec {
    Spec { layers: vec!["a".into()], target: Some("class:1".into()), engine: engine.into(), ..tract() }
}

fn explain(file: &Network, options: &Spec, tensors: &[ArrayD<f32>]) -> Result<Vec<Explanation>, Error> {
    let explainer = file.explainer(options)?;
    let mut samples = Vec::new();
    for tensor in tensors {
        samples.extend(explainer.samples("", Array::from(tensor.clone()))?);
    }
    let made = explainer.explain(&samples, &mut Watch::default());
    made.into_iter().map(|made| Ok(made?.into_maps().remove(0))).collect()
}

fn assert_near(map: &ArrayD<f32>, expected: &ArrayD<f32>, context: &str) {
    assert_eq!(map.shape(), expected.shape(), "{context}");
    assert!((map - expected).iter().all(|d| d.abs() < 1e-5), "{context}: {map} and not {expected}");
}

fn scores() -> (&'static str, Vec<AttributeProto>, Option<&'static [i64]>) {
    ("MatMul", vec![], None)
}

fn flat() -> (&'static str, Vec<AttributeProto>, Option<&'static [i64]>) {
    ("Flatten", vec![], None)
}

#[test]
fn a_batch_that_the_file_fixes_takes_fewer_images_and_more() {
    let file = network(4, &[("Reshape", vec![], Some(&[4, CHANNELS as i64])), scores()]);
    for engine in engines::names() {
        for n in [1, 3, 4, 6] {
            let (x, context) = (images(n), format!("{n} images with {engine}"));
            let made = explain(&file, &options(engine), std::slice::from_ref(&x)).unwrap();
            assert_eq!(made.len(), n, "{context}");
            let filled = |e: &&Explanation| e.notes.iter().any(|note| note.contains("4 images at once"));
            assert_eq!(made.iter().filter(filled).count(), n % 4, "{context}");
            for (e, expected) in made.iter().zip(maps(&x).axis_iter(Axis(0))) {
                assert_near(&e.map, &expected.to_owned(), &context);
            }
        }
        let occlusion = Spec { method: "occlusion".into(), layers: Vec::new(), ..options(engine) };
        let alone = explain(&file, &occlusion, &[images(1)]).unwrap();
        let both = explain(&file, &occlusion, &[images(2)]).unwrap();
        assert_near(&alone[0].map, &both[0].map, engine);
    }
}

#[test]
fn images_of_one_score_are_one_sample_and_never_taken_apart() {
    let mean = || ("ReduceMean", vec![attribute("axes", [0]), attribute("keepdims", 1)], None);
    let steps = [flat(), scores(), mean()];
    for engine in engines::names() {
        // As many as each tensor holds.
        let bags = [images(3), images(5), images(1)];
        let made = explain(&network(0, &steps), &options(engine), &bags).unwrap();
        assert_eq!(made.len(), 3);
        for (e, bag) in made.iter().zip(&bags) {
            assert_near(&e.map, &(maps(bag) / bag.len_of(Axis(0)) as f32), engine);
        }
        // As many as the file says, and no copies for those that are missing.
        let fixed = network(4, &steps);
        let made = explain(&fixed, &options(engine), &[images(4)]).unwrap();
        assert_near(&made[0].map, &(maps(&images(4)) / 4.0), engine);
        let missing = explain(&fixed, &options(engine), &[images(3)]);
        assert!(matches!(&missing, Err(Error::Argument(what)) if what.contains("ReduceMean")), "{missing:?}");
        for method in ["occlusion", "rise", "smoothgrad", "integrated-gradients", "scorecam", "ablationcam"] {
            let several = Spec { method: method.into(), ..options(engine) };
            let refused = explain(&fixed, &several, &[images(4)]);
            assert!(
                matches!(&refused, Err(Error::Argument(what)) if what.contains("ReduceMean")),
                "{method}: {refused:?}"
            );
        }
    }
}

#[test]
fn a_squeeze_that_takes_the_batch_away_gives_the_maps_of_a_batch() {
    let early = network(0, &[("Squeeze", vec![], None), scores()]);
    let late = network(0, &[flat(), scores(), ("Squeeze", vec![], None)]);
    let x = images(2);
    let one = x.slice_axis(Axis(0), Slice::from(..1)).to_owned();
    for (file, what) in [(early, "early"), (late, "late")] {
        for engine in engines::names() {
            for x in [&one, &x] {
                let context = format!("{what}, {} images with {engine}", x.len_of(Axis(0)));
                let made = explain(&file, &options(engine), std::slice::from_ref(x)).unwrap();
                assert_eq!(made.len(), x.len_of(Axis(0)), "{context}");
                for (e, expected) in made.iter().zip(maps(x).axis_iter(Axis(0))) {
                    assert_near(&e.map, &expected.to_owned(), &context);
                }
            }
            let occlusion = Spec { method: "occlusion".into(), layers: Vec::new(), ..options(engine) };
            assert!(explain(&file, &occlusion, std::slice::from_ref(&one)).is_ok());
        }
    }
}

#[test]
fn classes_come_with_the_samples_of_a_batch_that_the_file_fixes() {
    let file = network(4, &[("Reshape", vec![], Some(&[4, CHANNELS as i64])), scores()]);
    for engine in engines::names() {
        let explainer = file.explainer(&Spec { target: Some("class-input".into()), ..options(engine) }).unwrap();
        let samples = explainer.samples("", Array::from(images(6))).unwrap();
        let class = |i: usize| Array::from(ndarray::arr1(&[(i % CLASSES) as i64]).into_dyn());
        let samples: Vec<_> = samples.into_iter().enumerate().map(|(i, s)| s.with_input("class", class(i))).collect();
        for (i, made) in explainer.explain(&samples, &mut Watch::default()).into_iter().enumerate() {
            let e = made.unwrap().into_maps().remove(0);
            let named = Spec { target: Some(format!("class:{}", i % CLASSES)), ..options(engine) };
            let named = explain(&file, &named, &[images(6)]).unwrap().remove(i);
            assert_eq!((e.class, e.score), (Some(i % CLASSES), named.score));
            assert_near(&e.map, &named.map, &format!("{i} with {engine}"));
        }
    }
}
