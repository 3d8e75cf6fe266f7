//! Results: what must hold of any study, and what raters of a known kind come to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::study;
use hirescam_evaluate::statistics::Interval;
use hirescam_study::answer::{Answers, Choice, Given, Mark};
use hirescam_study::manifest::{KeyMap, Role};
use hirescam_study::results::{Comparison, IntervalBy, Results, analyse, page, write};
use hirescam_study::schedule::Schedule;
use hirescam_study::simulate::{World, expected, simulate};
use hirescam_study::{Error, Key, Manifest};
use proptest::prelude::*;

const FEW: &str = "test = { resamples = 50 }\nraters = { answers_per_item = 12 }";

/// A kind of question, with an effect that is seen and raters to whom it is one.
const KINDS: [(&str, f64, &str); 5] = [
    ("kind = \"prefer\"", 0.75, "assume = { dropout = 0.2 }"),
    ("kind = \"trust\"", 0.75, "assume = { dropout = 0.2 }"),
    ("kind = \"rate\"", 0.8, "assume = { dropout = 0.2 }"),
    ("kind = \"reveal\"\noptions = 0", 0.2, "assume = { rater_sd = 0.1, item_sd = 0.1, noise_sd = 0.1 }"),
    ("kind = \"locate\"", 0.0, "assume = { rater_sd = 0.1, item_sd = 0.1, noise_sd = 0.05 }"),
];

/// A study of a kind. The map of arm `A` has its peak at one place of four, that of the others everywhere.
fn of_kind(kind: usize, arms: usize) -> (Manifest, Key, Answers) {
    let (question, effect, assume) = KINDS[kind];
    // Marks meet maps cell by cell: fewer of them are enough.
    let few = if kind == 4 { FEW.replace("12", "4") } else { FEW.to_owned() };
    let (manifest, mut key) = study(question, arms, 12, &format!("{few}\n{assume}"));
    with_maps(&mut key);
    let answers = answered(&manifest, &key, effect, 3);
    (manifest, key, answers)
}

fn with_maps(key: &mut Key) {
    let arms = key.arms.len();
    for (at, item) in key.items.iter_mut().enumerate() {
        let mut peaked = vec![0.0; 16];
        peaked[at % 16] = 1.0;
        let map = |map: Vec<f32>| KeyMap {
            verdict: "exact".into(),
            score: 1.0,
            map,
            shape: [4, 4],
            view: [0.0, 0.0, 1.0, 1.0],
        };
        item.maps =
            (0..arms).map(|arm| map(if arm == 0 { peaked.clone() } else { [1.0, 0.5, 0.5, 0.5].repeat(4) })).collect();
    }
}

/// Answers of raters to whom the arm `A` is better by `effect`.
fn answered(manifest: &Manifest, key: &Key, effect: f64, seed: u64) -> Answers {
    let better = key.arms.iter().position(|arm| arm.name == "A").unwrap();
    let world = World::one_better(manifest, Some(key), &key.design.assume, better, effect);
    simulate(manifest, &Schedule::of(manifest), &world, seed)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn first(results: &Results) -> &Comparison {
    &results.planned.comparisons[0]
}

fn refused(manifest: &Manifest, key: &Key, answers: &Answers) -> String {
    match analyse(manifest, key, answers) {
        Err(Error::Results(because)) => because,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_better_arm_is_found_and_said_whatever_the_question() {
    for kind in 0..KINDS.len() {
        let (manifest, key, answers) = of_kind(kind, 2);
        let found = analyse(&manifest, &key, &answers).unwrap();
        let comparison = first(&found);
        let for_first = if comparison.measure.more_is_better { 1.0 } else { -1.0 };
        assert!(for_first * (comparison.estimate - comparison.measure.null) > 0.0, "{}", found.sentence);
        assert!(comparison.p.unwrap() < 0.05, "{}", found.sentence);
        assert_eq!((comparison.first.as_str(), comparison.second.as_str()), ("A", "B"));
        assert!(found.simulated && found.sentence.starts_with("SIMULATED RATERS, no people: "));
        assert!(found.sentence.contains("A") && found.sentence.contains("95 % interval"), "{}", found.sentence);
        assert!(comparison.by_item.first > comparison.by_item.second);
    }
}

#[test]
fn seen_from_the_other_arm_all_is_turned_round() {
    for kind in 0..KINDS.len() {
        let (manifest, mut key, answers) = of_kind(kind, 2);
        let before = analyse(&manifest, &key, &answers).unwrap();
        key.design.arms.reverse();
        let after = analyse(&manifest, &key, &answers).unwrap();
        for (a, b) in before.planned.comparisons.iter().zip(&after.planned.comparisons) {
            assert_eq!((&a.first, &a.second), (&b.second, &b.first));
            let turned = |v: f64| 2.0 * a.measure.null - v;
            assert!(near(turned(a.estimate), b.estimate), "{a:?}\n{b:?}");
            assert!(near(a.p.unwrap(), b.p.unwrap()) && near(a.error.unwrap(), b.error.unwrap()));
            let (x, y) = (a.interval.unwrap(), b.interval.unwrap());
            assert!(near(turned(x.low), y.high) && near(turned(x.high), y.low));
            assert_eq!((a.by_item.first, a.by_rater.first), (b.by_item.second, b.by_rater.second));
        }
        let alpha = |r: &Results| r.planned.agreement.as_ref().unwrap().alpha.alpha;
        assert!((alpha(&before) - alpha(&after)).abs() < 1e-9);
    }
}

#[test]
fn a_sentence_says_which_way_a_difference_goes() {
    for (kind, more, less) in
        [(2, "points higher than", "points lower than"), (3, "more of the image", "less of the image")]
    {
        let (manifest, mut key, answers) = of_kind(kind, 2);
        let found = analyse(&manifest, &key, &answers).unwrap();
        key.design.arms.reverse();
        let turned = analyse(&manifest, &key, &answers).unwrap();
        let is_more = first(&found).estimate > 0.0;
        assert!(found.sentence.contains(if is_more { more } else { less }), "{}", found.sentence);
        assert!(turned.sentence.contains(if is_more { less } else { more }), "{}", turned.sentence);
        let amount = format!("{:.3}", first(&found).estimate.abs());
        assert!(found.sentence.contains(&amount) && turned.sentence.contains(&amount));
    }
}

#[test]
fn it_does_not_matter_in_which_order_answers_come() {
    let (manifest, key, mut answers) = of_kind(0, 2);
    let before = analyse(&manifest, &key, &answers).unwrap();
    answers.answers.reverse();
    assert_eq!(before, analyse(&manifest, &key, &answers).unwrap());
}

#[test]
fn the_record_is_read_again_as_it_was_written() {
    for kind in 0..KINDS.len() {
        let (manifest, key, answers) = of_kind(kind, 2);
        let found = analyse(&manifest, &key, &answers).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &found).unwrap();
        let text = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), found);
        let table = std::fs::read_to_string(folder.path().join("comparisons.csv")).unwrap();
        let both = found.planned.comparisons.len() + found.everyone.comparisons.len();
        assert_eq!(table.lines().count(), 1 + both);
        assert!(table.contains(&first(&found).estimate.to_string()));
    }
}

#[test]
fn every_answer_is_counted_once() {
    for kind in 0..KINDS.len() {
        let (manifest, mut key, answers) = of_kind(kind, 2);
        key.items[1].same = true;
        let found = analyse(&manifest, &key, &answers).unwrap();
        let of = &found.flow.answers;
        let parts = [of.practice, of.checks, of.repeats, of.same, of.excluded, of.fast, of.without, of.counted];
        assert_eq!((of.all, of.all), (answers.answers.len(), parts.iter().sum()));
        assert_eq!((found.planned.answers, found.planned.items, found.flow.same), (of.counted, 11, 1));
        let flow = &found.flow;
        assert_eq!(flow.began, flow.finished + flow.unfinished + flow.withdrew);
    }
}

#[test]
fn who_breaks_a_rule_is_listed_with_the_reason_and_both_analyses_are_there() {
    let rules = "exclude = { fastest_ms = 500, too_fast_share = 0.3, failed_checks = 1, same_in_a_row = 6, keep_unfinished = false }";
    let more = format!("{FEW}\n{rules}\nassume = {{ lapse = 0.0, dropout = 0.0 }}");
    let (manifest, key) = study("kind = \"prefer\"", 2, 12, &more);
    let mut answers = answered(&manifest, &key, 0.6, 5);
    let name = |slot: usize| answers.raters[slot].name.clone();
    let names: Vec<String> = (0..5).map(name).collect();
    answers.raters[0].finished = None;
    let schedule = Schedule::of(&manifest);
    let checks =
        |slot: usize, trial: usize| manifest.items[schedule.trials(slot).unwrap()[trial].item].role == Role::Check;
    for answer in &mut answers.answers {
        let is_check = checks(answer.slot, answer.trial);
        match answer.slot {
            1 if is_check => answer.given = Given::Prefer { choice: Choice::Neither },
            2 => answer.ms = 400,
            3 if !is_check => answer.given = Given::Prefer { choice: Choice::First },
            // One answer that is too fast takes nobody out.
            4 if answer.trial == 5 => answer.ms = 400,
            _ => {}
        }
    }
    let found = analyse(&manifest, &key, &answers).unwrap();
    let rules: Vec<(&str, &str)> = found.excluded.iter().map(|e| (e.rater.as_str(), e.rule.as_str())).collect();
    let expected = ["keep_unfinished", "failed_checks", "too_fast_share", "same_in_a_row"];
    assert_eq!(rules, names.iter().map(String::as_str).zip(expected).collect::<Vec<_>>());
    assert!(found.excluded[1].because.contains("failed 2 attention checks (allowed: 1)"));
    assert_eq!((found.planned.raters, found.everyone.raters), (8, 12));
    assert_eq!((found.flow.excluded, found.flow.counted), (4, 8));
    assert!(found.flow.answers.fast == 1 && found.planned.answers == 8 * 12 - 1, "{:?}", found.flow);
    assert!(found.sentence.contains("4 excluded by rules laid down beforehand"), "{}", found.sentence);
    assert!(found.sentence.contains("With all 144 answers"), "{}", found.sentence);
}

#[test]
fn answers_that_do_not_fit_are_refused_in_a_sentence() {
    let (manifest, key, answers) = of_kind(0, 2);
    let with = |change: &dyn Fn(&mut Answers)| {
        let mut changed = answers.clone();
        change(&mut changed);
        refused(&manifest, &key, &changed)
    };
    assert_eq!(with(&|a| *a = Answers { study: a.study.clone(), ..Answers::default() }), "there are no answers yet");
    assert_eq!(with(&|a| a.answers.truncate(2)), "none of the 2 answers counts: 2 to practice items");
    let mut same = key.clone();
    same.items.iter_mut().for_each(|item| item.same = true);
    let said = refused(&manifest, &same, &answers);
    assert!(said.contains("to items of which all arms' maps are the same, which are left out"), "{said}");
    assert!(with(&|a| a.answers[0].rater = "nobody".into()).contains("no such rater"));
    assert!(with(&|a| a.answers[0].slot = 3).contains("slot 3"));
    assert!(with(&|a| a.answers[0].trial = 900).contains("trial 900"));
    assert!(with(&|a| a.answers[0].given = Given::Rate { points: 1 }).contains("of the kind prefer"));
    assert!(with(&|a| a.answers.push(a.answers[0].clone())).contains("stands twice"));
    assert!(with(&|a| a.raters.push(a.raters[0].clone())).contains("stands twice"));
    assert!(with(&|a| (a.raters[0].slot, a.answers[0].slot) = (9000, 9000)).contains("9000"));
}

#[test]
fn of_one_arm_results_say_how_its_maps_do_by_themselves() {
    let (manifest, key, answers) = of_kind(4, 1);
    let found = analyse(&manifest, &key, &answers).unwrap();
    let said = &found.sentence;
    assert!(
        said.contains("Of the positive values of A's maps a share of ") && said.contains("(95 % interval "),
        "{said}"
    );
    assert!(said.contains("nothing to compare") && !said.contains("does not tell the arms apart"), "{said}");
    assert!(page(&found).contains("There is one arm: nothing is compared."));
}

#[test]
fn a_sentence_names_the_model_only_where_one_was_fitted() {
    let (manifest, key, mut answers) = of_kind(0, 2);
    assert!(analyse(&manifest, &key, &answers).unwrap().sentence.contains("crossed mixed-effects model"));
    answers.answers.retain(|answer| answer.slot == 0);
    answers.raters.truncate(1);
    let found = analyse(&manifest, &key, &answers).unwrap();
    assert!(found.sentence.contains("no interval") && !found.sentence.contains("mixed-effects"), "{}", found.sentence);
}

#[test]
fn names_of_arms_are_no_formulas_in_tables() {
    let (mut manifest, mut key, answers) = of_kind(0, 2);
    manifest.items.iter_mut().take(6).for_each(|item| item.class = "@dog".into());
    key.design.arms[0].name = "=1+1".into();
    key.arms.iter_mut().filter(|arm| arm.name == "A").for_each(|arm| arm.name = "=1+1".into());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &analyse(&manifest, &key, &answers).unwrap()).unwrap();
    for table in ["comparisons.csv", "parts.csv"] {
        let text = std::fs::read_to_string(folder.path().join(table)).unwrap();
        assert!(text.contains(",'=1+1,") && !text.contains(",=1+1") && !text.contains(",@dog"), "{text}");
    }
}

#[test]
fn answers_to_another_study_are_refused_by_its_name() {
    let (manifest, key, mut answers) = of_kind(0, 2);
    answers.study = "f".repeat(32);
    let said = refused(&manifest, &key, &answers);
    assert!(said.contains("answers to another study") && said.contains(&answers.study), "{said}");
}

#[test]
fn results_say_everywhere_how_many_raters_had_finished_if_not_all_had() {
    let (mut manifest, key) = study("kind = \"prefer\"", 2, 12, &format!("{FEW}\nassume = {{ dropout = 0.0 }}"));
    manifest.items.iter_mut().take(6).for_each(|item| item.class = "dog".into());
    let whole = answered(&manifest, &key, 0.75, 3);
    let all = analyse(&manifest, &key, &whole).unwrap();
    assert!(!all.is_early() && !all.sentence.contains("had finished"), "{}", all.sentence);
    for (running, words) in
        [(true, "looked at when only 11 of 12 raters"), (false, "stopped when only 11 of 12 raters")]
    {
        let mut answers = whole.clone();
        answers.running = running;
        answers.raters[0].finished = None;
        let found = analyse(&manifest, &key, &answers).unwrap();
        assert!(found.sentence.contains(words), "{}", found.sentence);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &found).unwrap();
        let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(file("results.html").contains("<p><b>The study ") && file("results.html").contains(words));
        let record: serde_json::Value = serde_json::from_str(&file("results.json")).unwrap();
        assert_eq!((&record["running"], &record["flow"]["places"]), (&running.into(), &12.into()));
        for table in ["comparisons.csv", "parts.csv"] {
            let end = format!(",11,12,{}", u8::from(running));
            let rows = file(table);
            assert!(rows.lines().count() > 1 && rows.lines().skip(1).all(|line| line.ends_with(&end)), "{rows}");
        }
    }
}

#[test]
fn only_results_of_the_same_study_are_replaced() {
    let (manifest, key, answers) = of_kind(0, 2);
    let found = analyse(&manifest, &key, &answers).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &found).unwrap();
    write(folder.path(), &found).unwrap();
    let mut other = found.clone();
    other.study = "f".repeat(32);
    let refused = write(folder.path(), &other).unwrap_err().to_string();
    assert!(refused.contains("results of another study"), "{refused}");
    let text = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), found);
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("results.html"), "somebody's page").unwrap();
    let refused = write(foreign.path(), &found).unwrap_err().to_string();
    assert!(refused.contains("results.html cannot be written: it is there already"), "{refused}");
    assert_eq!(std::fs::read_to_string(foreign.path().join("results.html")).unwrap(), "somebody's page");
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let (manifest, key, answers) = of_kind(0, 2);
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        refused(&changed, &key, &answers)
    };
    assert!(with(&|m| m.exclude.failed_checks = 9).contains("rules of exclusion"));
    assert!(with(&|m| m.raters.repeats = 0).contains("numbers of raters"));
    assert!(with(&|m| m.items[0].id = "other".into()).contains("items"));
    assert!(with(&|m| m.study = "other".into()).contains("names"));
    assert!(with(&|m| m.arms = 3).contains("arms"));
}

#[test]
fn answers_that_are_all_the_same_have_the_exact_interval_of_the_fewer_clusters() {
    let (manifest, key) = study("kind = \"prefer\"", 2, 12, &format!("{FEW}\nassume = {{ lapse = 0.0 }}"));
    let mut answers = answered(&manifest, &key, 0.6, 5);
    let schedule = Schedule::of(&manifest);
    for answer in &mut answers.answers {
        let trial = &schedule.trials(answer.slot).unwrap()[answer.trial];
        if manifest.items[trial.item].role == Role::Counts {
            let choice = if trial.arms[0] == 0 { Choice::First } else { Choice::Second };
            answer.given = Given::Prefer { choice };
        }
    }
    let found = analyse(&manifest, &key, &answers).unwrap();
    let comparison = first(&found);
    assert_eq!((comparison.estimate, comparison.interval_by), (1.0, IntervalBy::Exact));
    // Twelve of twelve: from (α / 2)^(1/12) on.
    let interval = comparison.interval.unwrap();
    assert!((interval.low - 0.025f64.powf(1.0 / 12.0)).abs() < 1e-6 && interval.high == 1.0, "{interval:?}");
    assert!(near(comparison.p.unwrap(), 2.0 * 0.5f64.powi(12)));
}

#[test]
fn a_class_that_was_not_named_counts_as_all_of_the_image() {
    let (manifest, key, mut answers) = of_kind(3, 2);
    for answer in &mut answers.answers {
        answer.given = Given::Reveal { class: "class".into(), steps: 10 };
    }
    let named = analyse(&manifest, &key, &answers).unwrap();
    assert!(named.planned.means.iter().filter(|m| m.measure.name == "uncovered").all(|m| near(m.mean, 0.5)));
    for answer in &mut answers.answers {
        answer.given = Given::Reveal { class: if answer.slot % 2 == 0 { "" } else { "dog" }.into(), steps: 10 };
    }
    let wrong = analyse(&manifest, &key, &answers).unwrap();
    // Checks were failed, too.
    assert!(wrong.everyone.means.iter().filter(|m| m.measure.name == "uncovered").all(|m| near(m.mean, 1.0)));
    assert!(wrong.everyone.means.iter().filter(|m| m.measure.name == "named").all(|m| near(m.mean, 0.0)));
}

#[test]
fn marks_meet_maps_where_they_lie_on_the_photo() {
    let (mut manifest, mut key, mut answers) = of_kind(4, 2);
    for (item, known) in manifest.items.iter_mut().zip(&mut key.items) {
        item.size = [200, 100];
        let map = |map: Vec<f32>, view| KeyMap { verdict: "exact".into(), score: 1.0, map, shape: [1, 2], view };
        // One network saw the right half alone, with the positive part in its left half; the other all of it.
        known.maps = vec![map(vec![2.0, -1.0], [0.5, 0.0, 1.0, 1.0]), map(vec![0.0, 3.0], [0.0, 0.0, 1.0, 1.0])];
    }
    let marked = |answers: &mut Answers, mark: Mark| {
        answers.answers.iter_mut().for_each(|a| a.given = Given::Locate { mark: mark.clone() });
    };
    let mean = |found: &Results, arm: &str, measure: &str| {
        found.everyone.means.iter().find(|m| m.arm == arm && m.measure.name == measure).unwrap().mean
    };
    marked(&mut answers, Mark::Box { left: 0.5, top: 0.0, right: 1.0, bottom: 1.0 });
    let right = analyse(&manifest, &key, &answers).unwrap();
    // All of A's positive values lie there, and its peak; of B's between the centres, a ramp from 0 at a quarter to 3 at three quarters.
    assert!(near(mean(&right, "A", "energy"), 1.0) && near(mean(&right, "A", "hit"), 1.0));
    let b = mean(&right, "B", "energy");
    // Over the right half ½ · ½(1.5 + 3) · ½ + ¼ · 3 of ½ · ½ · 3 + ¼ · 3 in all: 1.3125 of 1.5.
    assert!((b - 1.3125 / 1.5).abs() < 0.01, "{b}");
    marked(&mut answers, Mark::Box { left: 0.0, top: 0.0, right: 0.5, bottom: 1.0 });
    let left = analyse(&manifest, &key, &answers).unwrap();
    assert!(
        near(mean(&left, "A", "energy"), 0.0)
            && near(mean(&left, "A", "hit"), 0.0)
            && near(mean(&left, "A", "iou"), 0.0)
    );
    assert!((mean(&left, "B", "energy") + b - 1.0).abs() < 1e-9);
    // What is nowhere has no value, and is counted.
    marked(&mut answers, Mark::Nothing);
    answers
        .answers
        .iter_mut()
        .filter(|a| a.slot == 0)
        .for_each(|a| a.given = Given::Locate { mark: Mark::Point { x: 0.9, y: 0.5 } });
    let marks = analyse(&manifest, &key, &answers);
    assert!(matches!(marks, Err(Error::Results(_))), "a point is no answer where a box was asked for");
}

#[test]
fn a_map_that_is_seen_beyond_the_photo_is_cut_not_squeezed() {
    let (manifest, mut key, mut answers) = of_kind(4, 2);
    for known in &mut key.items {
        let map =
            |view| KeyMap { verdict: "exact".into(), score: 1.0, map: vec![5.0, 1.0, 1.0, 5.0], shape: [1, 4], view };
        // The outer cells lie beyond the photo.
        known.maps = vec![map([-0.5, 0.0, 1.5, 1.0]), map([0.0, 0.0, 1.0, 1.0])];
    }
    answers.answers.iter_mut().for_each(|a| {
        a.given = Given::Locate { mark: Mark::Box { left: 0.25, top: 0.0, right: 0.75, bottom: 1.0 } };
    });
    let found = analyse(&manifest, &key, &answers).unwrap();
    let energy =
        |arm: &str| found.everyone.means.iter().find(|m| m.arm == arm && m.measure.name == "energy").unwrap().mean;
    // Within the photo the first is 3 at its borders and falls to 1 at a quarter: ¼ · 2 on either side of ½ · 1.
    assert!((energy("A") - 0.5 / 1.5).abs() < 0.01, "{}", energy("A"));
    assert!(energy("B") < energy("A"));
}

#[test]
fn answers_that_follow_a_metric_correlate_with_it_whichever_way_it_is_better() {
    let (manifest, mut key) = study("kind = \"prefer\"", 2, 12, FEW);
    for (at, item) in key.items.iter_mut().enumerate() {
        let of = |value: f64| [("insertion".to_owned(), value), ("deletion".to_owned(), value)].into();
        item.metrics = vec![of(at as f64), of(0.0)];
    }
    let mut answers = answered(&manifest, &key, 0.6, 5);
    let schedule = Schedule::of(&manifest);
    for answer in &mut answers.answers {
        let trial = &schedule.trials(answer.slot).unwrap()[answer.trial];
        // The more raters prefer the arm number 0, the larger the item's number.
        if manifest.items[trial.item].role == Role::Counts {
            let for_first_arm = answer.slot < trial.item;
            answer.given = Given::Prefer {
                choice: if for_first_arm == (trial.arms[0] == 0) { Choice::First } else { Choice::Second },
            };
        }
    }
    let found = analyse(&manifest, &key, &answers).unwrap();
    let rho = |metric: &str| found.everyone.relations.iter().find(|r| r.metric == metric).unwrap();
    assert!(rho("insertion").correlation.rho > 0.99 && !rho("insertion").turned);
    assert!(rho("deletion").correlation.rho < -0.99 && rho("deletion").turned);
}

#[test]
fn three_arms_are_ranked_and_their_tests_corrected() {
    let (manifest, key, answers) = of_kind(0, 3);
    let found = analyse(&manifest, &key, &answers).unwrap();
    let ranking = found.planned.ranking.as_ref().unwrap();
    assert_eq!(ranking.arms[0].arm, "A");
    assert!(near(ranking.arms.iter().map(|a| a.strength).sum::<f64>(), 0.0) && ranking.ties > 0.0);
    let comparisons = &found.planned.comparisons;
    assert_eq!(comparisons.len(), 3);
    assert!(comparisons.iter().all(|c| c.corrected.unwrap() >= c.p.unwrap()));
    assert!(comparisons.iter().any(|c| c.corrected.unwrap() > c.p.unwrap()));
    assert!(found.sentence.contains("corrected by Holm"));
}

#[test]
fn classes_and_verdicts_are_shown_by_themselves() {
    let (mut manifest, mut key, answers) = of_kind(0, 2);
    for (at, (item, known)) in manifest.items.iter_mut().zip(&mut key.items).enumerate() {
        item.class = ["cat", "dog"][at % 2].into();
        known.maps[1].verdict = ["exact", "gradient-only"][at % 2].into();
    }
    let found = analyse(&manifest, &key, &answers).unwrap();
    let classes: Vec<(&str, usize)> = found.planned.classes.iter().map(|p| (p.part.as_str(), p.items)).collect();
    assert_eq!(classes, [("cat", 6), ("dog", 6)]);
    assert_eq!(found.planned.verdicts[0].part, "A: exact, B: gradient-only");
    assert_eq!(found.planned.classes.iter().map(|p| p.answers).sum::<usize>(), found.planned.answers);
}

#[test]
fn the_page_holds_all_it_shows_and_nothing_becomes_markup() {
    for kind in 0..KINDS.len() {
        let (mut manifest, mut key, answers) = of_kind(kind, 2);
        manifest.title = "<script>alert(1)</script>".into();
        key.arms[0].name = "<b>A</b>".into();
        key.design.arms[0].name = "<b>A</b>".into();
        let found = analyse(&manifest, &key, &answers).unwrap();
        let page = page(&found);
        assert!(!page.contains("<script") && !page.contains("<b>A") && page.contains("&lt;b&gt;A&lt;/b&gt;"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("NaN"));
        assert!(page.contains("<svg") && page.contains("No people were asked"));
    }
}

#[test]
fn many_simulated_studies_come_to_what_the_model_says() {
    for (question, effect, assume) in KINDS.into_iter().take(4) {
        let (manifest, key) = study(question, 2, 12, &format!("test = {{ resamples = 1 }}\n{assume}"));
        let schedule = Schedule::of(&manifest);
        let world = World::one_better(&manifest, None, &key.design.assume, 0, effect);
        let truth = expected(&manifest.question, &world, 0, 1).unwrap();
        let estimates: Vec<f64> = (0..60)
            .map(|seed| {
                first(&analyse(&manifest, &key, &simulate(&manifest, &schedule, &world, seed)).unwrap()).estimate
            })
            .collect();
        let n = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let error = (estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        // Four standard errors.
        assert!((mean - truth).abs() < 4.0 * error, "{question}: {mean} ± {error}, {truth}");
    }
}

#[test]
fn simulated_raters_answer_with_every_tool_and_form() {
    for question in [
        "kind = \"locate\"\ntool = \"point\"",
        "kind = \"locate\"\ntool = \"brush\"\nnothing = false",
        "kind = \"prefer\"\nneither = false",
        "kind = \"rate\"\nsteps = 2",
    ] {
        let (manifest, mut key) =
            study(question, 2, 6, "test = { resamples = 20 }\nassume = { lapse = 0.5, noise_sd = 0.3 }");
        with_maps(&mut key);
        analyse(&manifest, &key, &answered(&manifest, &key, 0.6, 2)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_raters_say_results_are_numbers(
        kind in 0usize..5, arms in 2usize..4, items in 1usize..5, kept in 1usize..120, seed in any::<u64>(), same in any::<bool>(), fast in any::<bool>(),
    ) {
        let more = "test = { resamples = 20 }\nraters = { answers_per_item = 2, repeats = 1 }\nassume = { lapse = 0.9, dropout = 0.5 }";
        let (manifest, mut key) = study(KINDS[kind].0, arms, items, more);
        with_maps(&mut key);
        key.items[0].same = same;
        for (at, item) in key.items.iter_mut().enumerate() {
            let value = if at % 2 == 0 { f64::NAN } else { 1.0 };
            item.metrics = vec![[("deletion".to_owned(), value)].into(); arms];
        }
        let mut answers = answered(&manifest, &key, 0.6, seed);
        answers.answers.truncate(kept);
        answers.answers.iter_mut().filter(|_| fast).for_each(|a| a.ms = a.trial as u64 * 100);
        match analyse(&manifest, &key, &answers) {
            Ok(found) => {
                // What is no number does not come back from JSON.
                let text = serde_json::to_string(&found).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Results>(&text).unwrap(), &found);
                let page = page(&found);
                prop_assert!(!page.contains("NaN") && !page.contains("inf"), "{}", page);
                let of = &found.flow.answers;
                prop_assert_eq!(of.all, kept.min(of.all));
                prop_assert_eq!(found.planned.answers, of.counted);
            }
            Err(Error::Results(because)) => prop_assert!(because.contains("answers")),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    // docs/study-results.md has many more; four standard errors of 200 studies about 95 %.
    let (manifest, key) =
        study("kind = \"prefer\"", 2, 12, "test = { resamples = 1 }\nraters = { answers_per_item = 20, repeats = 0 }");
    let schedule = Schedule::of(&manifest);
    let world = World::one_better(&manifest, None, &key.design.assume, 0, 0.6);
    let truth = expected(&manifest.question, &world, 0, 1).unwrap();
    let holds = |seed: &u64| {
        let found = analyse(&manifest, &key, &simulate(&manifest, &schedule, &world, *seed)).unwrap();
        let Interval { low, high } = first(&found).interval.unwrap();
        low <= truth && truth <= high
    };
    let held = (0..200).filter(holds).count();
    assert!((178..=200).contains(&held), "{held} of 200");
}
