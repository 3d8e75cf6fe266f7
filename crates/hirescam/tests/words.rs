//! What is said of a map must be true of its numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod spec;

use hirescam::core::certify::Verdict;
use hirescam::methods::{Settings, rows};
use hirescam::{Explanation, Input, Network, Spec};
use ndarray::{ArrayD, IxDyn};
use spec::tract;

const ZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/zoo");

/// Multiples of the golden ratio, modulo 1, within ±1.
fn image() -> Input {
    let value = |i: usize| ((i as f64 * 0.618_033_988_749_895) % 1.0 * 2.0 - 1.0) as f32;
    let values = (0..3 * 32 * 32).map(value).collect();
    Input::Tensor(ArrayD::from_shape_vec(IxDyn(&[1, 3, 32, 32]), values).unwrap().into())
}

fn explain(file: &str, options: &Spec) -> Option<Explanation> {
    let explainer = Network::open(format!("{ZOO}/{file}")).ok()?.explainer(options).ok()?;
    Some(explainer.explain_one(image()).ok()?.into_maps().remove(0))
}

#[test]
fn what_is_said_of_the_sum_follows_the_residual() {
    let settings = Settings { samples: Some(4), steps: Some(2), cells: 3, ..Settings::default() };
    let mut seen = [0; 4];
    for file in ["flatten_fc.ts.onnx", "resnet.ts.onnx", "squashed.ts.onnx", "vit.ts.onnx"] {
        for row in rows() {
            let options = Spec { method: row.name.into(), settings: settings.clone(), ..tract() };
            let Some(e) = explain(file, &options) else { continue };
            let (words, caption) = (e.in_words().join("\n"), e.caption());
            let name = format!("{} of {file}: {words}\n{caption}", row.name);
            let Some(residual) = e.residual else {
                assert!(
                    !e.method().additive
                        && !words.contains("cells add up")
                        && !words.contains("which add up")
                        && !caption.contains('Σ'),
                    "{name}"
                );
                assert!((e.adds_up(), e.share()) == (None, None), "{name}");
                seen[0] += 1;
                continue;
            };
            let total = (e.sum + e.other_tokens.unwrap_or(0.0)) / e.certificate().scale as f64;
            assert!((e.score - total - e.bias.unwrap_or(0.0) - residual).abs() < 1e-9, "{name}");
            let adds_up = residual.abs() < 1e-3 * (e.score.abs() + total.abs());
            assert_eq!(words.contains("make the score"), e.adds_up().unwrap() && e.bias_is_known, "{name}");
            assert!(
                !e.adds_up().unwrap() || adds_up || e.map.iter().any(|v| f64::from(v.abs()) > e.score.abs()),
                "{name}"
            );
            assert_eq!(caption.contains("residual"), !e.adds_up().unwrap(), "{name}");
            assert!(e.certificate().verdict != Verdict::Exact || !words.contains("NOT"), "{name}");
            assert_eq!(e.tested().is_none(), e.bias.is_some() && !e.bias_is_known, "{name}");
            seen[if e.adds_up().unwrap() { 1 } else { 2 }] += 1;
            seen[3] += usize::from(e.integral.is_some_and(|i| (i.delta + residual).abs() < 1e-4 && i.steps == 2));
        }
    }
    assert!(seen.iter().all(|n| *n > 1), "{seen:?}");
}

#[test]
fn numbers_that_contradict_the_certificate_are_not_passed_over() {
    let good = explain("flatten_fc.ts.onnx", &tract()).unwrap();
    assert!(good.certificate().verdict == Verdict::Exact && good.bias_is_known);
    assert!(good.in_words()[0].contains("make the score") && good.adds_up() == Some(true));
    let mut bad = good.clone();
    bad.score += 0.01 * good.score.abs();
    bad.residual = Some(good.residual.unwrap() + 0.01 * good.score.abs());
    let words = bad.in_words();
    assert!(bad.adds_up() == Some(false) && words[0].contains("and NOT the score"), "{words:?}");
    assert!(words[0].contains("deserves a report") && bad.caption().contains("residual"));
}

#[test]
fn a_map_that_explains_next_to_nothing_says_so() {
    let says = |e: &Explanation| e.in_words().into_iter().filter(|line| line.contains("next to nothing")).count();
    let good = explain("flatten_fc.ts.onnx", &tract()).unwrap();
    assert_eq!(says(&good), 0);
    // What is in the map cancels, or there is nothing.
    let mut cancels = good.clone();
    let mean = good.map.iter().sum::<f32>() / good.map.len() as f32;
    cancels.map.mapv_inplace(|v| v - mean);
    cancels.sum = cancels.map.iter().map(|v| f64::from(*v)).sum();
    cancels.residual = Some(good.score - cancels.sum - good.bias.unwrap());
    assert!(says(&cancels) == 1 && cancels.in_words().iter().any(|line| line.contains("cancel")));
    let mut empty = cancels.clone();
    empty.map.fill(0.0);
    empty.sum = 0.0;
    assert!(says(&empty) == 1 && empty.in_words().iter().any(|line| line.starts_with("every cell is 0")));
    assert!(empty.caption().contains("Σ 0 (0 %)"), "{}", empty.caption());
}

#[test]
fn integrated_gradients_take_more_steps_until_they_add_up() {
    let with = |steps, tolerance| {
        let settings = Settings { steps, tolerance, ..Settings::default() };
        let method = "integrated-gradients".into();
        explain("squashed.ts.onnx", &Spec { method, settings, ..tract() }).unwrap()
    };
    let within =
        |e: &Explanation, share: f64| e.residual.unwrap().abs() <= share * (e.score - e.bias.unwrap()).abs() + 1e-5;
    let alone = with(Some(2), None);
    assert_eq!(alone.integral.map(|i| (i.steps, i.tolerance, i.converged)), Some((2, None, true)));
    let by_itself = with(None, None);
    assert!(by_itself.integral.unwrap().converged && within(&by_itself, 0.01));
    let fine = with(Some(2), Some(0.02));
    let integral = fine.integral.unwrap();
    assert!(integral.converged && integral.steps > 2 && integral.steps <= 32 && within(&fine, 0.02), "{integral:?}");
    let never = with(Some(2), Some(0.0));
    assert_eq!(never.integral.map(|i| (i.steps, i.converged)), Some((32, false)));
    assert!(never.in_words().iter().any(|line| line.contains("has not converged: with 32 steps")));
}
