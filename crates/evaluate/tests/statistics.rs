//! Statistics: what must hold whatever the values, closed forms, then goldens of scipy and statsmodels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_evaluate::statistics::*;
use proptest::prelude::*;
use serde_json::Value;

fn goldens(what: &str) -> Vec<Value> {
    let text = include_str!("../../../fixtures/statistics/statistics.json");
    let content: Value = serde_json::from_str(text).unwrap();
    content[what].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Relative to the larger of the two.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * a.abs().max(b.abs())
}

/// The same through the normal distribution, of which statrs has nine digits.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn same_interval(found: Option<Interval>, golden: &Value) -> bool {
    match (found, golden.as_array()) {
        (Some(found), Some(_)) => {
            let golden = numbers(golden);
            near(found.low, golden[0]) && near(found.high, golden[1])
        }
        (found, golden) => found.is_none() && golden.is_none(),
    }
}

fn asked(golden: &Value) -> Bootstrap {
    Bootstrap {
        resamples: golden["resamples"].as_u64().unwrap() as usize,
        level: golden["level"].as_f64().unwrap(),
        seed: golden["seed"].as_u64().unwrap(),
    }
}

/// A thousand resamples are enough for what is tried here.
const SOME: Bootstrap = Bootstrap { resamples: 1000, level: 0.9, seed: 1 };

proptest! {
    #[test]
    fn an_interval_moves_and_grows_with_the_values(values in prop::collection::vec(-8i32..9, 2..20), by in 1u32..5, to in -9i32..9) {
        // Powers of 2 and whole numbers: no rounding.
        let (scale, to) = (2f64.powi(by as i32), f64::from(to));
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let moved: Vec<f64> = values.iter().map(|v| v * scale + to).collect();
        let (a, b) = (SOME.mean(&values).unwrap(), SOME.mean(&moved).unwrap());
        for (a, b) in [(a.percentile, b.percentile), (a.bca, b.bca)] {
            prop_assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                let about = |x: f64, y: f64| (x * scale + to - y).abs() < 1e-6 * scale;
                prop_assert!(about(a.low, b.low) && about(a.high, b.high), "{:?} {:?}", a, b);
                prop_assert!(a.low <= a.high);
            }
        }
        let within = a.percentile.unwrap();
        prop_assert!(values.iter().any(|v| *v <= within.low) && values.iter().any(|v| *v >= within.high));
    }

    #[test]
    fn a_test_does_not_care_which_of_a_pair_comes_first(d in prop::collection::vec(-5i32..6, 1..70)) {
        let d: Vec<f64> = d.into_iter().map(f64::from).collect();
        let turned: Vec<f64> = d.iter().map(|d| -d).collect();
        let (a, b) = (signed_rank(&d).unwrap(), signed_rank(&turned).unwrap());
        prop_assert!(a.p == b.p && a.plus == b.minus && a.effect() == -b.effect());
        prop_assert!(a.p > 0.0 && a.p <= 1.0 && a.effect().abs() <= 1.0);
        prop_assert_eq!(a.n + a.zeros, d.len());
        prop_assert_eq!(rank_biserial(&d), Some(a.effect()));
    }

    #[test]
    fn the_sign_test_is_what_both_come_to_where_all_differ_alike(up in 0u64..25, down in 0u64..25) {
        prop_assume!(up + down > 0);
        let d: Vec<f64> = (0..up).map(|_| 1.0).chain((0..down).map(|_| -1.0)).collect();
        prop_assert!(close(signed_rank(&d).unwrap().p, mcnemar(up, down)));
        prop_assert!(close(rank_biserial(&d).unwrap() * (up + down) as f64, up as f64 - down as f64));
    }

    #[test]
    fn corrected_p_values_are_larger_and_in_the_same_order(p in prop::collection::vec(0.0f64..=1.0, 0..12)) {
        let corrected = holm(&p).unwrap();
        for (i, a) in corrected.iter().enumerate() {
            prop_assert!(*a >= p[i] && *a <= 1.0 && *a <= (p[i] * p.len() as f64).min(1.0));
            prop_assert!(corrected.iter().zip(&p).all(|(b, q)| (p[i] <= *q) == (a <= b) || a == b));
        }
    }

    #[test]
    fn kendall_sees_order_alone(a in prop::collection::vec(-5i32..6, 2..12), b in prop::collection::vec(-5i32..6, 12)) {
        let a: Vec<f64> = a.into_iter().map(f64::from).collect();
        let b: Vec<f64> = b.into_iter().map(f64::from).take(a.len()).collect();
        let tau = kendall(&a, &b);
        let grown: Vec<f64> = a.iter().map(|v| v.powi(3)).collect();
        let turned: Vec<f64> = b.iter().map(|v| -v).collect();
        prop_assert_eq!(tau, kendall(&grown, &b));
        prop_assert_eq!(tau, kendall(&b, &a));
        prop_assert_eq!(tau.map(|t| -t), kendall(&a, &turned));
        prop_assert!(kendall(&a, &a).is_none_or(|t| close(t, 1.0)));
    }
}

#[test]
fn without_values_there_is_nothing_to_say() {
    let nan = [1.0, f64::NAN];
    let infinite = [1.0, f64::INFINITY];
    assert!(SOME.mean(&[]).is_none() && SOME.mean(&nan).is_none() && SOME.mean(&infinite).is_none());
    assert!(SOME.macro_mean(&[]).is_none() && SOME.macro_mean(&[vec![], vec![]]).is_none());
    assert!(SOME.macro_mean(&[vec![(0, f64::NAN)]]).is_none());
    assert!(signed_rank(&[]).is_none() && signed_rank(&nan).is_none() && rank_biserial(&[]).is_none());
    assert!(holm(&nan).is_none() && holm(&[-0.1]).is_none() && holm(&[]) == Some(vec![]));
    assert!(
        kendall(&nan, &nan).is_none() && kendall(&[1.0, 1.0], &[1.0, 2.0]).is_none() && kendall(&[], &[]).is_none()
    );
    assert_eq!(mcnemar(0, 0), 1.0);
    assert!(close(mcnemar(0, 10), 2.0 / 1024.0) && mcnemar(4, 4) == 1.0);
}

#[test]
fn one_value_or_many_alike_have_no_spread() {
    let one = SOME.mean(&[0.1]).unwrap();
    assert!(one.mean == 0.1 && one.interval().is_none() && one.n == 1);
    let alike = SOME.mean(&[0.1; 7]).unwrap();
    assert_eq!((alike.mean, alike.interval()), (0.1, Some(Interval { low: 0.1, high: 0.1 })));
    assert!(alike.bca.is_none());
    // One image alone, whatever it shows.
    assert!(SOME.macro_mean(&[vec![(3, 0.5)], vec![(3, 1.0)]]).unwrap().interval().is_none());
}

#[test]
fn where_no_pair_differs_there_is_no_effect() {
    let none = signed_rank(&[0.0, -0.0, 0.0]).unwrap();
    assert_eq!((none.p, none.effect(), none.n, none.zeros), (1.0, 0.0, 0, 3));
}

#[test]
fn each_class_counts_the_same() {
    let classes = [vec![(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], vec![(0, 0.0)], vec![]];
    let found = SOME.macro_mean(&classes).unwrap();
    // Drawn are both classes, or one of them twice.
    assert_eq!((found.mean, found.n, found.percentile), (0.5, 2, Some(Interval { low: 0.0, high: 1.0 })));
}

#[test]
fn intervals_are_those_of_scipy() {
    for golden in goldens("bootstrap") {
        let found = asked(&golden).mean(&numbers(&golden["values"])).unwrap();
        assert!(same_interval(found.percentile, &golden["percentile"]), "{found:?} {golden}");
        assert!(same_interval(found.bca, &golden["bca"]), "{found:?} {golden}");
    }
}

#[test]
fn means_over_classes_are_those_written_out_in_numpy() {
    for golden in goldens("macro") {
        let class = |class: &Value| {
            class.as_array().unwrap().iter().map(|v| (v[0].as_u64().unwrap(), v[1].as_f64().unwrap())).collect()
        };
        let classes: Vec<Vec<(u64, f64)>> = golden["classes"].as_array().unwrap().iter().map(class).collect();
        let found = asked(&golden).macro_mean(&classes).unwrap();
        assert!(close(found.mean, golden["mean"].as_f64().unwrap()));
        assert!(same_interval(found.percentile, &golden["percentile"]), "{found:?} {golden}");
    }
}

#[test]
fn tests_are_those_of_scipy_and_statsmodels() {
    for golden in goldens("signed_rank") {
        let found = signed_rank(&numbers(&golden["differences"])).unwrap();
        let number = |field: &str| golden[field].as_f64().unwrap();
        assert_eq!(found.exact, golden["exact"].as_bool().unwrap());
        assert!(close(found.plus, number("plus")) && near(found.p, number("p")), "{found:?} {golden}");
        assert!(close(found.effect(), number("effect")));
    }
    for golden in goldens("mcnemar") {
        let p = mcnemar(golden["first"].as_u64().unwrap(), golden["second"].as_u64().unwrap());
        assert!((p / golden["p"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{p} {golden}");
    }
    for golden in goldens("holm") {
        let found = holm(&numbers(&golden["p"])).unwrap();
        assert!(found.iter().zip(numbers(&golden["corrected"])).all(|(a, b)| close(*a, b)), "{found:?} {golden}");
    }
    for golden in goldens("kendall") {
        let found = kendall(&numbers(&golden["a"]), &numbers(&golden["b"])).unwrap();
        assert!(close(found, golden["tau"].as_f64().unwrap()));
    }
}
