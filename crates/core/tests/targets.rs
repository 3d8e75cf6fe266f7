//! Targets: that the map of a sum is the sum of the maps, that each way of asking for a class gives the same, and dense
//! outputs against central differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Explaining, Further, METHODS, Method, Request, Target, method};
use hirescam_core::certify::Verdict;
use hirescam_core::onnx;
use hirescam_core::onnx::AttributeValue;
use hirescam_core::score::Reading;
use hirescam_core::tensor::DataType;
use hirescam_core::{Error, Model, Tensor, reference};
use hirescam_testing::by_hand::{free, info, model, network, node};
use hirescam_testing::{Random, max_abs, zoo};
use ndarray::{ArrayD, Axis, IxDyn};
use std::collections::HashMap;

fn request(layer: &str, target: &str) -> Request {
    Request { layer: Some(layer.into()), target: target.parse().unwrap(), ..Request::default() }
}

/// What an explaining model gives.
struct Made {
    map: ArrayD<f64>,
    class: ArrayD<f64>,
    score: ArrayD<f64>,
    b: ArrayD<f64>,
    explaining: Explaining,
}

/// Explains `images`; `given` is what else the target needs.
fn explain(model: &Model, request: &Request, images: &Tensor, given: Option<Tensor>) -> Result<Made, Error> {
    run(cam::attach(model, request)?, images, given)
}

/// Attaches to `output`.
fn attach(model: &Model, output: Option<&str>, request: &Request) -> Result<Explaining, Error> {
    let scores = Reading { output: output.map(str::to_owned), ..Reading::default() };
    let analysis = Analysis::of(model, &Hints { scores, ..Hints::default() })?;
    Ok(cam::attach_to(&analysis, request, &Further::default())?.swap_remove(0))
}

fn run(explaining: Explaining, images: &Tensor, given: Option<Tensor>) -> Result<Made, Error> {
    let o = &explaining.outputs;
    let mut known = HashMap::from([(explaining.image.clone(), images.clone())]);
    known.extend(explaining.input.clone().zip(given));
    let whole = Model::new(explaining.model.as_ref().clone()).unwrap();
    let made = reference::evaluate(&whole, known, &[&o.map, &o.class, &o.score, &o.b])?;
    let [map, class, score, b] = <[Tensor; 4]>::try_from(made).unwrap().map(|t| t.data);
    Ok(Made { map, class, score, b, explaining })
}

fn made(model: &Model, request: &Request, images: &Tensor) -> Made {
    explain(model, request, images, None).unwrap()
}

/// Images for a model: so many where the file allows, else as many as it wants.
fn images(model: &Model, count: usize) -> Tensor {
    let image = hirescam_core::analysis::image_input(model, None).unwrap();
    let declared = hirescam_core::shape::declared(image);
    let shape: Vec<usize> = declared.iter().map(|d| d.unwrap_or(count)).collect();
    Random::new(7).tensor(&shape, -1.0, 1.0)
}

fn assert_near(a: &ArrayD<f64>, b: &ArrayD<f64>, context: &str) {
    assert_eq!(a.shape(), b.shape(), "{context}");
    let scale = max_abs(b).max(1e-12);
    let apart = max_abs(&(a - b));
    assert!(apart < 1e-6 * scale, "{context}: {apart} apart, of {scale}");
}

fn added(e: &Explaining) -> usize {
    e.model.graph.as_ref().unwrap().node.iter().filter(|n| n.name().starts_with("hirescam/")).count()
}

/// A layer, its file, and whether all its classes take one derivative.
const LAYERS: &[(&str, &str, bool)] = &[
    ("resnet.ts.onnx", "/Relu_2_output_0", true),
    ("flatten_fc.ts.onnx", "/Relu_1_output_0", true),
    ("keras_mean.onnx", "StatefulPartitionedCall/model/conv2d_1/Relu__18:0", true),
    ("keras_flatten.onnx", "StatefulPartitionedCall/model/conv2d_1/Relu__18:0", true),
    ("cnn1d.ts.onnx", "/Relu_2_output_0", true),
    ("cnn3d.ts.onnx", "/Relu_2_output_0", true),
    ("alexnet.dynamo.onnx", "max_pool2d_1", true),
    ("mobilenet_v3.ts.onnx", "/last/last.2/HardSwish_output_0", true),
    ("vit.dynamo.onnx", "layer_norm_2", false),
    ("resnet.ts.onnx", "/Relu_1_output_0", false),
    ("squashed.ts.onnx", "/Relu_1_output_0", false),
];

#[test]
fn the_maps_of_all_classes_are_those_of_each() {
    for &(file, layer, one_derivative) in LAYERS {
        let model = zoo(file);
        let images = images(&model, 3);
        for m in METHODS {
            let whole = Request { method: m, ..request(layer, "all") };
            let context = format!("{} at {layer} of {file}", m.name);
            let all = match explain(&model, &whole, &images, None) {
                Ok(all) => all,
                Err(_) if m.name == "cam" => continue,
                Err(error) => panic!("{context}: {error}"),
            };
            let classes = all.explaining.head.score.classes;
            for class in 0..classes {
                let one = made(&model, &Request { target: Target::Classes(vec![class]), ..whole.clone() }, &images);
                let of = |a: &ArrayD<f64>| a.index_axis(Axis(1), class).to_owned();
                assert_near(&of(&all.map), &one.map, &context);
                assert_near(&of(&all.score), &one.score, &context);
                assert_near(&of(&all.b), &one.b, &context);
                assert_eq!(of(&all.class), one.class, "{context}");
                assert_eq!(all.explaining.certificate.verdict, one.explaining.certificate.verdict, "{context}");
            }
            // One product, not one sweep for each class; a map that does not depend on the class is made once anyway.
            let once = one_derivative || m.name == "eigencam";
            let two = cam::attach(&model, &Request { target: Target::Classes(vec![0, 1]), ..whole.clone() }).unwrap();
            assert_eq!(added(&all.explaining) <= added(&two), once, "{context}");
        }
    }
}

#[test]
fn several_layers_in_one_run_give_the_maps_of_each() {
    let model = zoo("resnet.ts.onnx");
    let images = images(&model, 3);
    let layers = ["/Relu_2_output_0", "/Relu_1_output_0", "/Relu_output_0"];
    for target in ["top:2", "class:1", "all", "contrast:0,2"] {
        let request = request(layers[0], target);
        let further: Vec<String> = layers[1..].iter().map(|l| (*l).to_owned()).collect();
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let all = cam::attach_to(&analysis, &request, &Further::layers(&further)).unwrap();
        let whole = Model::new(all[0].model.as_ref().clone()).unwrap();
        assert!(cam::strip(&all[0].to_bytes()).unwrap().is_some_and(|bare| bare == onnx::write(model.proto())));
        let image = HashMap::from([(all[0].image.clone(), images.clone())]);
        for (e, layer) in all.iter().zip(layers) {
            assert_eq!(e.head.layer, layer);
            let alone = Request { layer: Some(layer.into()), ..request.clone() };
            let one = made(&model, &alone, &images);
            let names = [&e.outputs.map, &e.outputs.score, &e.outputs.b].map(String::as_str);
            let made = reference::evaluate(&whole, image.clone(), &names).unwrap();
            for (made, wanted) in made.iter().zip([&one.map, &one.score, &one.b]) {
                assert_near(&made.data, wanted, &format!("{target} at {layer}"));
            }
            assert_eq!(e.certificate.verdict, one.explaining.certificate.verdict);
            let key = if layer == layers[0] {
                "hirescam.verdict".into()
            } else {
                format!("hirescam.verdict{}", &e.outputs.map[3..])
            };
            assert_eq!(whole.metadata(&key), Some(e.certificate.verdict.to_string().as_str()));
        }
        // The derivative of the deepest layer passes the others: all three take little more than that one alone.
        let deepest = cam::attach(&model, &Request { layer: Some(layers[2].into()), ..request.clone() }).unwrap();
        let apart: usize = layers
            .iter()
            .map(|l| added(&cam::attach(&model, &Request { layer: Some((*l).into()), ..request.clone() }).unwrap()))
            .sum();
        assert!(added(&all[0]) < apart && added(&all[0]) > added(&deepest), "{target}");
    }
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let twice = cam::attach_to(&analysis, &request(layers[0], "top:1"), &Further::layers(&[layers[0].into()]));
    assert!(matches!(twice, Err(Error::Argument(why)) if why.contains("twice")));
}

#[test]
fn several_methods_in_one_run_give_the_maps_of_each() {
    for &(file, layer, _) in LAYERS {
        let model = zoo(file);
        let images = images(&model, 3);
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        for target in ["top:2", "class-input"] {
            let request = request(layer, target);
            let given = (target == "class-input").then(|| Tensor::ints(&[1, 0, 1][..images.data.len_of(Axis(0))]));
            // A method that the head is not for spoils those beside it, and is asked for apart.
            let fits = |m: &&&'static Method| cam::attach(&model, &Request { method: m, ..request.clone() }).is_ok();
            let methods: Vec<&'static Method> = METHODS.iter().filter(|m| fits(&m)).collect();
            assert!(methods.len() >= METHODS.len() - 1);
            let further = Further { methods: methods[1..].to_vec(), ..Further::default() };
            let all = cam::attach_to(&analysis, &request, &further).unwrap();
            assert!(cam::strip(&all[0].to_bytes()).unwrap().is_some_and(|bare| bare == onnx::write(model.proto())));
            let whole = Model::new(all[0].model.as_ref().clone()).unwrap();
            let mut known = HashMap::from([(all[0].image.clone(), images.clone())]);
            known.extend(all[0].input.clone().zip(given.clone()));
            let (mut apart, mut largest) = (0, 0);
            let outputs = all.iter().map(|e| &e.outputs).flat_map(|o| [&o.map, &o.class, &o.score, &o.b]);
            let outputs: Vec<&str> = outputs.map(String::as_str).collect();
            let made = reference::evaluate(&whole, known, &outputs).unwrap();
            for ((e, m), made) in all.iter().zip(&methods).zip(made.chunks(4)) {
                let context = format!("{} for {target} at {layer} of {file}", m.name);
                let one = explain(&model, &Request { method: m, ..request.clone() }, &images, given.clone()).unwrap();
                let o = &e.outputs;
                // The same nodes make them: not only near.
                for (made, alone) in made.iter().zip([&one.map, &one.class, &one.score, &one.b]) {
                    assert_eq!(&made.data, alone, "{context}");
                }
                let named = m.name.replace("++", "_plus_plus").replace('-', "_");
                assert_eq!((o.map.clone(), e.method.name), (format!("map_{named}"), m.name));
                assert_eq!((&o.class, &o.score), (&all[0].outputs.class, &all[0].outputs.score));
                let (c, alone) = (&e.certificate, &one.explaining.certificate);
                assert_eq!((c.verdict, c.uniform, c.scale), (alone.verdict, alone.uniform, alone.scale), "{context}");
                assert_eq!((&c.but, &c.caution), (&alone.but, &alone.caution), "{context}");
                assert_eq!(e.bias, one.explaining.bias, "{context}");
                let key = format!("hirescam.verdict_{named}");
                assert_eq!(whole.metadata(&key), Some(c.verdict.to_string().as_str()), "{context}");
                apart += added(&one.explaining);
                largest = largest.max(added(&one.explaining));
            }
            let names: Vec<&str> = methods.iter().map(|m| m.name).collect();
            assert_eq!(whole.metadata("hirescam.method"), Some(names.join(",").as_str()));
            assert!(added(&all[0]) < apart && added(&all[0]) >= largest, "{file}, {target}");
        }
    }
}

#[test]
fn methods_and_layers_are_named_in_the_outputs() {
    let model = zoo("resnet.ts.onnx");
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let methods = |names: &[&str]| -> Vec<&'static Method> { names.iter().map(|n| method(n).unwrap()).collect() };
    let further = |layers: &[&str], names: &[&str]| Further {
        layers: layers.iter().map(|l| (*l).to_owned()).collect(),
        methods: methods(names),
    };
    let request = Request { heatmap: Some(cam::HeatmapSize::Image), ..request("/Relu_2_output_0", "top:1") };
    let all = cam::attach_to(&analysis, &request, &further(&["/Relu_1_output_0"], &["gradcam++"])).unwrap();
    let made: Vec<_> = all.iter().map(|e| (e.method.name, e.head.layer.as_str(), e.outputs.map.as_str())).collect();
    let (deep, early) = ("/Relu_2_output_0", "/Relu_1_output_0");
    assert_eq!(
        made,
        [
            ("hirescam", deep, "map_hirescam"),
            ("hirescam", early, "map_hirescam_2"),
            ("gradcam++", deep, "map_gradcam_plus_plus"),
            ("gradcam++", early, "map_gradcam_plus_plus_2")
        ]
    );
    let outputs = all[0].model.graph.as_ref().unwrap().output.iter().map(|o| o.name()).skip(model.graph().output.len());
    let first = ["map_hirescam", "class", "score", "b_hirescam", "heatmap_hirescam", "map_hirescam_2"];
    assert_eq!(outputs.take(6).collect::<Vec<_>>(), first);
    let whole = Model::new(all[0].model.as_ref().clone()).unwrap();
    assert_eq!(whole.metadata("hirescam.layer_gradcam_plus_plus_2"), Some(early));
    // Where no layer is named, each is where it is alone.
    let own = Request { layer: None, ..request.clone() };
    let all = cam::attach_to(&analysis, &own, &further(&[], &["saliency"])).unwrap();
    assert_eq!(all.iter().map(|e| e.head.layer.as_str()).collect::<Vec<_>>(), [deep, all[0].image.as_str()]);
    let twice = cam::attach_to(&analysis, &request, &further(&[], &["gradcam", "hirescam"]));
    assert!(matches!(twice, Err(Error::Argument(why)) if why.contains("hirescam is asked for twice")));
    let cam = cam::attach_to(&analysis, &Request { layer: Some(early.into()), ..request }, &further(&[], &["cam"]));
    assert!(matches!(cam, Err(Error::Argument(why)) if why.contains("is defined for")));
}

#[test]
fn a_scalar_product_is_a_weighted_sum_and_a_cosine_its_direction() {
    for (file, layer, _) in [LAYERS[0], LAYERS[9]] {
        let model = zoo(file);
        let images = images(&model, 3);
        let r = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 1.25, -2.0, 0.1, 0.9];
        let k = made(&model, &request(layer, "all"), &images).explaining.head.score.classes;
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let dot = made(&model, &request(layer, &format!("dot:{}", list(&r[..k]))), &images);
        let weights: Vec<String> = r[..k].iter().enumerate().map(|(c, w)| format!("{c}={w}")).collect();
        let weighted = made(&model, &request(layer, &format!("weights:{}", weights.join(","))), &images);
        assert_near(&dot.map, &weighted.map, file);
        assert_near(&dot.score, &weighted.score, file);
        assert_near(&dot.b, &weighted.b, file);
        // ∂(r·e / |r||e|) = (r/|r| − cos · e/|e|) / |e|: one more weighted sum, with weights that belong to the image.
        let cosine = made(&model, &request(layer, &format!("cosine:{}", list(&r[..k]))), &images);
        assert_eq!(cosine.explaining.certificate.verdict, Verdict::GradientOnly);
        let scores = made(&model, &request(layer, "all"), &images).score;
        let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        for (n, e) in scores.axis_iter(Axis(0)).enumerate() {
            let e: Vec<f64> = e.iter().copied().collect();
            let cos = e.iter().zip(&r).map(|(e, r)| e * r).sum::<f64>() / length(&e) / length(&r[..k]);
            assert!((cosine.score[[n]] - cos).abs() < 1e-6, "{file}");
            let (of_r, of_e) = (length(&r[..k]), length(&e));
            let seed: Vec<f64> = e.iter().zip(&r).map(|(e, r)| (r / of_r - cos * e / of_e) / of_e).collect();
            let one = made(&model, &request(layer, &format!("dot:{}", list(&seed))), &images);
            let [a, b] = [&cosine.map, &one.map].map(|m| m.index_axis(Axis(0), n).to_owned());
            assert_near(&a, &b, file);
        }
        let wrong = cam::attach(&model, &request(layer, "dot:1"));
        assert!(matches!(wrong, Err(Error::Argument(why)) if why.contains("1 numbers")));
        let zeros = cam::attach(&model, &request(layer, &format!("cosine:{}", list(&vec![0.0; k]))));
        assert!(matches!(zeros, Err(Error::Argument(why)) if why.contains("length 0")));
    }
}

#[test]
fn a_thousand_classes_take_one_sweep_or_are_refused() {
    // Pooling and Gemm over 1000 classes, as they are, with a Sigmoid between, and with a convolution and a ReLU before; a
    // batch of 1 is baked into the file.
    let network = |before: bool, gate: bool| {
        let mut random = Random::new(3);
        let mut nodes = vec![node("Relu", &["x"], "a", vec![]), node("Conv", &["a", "k"], "v", vec![])];
        nodes.push(node("Relu", &[if before { "v" } else { "a" }], "r", vec![]));
        nodes.push(node("GlobalAveragePool", &["r"], "p", vec![]));
        nodes.push(node("Reshape", &["p", "shape"], "f", vec![]));
        nodes.push(node(if gate { "Sigmoid" } else { "Identity" }, &["f"], "g", vec![]));
        nodes.push(node("Gemm", &["g", "w", "c"], "y", vec![]));
        let stored = [
            ("k", random.tensor(&[4, 4, 1, 1], -1.0, 1.0)),
            ("w", random.tensor(&[4, 1000], -1.0, 1.0)),
            ("c", random.tensor(&[1000], -1.0, 1.0)),
            ("shape", Tensor::ints(&[1, -1])),
        ];
        network(nodes, &[1, 4, 3, 3], &[("y", &[1, 1000])], &stored)
    };
    let images = Random::new(1).tensor(&[1, 4, 3, 3], -1.0, 1.0);
    for gate in [false, true] {
        let model = network(false, gate);
        let all = made(&model, &request("r", "all"), &images);
        assert_eq!(all.map.shape(), [1, 1000, 3, 3]);
        assert!(added(&all.explaining) < 40);
        let one = made(&model, &request("r", "class:999"), &images);
        assert_near(&all.map.index_axis(Axis(1), 999).to_owned(), &one.map, "class 999");
        let sums = all.map.sum_axis(Axis(3)).sum_axis(Axis(2));
        assert_near(&(sums + &all.b), &all.score, "Σ map + b");
    }
    let Err(Error::Argument(why)) = cam::attach(&network(true, false), &request("a", "all")) else { panic!() };
    assert!(why.contains("top:5") && why.contains("last convolution"), "{why}");
}

#[test]
fn classes_of_one_sweep_see_what_comes_beside_the_image() {
    // A number of each image multiplies the pooled channels, one for all is added, and two products with a ReLU between
    // follow.
    let mut random = Random::new(5);
    let stored = [
        ("w", random.tensor(&[4, 5], -1.0, 1.0)),
        ("v", random.tensor(&[5, 3], -1.0, 1.0)),
        ("o", random.tensor(&[1, 4], -1.0, 1.0)),
    ];
    let nodes = vec![
        node("Relu", &["x"], "a", vec![]),
        node("GlobalAveragePool", &["a"], "p", vec![]),
        node("Flatten", &["p"], "f", vec![]),
        node("Mul", &["f", "age"], "g", vec![]),
        node("Add", &["g", "o"], "q", vec![]),
        node("MatMul", &["q", "w"], "h", vec![]),
        node("Relu", &["h"], "r", vec![]),
        node("MatMul", &["r", "v"], "y", vec![]),
    ];
    for n in [0, 1] {
        let inputs = vec![free("x", &[n, 4, 3, 3]), free("age", &[n, 1])];
        let model = Model::new(model(17, nodes.clone(), inputs, vec![free("y", &[n, 3])], &stored)).unwrap();
        let images = 3usize.pow(1 - n as u32);
        let known = HashMap::from([
            ("x".to_owned(), random.tensor(&[images, 4, 3, 3], -1.0, 1.0)),
            ("age".to_owned(), random.tensor(&[images, 1], 0.5, 2.0)),
        ]);
        let map = |target: &str| {
            let explaining = cam::attach(&model, &request("a", target)).unwrap();
            let whole = Model::new(explaining.model.as_ref().clone()).unwrap();
            let made = reference::evaluate(&whole, known.clone(), &[&explaining.outputs.map]).unwrap().remove(0).data;
            let products = whole.graph().node.iter().filter(|n| n.input.iter().any(|i| i == "w")).count();
            (made, products)
        };
        let (all, products) = map("all");
        assert_eq!((all.shape(), products), (&[images, 3, 3, 3][..], 2));
        for class in 0..3 {
            let (one, _) = map(&format!("class:{class}"));
            assert_near(&all.index_axis(Axis(1), class).to_owned(), &one, &format!("class {class}, batch {n}"));
        }
    }
}

#[test]
fn the_map_of_a_sum_is_the_sum_of_the_maps() {
    for &(file, layer, _) in LAYERS {
        let model = zoo(file);
        let images = images(&model, 2);
        let of = |target: &str| made(&model, &request(layer, target), &images);
        let [a, b] = ["class:1", "class:0"].map(of);
        for (target, wa, wb) in [("contrast:1,0", 1.0, -1.0), ("weights:0=0.5,1=2", 2.0, 0.5), ("sum::2", 1.0, 1.0)] {
            let sum = of(target);
            let context = format!("{target} at {layer} of {file}");
            assert_near(&sum.map, &(&a.map * wa + &b.map * wb), &context);
            assert_near(&sum.score, &(&a.score * wa + &b.score * wb), &context);
            assert_near(&sum.b, &(&a.b * wa + &b.b * wb), &context);
            assert!(sum.class.iter().all(|&c| c == f64::from(u8::from(!target.starts_with("sum")))), "{context}");
            let bias = sum.explaining.b(1);
            assert_eq!(bias.is_some(), sum.explaining.certificate.verdict == Verdict::Exact);
            if let Some(bias) = bias {
                assert_near(&sum.b, &ArrayD::from_elem(sum.b.raw_dim(), bias), &context);
            }
        }
    }
}

#[test]
fn classes_and_weights_that_come_with_the_image_give_what_fixed_ones_give() {
    for &(file, layer, _) in LAYERS {
        let model = zoo(file);
        let images = images(&model, 3);
        let n = images.shape()[0];
        let fixed = ["class:1", "class:0"].map(|t| made(&model, &request(layer, t), &images));
        // Another class for each image.
        let classes: Vec<i64> = (0..n as i64).map(|i| (i + 1) % 2).collect();
        let one = explain(&model, &request(layer, "class-input"), &images, Some(Tensor::ints(&classes))).unwrap();
        for (i, &class) in classes.iter().enumerate() {
            let expected = &fixed[usize::from(class == 0)];
            let of = |a: &ArrayD<f64>| a.index_axis(Axis(0), i).to_owned();
            for (a, b) in [(&one.map, &expected.map), (&one.score, &expected.score), (&one.b, &expected.b)] {
                assert_near(&of(a), &of(b), file);
            }
            assert_eq!(of(&one.class), of(&expected.class));
        }
        let pairs: Vec<f64> = (0..n).flat_map(|_| [1.0, 0.0]).collect();
        let pairs = Tensor::new(DataType::Int64, &[n, 2], pairs).unwrap();
        let two = explain(&model, &request(layer, "class-input:2"), &images, Some(pairs)).unwrap();
        for (i, expected) in fixed.iter().enumerate() {
            assert_near(&two.map.index_axis(Axis(1), i).to_owned(), &expected.map, file);
            assert_near(&two.b.index_axis(Axis(1), i).to_owned(), &expected.b, file);
        }
        let far = Tensor::ints(&vec![99; n]);
        assert!(explain(&model, &request(layer, "class-input"), &images, Some(far)).is_err(), "{file}: class 99");

        let k = one.explaining.head.score.classes;
        let weights: Vec<f64> = (0..n * k).map(|i| [-2.0, 1.0, 0.0][(i % k).min(2)]).collect();
        let weights = Tensor::new(DataType::Float, &[n, k], weights).unwrap();
        let seed = explain(&model, &request(layer, "seed-input"), &images, Some(weights)).unwrap();
        assert_near(&seed.map, &(&fixed[0].map - &fixed[1].map * 2.0), file);
        assert_near(&seed.score, &(&fixed[0].score - &fixed[1].score * 2.0), file);
        assert_near(&seed.b, &(&fixed[0].b - &fixed[1].b * 2.0), file);
        assert!(seed.class.iter().all(|&c| c == 1.0));
    }
}

/// A network for segmentation, 4 classes on 5×6 places, with an affine head or one with a Sigmoid in it; and a
/// detector's table of 30 boxes by 4 classes, and two numbers.
fn dense(smooth: bool) -> Model {
    let mut random = Random::new(11);
    let stored = [
        ("w1", random.tensor(&[3, 2, 3, 3], -1.0, 1.0)),
        ("w2", random.tensor(&[4, 3, 3, 3], -1.0, 1.0)),
        ("b2", random.tensor(&[4], -1.0, 1.0)),
        ("shape", Tensor::ints(&[0, -1, 4])),
        ("w3", random.tensor(&[4, 2], -1.0, 1.0)),
    ];
    let pads = || vec![("pads", AttributeValue::Ints(vec![1, 1, 1, 1]))];
    let nodes = vec![
        node("Conv", &["x", "w1"], "c", pads()),
        node("Relu", &["c"], "a", vec![]),
        node(if smooth { "Sigmoid" } else { "Identity" }, &["a"], "h", vec![]),
        node("Conv", &["h", "w2", "b2"], "logits", pads()),
        node("Softmax", &["logits"], "segments", vec![("axis", AttributeValue::Int(1))]),
        node("Transpose", &["logits"], "last", vec![("perm", AttributeValue::Ints(vec![0, 2, 3, 1]))]),
        node("Reshape", &["last", "shape"], "table", vec![]),
        node("Sigmoid", &["table"], "boxes", vec![]),
        node("GlobalAveragePool", &["logits"], "mean", vec![]),
        node("Flatten", &["mean"], "flat", vec![]),
        node("MatMul", &["flat", "w3"], "age", vec![]),
    ];
    network(nodes, &[0, 2, 5, 6], &[("segments", &[0, 4, 5, 6]), ("boxes", &[0, 30, 4]), ("age", &[0, 2])], &stored)
}

#[test]
fn dense_outputs_are_told_from_class_scores() {
    let model = dense(false);
    let score = |output: Option<&str>| {
        let target = if matches!(output, None | Some("age")) { "top" } else { "seed-input" };
        attach(&model, output, &request("a", target)).unwrap().head.score
    };
    // One score a class comes first.
    assert_eq!(score(None).output, "age");
    let segments = score(Some("segments"));
    assert_eq!((segments.logits.as_str(), segments.activation.as_deref()), ("logits", Some("Softmax")));
    assert_eq!((segments.dims, segments.class_axis, segments.classes), (vec![4, 5, 6], Some(0), 4));
    let boxes = score(Some("boxes"));
    assert_eq!((boxes.logits.as_str(), boxes.activation.as_deref()), ("table", Some("Sigmoid")));
    assert_eq!((boxes.dims, boxes.class_axis, boxes.classes), (vec![30, 4], Some(1), 4));
}

#[test]
fn parts_of_dense_outputs_are_explained_as_central_differences_say() {
    let cases = [
        ("segments", "element:2,3,1", 2.0),
        ("segments", "sum:1,1:4,2:", 1.0),
        ("segments", "sum:3,:,:", 3.0),
        ("segments", "sum::,2,0:3", 0.0),
        ("segments", "sum::,:,:", 0.0),
        ("boxes", "element:17,3", 3.0),
        ("boxes", "sum:5:20,1", 1.0),
        ("age", "class:1", 1.0),
        ("age", "sum::", 0.0),
    ];
    for smooth in [false, true] {
        let model = dense(smooth);
        let images = Random::new(5).tensor(&[2, 2, 5, 6], -1.0, 1.0);
        for (output, target, class) in cases {
            let explaining = attach(&model, Some(output), &request("a", target)).unwrap();
            let made = run(explaining, &images, None).unwrap();
            let context = format!("{target} of {output}, smooth: {smooth}");
            assert_eq!(made.map.shape(), [2, 5, 6], "{context}");
            assert!(made.class.iter().all(|&c| c == class), "{context}: {}", made.class);
            let known = HashMap::from([("x".to_owned(), images.clone())]);
            let a = reference::evaluate(&model, known, &["a"]).unwrap().remove(0);
            // Scaling what is at one place moves the score by that place's cell.
            let whole = Model::new(made.explaining.model.as_ref().clone()).unwrap();
            let score = |image: usize, place: (usize, usize), by: f64| {
                let mut a = a.clone();
                for c in 0..3 {
                    a.data[[image, c, place.0, place.1]] *= by;
                }
                let known = HashMap::from([("a".to_owned(), a)]);
                reference::evaluate(&whole, known, &["score"]).unwrap().remove(0).data[IxDyn(&[image])]
            };
            let h = 1e-6;
            let slope = |image, place| (score(image, place, 1.0 + h) - score(image, place, 1.0 - h)) / (2.0 * h);
            let expected = ArrayD::from_shape_fn(IxDyn(&[2, 5, 6]), |i| slope(i[0], (i[1], i[2])));
            let apart = max_abs(&(&made.map - &expected));
            assert!(apart < 1e-7, "{context}: {apart}");
            assert_eq!(made.explaining.certificate.verdict == Verdict::Exact, !smooth, "{context}");
            let sums = made.map.sum_axis(Axis(2)).sum_axis(Axis(1));
            assert_near(&(sums + &made.b), &made.score, &context);
        }
    }
}

#[test]
fn a_mask_of_weights_does_what_the_part_does() {
    let model = dense(false);
    let images = Random::new(6).tensor(&[3, 2, 5, 6], -1.0, 1.0);
    let of = |target: &str, given| {
        let explaining = attach(&model, Some("segments"), &request("a", target)).unwrap();
        run(explaining, &images, given).unwrap()
    };
    let part = of("sum:1,1:4,2:", None);
    let inside = |i: IxDyn| f64::from(u8::from(i[1] == 1 && (1..4).contains(&i[2]) && i[3] >= 2));
    let mask = ArrayD::from_shape_fn(IxDyn(&[3, 4, 5, 6]), inside);
    let masked = of("seed-input", Some(Tensor::float(mask)));
    for (a, b) in [(&masked.map, &part.map), (&masked.score, &part.score), (&masked.b, &part.b)] {
        assert_near(a, b, "mask");
    }
    assert_eq!(masked.class, part.class);
}

#[test]
fn the_places_of_a_class_are_a_mask_that_belongs_to_the_image() {
    for smooth in [false, true] {
        let model = dense(smooth);
        let images = Random::new(8).tensor(&[3, 2, 5, 6], -1.0, 1.0);
        let of = |target: &str, given| {
            let explaining = attach(&model, Some("segments"), &request("a", target)).unwrap();
            run(explaining, &images, given).unwrap()
        };
        let known = HashMap::from([("x".to_owned(), images.clone())]);
        let scores = reference::evaluate(&model, known, &["logits"]).unwrap().remove(0).data;
        let mut places = 0;
        for class in 0..4 {
            let is_best = |i: &IxDyn| (0..4).all(|c| scores[[i[0], c, i[2], i[3]]] <= scores[i]);
            let mask = ArrayD::from_shape_fn(scores.raw_dim(), |i| f64::from(u8::from(i[1] == class && is_best(&i))));
            places += mask.iter().filter(|&&m| m == 1.0).count();
            let masked = of("seed-input", Some(Tensor::float(mask.clone())));
            let predicted = of(&format!("predicted:{class}"), None);
            assert_near(&predicted.map, &masked.map, "the map");
            assert_near(&predicted.score, &masked.score, "the score");
            assert!(predicted.class.iter().all(|&c| c == class as f64));
            let sums = predicted.map.sum_axis(Axis(2)).sum_axis(Axis(1));
            assert_near(&(sums + &predicted.b), &predicted.score, "the sum");
            // Outside of a graph the same places are chosen.
            let score = &predicted.explaining.head.score;
            for (n, of_image) in scores.axis_iter(Axis(0)).enumerate() {
                let flat: Vec<f32> = of_image.iter().map(|&v| v as f32).collect();
                let picks = Target::Predicted(class).picks(score, &flat).unwrap();
                let chosen: Vec<usize> = picks[0].weights.iter().map(|w| w.0).collect();
                let expected = mask.index_axis(Axis(0), n);
                let expected = expected.iter().enumerate().filter(|(_, m)| **m == 1.0).map(|(i, _)| i);
                assert_eq!(chosen, expected.collect::<Vec<_>>());
            }
            // The head may be affine; the choice of the places is not.
            let verdict = if smooth { Verdict::GradientOnly } else { Verdict::LocallyLinear };
            assert_eq!(predicted.explaining.certificate.verdict, verdict);
            assert!(predicted.explaining.b(class).is_none());
        }
        assert_eq!(places, 3 * 5 * 6);
    }
}

#[test]
fn behind_a_sigmoid_a_class_is_predicted_where_its_score_is_above_0() {
    let model = dense(false);
    let images = Random::new(9).tensor(&[2, 2, 5, 6], -1.0, 1.0);
    let of = |target: &str, given| {
        let explaining = attach(&model, Some("boxes"), &request("a", target)).unwrap();
        run(explaining, &images, given).unwrap()
    };
    let known = HashMap::from([("x".to_owned(), images.clone())]);
    let scores = reference::evaluate(&model, known, &["table"]).unwrap().remove(0).data;
    let mask = ArrayD::from_shape_fn(scores.raw_dim(), |i| f64::from(u8::from(i[2] == 1 && scores[i] > 0.0)));
    assert!(mask.iter().any(|&m| m == 1.0) && mask.sum() < 60.0);
    let (masked, predicted) = (of("seed-input", Some(Tensor::float(mask.clone()))), of("predicted:1", None));
    assert_near(&predicted.map, &masked.map, "the map");
    assert_near(&predicted.score, &masked.score, "the score");
    let flat: Vec<f32> = scores.index_axis(Axis(0), 0).iter().map(|&v| v as f32).collect();
    let picks = Target::Predicted(1).picks(&predicted.explaining.head.score, &flat).unwrap();
    assert_eq!(picks[0].weights.len() as f64, mask.index_axis(Axis(0), 0).sum());
}

#[test]
fn classes_above_a_threshold_are_those_of_all_that_are_above() {
    let mut random = Random::new(12);
    let stored = [("w", random.tensor(&[3, 2, 1, 1], -2.0, 2.0)), ("v", random.tensor(&[3, 5], -3.0, 3.0))];
    for (last, probability) in [("Sigmoid", true), ("Softmax", true), ("Identity", false)] {
        let nodes = vec![
            node("Conv", &["x", "w"], "c", vec![]),
            node("Relu", &["c"], "a", vec![]),
            node("GlobalAveragePool", &["a"], "m", vec![]),
            node("Flatten", &["m"], "f", vec![]),
            node("MatMul", &["f", "v"], "s", vec![]),
            node(last, &["s"], "y", vec![]),
        ];
        let model = network(nodes, &[0, 2, 4, 4], &[("y", &[0, 5])], &stored);
        let images = random.tensor(&[6, 2, 4, 4], -1.0, 1.0);
        let all = made(&model, &request("a", "all"), &images);
        let threshold = if probability { 0.3 } else { 0.2 };
        let above = made(&model, &request("a", &format!("above:{threshold}")), &images);
        let known = HashMap::from([("x".to_owned(), images.clone())]);
        let y = reference::evaluate(&model, known, &["y"]).unwrap().remove(0).data;
        let score = &above.explaining.head.score;
        let (mut yes, mut no) = (0, 0);
        for n in 0..6 {
            let row: Vec<f32> = (0..5).map(|c| all.score[[n, c]] as f32).collect();
            let picks = Target::Above(threshold).picks(score, &row).unwrap();
            let mut expected: Vec<usize> = (0..5).filter(|&c| y[[n, c]] > threshold).collect();
            expected.sort_by(|&a, &b| y[[n, b]].total_cmp(&y[[n, a]]));
            assert_eq!(picks.iter().map(|p| p.class.unwrap()).collect::<Vec<_>>(), expected, "{last}");
            for rank in 0..5 {
                let Some(&class) = expected.get(rank) else {
                    assert_eq!(above.class[[n, rank]], -1.0, "{last}");
                    no += 1;
                    continue;
                };
                yes += 1;
                assert_eq!(above.class[[n, rank]], class as f64, "{last}");
                let [a, b] = [(&above, rank), (&all, class)].map(|(made, i)| {
                    (
                        made.map.index_axis(Axis(0), n).index_axis(Axis(0), i).to_owned(),
                        made.score[[n, i]],
                        made.b[[n, i]],
                    )
                });
                assert_near(&a.0, &b.0, last);
                assert!((a.1 - b.1).abs() < 1e-6 && (a.2 - b.2).abs() < 1e-6, "{last}");
            }
        }
        assert!(yes > 0 && no > 0, "{last}: {yes} above, {no} not");
        let outside = cam::attach(&model, &request("a", "above:1"));
        assert_eq!(outside.is_err(), probability, "{last}");
    }
}

#[test]
fn a_sum_over_all_places_of_a_head_without_space_has_a_uniform_gradient() {
    let stored = [("w", Random::new(2).tensor(&[3, 2, 1, 1], -1.0, 1.0))];
    let nodes = vec![node("Relu", &["x"], "a", vec![]), node("Conv", &["a", "w"], "y", vec![])];
    let model = network(nodes, &[0, 2, 5, 5], &[("y", &[0, 3, 5, 5])], &stored);
    let uniform = |target| cam::attach(&model, &request("a", target)).unwrap().certificate.uniform;
    assert!(uniform("sum:1,:,:"));
    assert!(!uniform("sum:1,0:2,:"));
    assert!(!uniform("element:1,0,0"));
}

#[test]
fn pooling_over_flattened_places_has_a_uniform_gradient() {
    let shape = Tensor::ints(&[0, 2, -1]);
    for (axes, uniform) in [(vec![2_i64], true), (vec![1], false)] {
        let rest = if uniform { 2 } else { 25 };
        let stored = [("w", Random::new(3).tensor(&[rest, 3], -1.0, 1.0)), ("shape", shape.clone())];
        let nodes = vec![
            node("Relu", &["x"], "a", vec![]),
            node("Reshape", &["a", "shape"], "flat", vec![]),
            node("ReduceMean", &["flat"], "mean", vec![("axes", axes.into()), ("keepdims", 0_i64.into())]),
            node("MatMul", &["mean", "w"], "y", vec![]),
        ];
        let model = network(nodes, &[0, 2, 5, 5], &[("y", &[0, 3])], &stored);
        assert_eq!(cam::attach(&model, &request("a", "class:1")).unwrap().certificate.uniform, uniform);
    }
}

#[test]
fn what_the_output_does_not_have_is_refused() {
    for (output, target, hint) in [
        ("segments", "top", "element:0,0,0"),
        ("segments", "class:1", "sum:0,:,:"),
        ("segments", "all", "element:"),
        ("boxes", "top", "sum::,0"),
        ("boxes", "above:0.5", "element:0,0"),
        ("age", "predicted:1", "for outputs with places"),
        ("segments", "predicted:4", "no class 4"),
        ("segments", "element:1,2", "[4, 5, 6]"),
        ("segments", "element:1,2,6", "[4, 5, 6]"),
        ("boxes", "sum:20:31,0", "[30, 4]"),
        ("age", "class:2", "2 classes"),
        ("age", "contrast:0,2", "2 classes"),
        ("age", "top:3", "2 classes"),
    ] {
        let Err(Error::Argument(why)) = attach(&dense(false), Some(output), &request("a", target)) else {
            panic!("{target} of {output}")
        };
        assert!(why.contains(hint), "{target} of {output}: {why}");
    }
}

#[test]
fn an_input_of_the_network_keeps_its_name() {
    // The image is called `class`, so what the target adds is called otherwise.
    let nodes = vec![node("Relu", &["class"], "a", vec![]), node("GlobalAveragePool", &["a"], "map", vec![])];
    let input = info("class", DataType::Float, &[1, 3, 2, 2]);
    let output = info("map", DataType::Float, &[1, 3, 1, 1]);
    let model = Model::new(model(17, nodes, vec![input], vec![output], &[])).unwrap();
    let made = cam::attach(&model, &request("a", "class-input")).unwrap();
    let names = [made.input.unwrap(), made.outputs.class, made.outputs.map];
    assert_eq!(names, ["hirescam_class", "hirescam_hirescam_class", "hirescam_map"]);
    assert!(method("hirescam").is_ok() && Model::new(made.model.as_ref().clone()).is_ok());
}
