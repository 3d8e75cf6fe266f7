//! Metrics of arrays: what must hold for every map, closed forms, then goldens of other implementations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_evaluate::Error;
use hirescam_evaluate::metrics::*;
use ndarray::{ArrayD, ArrayViewD, IxDyn, array};
use proptest::prelude::*;
use serde_json::Value;

fn map_of(shape: &[usize], values: Vec<f64>) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + b.abs())
}

/// A metric without a value, and not a refusal of another kind.
fn is_undefined<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Undefined { .. }))
}

fn is_argument<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Argument(_)))
}

prop_compose! {
    /// A signed map of 1 to 3 axes, and a mask with a cell inside and a cell outside.
    fn cases()(shape in prop::collection::vec(1usize..5, 1..4))(
        values in prop::collection::vec(-4i32..5, shape.iter().product::<usize>()),
        mask in prop::collection::vec(any::<bool>(), shape.iter().product::<usize>()),
        shape in Just(shape),
    ) -> (ArrayD<f64>, ArrayD<bool>) {
        let map = map_of(&shape, values.into_iter().map(f64::from).collect());
        (map, ArrayD::from_shape_vec(IxDyn(&shape), mask).unwrap())
    }
}

proptest! {
    #[test]
    fn shares_inside_and_outside_add_up_to_one((map, mask) in cases()) {
        let outside = mask.mapv(|inside| !inside);
        for share in [energy_pointing_game, relevance_mass] {
            if let (Ok(a), Ok(b)) = (share(map.view(), mask.view(), None), share(map.view(), outside.view(), None)) {
                prop_assert!(close(a + b, 1.0));
                // What is void counts for neither side.
                prop_assert!(is_undefined(share(map.view(), mask.view(), Some(mask.view()))));
                match share(map.view(), mask.view(), Some(outside.view())) {
                    Ok(all) => prop_assert!(close(all, 1.0)),
                    Err(e) => prop_assert!(a == 0.0 && is_undefined::<()>(Err(e))),
                }
            }
        }
    }

    #[test]
    fn scale_does_not_matter((map, mask) in cases(), by in 1e-9f64..1e9) {
        let scaled = map.mapv(|v| v * by);
        let (m, s, t) = (map.view(), scaled.view(), mask.view());
        let same = |a: Result<f64, Error>, b: Result<f64, Error>| match (a, b) {
            (Ok(a), Ok(b)) => (a - b).abs() < 1e-9,
            (a, b) => is_undefined(a) && is_undefined(b),
        };
        prop_assert!(same(sparseness(m.clone()), sparseness(s.clone())));
        prop_assert!(same(entropy(m.clone()), entropy(s.clone())));
        prop_assert!(same(total_variation(m.clone()), total_variation(s.clone())));
        prop_assert!(same(dead_zone_ratio(m.clone(), t.clone()), dead_zone_ratio(s.clone(), t.clone())));
        prop_assert!(same(relevance_rank(m.clone(), t.clone(), None), relevance_rank(s.clone(), t.clone(), None)));
        prop_assert!(same(energy_pointing_game(m.clone(), t.clone(), None), energy_pointing_game(s.clone(), t.clone(), None)));
        prop_assert!(same(unused_share(m.clone(), m.clone()), unused_share(s.clone(), m.clone())));
        let hit = |map| pointing_game(map, t.clone(), 2.0).map(f64::from);
        prop_assert!(same(hit(m), hit(s)));
    }

    #[test]
    fn values_stay_within_their_range((map, mask) in cases()) {
        let (m, t, n) = (map.view(), mask.view(), map.len() as f64);
        let within = |value: Result<f64, Error>, low: f64, high: f64| match value {
            Ok(v) => (low - 1e-12..=high + 1e-12).contains(&v),
            Err(e) => is_undefined::<()>(Err(e)),
        };
        prop_assert!(within(sparseness(m.clone()), 0.0, 1.0 - 1.0 / n));
        prop_assert!(within(entropy(m.clone()), 0.0, n.ln()));
        prop_assert!(within(total_variation(m.clone()), 0.0, 2.0));
        prop_assert!(within(dead_zone_ratio(m.clone(), t.clone()), 0.0, 1.0));
        prop_assert!(within(relevance_rank(m.clone(), t.clone(), None), 0.0, 1.0));
        prop_assert!(within(coherency(m.clone(), m.mapv(|v| v * v).view()), 0.0, 1.0));
        for threshold in THRESHOLDS {
            prop_assert!(within(iou(m.clone(), t.clone(), None, threshold), 0.0, 1.0));
            let [one, zero] = [Perfect::One, Perfect::Zero]
                .map(|perfect| organ_iou(m.clone(), t.clone(), None, threshold, perfect).unwrap());
            // The author's code and the formula part at a perfect map only.
            prop_assert!((0.0..=1.0).contains(&one) && (zero == one || (zero == 0.0 && one == 1.0)));
        }
        prop_assert_eq!(unused_share(m.clone(), m.clone()).unwrap_or(0.0), 0.0);
    }

    #[test]
    fn the_area_shrinks_as_the_threshold_rises((map, mask) in cases()) {
        let areas: Vec<f64> =
            THRESHOLDS.iter().map(|t| area_over_threshold(map.view(), *t).unwrap()).collect();
        prop_assert!(areas.is_sorted_by(|a, b| a >= b));
        if let Ok(row) = ious(map.view(), mask.view(), None) {
            for (threshold, value) in THRESHOLDS.into_iter().zip(row) {
                prop_assert_eq!(value, iou(map.view(), mask.view(), None, threshold).unwrap());
            }
        }
    }
}

#[test]
fn completeness_is_what_the_sum_leaves_over() {
    let map = array![[1.0, -0.25], [0.5, 0.0]].into_dyn();
    assert_eq!(completeness_residual(map.view(), 2.0, 0.75).unwrap(), 0.0);
    assert_eq!(completeness_residual(map.view(), 2.0, 0.25).unwrap(), 0.5);
    assert_eq!(completeness_error(map.view(), 2.25, 0.25).unwrap(), 0.375);
    assert!(is_undefined(completeness_error(map.view(), 2.0, 2.0)));
    assert!(is_argument(completeness_residual(map.view(), f64::NAN, 0.0)));
}

#[test]
fn unused_and_idle_places_are_told_by_the_contributions() {
    let map = array![2.0, 1.0, -3.0, 4.0, 0.0].into_dyn();
    let contributions = array![1.0, 0.0, 0.0, -1.0, 5.0].into_dyn();
    assert_eq!(unused_share(map.view(), contributions.view()).unwrap(), 5.0 / 7.0);
    assert_eq!(idle_share(map.view(), contributions.view(), 0.0).unwrap(), 4.0 / 10.0);
    assert_eq!(idle_share(map.view(), contributions.view(), 1.0).unwrap(), 1.0);
    let negative = map.mapv(|v| -v.abs());
    assert!(is_undefined(unused_share(negative.view(), contributions.view())));
    assert!(is_argument(idle_share(map.view(), contributions.view(), -1.0)));
}

#[test]
fn a_dead_zone_is_measured_by_length() {
    let map = array![[3.0, 0.0], [-4.0, 0.0]].into_dyn();
    let top = array![[true, true], [false, false]].into_dyn();
    assert_eq!(dead_zone_ratio(map.view(), top.view()).unwrap(), 0.6);
    // Nothing overflows or vanishes on the way.
    for by in [1e300, 1e-300] {
        assert!(close(dead_zone_ratio(map.mapv(|v| v * by).view(), top.view()).unwrap(), 0.6));
    }
}

#[test]
fn a_point_hits_what_is_closer_than_the_tolerance() {
    let mut map = ArrayD::zeros(IxDyn(&[40, 40]));
    map[[5, 5]] = 1.0;
    let mut object = ArrayD::from_elem(IxDyn(&[40, 40]), false);
    object[[14, 17]] = true;
    // 9² + 12² = 15²: at a distance of 15 exactly, and less is asked for.
    let hit = |tolerance| pointing_game(map.view(), object.view(), tolerance).unwrap();
    assert_eq!([hit(15.0), hit(15.01), hit(1.0), hit(0.0)], [false, true, false, false]);
    object[[5, 5]] = true;
    let hit = |tolerance| pointing_game(map.view(), object.view(), tolerance).unwrap();
    assert_eq!([hit(1.0), hit(0.0)], [true, true]);
}

#[test]
fn of_equal_places_the_first_is_the_point_and_a_flat_map_has_none() {
    assert_eq!(point(array![[0.0, 2.0], [2.0, 1.0]].into_dyn().view()).unwrap(), [0, 1]);
    assert!(is_undefined(point(ArrayD::zeros(IxDyn(&[2, 2])).view())));
    assert_eq!(point(ArrayD::zeros(IxDyn(&[1, 1])).view()).unwrap(), [0, 0]);
}

#[test]
fn the_game_is_a_mean_over_classes_that_came() {
    let mut game = PointingGame::new(3);
    for (class, hit) in [(0, true), (0, false), (0, true), (0, true), (2, false)] {
        game.count(class, hit).unwrap();
    }
    assert_eq!(game.accuracies(), [Some(0.75), None, Some(0.0)]);
    assert_eq!(game.accuracy(), Some(0.375));
    assert!(is_argument(game.count(3, true)));
    assert_eq!(PointingGame::new(2).accuracy(), None);
    let difficult = [(24.0, 1), (25.0, 1), (24.0, 0)].map(|(area, others)| is_difficult(area, 100.0, others));
    assert_eq!(difficult, [true, false, false]);
}

#[test]
fn ties_of_ranks_count_by_the_share_that_fits() {
    let object = array![true, true, false, false].into_dyn();
    let rank = |map: ArrayD<f64>| relevance_rank(map.view(), object.view(), None).unwrap();
    assert_eq!(rank(array![4.0, -3.0, 2.0, 1.0].into_dyn()), 1.0);
    assert_eq!(rank(array![0.0, 0.0, 0.0, 0.0].into_dyn()), 0.5);
    // One place is taken for sure, the second is one of three, two of them outside.
    assert!(close(rank(array![9.0, 1.0, 1.0, 1.0].into_dyn()), (1.0 + 1.0 / 3.0) / 2.0));
    let void = array![false, true, false, false].into_dyn();
    let map = array![4.0, 5.0, 2.0, 1.0].into_dyn();
    assert_eq!(relevance_rank(map.view(), object.view(), Some(void.view())).unwrap(), 1.0);
}

#[test]
fn overlap_of_rectangles() {
    // 0.6 of the largest, and a rectangle that overlaps by 2 of 4 + 4.
    let map = array![[5.0, 5.0, 0.0], [3.0, 3.0, -9.0]].into_dyn();
    let object = array![[false, true, true], [false, true, true]].into_dyn();
    let at = |threshold| iou(map.view(), object.view(), None, threshold).unwrap();
    assert!(close(at(0.5), 2.0 / 6.0) && close(at(0.6), 1.0 / 5.0) && at(1.0) == 0.0);
    let void = array![[false, false, true], [false, false, true]].into_dyn();
    assert!(close(iou(map.view(), object.view(), Some(void.view()), 0.5).unwrap(), 0.5));
    assert!(is_argument(iou(map.view(), object.view(), None, 1.5)));
    assert!(is_argument(iou(map.view(), object.view(), None, f64::NAN)));
    let nothing = object.mapv(|_| false);
    assert!(is_undefined(iou(map.view(), nothing.view(), None, 0.5)));
}

#[test]
fn a_perfect_organ_iou_is_zero_in_the_authors_code() {
    let map = array![1.0, 0.5, 0.0].into_dyn();
    let allowed = array![true, true, false].into_dyn();
    let at = |allowed: &ArrayD<bool>, perfect| organ_iou(map.view(), allowed.view(), None, 0.1, perfect).unwrap();
    assert_eq!([at(&allowed, Perfect::One), at(&allowed, Perfect::Zero)], [1.0, 0.0]);
    let half = array![true, false, false].into_dyn();
    assert_eq!([at(&half, Perfect::One), at(&half, Perfect::Zero)], [0.5, 0.5]);
    let elsewhere = array![false, false, true].into_dyn();
    assert_eq!([at(&elsewhere, Perfect::One), at(&elsewhere, Perfect::Zero)], [0.0, 0.0]);
    // A map without a positive cell is above no threshold.
    let negative = map.mapv(|v| v - 2.0);
    assert_eq!(organ_iou(negative.view(), allowed.view(), None, 0.0, Perfect::One).unwrap(), 0.0);
}

#[test]
fn the_threshold_is_the_lowest_of_the_best() {
    let mut rows = vec![vec![0.0; THRESHOLDS.len()]; 2];
    rows[0][7] = 0.4;
    rows[1][7] = 0.2;
    rows[0][20] = 0.6;
    rows[1][3] = 0.5;
    assert_eq!(best_threshold(&rows).unwrap(), 7);
    assert_eq!(THRESHOLDS[7], 0.08);
    assert_eq!(best_threshold(&[vec![0.0; THRESHOLDS.len()]]).unwrap(), 0);
    assert!(is_argument(best_threshold(&[])));
    assert!(is_argument(best_threshold(&[vec![0.0; 52]])));
}

#[test]
fn roughness_of_boards_and_ramps() {
    let board = ArrayD::from_shape_fn(IxDyn(&[4, 6]), |at| ((at[0] + at[1]) % 2) as f64);
    assert_eq!(total_variation(board.view()).unwrap(), 1.0);
    assert_eq!(total_variation(board.mapv(|v| 2.0 * v - 1.0).view()).unwrap(), 2.0);
    // 0, 1, 2, 3, 4 along one axis: 4 steps of 1/4 in each of 3 rows, and 2 × 5 steps of 0.
    let ramp = ArrayD::from_shape_fn(IxDyn(&[3, 5]), |at| at[1] as f64);
    assert!(close(total_variation(ramp.view()).unwrap(), 3.0 / 22.0));
    assert_eq!(total_variation(ArrayD::from_elem(IxDyn(&[3, 3]), 2.0).view()).unwrap(), 0.0);
    assert!(is_undefined(total_variation(ArrayD::zeros(IxDyn(&[3, 3])).view())));
    assert!(is_undefined(total_variation(ArrayD::ones(IxDyn(&[1, 1])).view())));
}

#[test]
fn one_place_is_the_sparsest_and_equal_places_the_most_complex() {
    let mut one = ArrayD::zeros(IxDyn(&[2, 4]));
    one[[1, 2]] = -3.0;
    let all = ArrayD::from_elem(IxDyn(&[2, 4]), -0.5);
    assert_eq!(sparseness(one.view()).unwrap(), 1.0 - 1.0 / 8.0);
    assert!(close(sparseness(all.view()).unwrap(), 0.0));
    assert_eq!(entropy(one.view()).unwrap(), 0.0);
    assert!(entropy(one.view()).unwrap().is_sign_positive());
    assert!(close(entropy(all.view()).unwrap(), 8.0f64.ln()));
    assert_eq!(complexity(all.mapv(f64::abs).view()).unwrap(), 0.5);
    assert!(is_argument(complexity(all.view())));
    let zeros = ArrayD::zeros(IxDyn(&[2, 4]));
    assert!(is_undefined(sparseness(zeros.view())) && is_undefined(entropy(zeros.view())));
    assert_eq!(complexity(zeros.view()).unwrap(), 0.0);
}

#[test]
fn coherency_is_one_for_the_same_map_and_zero_for_its_negative() {
    let map = array![[0.0, 0.5], [1.0, 0.25]].into_dyn();
    let at = |other: ArrayD<f64>| coherency(map.view(), other.view());
    assert!(close(at(map.mapv(|v| 3.0 * v + 1.0)).unwrap(), 1.0));
    assert!(close(at(-map.clone()).unwrap(), 0.0));
    assert!(is_undefined(at(ArrayD::from_elem(IxDyn(&[2, 2]), 0.1))));
}

#[test]
fn sensitivity_is_the_furthest_of_the_maps() {
    let map = array![3.0, 4.0].into_dyn();
    let moved = [array![3.0, 5.0].into_dyn(), array![0.0, 0.0].into_dyn(), map.clone()];
    let views: Vec<ArrayViewD<f64>> = moved.iter().map(|m| m.view()).collect();
    assert_eq!(max_sensitivity(map.view(), &views, false).unwrap(), 5.0);
    assert_eq!(max_sensitivity(map.view(), &views, true).unwrap(), 1.0);
    assert_eq!(max_sensitivity(map.view(), &views[..1], true).unwrap(), 0.2);
    assert!(is_argument(max_sensitivity(map.view(), &[], true)));
    let zeros = moved[1].view();
    assert!(is_undefined(max_sensitivity(zeros, &views, true)));
}

#[test]
fn neighbours_are_close_and_each_has_its_own_stream() {
    let image = ArrayD::from_shape_fn(IxDyn(&[3, 8, 8]), |at| at[2] as f32);
    let neighbours = Neighbours { radius: 0.25, samples: 3, seed: 1 };
    let images = neighbours.images(image.view());
    assert_eq!(images.len(), 3);
    for (i, moved) in images.iter().enumerate() {
        let distance = (moved - &image).iter().fold(0.0, |m: f32, v| m.max(v.abs()));
        assert!(distance <= 0.25 && distance > 0.2);
        assert_eq!(*moved, neighbours.image(image.view(), i));
    }
    assert_ne!(images[0], images[1]);
}

#[test]
fn randomised_maps_that_are_flat_correlate_with_nothing() {
    let map = array![1.0, -2.0, 3.0].into_dyn();
    let others = [map.mapv(f64::exp), -map.clone(), ArrayD::zeros(IxDyn(&[3]))];
    let views: Vec<ArrayViewD<f64>> = others.iter().map(|m| m.view()).collect();
    assert_eq!(mprt(map.view(), &views, None).unwrap(), [Some(1.0), Some(-1.0), None]);
    assert_eq!(mprt(map.view(), &views[1..2], Some(Attention::Absolute)).unwrap(), [Some(1.0)]);
    assert!(is_undefined(mprt(others[2].view(), &views, None)));
}

#[test]
fn what_is_no_number_and_what_does_not_fit_is_refused() {
    let (map, mask) = (array![[1.0, f64::NAN]].into_dyn(), array![[true, false]].into_dyn());
    match energy_pointing_game(map.view(), mask.view(), None) {
        Err(Error::NotFinite { at, .. }) => assert_eq!(at, [0, 1]),
        other => panic!("{other:?}"),
    }
    let map = array![[1.0], [2.0]].into_dyn();
    let error = energy_pointing_game(map.view(), mask.view(), None).unwrap_err().to_string();
    assert!(error.contains("[2, 1]") && error.contains("[1, 2]"), "{error}");
    assert!(is_argument(sparseness(ArrayD::zeros(IxDyn(&[0, 3])).view())));
    assert!(is_argument(mask_of_boxes(&[2, 2], &[vec![0..1, 0..1, 0..1]])));
}

#[test]
fn shares_of_the_largest_numbers_are_shares() {
    let map = map_of(&[4], vec![f64::MAX, f64::MAX, f64::MAX, -f64::MAX]);
    let object = ArrayD::from_shape_vec(vec![4], vec![true, false, false, true]).unwrap();
    assert!(close(energy_pointing_game(map.view(), object.view(), None).unwrap(), 1.0 / 3.0));
    assert!(close(relevance_mass(map.view(), object.view(), None).unwrap(), 0.5));
    assert!(close(entropy(map.view()).unwrap(), 4.0f64.ln()));
    assert!(sparseness(map.view()).unwrap().abs() < 1e-12);
}

#[test]
fn no_row_is_forgotten() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics")).unwrap();
    let rows = |file: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(file.unwrap().path()).unwrap().matches(": Row = Row {").count()
    };
    assert_eq!(folder.map(rows).sum::<usize>(), METRICS.len());
}

#[test]
fn rows_are_complete_and_found_by_name() {
    for (i, row) in METRICS.iter().enumerate() {
        assert!(METRICS[..i].iter().all(|other| other.name != row.name), "{}", row.name);
        for text in [row.what, row.formula, row.range, row.source, row.needs, row.blind] {
            assert!(!text.is_empty(), "{}", row.name);
        }
        assert!(row.what.ends_with('.') && !row.blind.ends_with('.'), "{}", row.name);
        assert_eq!(metric(row.name).unwrap(), row);
    }
    let error = metric("pointing-gane").unwrap_err().to_string();
    assert!(error.contains("did you mean \"pointing-game\""), "{error}");
}

// ---------------------------------------------------------------- goldens

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/arrays.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or_else(|| f64::from(v.as_bool().unwrap()))).collect()
}

fn array_of(value: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> = numbers(&value["shape"]).into_iter().map(|n| n as usize).collect();
    map_of(&shape, numbers(&value["data"]))
}

fn check(case: &Value, key: &str, value: f64) {
    let expected = case[key].as_f64().unwrap();
    assert!(close(value, expected), "{}: {key}: {value}, and not {expected}", case["name"]);
}

#[test]
fn places_are_found_as_by_quantus_torchray_and_the_authors_code() {
    let golden = golden();
    assert_eq!(numbers(&golden["thresholds"]), THRESHOLDS);
    for case in golden["located"].as_array().unwrap() {
        let (map, mask) = (array_of(&case["map"]), array_of(&case["mask"]).mapv(|v| v == 1.0));
        let (m, t) = (map.view(), mask.view());
        assert_eq!(pointing_game(m.clone(), t.clone(), 1.0).unwrap(), case["pointing_quantus"], "{}", case["name"]);
        for (tolerance, hit) in case["pointing_torchray"].as_object().unwrap() {
            assert_eq!(pointing_game(m.clone(), t.clone(), tolerance.parse().unwrap()).unwrap(), *hit);
        }
        check(case, "energy", energy_pointing_game(m.clone(), t.clone(), None).unwrap());
        check(case, "mass", relevance_mass(m.clone(), t.clone(), None).unwrap());
        check(case, "rank", relevance_rank(m.clone(), t.clone(), None).unwrap());
        let at = |of: &dyn Fn(f64) -> f64, key: &str| {
            for (threshold, expected) in THRESHOLDS.into_iter().zip(numbers(&case[key])) {
                assert!(close(of(threshold), expected), "{}: {key} at {threshold}", case["name"]);
            }
        };
        at(&|threshold| iou(m.clone(), t.clone(), None, threshold).unwrap(), "iou");
        at(&|threshold| organ_iou(m.clone(), t.clone(), None, threshold, Perfect::One).unwrap(), "organ_iou");
        at(&|threshold| organ_iou(m.clone(), t.clone(), None, threshold, Perfect::Zero).unwrap(), "organ_iou_as_coded");
        at(&|threshold| area_over_threshold(m.clone(), threshold).unwrap(), "area");
    }
}

#[test]
fn maps_alone_are_measured_as_by_scipy() {
    for case in golden()["alone"].as_array().unwrap() {
        let map = array_of(&case["map"]);
        check(case, "sparseness", sparseness(map.view()).unwrap());
        check(case, "entropy", entropy(map.view()).unwrap());
        check(case, "total_variation", total_variation(map.view()).unwrap());
    }
}

#[test]
fn pairs_of_maps_are_measured_as_by_scipy() {
    for case in golden()["paired"].as_array().unwrap() {
        let (map, other) = (array_of(&case["map"]), array_of(&case["other"]));
        let (m, o) = (map.view(), other.view());
        check(case, "coherency", coherency(m.clone(), o.clone()).unwrap());
        check(case, "spearman", mprt(m.clone(), std::slice::from_ref(&o), None).unwrap()[0].unwrap());
        let of_sizes = mprt(m.clone(), std::slice::from_ref(&o), Some(Attention::Absolute)).unwrap();
        check(case, "spearman_absolute", of_sizes[0].unwrap());
        check(case, "unused", unused_share(m.clone(), o.clone()).unwrap());
        check(case, "idle", idle_share(m.clone(), o.clone(), 0.2).unwrap());
        check(case, "dead", dead_zone_ratio(m.clone(), other.mapv(|v| v <= 0.0).view()).unwrap());
        check(case, "residual", completeness_residual(m.clone(), 1.25, 0.5).unwrap());
        check(case, "distance", max_sensitivity(m.clone(), std::slice::from_ref(&o), false).unwrap());
        check(case, "relative", max_sensitivity(m, &[o], true).unwrap());
    }
}
