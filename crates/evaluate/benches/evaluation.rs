//! Times of evaluations beside what they cannot do without, measured in turn, with the engine that `ENGINE` names:
//! `cargo bench -p hirescam-evaluate --bench evaluation`.
//!
//! - `methods`: all methods of one run at one layer over one method.
//! - `inferences`: deletion and insertion of one image over the same number of plain inferences in the same batches.
//!
//! With a name behind `--` that is measured alone. A number is the median of the rounds' ratios, and in brackets is their middle half.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam::engine::Array;
use hirescam::photo::Photo;
use hirescam::{Network, Sample, Spec};
use hirescam_evaluate::changed::{Image, Request, measure};
use hirescam_evaluate::data::{DataSet, Example, Object, Region};
use hirescam_evaluate::metrics::{Curve, Deletion, Insertion};
use hirescam_evaluate::{Error, Evaluation, Plan};
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// All methods of one run at a layer.
const METHODS: [&str; 9] = [
    "hirescam",
    "gradcam",
    "gradcam++",
    "xgradcam",
    "layercam",
    "eigencam",
    "eigengradcam",
    "elementwise-gradcam",
    "cam",
];

/// Rounds that are measured in turn.
const ROUNDS: usize = 15;
/// Steps of a curve: enough for several batches, and few, so that rounds are short.
const STEPS: usize = 56;
/// Images of an evaluation.
const IMAGES: usize = 16;
/// Images that are scored at once.
const BATCH: usize = 16;

struct Photos {
    classes: Vec<String>,
    ids: Vec<String>,
    photos: Vec<Photo>,
}

impl DataSet for Photos {
    fn title(&self) -> String {
        "photos".into()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn ids(&self) -> &[String] {
        &self.ids
    }
    fn read(&self, index: usize) -> Result<Example, Error> {
        let photo = self.photos[index % self.photos.len()].clone();
        let region = Some(Region::Rectangle { left: 20.0, top: 20.0, right: 120.0, bottom: 120.0 });
        let objects = vec![Object { class: 0, region, difficult: false, truncated: false, crowd: false }];
        Ok(Example { photo, objects, void: None })
    }
}

fn photo(name: &str) -> Photo {
    Photo::open(format!("{FIXTURES}/photos/{name}.png")).unwrap()
}

fn median(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    format!("{:.3} ({:.3} to {:.3})", at(2), at(1), at(3))
}

fn seconds(work: impl FnOnce()) -> f64 {
    let since = Instant::now();
    work();
    since.elapsed().as_secs_f64()
}

fn main() {
    let engine = std::env::var("ENGINE").unwrap_or_else(|_| "auto".into());
    let mut spec = Spec { engine: engine.as_str().into(), ..Spec::default() };
    spec.settings.batch = BATCH;
    (spec.engine, _) = spec.engine.settled();
    let network = Network::open(format!("{FIXTURES}/efficientnet-lite0.onnx")).unwrap();
    println!("efficientnet-lite0 on {}", spec.engine.name);
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|n| n == name);
    if wanted("methods") {
        methods(&network, &spec);
    }
    if wanted("inferences") {
        inferences(&network, &spec);
    }
}

/// All methods over one.
fn methods(network: &Network, spec: &Spec) {
    let data = Photos {
        classes: vec!["thing".into()],
        ids: (0..IMAGES).map(|i| i.to_string()).collect(),
        photos: ["coffee", "chelsea"].map(photo).to_vec(),
    };
    let classes = [vec![504]];
    let all = METHODS.map(str::to_owned);
    let run = |methods: &[String]| {
        let plan = Plan { methods: methods.to_vec(), metrics: vec!["entropy".into()], ..Plan::default() };
        let evaluation = Evaluation { network, spec, data: &data, classes: &classes, plan: &plan };
        let out = tempfile::tempdir().unwrap();
        let mut begun = None;
        // Making the engine ready is not what grows with images: the clock begins with the first progress.
        let outcome = evaluation.run(
            out.path(),
            &mut |_| {
                begun.get_or_insert_with(Instant::now);
            },
            &AtomicBool::new(false),
        );
        let outcome = outcome.unwrap();
        assert_eq!(outcome.done, IMAGES);
        begun.map_or(0.0, |begun: Instant| begun.elapsed().as_secs_f64())
    };
    let one = &all[..1];
    run(one);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (a, b) = (run(one), run(&all));
        println!("  round {round}: one method {a:.2} s, {} methods {b:.2} s", all.len());
        ratios.push(b / a);
    }
    println!("{} methods over one: {}", all.len(), median(ratios));
}

/// Deletion and insertion over plain inferences.
fn inferences(network: &Network, spec: &Spec) {
    let explainer = network.explainer(spec).unwrap();
    let prepared = explainer.prepare(&photo("coffee")).unwrap();
    let explained = explainer.explain_one(photo("coffee")).unwrap();
    let map = explained.maps()[0].clone();
    let image = Image::new(prepared.tensor.index_axis(Axis(0), 0), if prepared.tensor.shape()[1] == 3 { 0 } else { 2 })
        .unwrap();
    let [height, width] = image.places()[..] else { panic!() };
    let large = map.heatmap().unwrap().resize(height, width).unwrap().into_values().mapv(f64::from).into_dyn();
    let scorer = network.scorer(spec, None).unwrap();
    let sample = Sample::from(Array::from(prepared.tensor.clone()));
    let column = map.class.unwrap();
    let (deletion, insertion) = (
        Deletion(Curve { steps: STEPS, ..Curve::deletion() }),
        Insertion(Curve { steps: STEPS, ..Curve::insertion() }),
    );
    let session = spec.engine.start().unwrap().prepare(network.bytes()).unwrap();
    let name = network.image_input(None).unwrap().name;
    let metrics = || {
        let mut scores =
            |images: ArrayViewD<'_, f32>| -> Result<Array2<f64>, Box<dyn std::error::Error + Send + Sync>> {
                Ok(scorer.logits(&sample, images)?.mapv(f64::from))
            };
        let requests = [
            Request { metric: &deletion, map: large.view(), column },
            Request { metric: &insertion, map: large.view(), column },
        ];
        measure(&image, &requests, &mut scores, BATCH).unwrap().images
    };
    let count = metrics();
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let own = seconds(|| assert_eq!(metrics(), count));
        let plain = seconds(|| plain(session.as_ref(), &name, &prepared.tensor, count));
        println!("  round {round}: deletion and insertion {own:.2} s, {count} inferences {plain:.2} s");
        ratios.push(own / plain);
    }
    println!("deletion and insertion over plain inferences: {}", median(ratios));
}

/// So many inferences, in batches where the engine is not slow at them.
fn plain(session: &dyn hirescam::engine::Session, name: &str, image: &ArrayD<f32>, count: usize) {
    let rows = |n: usize| {
        let mut shape = image.shape().to_vec();
        shape[0] = n;
        Array::from(image.broadcast(IxDyn(&shape)).unwrap().to_owned())
    };
    let image_alone = session.run(&[(name, &rows(2))]).is_err();
    for start in (0..count).step_by(BATCH) {
        let n = BATCH.min(count - start);
        // A file that fixes the batch takes one at a time, too.
        if session.is_slow_at_batches() || image_alone {
            let one = rows(1);
            let inputs: Vec<Vec<(&str, &Array)>> = (0..n).map(|_| vec![(name, &one)]).collect();
            session.run_all(&inputs).into_iter().for_each(|made| drop(made.unwrap()));
        } else {
            session.run(&[(name, &rows(n))]).unwrap();
        }
    }
}
