//! Statistics: what must hold whatever the answers, then goldens of scipy, statsmodels, krippendorff and choix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_evaluate::statistics::{Bootstrap, Interval};
use hirescam_study::statistics::*;
use proptest::prelude::*;
use serde_json::Value;

fn goldens(what: &str) -> Vec<Value> {
    let text = include_str!("../../../fixtures/study/statistics.json");
    let content: Value = serde_json::from_str(text).unwrap();
    content[what].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Relative to the larger of the two, or to 1.
fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

fn same(found: Interval, golden: &Value) -> bool {
    let golden = numbers(golden);
    near(found.low, golden[0], 1e-9) && near(found.high, golden[1], 1e-9)
}

fn observed(golden: &Value) -> Vec<Observed> {
    let row = |row: &Value| {
        let row = numbers(row);
        Observed { rater: row[0] as usize, item: row[1] as usize, value: row[2] }
    };
    golden["rows"].as_array().unwrap().iter().map(row).collect()
}

fn some() -> impl Strategy<Value = Vec<Observed>> {
    // Each cell of raters by items is there or not.
    (3usize..7, 3usize..7).prop_flat_map(|(raters, items)| {
        prop::collection::vec(prop::option::weighted(0.8, -4i32..5), raters * items).prop_map(move |cells| {
            let of = |(at, value): (usize, Option<i32>)| {
                value.map(|v| Observed { rater: at / items, item: at % items, value: f64::from(v) })
            };
            cells.into_iter().enumerate().filter_map(of).collect()
        })
    })
}

const SOME: Bootstrap = Bootstrap { resamples: 200, level: 0.9, seed: 1 };

proptest! {
    #[test]
    fn an_interval_moves_and_grows_with_the_answers(answers in some(), by in 1u32..4, to in -9i32..9) {
        let (scale, to) = (2f64.powi(by as i32), f64::from(to));
        let moved: Vec<Observed> = answers.iter().map(|o| Observed { value: o.value * scale + to, ..*o }).collect();
        let (a, b) = (crossed(&answers), crossed(&moved));
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert!(near(a.mean * scale + to, b.mean, 1e-9) && near(a.error * scale, b.error, 1e-9) && near(a.df, b.df, 1e-6));
        }
        if let (Some(a), Some(b)) = (pigeonhole(&answers, &SOME), pigeonhole(&moved, &SOME)) {
            prop_assert!(near(a.low * scale + to, b.low, 1e-9) && near(a.high * scale + to, b.high, 1e-9));
        }
    }

    #[test]
    fn raters_and_items_are_treated_alike(answers in some()) {
        let turned: Vec<Observed> = answers.iter().map(|o| Observed { rater: o.item, item: o.rater, ..*o }).collect();
        if let (Some(a), Some(b)) = (crossed(&answers), crossed(&turned)) {
            prop_assert!(near(a.error, b.error, 1e-9) && near(a.rater_variance, b.item_variance, 1e-9));
        }
    }

    #[test]
    fn a_value_is_rejected_exactly_where_the_interval_leaves_it_out(answers in some(), null in -3i32..4) {
        let null = f64::from(null) + 0.37;
        if let Some(found) = crossed(&answers)
            && let (Some(interval), Some(p)) = (found.interval(0.95), found.p(null))
        {
            prop_assert_eq!(p < 0.05, null < interval.low || null > interval.high);
        }
    }

    #[test]
    fn the_level_of_a_rater_or_an_item_is_no_difference_of_arms(
        answers in some(), of_rater in prop::collection::vec(-9i32..9, 7), of_item in prop::collection::vec(-9i32..9, 7), seed in any::<u64>(),
    ) {
        let graded = |moved: bool| -> Vec<Graded> {
            let of = |(at, o): (usize, &Observed)| {
                let level = f64::from(of_rater[o.rater] + of_item[o.item]);
                let value = o.value + if moved { level } else { 0.0 };
                Graded { rater: o.rater, item: o.item, first: seed >> (at % 64) & 1 == 1, value }
            };
            answers.iter().enumerate().map(of).collect()
        };
        let (a, b) = (effect(&graded(false)), effect(&graded(true)));
        prop_assert_eq!(a.is_some(), b.is_some());
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            prop_assert!(near(a.value, b.value, 1e-6), "{} {}", a.value, b.value);
        }
    }

    #[test]
    fn names_of_arms_do_not_matter_to_their_strengths(outcomes in prop::collection::vec((0usize..3, 0usize..3, 0u8..3), 40..80)) {
        let matches = |turn: fn(usize) -> usize| -> Vec<Match> {
            let of = |(at, (a, b, outcome)): (usize, &(usize, usize, u8))| Match {
                rater: at % 7, item: at / 7, arms: [turn(*a), turn(*b)], outcome: f64::from(*outcome) / 2.0,
            };
            outcomes.iter().enumerate().filter(|(_, m)| m.0 != m.1).map(of).collect()
        };
        let (a, b) = (bradley_terry(3, &matches(|a| a)), bradley_terry(3, &matches(|a| (a + 1) % 3)));
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            for arm in 0..3 {
                prop_assert!(near(a.strengths[arm], b.strengths[(arm + 1) % 3], 1e-6));
            }
            let (one, other) = (a.difference(0, 1).unwrap(), b.difference(1, 2).unwrap());
            prop_assert!(near(one.mean, a.strengths[0] - a.strengths[1], 1e-6));
            prop_assert!(near(one.error, other.error, 1e-6));
        }
    }
}

#[test]
fn without_answers_there_is_nothing_to_say() {
    let one = Observed { rater: 0, item: 0, value: 1.0 };
    let nan = Observed { value: f64::NAN, ..one };
    for answers in [&[][..], &[one], &[one, Observed { item: 1, ..one }], &[one, nan]] {
        assert!(crossed(answers).is_none() && pigeonhole(answers, &SOME).is_none());
    }
    // A rater an item each: who differs cannot be told from what differs.
    let alone: Vec<Observed> = (0..5).map(|i| Observed { rater: i, item: i, value: i as f64 }).collect();
    assert!(crossed(&alone).is_none());
    assert!(wilson(0.0, 0, 0.95).is_none() && clopper_pearson(2, 1, 0.95).is_none());
    assert!(effect(&[]).is_none() && bradley_terry(2, &[]).is_none() && spearman(&[], &SOME).is_none());
    assert!(krippendorff(&[vec![1.0], vec![2.0]], Level::Nominal, &SOME).is_none());
    assert!(krippendorff(&[vec![1.0, 1.0], vec![1.0, 1.0]], Level::Nominal, &SOME).is_none());
}

#[test]
fn answers_that_do_not_differ_have_no_interval() {
    let alike: Vec<Observed> = (0..12).map(|i| Observed { rater: i / 4, item: i % 4, value: 1.0 }).collect();
    let found = crossed(&alike).unwrap();
    assert!(found.mean == 1.0 && found.error == 0.0 && found.interval(0.95).is_none() && found.p(0.5).is_none());
}

#[test]
fn an_arm_that_always_wins_has_no_strength() {
    let of = |at: usize| Match { rater: at % 3, item: at / 3, arms: [0, 1], outcome: 1.0 };
    assert!(bradley_terry(2, &(0..9).map(of).collect::<Vec<_>>()).is_none());
    // Nor one that nobody saw.
    let of = |at: usize| Match { rater: at % 3, item: at / 3, arms: [0, 1], outcome: (at % 2) as f64 };
    assert!(bradley_terry(3, &(0..9).map(of).collect::<Vec<_>>()).is_none());
}

#[test]
fn pairs_of_one_group_are_drawn_together() {
    let alone: Vec<Vec<(f64, f64)>> = (0..8).map(|i| vec![(f64::from(i), f64::from(i * 3 % 8))]).collect();
    // Each pair three times over tells no more.
    let thrice: Vec<Vec<(f64, f64)>> = alone.iter().map(|group| group.repeat(3)).collect();
    let (a, b) = (spearman(&alone, &SOME).unwrap(), spearman(&thrice, &SOME).unwrap());
    let (x, y) = (a.interval.unwrap(), b.interval.unwrap());
    assert!(near(a.rho, b.rho, 1e-9) && near(x.low, y.low, 1e-9) && near(x.high, y.high, 1e-9));
    assert_eq!((a.n, b.n), (8, 24));
}

#[test]
fn full_agreement_is_1_and_answers_by_chance_are_0() {
    let agreed: Vec<Vec<f64>> = (0..6).map(|unit| vec![f64::from(unit % 3); 4]).collect();
    for level in [Level::Nominal, Level::Ordinal, Level::Interval] {
        assert_eq!(krippendorff(&agreed, level, &SOME).unwrap().alpha, 1.0);
    }
    let mut random = hirescam::random::Random::of_sample(1, 0);
    let chance: Vec<Vec<f64>> = (0..400).map(|_| (0..6).map(|_| random.below(3) as f64).collect()).collect();
    assert!(krippendorff(&chance, Level::Nominal, &SOME).unwrap().alpha.abs() < 0.05);
}

#[test]
fn shares_have_the_intervals_of_statsmodels() {
    for golden in goldens("shares") {
        let (k, n) = (golden["k"].as_u64().unwrap() as usize, golden["n"].as_u64().unwrap() as usize);
        let level = golden["level"].as_f64().unwrap();
        assert!(same(wilson(k as f64, n, level).unwrap(), &golden["wilson"]), "{golden}");
        assert!(same(clopper_pearson(k, n, level).unwrap(), &golden["clopper_pearson"]), "{golden}");
    }
}

#[test]
fn crossed_means_are_those_of_all_pairs_and_of_restricted_maximum_likelihood() {
    for golden in goldens("crossed") {
        let found = crossed(&observed(&golden)).unwrap();
        let variances = [found.rater_variance, found.item_variance, found.residual_variance];
        assert!(variances.iter().zip(numbers(&golden["variances"])).all(|(a, b)| near(*a, b, 1e-9)), "{found:?}");
        assert!(near(found.error.powi(2), golden["v"].as_f64().unwrap(), 1e-9));
        if let mixed @ Value::Object(_) = &golden["mixed"] {
            // statsmodels stops where its optimiser does.
            assert!(near(found.mean, mixed["mean"].as_f64().unwrap(), 1e-6));
            assert!(near(found.error, mixed["error"].as_f64().unwrap(), 1e-3), "{found:?} {mixed}");
            assert!(
                variances.iter().zip(numbers(&mixed["variances"])).all(|(a, b)| near(*a, b, 1e-2)),
                "{found:?} {mixed}"
            );
        }
    }
}

#[test]
fn the_bootstrap_over_raters_and_items_is_the_one_written_out_in_numpy() {
    for golden in goldens("pigeonhole") {
        let how = Bootstrap { resamples: 400, level: 0.9, seed: golden["seed"].as_u64().unwrap() };
        assert!(same(pigeonhole(&observed(&golden), &how).unwrap(), &golden["interval"]), "{golden}");
    }
}

#[test]
fn effects_are_those_of_least_squares() {
    for golden in goldens("effects") {
        let first = golden["first"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap());
        let graded = |(o, first): (Observed, bool)| Graded { rater: o.rater, item: o.item, first, value: o.value };
        let found = effect(&observed(&golden).into_iter().zip(first).map(graded).collect::<Vec<_>>()).unwrap();
        assert!(near(crossed(&found).unwrap().mean, golden["delta"].as_f64().unwrap(), 1e-9));
        assert!(found.iter().zip(numbers(&golden["shares"])).all(|(a, b)| near(a.value, b, 1e-8)));
    }
}

#[test]
fn agreement_is_that_of_the_krippendorff_package() {
    for golden in goldens("alphas") {
        let units: Vec<Vec<f64>> = golden["units"].as_array().unwrap().iter().map(numbers).collect();
        for (level, name) in [(Level::Nominal, "nominal"), (Level::Ordinal, "ordinal"), (Level::Interval, "interval")] {
            let how = Bootstrap { resamples: 200, level: 0.9, seed: 2 };
            let found = krippendorff(&units, level, &how).unwrap();
            assert!(near(found.alpha, golden["levels"][name].as_f64().unwrap(), 1e-9), "{name} {found:?}");
            assert!(
                same(found.interval.unwrap(), &golden["intervals"][name]),
                "{name} {found:?} {}",
                golden["intervals"]
            );
        }
    }
}

#[test]
fn strengths_are_those_of_maximum_likelihood_by_scipy_and_choix() {
    for golden in goldens("bradley_terry") {
        let of = |row: &Value| {
            let row = numbers(row);
            let at = |i: usize| row[i] as usize;
            Match { rater: at(0), item: at(1), arms: [at(2), at(3)], outcome: row[4] }
        };
        let matches: Vec<Match> = golden["rows"].as_array().unwrap().iter().map(of).collect();
        let found = bradley_terry(golden["arms"].as_u64().unwrap() as usize, &matches).unwrap();
        // Their optimisers stop at a gradient of 1e-9 and 1e-5.
        for (oracle, tolerance) in [("strengths", 1e-6), ("choix", 1e-4)] {
            let theirs = golden[oracle].as_array().map_or(found.strengths.clone(), |_| numbers(&golden[oracle]));
            assert!(found.strengths.iter().zip(theirs).all(|(a, b)| near(*a, b, tolerance)), "{oracle} {found:?}");
        }
        assert!(near(found.ties, golden["ties"].as_f64().unwrap(), 1e-5));
    }
}

#[test]
fn correlations_are_those_of_scipy() {
    for golden in goldens("correlations") {
        let pairs = numbers(&golden["x"]).into_iter().zip(numbers(&golden["y"]));
        let groups: Vec<Vec<(f64, f64)>> = pairs.map(|pair| vec![pair]).collect();
        let found = spearman(&groups, &Bootstrap { resamples: 300, level: 0.95, seed: 3 }).unwrap();
        assert!(near(found.rho, golden["rho"].as_f64().unwrap(), 1e-9));
        assert!(same(found.interval.unwrap(), &golden["interval"]), "{found:?} {golden}");
    }
}
