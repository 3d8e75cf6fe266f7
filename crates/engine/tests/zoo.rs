//! The miniature networks of `fixtures/zoo` on every engine: against maps that PyTorch's autograd gave in f64, and what
//! has no such golden against the f64 reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::cam::{self, Explaining, Guarantee, METHODS, Request, Target, method};
use hirescam_core::score::Reading;
use hirescam_core::{Model, Tensor, reference};
use hirescam_core::{layers, onnx};
use hirescam_engine::{Array, Engine};
use hirescam_testing::each::{Tests, all_right};
use hirescam_testing::engines::{named, names};
use hirescam_testing::max_abs;
use ndarray::{ArrayD, Axis, OwnedRepr};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::process::ExitCode;

const ZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/zoo");
/// How many networks there were, at least, when this was written.
const FILES: usize = 80;
/// How far a map may be from the golden, as a share of its largest cell.
const TOLERANCE: f64 = 1e-4;

struct Golden(NpzReader<File>);

impl Golden {
    fn open(file: &Value) -> Self {
        Golden(NpzReader::new(File::open(format!("{ZOO}/{}", text(&file["golden"]))).unwrap()).unwrap())
    }
    fn f32(&mut self, name: &str) -> ArrayD<f32> {
        self.0.by_name::<OwnedRepr<f32>, _>(name).unwrap()
    }
    fn f64(&mut self, name: &str) -> ArrayD<f64> {
        self.0.by_name::<OwnedRepr<f64>, _>(name).unwrap()
    }
    fn i64(&mut self, name: &str) -> ArrayD<i64> {
        self.0.by_name::<OwnedRepr<i64>, _>(name).unwrap()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(format!("{ZOO}/golden.json")).unwrap()).unwrap()
}

fn model(file: &Value) -> Model {
    Model::from_bytes(std::fs::read(format!("{ZOO}/{}", text(&file["file"]))).unwrap()).unwrap()
}

/// The name of a layer's arrays.
fn array_key(layer: &Value) -> String {
    text(&layer["key"]).replace('@', "_at_")
}

/// Whether two arrays are alike, to `tolerance` times `scale`.
fn alike(what: &str, got: &ArrayD<f64>, expected: &ArrayD<f64>, tolerance: f64, scale: f64) -> Result<(), String> {
    if got.shape() != expected.shape() {
        return Err(format!("{what} has the shape {:?} and not {:?}", got.shape(), expected.shape()));
    }
    match max_abs(&(got - expected)) / scale {
        apart if apart <= tolerance => Ok(()),
        apart => Err(format!("{what} is {apart:.1e} from what it should be")),
    }
}

/// Runs an explaining model.
fn run(engine: &dyn Engine, made: &Explaining, image: &Array) -> Result<HashMap<String, ArrayD<f64>>, String> {
    let session = engine.prepare(&onnx::write(&made.model)).map_err(|e| e.to_string())?;
    let outputs = session.run(&[(&made.image, image)]).map_err(|e| e.to_string())?;
    Ok(outputs.into_iter().map(|(name, array)| (name, array.to_f64())).collect())
}

/// One layer, one choice of what is explained, by the two methods that have goldens.
fn check(
    engine: &dyn Engine,
    model: &Model,
    layer: &Value,
    choice: &str,
    target: &Target,
    golden: &mut Golden,
) -> Result<(), String> {
    let key = format!("{}_{choice}", array_key(layer));
    let image: Array = golden.f32("x").into();
    for name in ["hirescam", "gradcam"] {
        let request = Request {
            layer: Some(text(&layer["tensor"]).to_owned()),
            target: target.clone(),
            method: method(name).unwrap(),
            ..Request::default()
        };
        let scores = Reading { output: Some(text(&layer["output"]).to_owned()), ..Reading::default() };
        let analysis = Analysis::of(model, &Hints { scores, ..Hints::default() }).map_err(|e| e.to_string())?;
        let made = cam::attach_to(&analysis, &request, &cam::Further::default()).map_err(|e| e.to_string())?.remove(0);
        if name == "hirescam" {
            let c = &made.certificate;
            let claims: [(&str, Value); 5] = [
                ("verdict", c.verdict.to_string().into()),
                ("bypass", c.bypass.is_some().into()),
                ("uniform", c.uniform.into()),
                ("logits", made.head.score.logits.clone().into()),
                ("channel_axis", made.head.channels.into()),
            ];
            for (what, got) in claims {
                if got != layer[what] {
                    return Err(format!("{what} is {got} and not {}", layer[what]));
                }
            }
        }
        let got = run(engine, &made, &image)?;
        let expected = golden.f64(&format!("{key}_{name}"));
        let terms = layer["terms"][choice].as_f64().unwrap();
        // Behind a normalisation or an attention, all that is left can be what the class token has.
        let vanishing = layer["vanishing"] == true || !layer["grid"].is_null();
        let scale = if vanishing { terms } else { max_abs(&expected) };
        alike(name, &got[&made.outputs.map], &expected, TOLERANCE, scale)?;
        let sides: Vec<usize> =
            made.grid.iter().filter(|_| !layer["grid"].is_null()).flat_map(|g| g.sides.clone()).collect();
        if layer["grid"].as_array().map_or(0, Vec::len) != sides.len() {
            return Err(format!("the grid is {:?} and not {}", made.grid, layer["grid"]));
        }
        if let (Some(others), "hirescam") = (&made.outputs.other_tokens, name) {
            let expected = golden.f64(&format!("{key}_other_tokens"));
            alike("the other tokens", &got[others], &expected, TOLERANCE, max_abs(&expected).max(scale))?;
        }
        let class = &got[&made.outputs.class];
        if class.mapv(|c| c as i64) != golden.i64(&format!("{key}_class")) {
            return Err(format!("the class is {class}"));
        }
        let score = golden.f64(&format!("{key}_score"));
        alike("the score", &got[&made.outputs.score], &score, TOLERANCE, max_abs(&score).max(1.0))?;
        if name == "hirescam" && layer["verdict"] != "gradient-only" {
            let b = golden.f64(&format!("{key}_bias"));
            alike("b", &got[&made.outputs.b], &b, 1e-3, max_abs(&b).max(1.0))?;
        }
    }
    Ok(())
}

/// Runs `check` on every engine, one beside the other. It gives how much it tried, and what was wrong.
fn on_every_engine(check: impl Fn(&dyn Engine) -> (usize, Vec<String>) + Sync) {
    let engines = hirescam_testing::engines::engines(1);
    std::thread::scope(|scope| {
        let check = &check;
        let running: Vec<_> = engines.iter().map(|engine| scope.spawn(move || check(engine.as_ref()))).collect();
        for (engine, running) in engines.iter().zip(running) {
            let (tried, wrong) = running.join().unwrap();
            assert!(tried > 0);
            assert!(wrong.is_empty(), "{}: {} of {tried}:\n{}", engine.name(), wrong.len(), wrong.join("\n"));
        }
    });
}

/// Every network of the zoo on every engine.
fn networks() -> Vec<(String, (&'static str, Value))> {
    let files = golden()["files"].as_array().unwrap().clone();
    let named = |engine| files.iter().map(move |f| (format!("{engine}::{}", text(&f["file"])), (engine, f.clone())));
    names().into_iter().flat_map(named).collect()
}

fn maps_agree_with_pytorch((engine, file): (&'static str, Value)) -> Result<(), String> {
    let fixed = golden()["fixed_class"].as_u64().unwrap() as usize;
    let (engine, mut wrong) = (named(engine), Vec::new());
    let (model, mut arrays) = (model(&file), Golden::open(&file));
    for layer in list(&file["layers"]) {
        for choice in list(&layer["classes"]) {
            let target = match text(choice) {
                "top1" => Target::Top(1),
                "fixed" => Target::Classes(vec![fixed]),
                _ => text(&layer["target"]).parse().unwrap(),
            };
            if let Err(why) = check(engine.as_ref(), &model, layer, text(choice), &target, &mut arrays) {
                wrong.push(format!("{} {choice}: {why}", layer["key"]));
            }
        }
    }
    all_right(&wrong)
}

/// A file's entry in golden.json, and that of one of its layers.
fn entry<'g>(golden: &'g Value, file: &str, key: &str) -> (&'g Value, &'g Value) {
    let file = list(&golden["files"]).iter().find(|f| f["file"] == file).unwrap();
    (file, list(&file["layers"]).iter().find(|l| l["key"] == key).unwrap())
}

fn among_the_maps_of_all_classes_is_that_of_each() {
    let golden = golden();
    // Where the gradient is one constant for all classes, and where each class takes a sweep of its own.
    let layers = [
        ("resnet.ts.onnx", "layer2"),
        ("resnet.ts.onnx", "layer1"),
        ("flatten_fc.dynamo.onnx", "relu2"),
        ("keras_mean.onnx", "relu2_last"),
        ("resnet3d.dynamo.onnx", "layer2"),
        ("vit.dynamo.onnx", "read2"),
        ("quantised.onnx", "relu3"),
    ];
    on_every_engine(|engine| {
        let mut wrong = Vec::new();
        for (file, key) in layers {
            let (file, layer) = entry(&golden, file, key);
            let mut arrays = Golden::open(file);
            let request =
                Request { layer: Some(text(&layer["tensor"]).to_owned()), target: Target::All, ..Request::default() };
            let made = cam::attach(&model(file), &request).unwrap();
            let all = match run(engine, &made, &arrays.f32("x").into()) {
                Ok(mut got) => got.remove(&made.outputs.map).unwrap(),
                Err(why) => {
                    wrong.push(format!("{} {key}: {why}", file["file"]));
                    continue;
                }
            };
            for choice in list(&layer["classes"]) {
                let name = format!("{}_{}", array_key(layer), text(choice));
                let expected = arrays.f64(&format!("{name}_hirescam"));
                for (image, class) in arrays.i64(&format!("{name}_class")).iter().enumerate() {
                    let got = all.index_axis(Axis(0), image).index_axis_move(Axis(0), *class as usize).to_owned();
                    let expected = expected.index_axis(Axis(0), image).to_owned();
                    let same = alike("the map", &got, &expected, TOLERANCE, max_abs(&expected));
                    wrong.extend(same.err().map(|why| format!("{} {key}, class {class}: {why}", file["file"])));
                }
            }
        }
        (layers.len(), wrong)
    });
}

fn every_method_agrees_with_the_reference() {
    let golden = golden();
    let layers = [
        ("flatten_fc.ts.onnx", "relu2"),
        ("resnet.dynamo.onnx", "layer2_add"),
        ("keras_mean.onnx", "relu2_last"),
        ("cnn1d.ts.onnx", "relu2"),
        ("resnet3d.ts.onnx", "layer1"),
        ("unet.ts.onnx", "last@box"),
        ("vit.ts.onnx", "read2"),
        ("quantised.onnx", "relu2"),
    ];
    let cases: Vec<_> = layers
        .iter()
        .flat_map(|(file, key)| {
            let (file, layer) = entry(&golden, file, key);
            let (model, image) = (model(file), Golden::open(file).f32("x"));
            METHODS.iter().filter_map(move |method| {
                let request = Request {
                    layer: (!method.at_image).then(|| text(&layer["tensor"]).to_owned()),
                    target: layer["target"].as_str().map_or(Target::Top(1), |t| t.parse().unwrap()),
                    method,
                    ..Request::default()
                };
                let made = match cam::attach(&model, &request) {
                    Ok(made) => made,
                    Err(_) if (method.guarantee)(false) == Guarantee::Mean => return None,
                    Err(why) => panic!("{} at {key} of {}: {why}", method.name, file["file"]),
                };
                let known = HashMap::from([(made.image.clone(), Tensor::float(image.mapv(f64::from)))]);
                let names = [&made.outputs.map, &made.outputs.class, &made.outputs.score, &made.outputs.b];
                let explaining = Model::new(made.model.as_ref().clone()).unwrap();
                let expected = reference::evaluate(&explaining, known, &names.map(String::as_str)).unwrap();
                let names = names.map(Clone::clone);
                Some((format!("{} at {key} of {}", method.name, file["file"]), made, image.clone(), names, expected))
            })
        })
        .collect();
    on_every_engine(|engine| {
        let mut wrong = Vec::new();
        for (case, made, image, names, expected) in &cases {
            match run(engine, made, &image.clone().into()) {
                Ok(got) => {
                    // What can be negative and stands in denominators loses digits where it cancels.
                    let tolerance = if made.certificate.caution.is_some() { 1e-3 } else { TOLERANCE };
                    let same = names.iter().zip(expected).try_for_each(|(name, expected)| {
                        let largest = max_abs(&expected.data);
                        let scale = if *name == made.outputs.map { largest } else { largest.max(1.0) };
                        alike(name, &got[name], &expected.data, tolerance, scale)
                    });
                    wrong.extend(same.err().map(|why| format!("{case}: {why}")));
                }
                Err(why) => wrong.push(format!("{case}: {why}")),
            }
        }
        (cases.len(), wrong)
    });
}

/// The layer that is taken when none is named, by the golden's key; empty where the goldens do not have it.
const RECOMMENDED: &[(&str, &str)] = &[
    ("resnet", "layer2"),
    ("vgg", "conv3"),
    ("flatten_fc", "relu2"),
    ("affine_tail", "relu"),
    ("densenet", "features"),
    ("inception", "mixed3"),
    ("mobilenet_v2", "features"),
    ("mobilenet_v3", "features"),
    ("efficientnet", "features"),
    // The mean and the LayerNorm behind the last stage hide its scale.
    ("convnext", "down"),
    // What comes out of the LayerNorm, before it is transposed.
    ("layernorm_gap", ""),
    ("shufflenet", "conv5"),
    ("prelu_softmax", "prelu3"),
    ("leaky", "classes"),
    ("binary", "relu2"),
    ("adaptive22", "relu2"),
    ("logsoftmax", "relu2"),
    // The sum behind the attention, of tokens.
    ("attention", "summed"),
    ("cnn1d", "relu3"),
    ("cnn3d", "relu3"),
    ("twohead", "own"),
    ("bypassed", "sum"),
    ("conv_mix", "relu"),
    ("global_max", "relu2"),
    // The norm behind the last ReLU hides its scale.
    ("gem", "relu1"),
    // The values that go into the mean.
    ("squashed", ""),
    ("alexnet", "relu5"),
    ("squeezenet", "classes"),
    ("regnet", "stage2"),
    ("resnet3d", "layer2"),
    ("groupnorm", "block2"),
    ("spatial_transformer", "features"),
    // What reaches the class token by attention, normalised.
    ("vit", "read2"),
    ("swin", "normed"),
    ("unet", "last"),
    ("fcn", "fused"),
    ("deeplab", "last"),
    // The last values that all levels are made of.
    ("fpn", "c3"),
    ("yolo", "fine"),
    ("quantised", "relu3"),
    ("keras_flatten", "relu2"),
    ("keras_mean", "relu2"),
];

fn recommended_layer_makes_sense(file: Value) -> Result<(), String> {
    let model = model(&file);
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let found = layers::layers(&analysis, false).unwrap();
    let best = found.iter().find(|l| l.recommended).map(|l| l.name.as_str());
    let known = list(&file["layers"]).iter().find(|l| l["tensor"].as_str() == best);
    let key = known.map_or("", |l| text(&l["key"]).split('@').next().unwrap());
    let expected = RECOMMENDED.iter().find(|(network, _)| file["network"] == *network).map(|(_, key)| *key);
    if expected == Some(key) { Ok(()) } else { Err(format!("{best:?} ({key}) and not {expected:?}")) }
}

fn main() -> ExitCode {
    let files = golden()["files"].as_array().unwrap().clone();
    let files = files.into_iter().map(|file| (text(&file["file"]).to_owned(), file));
    Tests::default()
        .each("maps_agree_with_pytorch", FILES, networks(), maps_agree_with_pytorch)
        .each("recommended_layer_makes_sense", FILES, files, recommended_layer_makes_sense)
        .one("among_the_maps_of_all_classes_is_that_of_each", among_the_maps_of_all_classes_is_that_of_each)
        .one("every_method_agrees_with_the_reference", every_method_agrees_with_the_reference)
        .run()
        .exit_code()
}
