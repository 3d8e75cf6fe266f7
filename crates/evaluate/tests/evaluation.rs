//! Evaluations from images to rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam::photo::Photo;
use hirescam::{Network, Spec};
use hirescam_evaluate::data::{DataSet, Example, Object, Region};
use hirescam_evaluate::evaluation::{self, Evaluation, Manifest};
use hirescam_evaluate::plan::{Classes, Plan};
use hirescam_evaluate::rows::Row;
use hirescam_evaluate::{Error, rows};
use std::path::Path;
use std::sync::atomic::AtomicBool;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// Sevens and threes with a box around the middle, a damaged image, one of a class that the network does not have, and one of nothing.
struct Digits {
    classes: Vec<String>,
    ids: Vec<String>,
}

impl Digits {
    fn new(count: usize) -> Self {
        Digits {
            classes: ["three", "seven", "letter"].map(str::to_owned).to_vec(),
            ids: (0..count).map(|i| format!("{i:03}")).collect(),
        }
    }
}

/// The network's classes of those of [`Digits`].
fn mapped() -> Vec<Vec<usize>> {
    vec![vec![3], vec![7], vec![]]
}

impl DataSet for Digits {
    fn title(&self) -> String {
        "digits by hand".into()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn ids(&self) -> &[String] {
        &self.ids
    }
    fn read(&self, index: usize) -> Result<Example, Error> {
        if index % 7 == 5 {
            return Err(Error::Data { path: format!("{index}.png").into(), because: "it is cut".into() });
        }
        let seven = index % 2 == 1;
        let name = if seven { "seven" } else { "three" };
        let photo = Photo::open(format!("{FIXTURES}/photos/{name}.png")).unwrap();
        let (width, height) = (f64::from(photo.width()), f64::from(photo.height()));
        let region =
            Region::Rectangle { left: width / 4.0, top: height / 4.0, right: width * 0.75, bottom: height * 0.75 };
        let object = |class, region| Object { class, region, difficult: false, truncated: false, crowd: false };
        let mut objects = vec![object(usize::from(seven), Some(region).filter(|_| index % 7 != 4))];
        match index % 7 {
            2 => objects.push(object(2, None)),
            3 => objects.clear(),
            _ => {}
        }
        Ok(Example { photo, objects, void: None })
    }
}

fn spec() -> Spec {
    Spec { engine: "tract".into(), activation: "softmax".parse().ok(), ..Spec::default() }
}

fn network() -> Network {
    Network::open(format!("{FIXTURES}/digits-cnn.onnx")).unwrap()
}

fn run(data: &Digits, plan: &Plan, out: &Path) -> Result<evaluation::Outcome, Error> {
    let (network, spec, classes) = (network(), spec(), mapped());
    let evaluation = Evaluation { network: &network, spec: &spec, data, classes: &classes, plan };
    evaluation.run(out, &mut |_| {}, &AtomicBool::new(false))
}

/// Rows without what differs from run to run.
fn without_times(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| row.seconds = None);
    rows
}

#[test]
fn every_image_class_method_and_metric_has_its_row() {
    let out = tempfile::tempdir().unwrap();
    let plan = Plan::default();
    let outcome = run(&Digits::new(7), &plan, out.path()).unwrap();
    assert_eq!((outcome.done, outcome.of, outcome.failed, outcome.stopped), (7, 7, 2, false));
    let rows = evaluation::rows(out.path()).unwrap();
    let of = |index: u64| rows.iter().filter(move |row| row.index == index);
    let measures = plan.measures().unwrap();
    for index in [0, 1, 2, 4, 6] {
        for method in ["hirescam", "gradcam"] {
            let own: Vec<&Row> = of(index).filter(|r| r.method.as_deref() == Some(method)).collect();
            let mut names: Vec<&str> = own.iter().map(|r| r.metric.as_deref().unwrap()).collect();
            let mut wanted = measures.clone();
            names.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{index}");
            for row in own {
                assert_eq!(row.class.as_deref(), Some(if index % 2 == 1 { "seven" } else { "three" }));
                assert_eq!((row.present, row.predicted), (Some(true), Some(true)), "{row:?}");
                let overlap = row.metric.as_deref().is_some_and(|m| m.contains("iou") || m.contains("relevance"));
                match index {
                    4 if overlap => assert_eq!(row.error.as_deref(), Some("no-region")),
                    _ if row.metric.as_deref().is_some_and(|m| m.contains("iou")) => {
                        assert_eq!(row.values.as_ref().map(Vec::len), Some(53), "{row:?}");
                    }
                    _ if index != 4 => assert!(row.value.is_some_and(f64::is_finite), "{row:?}"),
                    _ => {}
                }
            }
        }
    }
    let errors = |index| -> Vec<String> { of(index).filter_map(|r| r.error.clone()).collect() };
    assert_eq!(errors(5), ["data"]);
    assert_eq!(errors(3), ["no-object"]);
    assert_eq!(errors(2), ["unmapped"]);
    // Three linear layers and a pooling come after: HiResCAM misses what its locally linear form does, Grad-CAM nearly all.
    let value = |method: &str, metric: &str| {
        let row = of(0).find(|r| r.method.as_deref() == Some(method) && r.metric.as_deref() == Some(metric));
        row.unwrap().value.unwrap()
    };
    assert!(value("hirescam", "completeness-error") < 0.01 && value("gradcam", "completeness-error") > 0.5);
    assert_eq!((value("hirescam", "unused-share"), value("hirescam", "idle-share")), (0.0, 0.0));
}

#[test]
fn what_is_there_is_not_made_again_and_something_else_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let data = Digits::new(12);
    let plan = Plan { metrics: vec!["iou".into(), "entropy".into()], sample_seed: Some(3), ..Plan::default() };
    // Stopped on the way.
    let (network, spec, classes) = (network(), spec(), mapped());
    let evaluation = Evaluation { network: &network, spec: &spec, data: &data, classes: &classes, plan: &plan };
    let stop = AtomicBool::new(false);
    let mut watch = |p: &evaluation::Progress| {
        if p.done >= 4 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let first = evaluation.run(out.path(), &mut watch, &stop).unwrap();
    assert!(first.stopped && first.done >= 4 && first.done < 12, "{first:?}");
    let second = run(&data, &plan, out.path()).unwrap();
    assert_eq!((second.found, second.done, second.stopped), (first.done, 12, false));
    let third = run(&data, &plan, out.path()).unwrap();
    assert_eq!((third.found, third.done, third.failed), (12, 12, second.failed));
    let at_once = tempfile::tempdir().unwrap();
    run(&data, &plan, at_once.path()).unwrap();
    let read = |folder: &Path| without_times(evaluation::rows(folder).unwrap());
    assert_eq!(read(out.path()), read(at_once.path()));
    // A random order, the same each time.
    let names: Vec<String> = read(out.path()).into_iter().map(|r| r.image).collect();
    assert!(!names.is_sorted());

    let other = Plan { sample_seed: Some(4), draws: 7, ..plan.clone() };
    let error = run(&data, &other, out.path()).unwrap_err().to_string();
    assert!(
        error.contains("plan.sample_seed was 3 and is 4") && error.contains("plan.draws was 200 and is 7"),
        "{error}"
    );
    // What a report is made with changes no row.
    let mut report = plan.clone();
    report.report.resamples = 10;
    assert_eq!(run(&data, &report, out.path()).unwrap().found, 12);
    assert_eq!(Manifest::open(out.path()).unwrap().plan.report.resamples, 10);
}

#[test]
fn all_metrics_of_all_kinds_of_methods_have_a_value_or_a_reason() {
    let out = tempfile::tempdir().unwrap();
    let methods = ["hirescam", "gradcam", "layercam", "scorecam", "saliency"].map(str::to_owned).to_vec();
    let plan = Plan {
        methods,
        metrics: ["all", "dead-zone-ratio"].map(str::to_owned).to_vec(),
        classes: Classes::Both,
        limit: Some(2),
        curve_steps: 10,
        draws: 12,
        neighbours: 2,
        ..Plan::default()
    };
    run(&Digits::new(2), &plan, out.path()).unwrap();
    let rows = evaluation::rows(out.path()).unwrap();
    assert_eq!(rows.len(), 2 * plan.methods.len() * plan.measures().unwrap().len());
    for row in &rows {
        assert!(row.value.is_none_or(|value| value != 0.0 || value.is_sign_positive()), "{row:?}");
        let has = row.value.is_some_and(f64::is_finite) || row.values.is_some();
        assert!(has != row.error.is_some(), "{row:?}");
    }
    let mut errors: Vec<(&str, &str, &str)> =
        rows.iter().filter_map(|r| Some((r.method.as_deref()?, r.metric.as_deref()?, r.error.as_deref()?))).collect();
    errors.sort_unstable();
    errors.dedup();
    for method in &plan.methods {
        assert!(errors.contains(&(method, "dead-zone-ratio", "unsupported")));
    }
    errors.retain(|(_, metric, _)| *metric != "dead-zone-ratio");
    // A map of pixels is held against nothing at the layer.
    let of_pixels = ["idle-share", "idle-share:ablation", "unused-share", "unused-share:ablation"];
    assert_eq!(errors, of_pixels.map(|metric| ("saliency", metric, "unsupported")));
}

/// The digits' network with its scores by another name, and what lies beside it.
fn renamed(folder: &Path, name: &str) -> Network {
    let mut proto = network().model().proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    let was = graph.output[0].name().to_owned();
    graph.output[0].name = Some(name.into());
    let values = graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    values.filter(|value| **value == was).for_each(|value| *value = name.into());
    std::fs::write(folder.join("network.onnx"), hirescam::core::onnx::write(&proto)).unwrap();
    std::fs::copy(format!("{FIXTURES}/digits-cnn.toml"), folder.join("network.toml")).unwrap();
    Network::open(folder.join("network.onnx")).unwrap()
}

#[test]
fn a_network_may_call_its_values_as_the_input_of_the_classes_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let (data, spec, classes) = (Digits::new(3), spec(), mapped());
    // Methods of one run, of several, and at the image, each with an explainer of its own.
    let methods = ["hirescam", "gradcam", "ablationcam", "saliency"].map(str::to_owned).to_vec();
    let plan = Plan { methods, metrics: vec!["entropy".into(), "coherency".into()], ..Plan::default() };
    let of = |network: &Network, out: &str| {
        let evaluation = Evaluation { network, spec: &spec, data: &data, classes: &classes, plan: &plan };
        let out = folder.path().join(out);
        assert_eq!(evaluation.run(&out, &mut |_| {}, &AtomicBool::new(false)).unwrap().failed, 0);
        without_times(evaluation::rows(&out).unwrap())
    };
    let rows = of(&network(), "own");
    assert!(rows.iter().filter(|row| row.value.is_some()).count() >= 3 * 4 * 2);
    for name in ["class", "seed", "map"] {
        assert_eq!(of(&renamed(folder.path(), name), name), rows, "{name}");
    }
}

#[test]
fn a_report_has_certificates_layers_and_pictures_that_it_draws_again() {
    let out = tempfile::tempdir().unwrap();
    let (data, network, spec, classes) = (Digits::new(12), network(), spec(), mapped());
    let methods = ["hirescam", "gradcam", "ablationcam"].map(str::to_owned).to_vec();
    let metrics = ["iou", "energy-pointing-game", "unused-share"].map(str::to_owned).to_vec();
    let plan = Plan { methods, metrics, limit: Some(9), sample_seed: Some(1), ..Plan::default() };
    let evaluation = Evaluation { network: &network, spec: &spec, data: &data, classes: &classes, plan: &plan };
    let stop = AtomicBool::new(false);
    evaluation.run(out.path(), &mut |_| {}, &stop).unwrap();
    let rows = evaluation::rows(out.path()).unwrap();
    let summary = evaluation.report(out.path(), &rows, &stop).unwrap();
    let page = || std::fs::read_to_string(out.path().join("report.html")).unwrap();
    let first = page();
    assert_eq!((summary.manifest.images, summary.manifest.limit), (12, Some(9)));
    let certificates: Vec<(&str, &str)> =
        summary.manifest.certificates.iter().map(|c| (c.method.as_str(), c.verdict.as_str())).collect();
    assert_eq!(certificates, [("hirescam", "locally-linear"), ("gradcam", "unproven"), ("ablationcam", "unproven")]);
    let words = &summary.manifest.certificates[0].words;
    assert!(words[0].contains("Σ map + b = score, b belongs to the image"), "{words:?}");
    assert_eq!(
        summary.layers,
        summary.manifest.certificates.iter().take(1).map(|c| c.layer.clone()).collect::<Vec<_>>()
    );
    // One picture of each of the best and worst, two of each disagreement; none is left to words.
    let (alone, pairs): (Vec<_>, Vec<_>) = summary.examples.iter().partition(|e| e.other.is_none());
    assert!(alone.len() >= 4 && pairs.len() == 4, "{} {}", alone.len(), pairs.len());
    assert_eq!(first.matches("data:image/png").count(), alone.len() + 2 * pairs.len());
    assert!(first.contains("Outlined is what the data set says") && first.contains("because of the"), "{first}");
    // Again, it is the same; where it is stopped, it goes without pictures.
    evaluation.report(out.path(), &rows, &stop).unwrap();
    assert_eq!(page(), first);
    evaluation.report(out.path(), &rows, &AtomicBool::new(true)).unwrap();
    assert!(!page().contains("data:image/png") && page().contains(&summary.examples[0].image));
}

#[test]
fn a_network_of_integers_whose_axes_are_moved_is_evaluated_on_what_it_makes_of_them() {
    let out = tempfile::tempdir().unwrap();
    let network = Network::open(format!("{FIXTURES}/kinds/levels.onnx")).unwrap();
    let levels = hirescam::preprocess::Preprocess::from_toml("resize = { exact = [14, 18] }").unwrap();
    let spec = Spec { engine: "tract".into(), preprocess: Some(levels.into()), ..Spec::default() };
    let plan = Plan { metrics: vec!["all".into()], curve_steps: 6, draws: 4, neighbours: 2, ..Plan::default() };
    let data = Digits::new(2);
    let classes = [vec![1], vec![2], vec![]];
    let evaluation = Evaluation { network: &network, spec: &spec, data: &data, classes: &classes, plan: &plan };
    assert_eq!(evaluation.run(out.path(), &mut |_| {}, &AtomicBool::new(false)).unwrap().failed, 0);
    let rows = evaluation::rows(out.path()).unwrap();
    for row in rows.iter().filter(|row| row.error.as_deref().is_some_and(|e| e != "undefined")) {
        let (metric, reason) = (row.metric.as_deref().unwrap(), row.reason.as_deref().unwrap());
        match metric {
            // A map of an image that is no image of integers cannot be had.
            "coherency" | "adcc" | "arcc" | "max-sensitivity" => assert!(reason.contains("takes integers"), "{row:?}"),
            _ => assert!(reason.contains("of probabilities"), "{row:?}"),
        }
    }
    let deletion = rows.iter().filter(|row| row.metric.as_deref() == Some("deletion"));
    assert!(deletion.clone().count() == 4 && deletion.clone().all(|row| row.value.is_some()));
}

#[test]
fn what_does_not_fit_is_said_before_the_work() {
    let out = tempfile::tempdir().unwrap();
    let of = |plan: Plan| run(&Digits::new(2), &plan, out.path()).unwrap_err().to_string();
    let methods = |name: &str| Plan { methods: vec![name.into()], ..Plan::default() };
    assert!(of(methods("hirescan")).contains("hirescam"));
    assert!(of(Plan { metrics: vec!["deletoin".into()], ..Plan::default() }).contains("deletion"));
    assert!(of(Plan { limit: Some(0), ..Plan::default() }).contains("limit"));
    assert!(run(&Digits::new(0), &Plan::default(), out.path()).unwrap_err().to_string().contains("no images"));
    assert!(rows::read(out.path()).unwrap().is_empty());
}

/// What other programs read.
#[test]
fn rows_are_read_by_pyarrow() {
    let python = std::env::var_os("VIRTUAL_ENV").map(|v| Path::new(&v).join("bin/python")).filter(|p| p.is_file());
    let python = python.unwrap_or_else(|| "python3".into());
    let there = std::process::Command::new(&python).args(["-c", "import pyarrow"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: no pyarrow");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let plan = Plan { metrics: vec!["iou".into(), "entropy".into()], ..Plan::default() };
    run(&Digits::new(7), &plan, out.path()).unwrap();
    let script = "import sys, json, pyarrow.parquet as pq\n\
                  t = pq.read_table(sys.argv[1])\n\
                  print(json.dumps([t.schema.names, t.schema.metadata[b'hirescam.evaluation'].decode(), t.to_pylist()]))";
    let output = std::process::Command::new(&python)
        .args(["-c", script])
        .arg(out.path().join(evaluation::ROWS))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (names, version, theirs): (Vec<String>, String, Vec<serde_json::Value>) =
        serde_json::from_slice(&output.stdout).unwrap();
    let own = evaluation::rows(out.path()).unwrap();
    assert_eq!(names, rows::schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>());
    assert_eq!((version, theirs.len()), (rows::SCHEMA.to_string(), own.len()));
    let mut sums = [0.0; 2];
    for row in &theirs {
        sums[0] += row["value"].as_f64().unwrap_or(0.0);
        sums[1] += row["values"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).sum::<f64>();
    }
    let value: f64 = own.iter().filter_map(|r| r.value).sum();
    let values: f64 = own.iter().flat_map(|r| r.values.clone().unwrap_or_default()).sum();
    assert!((sums[0] - value).abs() < 1e-9 && (sums[1] - values).abs() < 1e-9);
}
