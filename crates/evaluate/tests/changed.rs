//! Metrics that change the image: what must hold for linear scores and for any, closed forms, then goldens of other
//! implementations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_evaluate::Error;
use hirescam_evaluate::changed::{Change, Fill, Image, Metric, Places, Request, Scorer, images, measure};
use hirescam_evaluate::metrics::*;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn, Slice, array};
use proptest::prelude::*;
use serde_json::Value;

/// Multiples of the golden ratio, modulo 1, within ± `scale`.
fn golden(shape: &[usize], start: usize, scale: f64) -> ArrayD<f64> {
    let values = (0..shape.iter().product::<usize>()).map(|i| ((i + start) as f64 * 0.618033988749895) % 1.0);
    ArrayD::from_shape_vec(IxDyn(shape), values.map(|v| (v * 2.0 - 1.0) * scale).collect()).unwrap()
}

/// s = Σ w x + (Σ v x)² / 2 and its sigmoid.
struct Network {
    w: ArrayD<f64>,
    v: ArrayD<f64>,
    batches: Vec<usize>,
}

impl Network {
    fn new(shape: &[usize]) -> Self {
        Self { w: golden(shape, 1000, 0.2), v: golden(shape, 5000, 0.1), batches: Vec::new() }
    }

    fn linear(w: ArrayD<f64>) -> Self {
        Self { v: ArrayD::zeros(w.raw_dim()), w, batches: Vec::new() }
    }

    fn gradient(&self, x: &ArrayD<f32>) -> ArrayD<f64> {
        let x = x.mapv(f64::from);
        &self.w + &(&self.v * (&self.v * &x).sum())
    }
}

impl Scorer for Network {
    fn scores(&mut self, images: ArrayViewD<'_, f32>) -> Result<Array2<f64>, Box<dyn std::error::Error + Send + Sync>> {
        self.batches.push(images.len_of(Axis(0)));
        let mut scores = Array2::zeros((images.len_of(Axis(0)), 2));
        for (image, mut row) in images.axis_iter(Axis(0)).zip(scores.rows_mut()) {
            let x = image.mapv(f64::from);
            let s = (&self.w * &x).sum() + (&self.v * &x).sum().powi(2) / 2.0;
            row[0] = s;
            row[1] = 1.0 / (1.0 + (-s).exp());
        }
        Ok(scores)
    }
}

fn one(
    metric: &dyn Metric,
    image: &Image,
    map: &ArrayD<f64>,
    column: usize,
    net: &mut dyn Scorer,
) -> Result<f64, Error> {
    measure(image, &[Request { metric, map: map.view(), column }], net, 7)?.values.pop().unwrap()
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

fn is_undefined<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Undefined { .. }))
}

fn is_argument<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Argument(_)))
}

/// An image of whole quarters, so that float32 keeps sums, and the contributions of its places to a linear score.
fn linear(values: Vec<i32>) -> (Image, ArrayD<f64>, Network) {
    let x = ArrayD::from_shape_vec(IxDyn(&[2, 3, 4]), values.iter().map(|v| *v as f32 / 4.0).collect()).unwrap();
    let net = Network::linear(golden(&[2, 3, 4], 3, 1.0));
    let contributions = (&net.w * &x.mapv(f64::from)).sum_axis(Axis(0));
    (Image::new(x.view(), 0).unwrap(), contributions, net)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn contributions_to_a_linear_score_foretell_it(values in prop::collection::vec(-9i32..10, 24)) {
        let (image, contributions, mut net) = linear(values);
        let patches = Infidelity { taken: Taken::Patch { size: 2, fill: Fill::ZERO }, samples: 30, ..Default::default() };
        prop_assert!(one(&patches, &image, &contributions, 0, &mut net).unwrap() < 1e-20);
        // Twice as much foretells twice as much, unless its scale is set free.
        let double = &contributions * 2.0;
        let free = Infidelity { scaled: true, ..patches };
        prop_assert!(one(&free, &image, &double, 0, &mut net).map_or_else(|e| is_undefined::<()>(Err(e)), |v| v < 1e-20));
        let grid = MuFidelity { grid: 2, share: 0.5, samples: 40, ..Default::default() };
        match one(&grid, &image, &contributions, 0, &mut net) {
            Ok(r) => prop_assert!(near(r, 1.0, 1e-9)),
            Err(e) => prop_assert!(is_undefined::<()>(Err(e))),
        }
        let gradient = net.w.clone();
        let noise = Infidelity { samples: 20, ..Default::default() };
        // x − I is rounded to float32.
        prop_assert!(one(&noise, &image, &gradient, 0, &mut net).unwrap() < 1e-11);
    }

    #[test]
    fn no_order_deletes_a_linear_score_sooner_than_that_of_its_contributions(
        values in prop::collection::vec(-9i32..10, 24),
        other in prop::collection::vec(-4i32..5, 12),
    ) {
        let (image, contributions, mut net) = linear(values);
        let other = ArrayD::from_shape_vec(IxDyn(&[3, 4]), other.into_iter().map(f64::from).collect()).unwrap();
        let zero = Curve { steps: 12, ..Curve::deletion() };
        let mut both = |metric: &dyn Metric| {
            [&contributions, &other].map(|map| one(metric, &image, map, 0, &mut net).unwrap())
        };
        let [best, any] = both(&Deletion(zero));
        prop_assert!(best <= any + 1e-12);
        let [best, any] = both(&Insertion(zero));
        prop_assert!(best >= any - 1e-12);
        let [best, any] = both(&AopcMorf(zero));
        prop_assert!(best >= any - 1e-12);
        let [best, any] = both(&AopcLerf(zero));
        prop_assert!(best <= any + 1e-12);
    }

    #[test]
    fn neither_the_batch_nor_the_layout_changes_a_value(batch in 1usize..40, seed in any::<u64>()) {
        let x = golden(&[2, 5, 4], 1, 1.0).mapv(|v| v as f32);
        let map = golden(&[5, 4], 60, 1.0).mapv(|v| if v < 0.0 { 0.0 } else { v });
        let curve = Curve { steps: 6, seed, fill: Fill::Blur { size: 3, sigma: 1.0 }, ..Curve::deletion() };
        let road = Road { seed, ..Road::default() };
        let sets = MuFidelity { samples: 20, fill: Fill::Mean, seed, ..Default::default() };
        let metrics: [&dyn Metric; 4] = [&Deletion(curve), &road, &sets, &AverageDrop];
        let requests = metrics.map(|metric| Request { metric, map: map.view(), column: 1 });
        let values = |image: &Image, net: &mut dyn Scorer, batch| -> Vec<f64> {
            let measured = measure(image, &requests, net, batch).unwrap();
            measured.values.into_iter().collect::<Result<_, _>>().unwrap()
        };
        let mut net = Network::new(&[2, 5, 4]);
        let wanted = values(&Image::new(x.view(), 0).unwrap(), &mut net, 1000);
        prop_assert_eq!(&values(&Image::new(x.view(), 0).unwrap(), &mut net, batch), &wanted);
        let last = |a: ArrayViewD<f64>| a.permuted_axes(IxDyn(&[1, 2, 0])).as_standard_layout().into_owned();
        let mut other = Network { w: last(net.w.view()), v: last(net.v.view()), batches: Vec::new() };
        let turned = x.view().permuted_axes(IxDyn(&[1, 2, 0]));
        for (a, b) in values(&Image::new(turned, 2).unwrap(), &mut other, batch).into_iter().zip(wanted) {
            prop_assert!(near(a, b, 1e-6));
        }
    }
}

#[test]
fn a_deletion_curve_in_closed_form() {
    // Contributions 4, 3, 2, 1 in this order: scores 10, 6, 3, 1, 0.
    let image = Image::new(array![[4.0f32, 3.0, 2.0, 1.0]].into_dyn().view(), 0).unwrap();
    let map = array![4.0, 3.0, 2.0, 1.0].into_dyn();
    let mut net = Network::linear(ArrayD::ones(IxDyn(&[1, 4])));
    let curve = Curve { steps: 4, ..Curve::deletion() };
    let mut value = |metric: &dyn Metric| one(metric, &image, &map, 0, &mut net).unwrap();
    assert_eq!(value(&Deletion(curve)), (10.0 / 2.0 + 6.0 + 3.0 + 1.0) / 4.0);
    // Put in, the strongest first: 0, 4, 7, 9, 10.
    assert_eq!(value(&Insertion(curve)), (4.0 + 7.0 + 9.0 + 10.0 / 2.0) / 4.0);
    assert_eq!(value(&AopcMorf(curve)), (4.0 + 7.0 + 9.0 + 10.0) / 5.0);
    assert_eq!(value(&AopcLerf(curve)), (1.0 + 3.0 + 6.0 + 10.0) / 5.0);
    // Three steps of 1, 1 and 2 places: their widths count.
    let uneven = Curve { steps: 3, ..curve };
    assert_eq!(value(&Deletion(uneven)), (8.0 + 4.5 + 2.0 * 1.5) / 4.0);
    // Half of the places, in patches of two: only the first patch, 10 and then 3.
    let half = Curve { share: 0.5, patch: 2, ..curve };
    assert_eq!(value(&Deletion(half)), 6.5);
    assert_eq!(value(&AopcMorf(half)), 3.5);
    // The weakest patch is put in first to last: it is what is missing at first.
    assert_eq!(value(&Insertion(half)), (7.0 + 10.0) / 2.0);
    for wrong in [Curve { steps: 0, ..curve }, Curve { patch: 0, ..curve }, Curve { share: 1.5, ..curve }] {
        assert!(is_argument(one(&Deletion(wrong), &image, &map, 0, &mut net)));
    }
}

#[test]
fn each_changed_image_is_scored_once_whoever_asks() {
    let x = golden(&[2, 6, 6], 0, 1.0).mapv(|v| v as f32);
    let image = Image::new(x.view(), 0).unwrap();
    let (map, other) = (golden(&[6, 6], 9, 1.0), golden(&[6, 6], 90, 1.0));
    let curve = Curve { steps: 10, ..Curve::deletion() };
    let metrics: [&dyn Metric; 4] = [&Deletion(curve), &AopcMorf(curve), &Insertion(curve), &AopcLerf(curve)];
    let requests: Vec<Request> = metrics
        .iter()
        .flat_map(|metric| {
            [(&map, 0), (&map, 1), (&other, 1)].map(|(map, column)| Request {
                metric: *metric,
                map: map.view(),
                column,
            })
        })
        .collect();
    let mut net = Network::new(&[2, 6, 6]);
    let measured = measure(&image, &requests, &mut net, 8).unwrap();
    // The image, the image with nothing left, and for each map 9 in between from either end.
    assert_eq!(measured.images, 2 + 2 * 2 * 9);
    assert_eq!(net.batches, [8, 8, 8, 8, 6]);
    for (request, value) in requests.iter().zip(measured.values) {
        let alone = measure(&image, std::slice::from_ref(request), &mut net, 3).unwrap();
        assert_eq!(alone.values.into_iter().next().unwrap().unwrap(), value.unwrap());
    }
}

#[test]
fn places_can_be_imputed_alone() {
    let image = Image::new(golden(&[2, 5, 6], 3, 1.0).mapv(|v| v as f32).view(), 0).unwrap();
    let gone = [7, 8, 14, 29];
    let filled = image.imputed(Places::new(30, gone)).unwrap();
    let original = image.imputed(Places::new(30, [])).unwrap();
    assert_eq!(filled.shape(), [2, 5, 6]);
    for (i, (a, b)) in filled.iter().zip(&original).enumerate() {
        assert_eq!(a != b, gone.contains(&(i % 30)), "{i}");
    }
    assert!(is_argument(image.imputed(Places::new(30, 0..30))) && is_argument(image.imputed(Places::new(29, gone))));
}

#[test]
fn a_request_that_fails_spoils_no_other() {
    let image = Image::new(golden(&[1, 4, 4], 0, 1.0).mapv(|v| v as f32).view(), 0).unwrap();
    let (map, small) = (golden(&[4, 4], 5, 1.0), golden(&[2, 2], 5, 1.0));
    let imputed = Curve { fill: Fill::Imputed { noise: 0.0, seed: 0 }, ..Curve::deletion() };
    let fine = Deletion(Curve::deletion());
    let requests = [
        Request { metric: &fine, map: small.view(), column: 0 },
        // Signed, and multiplied by.
        Request { metric: &AverageDrop, map: map.view(), column: 1 },
        // Nothing is left to impute from at the end.
        Request { metric: &Deletion(imputed), map: map.view(), column: 0 },
        Request {
            metric: &Deletion(Curve { fill: Fill::Blur { size: 4, sigma: 1.0 }, ..imputed }),
            map: map.view(),
            column: 0,
        },
        Request { metric: &fine, map: map.view(), column: 0 },
    ];
    let mut net = Network::new(&[1, 4, 4]);
    let measured = measure(&image, &requests, &mut net, 8).unwrap();
    let (last, failed) = measured.values.split_last().unwrap();
    assert!(last.is_ok());
    assert!(failed.iter().all(|value| matches!(value, Err(Error::Argument(_)))), "{failed:?}");
    assert!(is_argument(measure(&image, &requests, &mut net, 0)));
    let enough = Deletion(Curve { share: 0.5, ..imputed });
    assert!(one(&enough, &image, &map, 0, &mut net).is_ok());
}

#[test]
fn scorers_that_fail_or_answer_with_something_else_are_told() {
    let image = Image::new(golden(&[1, 2, 2], 0, 1.0).mapv(|v| v as f32).view(), 0).unwrap();
    let map = golden(&[2, 2], 5, 1.0);
    let deletion = Deletion(Curve::deletion());
    let mut failing = |_: ArrayViewD<'_, f32>| Err("no network".into());
    assert!(matches!(one(&deletion, &image, &map, 0, &mut failing), Err(Error::Scoring(_))));
    let mut short = |_: ArrayViewD<'_, f32>| Ok(Array2::zeros((1, 1)));
    assert!(is_argument(one(&deletion, &image, &map, 0, &mut short)));
    let mut net = Network::new(&[1, 2, 2]);
    assert!(is_argument(one(&deletion, &image, &map, 2, &mut net)));
    let mut broken = |images: ArrayViewD<'_, f32>| Ok(Array2::from_elem((images.len_of(Axis(0)), 1), f64::NAN));
    assert!(matches!(one(&deletion, &image, &map, 0, &mut broken), Err(Error::NotFinite { .. })));
    assert!(is_argument(Image::new(ArrayD::zeros(IxDyn(&[3, 0, 2])).view(), 0)));
    assert!(is_argument(Image::new(ArrayD::zeros(IxDyn(&[3, 2])).view(), 2)));
    let nan = ArrayD::from_elem(IxDyn(&[1, 1]), f32::NAN);
    assert!(matches!(Image::new(nan.view(), 0), Err(Error::NotFinite { .. })));
}

#[test]
fn drops_gains_and_increases_of_probabilities() {
    let image = Image::new(array![[1.0f32, 1.0]].into_dyn().view(), 0).unwrap();
    // The first place speaks against what the second speaks for.
    let mut probability = |images: ArrayViewD<'_, f32>| {
        let row = |n: usize| 0.5 - 0.25 * f64::from(images[[n, 0, 0]]) + 0.25 * f64::from(images[[n, 0, 1]]);
        Ok(Array2::from_shape_fn((images.len_of(Axis(0)), 2), |(n, column)| row(n) * (1.0 + 7.0 * column as f64)))
    };
    let mut all = |map: ArrayD<f64>| {
        let metrics: [&dyn Metric; 3] = [&AverageDrop, &AverageGain, &ConfidenceIncrease];
        metrics.map(|metric| one(metric, &image, &map, 0, &mut probability).unwrap())
    };
    assert_eq!(all(array![1.0, 1.0].into_dyn()), [0.0, 0.0, 0.0]);
    assert_eq!(all(array![1.0, 0.0].into_dyn()), [0.5, 0.0, 0.0]);
    assert_eq!(all(array![0.0, 1.0].into_dyn()), [0.0, 0.5, 1.0]);
    let map = array![0.0, 1.0].into_dyn();
    // The second column exceeds 1.
    assert!(is_undefined(one(&AverageDrop, &image, &map, 1, &mut probability)));
    assert!(one(&ConfidenceIncrease, &image, &map, 1, &mut probability).is_ok());
    let mut nothing = |images: ArrayViewD<'_, f32>| Ok(Array2::zeros((images.len_of(Axis(0)), 1)));
    assert!(is_undefined(one(&AverageDrop, &image, &map, 0, &mut nothing)));
}

#[test]
fn a_harmonic_mean_is_zero_where_one_part_is() {
    let image = Image::new(array![[1.0f32, 1.0, 1.0]].into_dyn().view(), 0).unwrap();
    let mut all_of_it = |images: ArrayViewD<'_, f32>| {
        Ok(images.map_axis(Axis(2), |x| f64::from(x.sum()) / 3.0).into_dimensionality().unwrap())
    };
    let map = array![1.0, 0.5, 0.0].into_dyn();
    let adcc = |of_kept: ArrayD<f64>| Adcc { of_kept };
    // Coherency 1, 1 − complexity ½, 1 − drop ½.
    assert!(near(one(&adcc(map.clone()), &image, &map, 0, &mut all_of_it).unwrap(), 3.0 / 5.0, 1e-7));
    assert_eq!(one(&adcc(-map.clone()), &image, &map, 0, &mut all_of_it).unwrap(), 0.0);
    assert!(is_undefined(one(&adcc(ArrayD::zeros(IxDyn(&[3]))), &image, &map, 0, &mut all_of_it)));
}

#[test]
fn road_removes_as_many_places_as_it_says_whatever_the_ties() {
    // Rectified: three places of 36 are not 0.
    let mut map = ArrayD::zeros(IxDyn(&[6, 6]));
    (map[[0, 0]], map[[2, 3]], map[[5, 5]]) = (3.0, 2.0, 1.0);
    let image = Image::new(golden(&[2, 6, 6], 0, 1.0).mapv(|v| v as f32).view(), 0).unwrap();
    let road = Road { shares: vec![0.25, 0.5], noise: 0.0, ..Road::default() };
    let counts: Vec<usize> = road
        .plan(&image, map.view())
        .unwrap()
        .changes
        .iter()
        .map(|change| match change {
            Change::Filled { places, .. } => places.count(),
            _ => 0,
        })
        .collect();
    assert_eq!(counts, [9, 18, 9, 18]);
    // What is the same everywhere is imputed as it is, and nothing is missed.
    let flat = Image::new(ArrayD::from_elem(IxDyn(&[2, 6, 6]), 0.5f32).view(), 0).unwrap();
    let mut net = Network::new(&[2, 6, 6]);
    for removed in [Removed::Strongest, Removed::Weakest, Removed::Both] {
        let value = one(&Road { removed, ..road.clone() }, &flat, &map, 0, &mut net).unwrap();
        assert!(value.abs() < 1e-6, "{value}");
    }
    for wrong in [vec![], vec![1.0], vec![-0.5], vec![f64::NAN]] {
        assert!(is_argument(Road { shares: wrong, ..road.clone() }.plan(&image, map.view()).map(|_| ())));
    }
    let volume = Image::new(ArrayD::zeros(IxDyn(&[1, 2, 3, 4])).view(), 0).unwrap();
    let map = golden(&[2, 3, 4], 0, 1.0);
    let mut net = Network::new(&[1, 2, 3, 4]);
    assert!(is_argument(one(&road, &volume, &map, 0, &mut net)));
    assert!(one(&Insertion(Curve::insertion()), &volume, &map, 0, &mut net).is_ok());
}

#[test]
fn fills_are_what_they_say() {
    let x = golden(&[2, 4, 5], 0, 1.0).mapv(|v| v as f32);
    let image = Image::new(x.view(), 0).unwrap();
    let places = Places::new(20, [3, 7]);
    let fills = [Fill::Constant(0.5), Fill::Mean, Fill::Blur { size: 1, sigma: 2.0 }];
    let changes = fills.map(|fill| Change::filled(places.clone(), fill));
    let made = images(&image, &changes).unwrap();
    assert_eq!(made.shape(), [3, 2, 4, 5]);
    for channel in 0..2 {
        let own = x.index_axis(Axis(0), channel);
        assert_eq!(made[[0, channel, 1, 2]], 0.5);
        assert!((made[[1, channel, 0, 3]] - own.mean().unwrap()).abs() < 1e-6);
        // A kernel of one cell leaves the image as it is.
        assert_eq!(
            made.slice_axis(Axis(0), Slice::from(2..)).index_axis(Axis(1), channel),
            own.clone().insert_axis(Axis(0))
        );
        assert_eq!(made[[0, channel, 3, 4]], own[[3, 4]]);
    }
    assert_eq!(Change::filled(Places::new(20, []), Fill::Mean), Change::None);
    assert_eq!(Change::filled(places.clone(), Fill::Constant(0.0)), Change::filled(places, Fill::Constant(-0.0)));
}

// ---------------------------------------------------------------- goldens

fn goldens(part: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/changed.json");
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    whole[part].clone()
}

/// The image of a part of the goldens, and its network.
fn given(part: &Value) -> (ArrayD<f32>, Network) {
    let shape: Vec<usize> = part["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    (golden(&shape, 0, 1.0).mapv(|v| v as f32), Network::new(&shape))
}

fn check(part: &Value, key: &str, value: Result<f64, Error>, tolerance: f64) {
    let (value, expected) = (value.unwrap(), part[key].as_f64().unwrap());
    assert!(near(value, expected, tolerance), "{key}: {value}, and not {expected}");
}

#[test]
fn curves_are_those_of_rise_and_quantus() {
    let part = goldens("curves");
    let (x, mut net) = given(&part);
    let (image, map) = (Image::new(x.view(), 0).unwrap(), golden(&[6, 8], 77, 1.0));
    let mut value = |metric: &dyn Metric| one(metric, &image, &map, 1, &mut net);
    check(&part, "deletion", value(&Deletion(Curve { steps: 12, ..Curve::deletion() })), 1e-12);
    // The blurred image is rounded to float32.
    check(&part, "insertion", value(&Insertion(Curve { steps: 12, ..Curve::insertion() })), 1e-7);
    let regions = Curve { steps: 12, patch: 2, ..Curve::deletion() };
    let half = Curve { steps: 6, share: 0.5, ..regions };
    check(&part, "aopc-morf", value(&AopcMorf(regions)), 1e-12);
    check(&part, "aopc-lerf", value(&AopcLerf(regions)), 1e-12);
    check(&part, "aopc-morf-half", value(&AopcMorf(half)), 1e-12);
    check(&part, "aopc-lerf-half", value(&AopcLerf(half)), 1e-12);
}

#[test]
fn what_the_map_leaves_and_what_lies_around_are_as_elsewhere() {
    let part = goldens("channels");
    let (x, mut net) = given(&part);
    let (image, map) = (Image::new(x.view(), 0).unwrap(), golden(&[7, 5], 33, 1.0));
    let of_kept = golden(&[7, 5], 34, 1.0) + &map;
    let heatmap = map.mapv(|v| (v + 1.0) / 2.0);
    let mut value = |metric: &dyn Metric| one(metric, &image, &heatmap, 1, &mut net);
    let mean = Curve { steps: 7, fill: Fill::Mean, ..Curve::deletion() };
    check(&part, "deletion-mean", value(&Deletion(mean)), 1e-7);
    check(&part, "drop", value(&AverageDrop), 1e-7);
    check(&part, "gain", value(&AverageGain), 1e-7);
    check(&part, "increase", value(&ConfidenceIncrease), 0.0);
    check(&part, "adcc", value(&Adcc { of_kept: of_kept.clone() }), 1e-7);
    let mut arcc = Arcc::new(of_kept);
    arcc.road.noise = 0.0;
    let road = |removed| Road { removed, ..arcc.road.clone() };
    check(&part, "road-strongest", value(&road(Removed::Strongest)), 1e-7);
    check(&part, "road-weakest", value(&road(Removed::Weakest)), 1e-7);
    check(&part, "road", value(&road(Removed::Both)), 1e-7);
    check(&part, "arcc", value(&arcc), 1e-6);
}

#[test]
fn draws_are_judged_as_by_captum() {
    let part = goldens("draws");
    let (x, mut net) = given(&part);
    let image = Image::new(x.view(), 0).unwrap();
    let gradient = net.gradient(&x);
    let contributions = (&gradient * &x.mapv(f64::from)).sum_axis(Axis(0));
    let noise = Infidelity { samples: 50, seed: 7, ..Infidelity::default() };
    // x − I is rounded to float32, and squared.
    check(&part, "infidelity", one(&noise, &image, &gradient, 0, &mut net), 1e-9);
    check(&part, "infidelity-scaled", one(&Infidelity { scaled: true, ..noise }, &image, &gradient, 0, &mut net), 1e-9);
    let patches = Infidelity { taken: Taken::Patch { size: 2, fill: Fill::Constant(0.25) }, ..noise };
    check(&part, "infidelity-patches", one(&patches, &image, &contributions, 0, &mut net), 1e-12);
    let sets = MuFidelity { samples: 50, share: 0.4, grid: 3, seed: 7, fill: Fill::ZERO };
    check(&part, "mufidelity", one(&sets, &image, &contributions, 0, &mut net), 1e-12);
    let neighbours = Neighbours { seed: 7, ..Neighbours::default() }.images(x.view());
    let maps: Vec<ArrayD<f64>> = neighbours.iter().map(|x| net.gradient(x)).collect();
    let views: Vec<ArrayViewD<f64>> = maps.iter().map(|map| map.view()).collect();
    check(&part, "max-sensitivity", max_sensitivity(gradient.view(), &views, true), 1e-7);
}

#[test]
fn what_no_machine_could_score_is_refused() {
    let image = Image::new(ArrayD::zeros(vec![1, 6, 6]).view(), 0).unwrap();
    let map = golden(&[6, 6], 1, 1.0);
    let refused = |metric: &dyn Metric| matches!(metric.plan(&image, map.view()), Err(Error::Argument(_)));
    assert!(refused(&MuFidelity { samples: usize::MAX, ..MuFidelity::default() }));
    let patch = Taken::Patch { size: 2, fill: Fill::ZERO };
    assert!(refused(&Infidelity { samples: usize::MAX, taken: patch, ..Infidelity::default() }));
    let mut scorer = |images: ArrayViewD<'_, f32>| Ok(Array2::zeros((images.len_of(Axis(0)), 1)));
    let blur = Deletion(Curve { fill: Fill::Blur { size: usize::MAX, sigma: 1.0 }, ..Curve::deletion() });
    let requests = [Request { metric: &blur, map: map.view(), column: 0 }];
    let measured = measure(&image, &requests, &mut scorer, 8).unwrap();
    assert!(matches!(measured.values[..], [Err(Error::Argument(_))]));
    let beyond = [Request { metric: &Deletion(Curve::deletion()), map: map.view(), column: usize::MAX }];
    assert!(matches!(measure(&image, &beyond, &mut scorer, 8), Err(Error::Argument(_))));
}
