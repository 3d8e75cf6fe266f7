//! Who sees what: balance is exact to one, whatever the study.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_study::Manifest;
use hirescam_study::design::{Consent, Exclude, Finish, Raters};
use hirescam_study::kinds::{Locate, Prefer, Question, Rate, Reveal, Shows, Trust};
use hirescam_study::manifest::{Item, Role, SCHEMA};
use hirescam_study::schedule::{Schedule, Trial};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn item(number: usize, role: Role) -> Item {
    Item {
        id: format!("{number}"),
        role,
        class: "cat".into(),
        photo: "photo.png".into(),
        size: [1, 1],
        pictures: Vec::new(),
        uncovered: Vec::new(),
        options: Vec::new(),
        expected: None,
    }
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let questions = prop_oneof![
        Just(Question::Prefer(Prefer::default())),
        Just(Question::Rate(Rate::default())),
        Just(Question::Locate(Locate::default())),
        Just(Question::Reveal(Reveal::default())),
        Just(Question::Trust(Trust::default())),
    ];
    let counts = (1usize..25, 0usize..4, 0usize..5);
    (questions, 2usize..5, counts, 1usize..6, proptest::option::of(1usize..30), 0usize..4, any::<u64>()).prop_map(
        |(question, arms, (items, practice, checks), answers_per_item, items_per_rater, repeats, seed)| {
            let roles = [(Role::Counts, items), (Role::Practice, practice), (Role::Check, checks)];
            let roles = roles.into_iter().flat_map(|(role, n)| std::iter::repeat_n(role, n));
            Manifest {
                schema: SCHEMA,
                version: String::new(),
                study: String::new(),
                title: String::new(),
                question,
                arms,
                items: roles.enumerate().map(|(number, role)| item(number, role)).collect(),
                seed,
                raters: Raters { answers_per_item, items_per_rater, repeats, ..Raters::default() },
                exclude: Exclude::default(),
                consent: Consent::default(),
                finish: Finish::default(),
                files: BTreeMap::new(),
                key: String::new(),
            }
        },
    )
}

/// Numbers of which none is larger than another by more than one; those that never came are 0.
fn even(counts: &BTreeMap<usize, usize>, of: usize) -> bool {
    let count = |key| counts.get(&key).copied().unwrap_or(0);
    let (least, most) = (0..of).map(count).fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    of == 0 || most - least <= 1
}

fn counted(values: impl Iterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn items_arms_sides_and_positions_are_balanced_to_one(manifest in manifests()) {
        let schedule = Schedule::of(&manifest);
        let items = manifest.items.iter().filter(|item| item.role == Role::Counts).count();
        let counts = |trial: &&Trial| manifest.items[trial.item].role == Role::Counts && !trial.repeat;
        let rows: Vec<Vec<Trial>> =
            (0..schedule.slots()).map(|slot| schedule.trials(slot).unwrap().iter().filter(counts).cloned().collect()).collect();
        let all: Vec<(usize, usize, &Trial)> = (rows.iter().enumerate())
            .flat_map(|(slot, row)| row.iter().enumerate().map(move |(at, trial)| (slot, at, trial)))
            .collect();
        let of_rater = manifest.raters.items_per_rater.unwrap_or(items).min(items);
        // A number for each set of arms that can be shown.
        let condition = |trial: &Trial| {
            let mut arms = trial.arms.clone();
            arms.sort_unstable();
            arms.iter().fold(1, |number, arm| number * 8 + arm)
        };
        let conditions: Vec<usize> = match manifest.question.shows() {
            Shows::None => vec![1],
            Shows::One => (0..manifest.arms).map(|a| 8 + a).collect(),
            Shows::Two => (0..manifest.arms).flat_map(|a| (a + 1..manifest.arms).map(move |b| (8 + a) * 8 + b)).collect(),
        };
        let place = |trial: &Trial| conditions.iter().position(|c| *c == condition(trial)).expect("arms that can be shown");
        let turned = |trial: &Trial| usize::from(trial.arms.windows(2).any(|two| two[0] > two[1]));

        // Every item gets its answers under every condition, and nobody sees one twice.
        let seen = counted(all.iter().map(|(.., trial)| trial.item));
        prop_assert!(even(&seen, items));
        prop_assert!(seen.values().all(|n| *n >= manifest.raters.answers_per_item * conditions.len()));
        for row in &rows {
            prop_assert_eq!(row.len(), of_rater);
            prop_assert!(counted(row.iter().map(|trial| trial.item)).values().all(|n| *n == 1));
            prop_assert!(even(&counted(row.iter().map(&place)), conditions.len()));
        }
        for item in 0..items {
            let own = || all.iter().filter(|(.., trial)| trial.item == item);
            prop_assert!(even(&counted(own().map(|(.., trial)| place(trial))), conditions.len()));
            prop_assert!(even(&counted(own().map(|(_, at, _)| *at)), of_rater));
        }
        // Sides: of each pair of arms, for each item and for each rater.
        if manifest.question.shows() == Shows::Two {
            for pair in 0..conditions.len() {
                for item in 0..items {
                    let own = all.iter().filter(|(.., trial)| trial.item == item && place(trial) == pair);
                    prop_assert!(even(&counted(own.map(|(.., trial)| turned(trial))), 2));
                }
                for row in &rows {
                    prop_assert!(even(&counted(row.iter().filter(|trial| place(trial) == pair).map(turned)), 2));
                }
            }
        }
    }

    #[test]
    fn a_row_has_practice_first_then_all_checks_and_repeats_that_are_turned_round(manifest in manifests()) {
        let schedule = Schedule::of(&manifest);
        prop_assert_eq!(&schedule, &Schedule::of(&manifest));
        let role = |trial: &Trial| manifest.items[trial.item].role;
        let number = |wanted| manifest.items.iter().filter(|item| item.role == wanted).count();
        for slot in 0..schedule.slots() {
            let row = schedule.trials(slot).unwrap();
            let practice = number(Role::Practice);
            prop_assert!(row.iter().take(practice).all(|trial| role(trial) == Role::Practice));
            prop_assert!(row.iter().skip(practice).all(|trial| role(trial) != Role::Practice));
            prop_assert_eq!(row.iter().filter(|trial| role(trial) == Role::Check).count(), number(Role::Check));
            let repeats: Vec<&Trial> = row.iter().filter(|trial| trial.repeat).collect();
            let counts = row.iter().filter(|trial| role(trial) == Role::Counts && !trial.repeat).count();
            prop_assert_eq!(repeats.len(), manifest.raters.repeats.min(counts));
            for again in repeats {
                let first = row.iter().find(|trial| trial.item == again.item && !trial.repeat).unwrap();
                prop_assert!(first.arms.iter().eq(again.arms.iter().rev()));
            }
            for check in row.iter().filter(|trial| role(trial) == Role::Check) {
                let pictures = match manifest.question.shows() {
                    Shows::None => 0,
                    Shows::One => 1,
                    Shows::Two => 2,
                };
                let mut arms = check.arms.clone();
                arms.sort_unstable();
                prop_assert_eq!(arms, (0..pictures).collect::<Vec<_>>());
            }
        }
        prop_assert!(schedule.trials(schedule.slots()).is_err());
    }
}
