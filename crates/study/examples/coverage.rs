//! How often intervals hold the truth: studies are simulated whose truth is known, and analysed.
//!
//! ```text
//! cargo run --release -p hirescam-study --example coverage -- 1000 200
//! ```
//!
//! The first number says how many studies there are of each kind, the second how often the bootstrap draws, a third with which seed the first study
//! begins; a fourth word takes the questions of one kind alone. It prints the table of docs/study-results.md.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use hirescam_evaluate::statistics::Interval;
use hirescam_study::design::Design;
use hirescam_study::plan::stand_in;
use hirescam_study::results::analyse;
use hirescam_study::schedule::Schedule;
use hirescam_study::simulate::{World, expected, simulate};
use rayon::prelude::*;

struct Case {
    question: &'static str,
    arms: usize,
    items: usize,
    /// Answers per item, and items per rater.
    answers: usize,
    of_rater: usize,
    effect: f64,
    /// The deviations of raters, items and noise.
    spread: [f64; 3],
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map(|n| n.parse::<usize>().unwrap());
    let (studies, resamples, seed) = (number(0).unwrap_or(1000), number(1).unwrap_or(200), number(2).unwrap_or(0));
    println!(
        "| question | arms | items | raters | items a rater | effect | raters, items, noise | truth | crossed | bootstrap | Wilson |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (number, case) in cases().iter().enumerate() {
        if arguments.get(3).is_none_or(|kind| case.question.contains(&format!("\"{kind}\""))) {
            row(case, studies, resamples, seed + number * studies);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [(12, 10, 12), (12, 20, 12), (24, 12, 24), (30, 12, 15)];
    for (items, answers, of_rater) in sizes {
        for (effect, spread) in [
            (0.5, [0.5, 0.5, 0.0]),
            (0.6, [0.5, 0.5, 0.0]),
            (0.75, [0.5, 0.5, 0.0]),
            (0.6, [0.25, 1.0, 0.0]),
            (0.6, [1.0, 0.25, 0.0]),
            (0.6, [0.0, 0.0, 0.0]),
        ] {
            cases.push(Case { question: "kind = \"prefer\"", arms: 2, items, answers, of_rater, effect, spread });
        }
    }
    let (items, answers, of_rater) = (12, 20, 12);
    cases.push(Case {
        question: "kind = \"prefer\"",
        arms: 3,
        items,
        answers,
        of_rater,
        effect: 0.6,
        spread: [0.5, 0.5, 0.0],
    });
    cases.push(Case {
        question: "kind = \"trust\"",
        arms: 2,
        items,
        answers,
        of_rater,
        effect: 0.6,
        spread: [0.5, 0.5, 0.0],
    });
    for effect in [0.0, 0.5] {
        cases.push(Case {
            question: "kind = \"rate\"",
            arms: 2,
            items,
            answers,
            of_rater,
            effect,
            spread: [0.5, 0.5, 1.0],
        });
        cases.push(Case {
            question: "kind = \"rate\"",
            arms: 2,
            items: 30,
            answers: 6,
            of_rater: 15,
            effect,
            spread: [0.5, 0.5, 1.0],
        });
    }
    cases.push(Case {
        question: "kind = \"reveal\"\noptions = 0",
        arms: 2,
        items,
        answers,
        of_rater,
        effect: 0.1,
        spread: [0.1, 0.1, 0.2],
    });
    cases
}

fn row(case: &Case, studies: usize, resamples: usize, seed: usize) {
    let Case { question, arms, items, answers, of_rater, effect, spread: [rater_sd, item_sd, noise_sd] } = case;
    let names: String = (0..*arms).map(|arm| format!("[[arms]]\nname = \"{arm}\"\nmodel = \"m.onnx\"\n")).collect();
    let design: Design = toml::from_str(&format!(
        "title = \"Coverage\"\nseed = 1\nraters = {{ answers_per_item = {answers}, items_per_rater = {of_rater}, repeats = 0 }}\n\
         test = {{ resamples = {resamples} }}\n\
         assume = {{ rater_sd = {rater_sd:?}, item_sd = {item_sd:?}, noise_sd = {noise_sd:?} }}\n[question]\n{question}\n[items]\nchecks = 2\n{names}"
    ))
    .unwrap();
    let (manifest, key) = stand_in(&design, *items).unwrap();
    let schedule = Schedule::of(&manifest);
    let world = World::one_better(&manifest, None, &design.assume, 0, *effect);
    let truth = expected(&design.question, &world, 0, 1).unwrap();
    let holds = |interval: Option<Interval>| interval.map(|i| i.low <= truth && truth <= i.high);
    let study = |number: usize| {
        let answers = simulate(&manifest, &schedule, &world, (seed + number) as u64);
        let results = analyse(&manifest, &key, &answers).unwrap();
        let comparison = results.planned.comparisons.into_iter().next().unwrap();
        [comparison.interval, comparison.bootstrap, comparison.wilson].map(holds)
    };
    let found: Vec<[Option<bool>; 3]> = (0..studies).into_par_iter().map(study).collect();
    let share = |which: usize| {
        let of: Vec<bool> = found.iter().filter_map(|f| f.get(which).copied().flatten()).collect();
        match of.is_empty() {
            true => "".into(),
            false => format!("{:.1} %", 100.0 * of.iter().filter(|held| **held).count() as f64 / studies as f64),
        }
    };
    println!(
        "| {} | {arms} | {items} | {} | {of_rater} | {effect} | {rater_sd}, {item_sd}, {noise_sd} | {truth:.4} | {} | {} | {} |",
        design.question.word(),
        schedule.slots(),
        share(0),
        share(1),
        share(2)
    );
}
