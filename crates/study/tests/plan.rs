//! Plans: what they count is what the schedule has, and power behaves as power does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{design, study};
use hirescam_study::plan::Plan;
use hirescam_study::schedule::Schedule;
use hirescam_study::{Design, Error};
use std::path::Path;

const SMALL: &str = "raters = { answers_per_item = 8, seconds_per_answer = 6.0, pay_per_hour = 12.0 }";

fn small(question: &str, more: &str) -> Design {
    design(question, 2, &format!("{SMALL}\n{more}"))
}

#[test]
fn a_plan_counts_what_the_schedule_has() {
    let design = small("kind = \"prefer\"", "assume = { simulations = 2 }");
    let plan = Plan::with(&design, 10).unwrap();
    let (manifest, _) = study("kind = \"prefer\"", 2, 10, SMALL);
    let schedule = Schedule::of(&manifest);
    let all: usize = (0..schedule.slots()).map(|slot| schedule.trials(slot).unwrap().len()).sum();
    assert_eq!((plan.raters, plan.answers, plan.all_answers), (schedule.slots(), 80, all));
    // 10 items, 2 for practice, 2 checks, 2 repeats.
    assert_eq!(plan.of_rater, [16, 16]);
    assert!((plan.minutes_of_rater - 1.6).abs() < 1e-9 && (plan.minutes - all as f64 / 10.0).abs() < 1e-9);
    assert!((plan.pay.unwrap() - 12.0 * plan.minutes / 60.0).abs() < 1e-9);
}

#[test]
fn a_larger_effect_is_found_more_often_and_none_about_as_often_as_alpha() {
    for (question, more) in [
        ("kind = \"prefer\"", "assume = { simulations = 60 }\ntest = { effect = 0.8 }"),
        ("kind = \"rate\"", "assume = { simulations = 60 }\ntest = { effect = 1.5 }"),
        (
            "kind = \"locate\"",
            "assume = { simulations = 60, noise_sd = 0.2, rater_sd = 0.1, item_sd = 0.1 }\ntest = { effect = 0.2 }",
        ),
    ] {
        let plan = Plan::with(&small(question, more), 12).unwrap();
        assert!(plan.effect.unwrap().power > 0.7, "{question}: {plan:?}");
        // Four standard errors about 5 %.
        assert!(plan.no_effect.unwrap().power < 0.17, "{question}: {plan:?}");
        let smallest = plan.smallest.unwrap();
        assert!(
            smallest.power >= plan.wanted && smallest.effect > plan.no_effect.unwrap().effect,
            "{question}: {plan:?}"
        );
        assert!(smallest.effect <= plan.effect.unwrap().effect || plan.effect.unwrap().power < plan.wanted);
        let interval = plan.effect.unwrap().interval;
        assert!(interval.low < plan.effect.unwrap().power && plan.effect.unwrap().power <= interval.high);
    }
}

#[test]
fn where_nothing_is_found_the_plan_says_so() {
    // Two items and two answers each: no effect is beyond what two items could differ by.
    let design = design(
        "kind = \"rate\"",
        2,
        "raters = { answers_per_item = 1, repeats = 0 }\nassume = { simulations = 20, item_sd = 5.0 }",
    );
    let plan = Plan::with(&design, 2).unwrap();
    assert!(plan.smallest.is_none());
    let words = plan.in_words();
    assert!(words.iter().any(|line| line.contains("No effect within reach")), "{words:?}");
}

#[test]
fn the_words_have_the_numbers() {
    let design = small("kind = \"prefer\"", "assume = { simulations = 20 }");
    let plan = Plan::with(&design, 10).unwrap();
    let words = plan.in_words().join("\n");
    for part in [
        "It takes 8 raters and 80 answers",
        "16 answers",
        "Raters are paid",
        "with a power of",
        "20 simulated studies",
        "Assumed: raters differ by 0.5",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn items_are_counted_from_the_images_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    for image in 0..9 {
        std::fs::write(folder.path().join(format!("{image}.png")), "no image is read").unwrap();
    }
    let mut design = small("kind = \"prefer\"", "assume = { simulations = 2 }");
    design.items.images = vec![".".into()];
    let refused = Plan::of(&design, folder.path()).unwrap_err().to_string();
    assert!(refused.contains("m.onnx: the network of the arm \"A\""), "{refused}");
    std::fs::write(folder.path().join("m.onnx"), "no network is opened").unwrap();
    // Two for practice and two for checks.
    assert_eq!(Plan::of(&design, folder.path()).unwrap().items, 5);
    design.items.limit = Some(3);
    assert_eq!(Plan::of(&design, folder.path()).unwrap().items, 3);
    design.items.practice = 8;
    let refused = Plan::of(&design, folder.path()).unwrap_err();
    assert!(matches!(&refused, Error::Design(why) if why.contains("make 9 items")), "{refused}");
    assert!(Plan::of(&design, Path::new("/nowhere")).is_err());
}

#[test]
fn an_image_of_a_data_set_makes_an_item_for_each_class_that_it_shows() {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"));
    let mut design = small("kind = \"prefer\"", "assume = { simulations = 2 }");
    design.items.data = Some("scenes/VOC2012".into());
    design.arms.iter_mut().for_each(|arm| arm.model = "scenes/network.onnx".into());
    design.items.options.split = Some("trainval".into());
    let of_classes = Plan::of(&design, fixtures).unwrap().items;
    design.question = toml::from_str("kind = \"reveal\"").unwrap();
    let of_images = Plan::of(&design, fixtures).unwrap().items;
    assert!(of_images >= 1 && of_classes > of_images, "{of_classes} {of_images}");
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let mut design = small("kind = \"prefer\"", "assume = { simulations = 2 }");
    assert!(matches!(Plan::with(&design, 0), Err(Error::Design(_))));
    design.arms.truncate(1);
    assert!(matches!(Plan::with(&design, 5), Err(Error::Design(_))));
}

#[test]
fn a_plan_says_that_fewer_items_come_again_than_are_asked_for() {
    let design = small("kind = \"prefer\"", "assume = { simulations = 1 }");
    let words = Plan::with(&design, 1).unwrap().in_words().join("\n");
    assert!(words.contains("raters.repeats is 2, and a rater sees too few of the 1 item: 1 come again."), "{words}");
    assert!(!Plan::with(&design, 9).unwrap().in_words().join("\n").contains("come again"));
}

#[test]
fn of_one_arm_the_plan_has_the_cost_alone() {
    let mut design = small("kind = \"locate\"", "assume = { simulations = 2 }");
    design.items.images = vec!["photos".into()];
    design.arms.truncate(1);
    let plan = Plan::with(&design, 5).unwrap();
    assert!(plan.effect.is_none() && plan.no_effect.is_none() && plan.smallest.is_none() && plan.raters == 8);
    let words = plan.in_words().join("\n");
    assert!(words.contains("5 items, 1 arm (A)") && words.contains("With one arm there is nothing to test"), "{words}");
}
