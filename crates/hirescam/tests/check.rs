//! The faithfulness report: what must hold by the theorems, and networks of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::Network;
use hirescam::check::{MethodReport, Plan, Report};
use hirescam::core::cam::Target;
use hirescam::photo::Photo;
use hirescam::{Error, Input, Spec, comparison};
use ndarray::ArrayD;
use spec::tract;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn file(name: &str) -> Network {
    Network::open(format!("{FIXTURES}/{name}")).unwrap()
}

fn photo(name: &str) -> (String, Input) {
    (name.to_owned(), Input::Photo(Photo::open(format!("{FIXTURES}/photos/{name}")).unwrap()))
}

/// Multiples of the golden ratio, modulo 1, within ±1.
fn tensor(shape: &[usize]) -> (String, Input) {
    let values = (0..shape.iter().product()).map(|i| ((i as f64 * 0.618_033_988_749_895) % 1.0 * 2.0 - 1.0) as f32);
    ("tensor".into(), Input::Tensor(ArrayD::from_shape_vec(shape, values.collect::<Vec<f32>>()).unwrap().into()))
}

fn run(model: &str, options: &Spec, plan: &Plan, images: Vec<(String, Input)>) -> Result<Report, Error> {
    let mut images = images.into_iter().map(|(name, input)| (name, Ok(input)));
    file(model).check(&Spec { check: plan.clone(), ..options.clone() }, &mut images, &mut |_| {})
}

fn at(layer: &str) -> Spec {
    Spec { layers: vec![layer.to_owned()], ..tract() }
}

fn of<'r>(report: &'r Report, layer: usize, method: &str) -> &'r MethodReport {
    report.layers[layer].methods.iter().find(|m| m.method == method).unwrap()
}

/// float32 against a sum of other order.
const ROUNDING: f64 = 1e-4;

#[test]
fn behind_an_affine_head_what_the_score_loses_without_a_place_is_its_cell() {
    // Flattened and linear: the gradient differs from place to place.
    let plan = Plan { randomise: false, ..Plan::default() };
    let report = run("zoo/flatten_fc.ts.onnx", &at("/Relu_1_output_0"), &plan, vec![tensor(&[3, 3, 32, 32])]).unwrap();
    let [layer] = report.layers.as_slice() else { panic!() };
    assert_eq!((layer.verdict.as_deref(), layer.uniform), (Some("exact"), Some(false)));
    assert_eq!((report.images.len(), layer.methods.len()), (3, 6));
    let ablation = layer.ablation.as_ref().unwrap();
    assert_eq!((ablation.images, ablation.error.as_deref()), (3, None));
    assert!(ablation.deviation_relative < ROUNDING, "{}", ablation.deviation_relative);
    let hirescam = of(&report, 0, "hirescam");
    assert!(hirescam.residual_relative.unwrap().worst < ROUNDING, "{:?}", hirescam.residual);
    assert!(hirescam.agreement.unwrap().worst > 0.999);
    let gradcam = of(&report, 0, "gradcam");
    assert!(gradcam.residual.unwrap().mean > 10.0 * ROUNDING);
    assert!(gradcam.agreement.unwrap().mean < 0.9, "{:?}", gradcam.agreement);
    // XGrad-CAM adds up and still shows other places.
    let xgradcam = of(&report, 0, "xgradcam");
    assert!(xgradcam.residual_relative.unwrap().worst < ROUNDING && xgradcam.agreement.unwrap().mean < 0.9);
}

#[test]
fn where_the_gradient_is_uniform_pictures_are_equal_and_that_is_said() {
    let plan = Plan { methods: vec!["gradcam".into(), "cam".into()], randomise: false, ..Plan::default() };
    let photos = vec![photo("coffee.png"), photo("chelsea.png")];
    let report = run("efficientnet-lite0.onnx", &at("/_swish_1/Clip_output_0"), &plan, photos).unwrap();
    let layer = &report.layers[0];
    assert!(layer.recommended && layer.uniform == Some(true));
    let equal = layer.equal.as_deref().unwrap();
    assert!(equal.contains("HiResCAM and Grad-CAM must be the same map") && equal.contains("49 places"), "{equal}");
    assert!(layer.ablation.as_ref().unwrap().deviation_relative < ROUNDING);
    for method in &layer.methods {
        assert!(method.residual_relative.unwrap().worst < ROUNDING, "{}", method.method);
        assert_eq!(method.images.len(), 2);
    }
    let explained: Vec<&str> = report.images.iter().filter_map(|i| i.explained.as_deref()).collect();
    assert_eq!(explained, ["espresso", "tiger cat"]);
}

#[test]
fn grad_cam_shows_places_that_the_network_did_not_use() {
    let photos = vec![photo("seven.png"), photo("three.png")];
    let report = run("digits-cnn.onnx", &tract(), &Plan::default(), photos).unwrap();
    // The last layer of each resolution, in the order of the network.
    let resolutions: Vec<usize> = report.layers.iter().map(|l| l.resolution[0]).collect();
    assert_eq!((resolutions.as_slice(), report.candidates), (&[28, 14, 7, 3][..], 9));
    let recommended = report.layers.iter().position(|l| l.recommended).unwrap();
    let layer = &report.layers[recommended];
    assert_eq!(layer.resolution, [7, 7]);
    let ablation = layer.ablation.as_ref().unwrap();
    assert_eq!((ablation.images, ablation.places), (2, 49));
    assert!(ablation.zeros > 5 && ablation.change_at_zeros.unwrap() < ROUNDING, "{ablation:?}");
    let (hirescam, gradcam) = (of(&report, recommended, "hirescam"), of(&report, recommended, "gradcam"));
    assert_eq!(hirescam.unused.unwrap().worst, 0.0);
    assert!(gradcam.unused.unwrap().mean > 0.1 && gradcam.idle.unwrap().mean > 0.1, "{:?}", gradcam.unused);
    assert!(hirescam.idle.unwrap().mean < 0.01);
    assert!(hirescam.agreement.unwrap().mean > gradcam.agreement.unwrap().mean + 0.2);
    // By construction.
    assert_eq!(hirescam.residual.unwrap().worst, 0.0);
    let randomisation = report.randomisation.as_ref().unwrap();
    assert_eq!((&randomisation.layer, randomisation.weights), (&layer.name, 5));
    let counts: Vec<usize> = randomisation.stages.iter().map(|s| s.randomised).collect();
    assert_eq!(counts, [1, 2, 4, 5]);
    let signed = |stage: usize, method: &str| {
        let methods = &randomisation.stages[stage].methods;
        methods.iter().find(|m| m.method == method).unwrap().signed.unwrap()
    };
    // Two weights come after the layer: Eigen-CAM does not see them.
    assert!(signed(0, "eigencam") > 1.0 - 1e-9 && signed(1, "eigencam") > 1.0 - 1e-9);
    assert!((0..4).all(|stage| signed(stage, "hirescam") < 0.6));
    assert!(signed(3, "hirescam").abs() < 0.5 && signed(3, "gradcam").abs() < 0.5);
    // The same seed gives the same report.
    let again = run("digits-cnn.onnx", &tract(), &Plan::default(), vec![photo("seven.png"), photo("three.png")]);
    let json = |report: &Report| serde_json::to_string(report).unwrap();
    assert_eq!(json(&again.unwrap()), json(&report));
}

#[test]
fn methods_at_the_image_are_checked_there() {
    let methods = vec!["gradient-x-input".into(), "saliency".into()];
    let plan = Plan { methods, randomise: false, ..Plan::default() };
    let report = run("digits-cnn.onnx", &at("input"), &plan, vec![photo("seven.png")]).unwrap();
    assert_eq!((report.layers[0].resolution.as_slice(), report.layers[0].place.as_str()), (&[28, 28][..], "the image"));
    let [hirescam, product, saliency] = report.layers[0].methods.as_slice() else { panic!() };
    assert_eq!(hirescam.images[0].sum, product.images[0].sum);
    assert!(saliency.error.is_none() && saliency.residual.is_none() && saliency.unused.is_some());
}

#[test]
fn the_numbers_are_those_of_compare() {
    let (name, seven) = photo("seven.png");
    let methods = ["hirescam", "gradcam", "eigencam"].map(str::to_owned).to_vec();
    let options = Spec { compare: comparison::Plan { methods: methods.clone() }, ..tract() };
    let comparer = file("digits-cnn.onnx").comparer(&options).unwrap();
    let compared = comparer.compare(&[seven.clone().into()], &mut |_, _| {}).remove(0).unwrap();
    let plan = Plan { methods, places: 0, randomise: false, ..Plan::default() };
    let report = run("digits-cnn.onnx", &at(compared.hirescam.layer()), &plan, vec![(name, seven)]).unwrap();
    assert!(report.layers[0].ablation.is_none() && report.randomisation.is_none());
    for (method, compared) in report.layers[0].methods.iter().zip(&compared.methods) {
        let (e, [n]) = (&compared.explanation, method.images.as_slice()) else { panic!() };
        assert_eq!(method.method, e.method().name);
        assert_eq!((n.score, n.sum, n.bias, n.residual), (e.score, e.sum, e.bias, e.residual));
        assert_eq!((n.unused, n.outside), (compared.unused, compared.outside));
        assert_eq!(method.residual.map(|r| r.worst), e.residual.map(f64::abs));
    }
}

#[test]
fn without_images_there_are_verdicts() {
    let report = run("efficientnet-lite0.onnx", &tract(), &Plan::default(), Vec::new()).unwrap();
    let verdicts: Vec<&str> = report.layers.iter().map(|l| l.verdict.as_deref().unwrap()).collect();
    assert_eq!(verdicts, ["locally-linear", "locally-linear", "locally-linear", "exact"]);
    assert!(report.layers.iter().all(|l| l.methods.is_empty() && l.ablation.is_none()));
    assert!(report.randomisation.is_none());
    let all = Plan { all_layers: true, ..Plan::default() };
    let all = run("efficientnet-lite0.onnx", &tract(), &all, Vec::new()).unwrap();
    assert_eq!((all.layers.len(), all.candidates), (46, 46));
}

#[test]
fn networks_of_all_kinds_are_checked() {
    for (model, target) in [
        ("zoo/cnn1d.ts.onnx", Target::Top(1)),
        ("zoo/cnn3d.ts.onnx", Target::Top(1)),
        ("zoo/keras_flatten.onnx", Target::Top(1)),
        ("zoo/vit.ts.onnx", Target::Top(1)),
        ("zoo/bypassed.ts.onnx", Target::Classes(vec![1])),
        ("zoo/quantised.onnx", Target::Top(1)),
        ("zoo/fcn.ts.onnx", "sum:1,:,:".parse().unwrap()),
    ] {
        let shape = image_shape(&file(model));
        let options = Spec { target: Some(target.to_string()), ..tract() };
        let report = run(model, &options, &Plan::default(), vec![tensor(&shape)]).unwrap();
        assert!(
            report.images.iter().all(|i| i.error.is_none() && i.explained.is_some()),
            "{model}: {:?}",
            report.images
        );
        for layer in &report.layers {
            let ablation = layer.ablation.as_ref().unwrap();
            assert_eq!((layer.error.as_deref(), ablation.error.as_deref()), (None, None), "{model}: {}", layer.name);
            for m in &layer.methods {
                assert_eq!(m.error, None, "{model}: {} at {}", m.method, layer.name);
            }
            if layer.verdict.as_deref() == Some("exact") {
                assert!(ablation.deviation_relative < ROUNDING, "{model}: {} {ablation:?}", layer.name);
            }
            assert_eq!(layer.methods[0].unused.map_or(0.0, |u| u.worst), 0.0);
        }
        let randomisation = report.randomisation.unwrap();
        assert!(randomisation.error.is_none() && randomisation.weights > 1, "{model}: {:?}", randomisation.error);
        assert!(randomisation.stages.iter().all(|s| s.error.is_none()), "{model}: {:?}", randomisation.stages);
    }
}

fn image_shape(file: &Network) -> Vec<usize> {
    let image = hirescam::core::analysis::image_input(file.model(), None).unwrap();
    hirescam::core::shape::declared(image).into_iter().map(|n| n.unwrap_or(1)).collect()
}

#[test]
fn what_fails_is_in_the_report_and_the_rest_is_checked() {
    let file = file("digits-cnn.onnx");
    let plan = Plan { methods: vec!["cam".into(), "gradcam".into()], places: 4, randomise: false, ..Plan::default() };
    let images = [
        ("bad.png".to_owned(), Err("the image is damaged".to_owned())),
        ("small".to_owned(), Ok(Input::Tensor(ArrayD::<f32>::zeros(vec![1, 1, 27, 28]).into()))),
        ("nan".to_owned(), Ok(Input::Tensor(ArrayD::from_elem(vec![1, 1, 28, 28], f32::NAN).into()))),
        ("seven".to_owned(), Ok(photo("seven.png").1)),
    ];
    let mut steps = Vec::new();
    let spec = Spec { check: plan, ..tract() };
    let report = file.check(&spec, &mut images.into_iter(), &mut |step| {
        assert!(step.done < step.of);
        steps.push(step.what.to_owned());
    });
    let report = report.unwrap();
    let error = |i: usize| report.images[i].error.clone().unwrap();
    assert!(error(0).contains("damaged") && error(1).contains("[1, 1, 28, 28]"), "{} {}", error(0), error(1));
    assert_eq!(report.images[3].explained.as_deref(), Some("7"));
    let layer = report.layers.iter().find(|l| l.recommended).unwrap();
    let [hirescam, cam, gradcam] = layer.methods.as_slice() else { panic!() };
    assert!(error(2).contains("NaN"), "{}", error(2));
    assert!(hirescam.error.is_none() && hirescam.images.len() == 1);
    assert!(cam.error.as_ref().unwrap().contains("linear") && cam.images.is_empty());
    assert_eq!((gradcam.images.len(), gradcam.images[0].image), (1, 3));
    assert_eq!(layer.ablation.as_ref().unwrap().images, 1);
    assert_eq!(steps.len(), report.layers.len() * 4);
    for text in [report.text(), report.html()] {
        assert!(text.contains("damaged") && text.contains("cam: "), "{text}");
    }
}

#[test]
fn what_cannot_be_checked_is_refused_in_words() {
    let refused = |options: Spec, plan: Plan, words: &str| {
        let made = run("digits-cnn.onnx", &options, &plan, vec![tensor(&[1, 1, 28, 28])]);
        let error = made.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let target = |target: &str| Spec { target: Some(target.into()), ..tract() };
    refused(target("top:2"), Plan::default(), "one map for each image");
    refused(target("class-input"), Plan::default(), "one map for each image");
    refused(target("class:10"), Plan::default(), "10 classes");
    refused(at("/conv_layers/conv_layers.7/Relu"), Plan::default(), "conv_layers.7/Relu_output_0");
    refused(tract(), Plan { methods: vec!["gradkam".into()], ..Plan::default() }, "gradcam");
    refused(tract(), Plan { methods: vec!["rise".into()], ..Plan::default() }, "several runs");
    let mut options = tract();
    options.settings.batch = 0;
    refused(options, Plan::default(), "batch");
}

#[test]
fn files_with_a_fixed_batch_have_the_same_report() {
    use hirescam::core::onnx::messages::{tensor_shape_proto::dimension::Value, type_proto};
    let of_batch = |batch: i64| {
        let free = file("zoo/flatten_fc.ts.onnx");
        let mut proto = free.model().proto().clone();
        let graph = proto.graph.as_mut().unwrap();
        graph.value_info.clear();
        for info in graph.input.iter_mut().chain(&mut graph.output) {
            let Some(type_proto::Value::TensorType(tensor)) = &mut info.r#type.as_mut().unwrap().value else {
                panic!()
            };
            tensor.shape.as_mut().unwrap().dim[0].value = Some(Value::DimValue(batch));
        }
        let file = hirescam::Network::from_bytes(hirescam::core::onnx::write(&proto)).unwrap();
        let (name, image) = tensor(&[1, 3, 32, 32]);
        file.check(&at("/Relu_1_output_0"), &mut std::iter::once((name, Ok(image))), &mut |_| {}).unwrap()
    };
    let [one, four] = [1, 4].map(of_batch);
    assert_eq!((one.images.len(), four.images.len()), (1, 1));
    for (a, b) in one.layers[0].methods.iter().zip(&four.layers[0].methods) {
        assert_eq!((&a.error, &b.error), (&None, &None));
        let (a, b) = (&a.images[0], &b.images[0]);
        assert!(
            (a.sum - b.sum).abs() <= ROUNDING * a.sum.abs() && (a.score - b.score).abs() <= ROUNDING,
            "{a:?} {b:?}"
        );
    }
    let stages = |report: &Report| report.randomisation.as_ref().unwrap().stages.len();
    assert!(stages(&one) > 1 && stages(&one) == stages(&four));
    assert!(four.layers[0].ablation.as_ref().unwrap().deviation_relative < ROUNDING);
}

#[test]
fn what_is_stopped_gives_no_report_and_no_comparison() {
    let (network, options) = (file("digits-cnn.onnx"), tract());
    let (mut steps, stop) = (0, AtomicBool::new(false));
    let (name, seven) = photo("seven.png");
    let mut images = std::iter::once((name, Ok(seven.clone())));
    let report = network.check_until(
        &options,
        &mut images,
        &mut |_| {
            steps += 1;
            stop.store(steps >= 2, Ordering::Relaxed);
        },
        &stop,
    );
    assert!(matches!(report, Err(Error::Cancelled)));
    // Two layers have not begun, nor has the randomisation.
    assert!(steps < 6, "{steps}");
    let comparer = network.comparer(&options).unwrap().stopped_by(Arc::new(AtomicBool::new(true)));
    assert!(matches!(comparer.compare(&[seven.into()], &mut |_, _| {}).remove(0), Err(Error::Cancelled)));
}
