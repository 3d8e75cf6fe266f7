//! Storage, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{KINDS, SMALL, Size, database, given, make, wait};
use hirescam_server::study::store::{Begun, Kept, Said};
use hirescam_server::study::ways::{Mturk, Prolific, Way};
use hirescam_server::study::{Error, Store};
use hirescam_study::answer::{Choice, Given};
use hirescam_study::manifest::Manifest;
use std::collections::BTreeSet;

/// Runs a test on each database.
fn each(size: Size, test: impl Fn(&Store, &Manifest, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = make("prefer", size, &folder.path().join("study"));
    for (name, address) in database::each(folder.path()) {
        eprintln!("{name}");
        let store = wait(Store::open(&address, &manifest)).unwrap();
        test(&store, &manifest, &address);
        wait(store.close());
    }
}

fn begin(store: &Store, way: &Way, now: i64, away_since: i64) -> Begun {
    wait(store.begin(way, now, away_since)).unwrap()
}

fn name(begun: Begun) -> String {
    match begun {
        Begun::Rater(name) => name,
        other => panic!("{other:?}"),
    }
}

fn said(trial: usize, choice: Choice) -> Said {
    Said { trial, given: Given::Prefer { choice }, ms: 1200 + trial as u64, window: Some([800, 600]) }
}

fn prolific(pid: &str) -> Way {
    Way::Prolific(Prolific { pid: pid.into(), study: "s".into(), session: "t".into() })
}

#[test]
fn the_first_answer_to_a_trial_stands_and_a_resend_changes_nothing() {
    each(SMALL, |store, manifest, _| {
        let rater = name(begin(store, &Way::Open, 10, 0));
        let first = said(0, Choice::First);
        assert_eq!(wait(store.keep(&rater, &first, 6, 20)).unwrap(), Kept::Yes);
        let before = wait(store.export()).unwrap();
        for again in [first.clone(), said(0, Choice::Second), Said { ms: 9, window: None, ..first }] {
            assert_eq!(wait(store.keep(&rater, &again, 6, 30)).unwrap(), Kept::Yes);
        }
        assert_eq!(wait(store.export()).unwrap(), before);
        assert_eq!(before.answers.len(), 1);
        assert!(before.running && before.study == manifest.study);
        wait(store.run(false, 40)).unwrap();
        assert!(!wait(store.export()).unwrap().running);
        assert_eq!(
            (before.answers[0].ms, before.answers[0].at, before.answers[0].window),
            (1200, 20, Some([800, 600]))
        );
        assert_eq!(wait(store.keep(&rater, &said(2, Choice::First), 6, 40)).unwrap(), Kept::Early);
        assert_eq!(wait(store.keep("nobody", &said(0, Choice::First), 6, 40)).unwrap(), Kept::Gone);
    });
}

#[test]
fn of_answers_that_are_sent_at_once_one_is_kept() {
    each(SMALL, |store, _, _| {
        let rater = name(begin(store, &Way::Open, 10, 0));
        wait(async {
            let sent = (0..20).map(|at| {
                let (store, rater) = (store.clone(), rater.clone());
                let choice = if at % 2 == 0 { Choice::First } else { Choice::Second };
                tokio::spawn(async move { store.keep(&rater, &said(0, choice), 6, at).await.unwrap() })
            });
            for one in sent.collect::<Vec<_>>() {
                assert_eq!(one.await.unwrap(), Kept::Yes);
            }
        });
        assert_eq!(wait(store.export()).unwrap().answers.len(), 1);
    });
}

#[test]
fn everybody_who_begins_at_once_gets_a_slot_of_their_own() {
    each(Size { slots: 12, ..SMALL }, |store, _, _| {
        let begun: Vec<Begun> = wait(async {
            let all: Vec<_> = (0..40)
                .map(|at| {
                    let store = store.clone();
                    tokio::spawn(async move { store.begin(&Way::Open, at, 0).await.unwrap() })
                })
                .collect();
            let mut begun = Vec::new();
            for one in all {
                begun.push(one.await.unwrap());
            }
            begun
        });
        assert_eq!(begun.iter().filter(|begun| **begun == Begun::Full).count(), 28);
        let slots: BTreeSet<usize> = wait(store.export()).unwrap().raters.iter().map(|rater| rater.slot).collect();
        assert_eq!(slots, (0..12).collect());
    });
}

#[test]
fn one_platform_id_is_one_rater_and_one_link_is_used_once() {
    each(Size { slots: 12, ..SMALL }, |store, _, _| {
        let begun = |way: Way| {
            wait(async {
                let all: Vec<_> = (0..6)
                    .map(|at| {
                        let (store, way) = (store.clone(), way.clone());
                        tokio::spawn(async move { store.begin(&way, at, 0).await.unwrap() })
                    })
                    .collect();
                let mut begun = Vec::new();
                for one in all {
                    begun.push(one.await.unwrap());
                }
                begun
            })
        };
        let same: BTreeSet<String> = begun(prolific("p1")).into_iter().map(name).collect();
        assert_eq!(same.len(), 1);
        assert_eq!(wait(store.returning(&prolific("p1"))).unwrap(), same.first().cloned());
        assert_eq!(wait(store.returning(&prolific("p2"))).unwrap(), None);
        let link = begun(Way::Link { id: "x".into() });
        assert_eq!(link.iter().filter(|begun| **begun == Begun::Used).count(), 5);
        assert_eq!(wait(store.export()).unwrap().raters.len(), 2);
    });
}

#[test]
fn who_withdraws_leaves_nothing_and_frees_the_slot() {
    each(SMALL, |store, _, _| {
        let rater = name(begin(store, &prolific("p1"), 10, 0));
        let other = name(begin(store, &Way::Open, 10, 0));
        for rater in [&rater, &other] {
            wait(store.keep(rater, &said(0, Choice::First), 6, 20)).unwrap();
        }
        wait(store.withdraw(&rater)).unwrap();
        wait(store.withdraw(&rater)).unwrap();
        let left = wait(store.export()).unwrap();
        assert_eq!(left.withdrawn, 1);
        assert_eq!(left.raters.iter().map(|rater| &rater.name).collect::<Vec<_>>(), [&other]);
        assert!(left.answers.iter().all(|answer| answer.rater == other));
        assert_eq!(wait(store.keep(&rater, &said(1, Choice::First), 6, 20)).unwrap(), Kept::Gone);
        assert_eq!(wait(store.rater(&rater)).unwrap(), None);
        assert_eq!(wait(store.returning(&prolific("p1"))).unwrap(), None);
        let next = name(begin(store, &Way::Open, 30, 0));
        assert_eq!(wait(store.rater(&next)).unwrap().unwrap().slot, 0);
    });
}

#[test]
fn the_slot_of_one_who_stays_away_is_given_again_when_no_other_is_left() {
    each(Size { slots: 2, ..SMALL }, |store, _, _| {
        let away = name(begin(store, &Way::Open, 10, 0));
        wait(store.keep(&away, &said(0, Choice::First), 2, 20)).unwrap();
        let done = name(begin(store, &Way::Open, 10, 20));
        for trial in 0..2 {
            wait(store.keep(&done, &said(trial, Choice::First), 2, 20)).unwrap();
        }
        assert_eq!(begin(store, &Way::Open, 100, 20), Begun::Full);
        let next = name(begin(store, &Way::Open, 100, 21));
        assert_eq!(begin(store, &Way::Open, 100, 21), Begun::Full);
        assert_eq!(wait(store.rater(&next)).unwrap().unwrap().slot, 0);
        // What was answered stays; nothing more is taken.
        assert_eq!(wait(store.keep(&away, &said(0, Choice::Second), 2, 110)).unwrap(), Kept::Yes);
        assert_eq!(wait(store.keep(&away, &said(1, Choice::First), 2, 110)).unwrap(), Kept::Away);
        let rater = wait(store.rater(&away)).unwrap().unwrap();
        assert!(!rater.holds && rater.answered == 1 && rater.finished.is_none());
        assert_eq!(wait(store.export()).unwrap().answers.iter().filter(|answer| answer.rater == away).count(), 1);
        // Of those who withdraw after their slot was given away, nothing is freed.
        wait(store.withdraw(&away)).unwrap();
        assert_eq!(begin(store, &Way::Open, 120, 0), Begun::Full);
    });
}

#[test]
fn platform_ids_are_deleted_alone() {
    each(SMALL, |store, _, _| {
        let way =
            Way::Mturk(Mturk { worker: "w".into(), assignment: "a".into(), hit: "h".into(), submit_to: String::new() });
        let rater = name(begin(store, &way, 10, 0));
        wait(store.keep(&rater, &said(0, Choice::First), 6, 20)).unwrap();
        let before = wait(store.export()).unwrap();
        assert!(wait(store.platform_details(&rater)).unwrap().unwrap().contains("\"workerId\":\"w\""));
        assert_eq!(wait(store.forget_platform_ids(30)).unwrap(), 1);
        assert_eq!(wait(store.platform_details(&rater)).unwrap(), None);
        assert_eq!(wait(store.export()).unwrap(), before);
        assert_eq!(wait(store.events()).unwrap()[0].what, "1 platform ids were deleted");
    });
}

#[test]
fn a_stopped_study_takes_nobody_new() {
    each(SMALL, |store, _, _| {
        let rater = name(begin(store, &prolific("p1"), 10, 0));
        wait(store.run(false, 20)).unwrap();
        assert_eq!(begin(store, &Way::Open, 30, 0), Begun::Stopped);
        assert_eq!(begin(store, &prolific("p1"), 30, 0), Begun::Rater(rater.clone()));
        assert_eq!(wait(store.keep(&rater, &said(0, Choice::First), 6, 40)).unwrap(), Kept::Yes);
        wait(store.run(true, 50)).unwrap();
        assert!(matches!(begin(store, &Way::Open, 60, 0), Begun::Rater(_)));
    });
}

#[test]
fn answers_of_every_kind_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    for (at, kind) in KINDS.into_iter().enumerate() {
        let manifest = make(kind, SMALL, &folder.path().join(kind));
        let databases = folder.path().join(format!("db{at}"));
        std::fs::create_dir(&databases).unwrap();
        for (_, address) in database::each(&databases) {
            let store = wait(Store::open(&address, &manifest)).unwrap();
            let rater = name(begin(&store, &Way::Open, 10, 0));
            let one = Said { trial: 0, given: given(kind), ms: u64::MAX / 4, window: None };
            wait(store.keep(&rater, &one, 1, 20)).unwrap();
            let out = wait(store.export()).unwrap();
            assert_eq!((&out.answers[0].given, out.answers[0].ms, out.answers[0].window), (&one.given, one.ms, None));
            assert_eq!(out.raters[0].finished, Some(20));
            wait(store.close());
        }
    }
}

#[test]
fn a_database_is_opened_again_by_its_own_manifest_only() {
    each(SMALL, |store, manifest, address| {
        let rater = name(begin(store, &Way::Open, 10, 0));
        let (one, two) = wait(async {
            let open = || Store::open(address, manifest);
            let (one, two) = (open().await.unwrap(), open().await.unwrap());
            (one, two)
        });
        assert_eq!(one.secret(), store.secret());
        assert_eq!(wait(two.rater(&rater)).unwrap().unwrap().name, rater);
        let changed = Manifest { title: "Another".into(), ..manifest.clone() };
        assert!(matches!(wait(Store::open(address, &changed)), Err(Error::OtherManifest { .. })));
        // Another study has a place of its own in the same database.
        let other = Manifest { study: "f".repeat(32), ..manifest.clone() };
        let three = wait(Store::open(address, &other)).unwrap();
        assert!(wait(three.export()).unwrap().raters.is_empty());
        assert_eq!(wait(three.rater(&rater)).unwrap(), None);
        assert_ne!(three.secret(), store.secret());
    });
}

#[test]
fn a_database_without_the_study_has_no_answers_and_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = make("prefer", SMALL, &folder.path().join("study"));
    let other = Manifest { study: "f".repeat(32), ..manifest.clone() };
    for (name, address) in database::each(folder.path()) {
        let none = || wait(Store::open_existing(&address, &manifest)).err().unwrap();
        assert!(matches!(none(), Error::NoAnswers { .. }), "{name}: {}", none());
        wait(async { Store::open(&address, &other).await.unwrap().close().await });
        // Twice: the first attempt has made no place for it.
        for _ in 0..2 {
            assert!(none().to_string().contains("does not have the study"), "{name}: {}", none());
        }
        wait(async { Store::open(&address, &manifest).await.unwrap().close().await });
        assert!(wait(Store::open_existing(&address, &manifest)).is_ok(), "{name}");
    }
}

#[test]
fn what_is_no_database_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = make("prefer", SMALL, folder.path());
    assert!(matches!(wait(Store::open("mysql://a/b", &manifest)), Err(Error::Invalid(_))));
    let refused = wait(Store::open("postgres://me:secret@127.0.0.1:1/none", &manifest)).err().unwrap();
    assert!(matches!(refused, Error::Unreachable { .. }));
    let says = refused.to_string();
    assert!(says.contains("none at 127.0.0.1:1 cannot be opened") && says.contains("refused"), "{says}");
    assert!(!says.contains("secret"), "{says}");
    let nowhere = hirescam_server::study::store::address_of(&folder.path().join("no/such/folder/a.sqlite")).unwrap();
    let refused = wait(Store::open(&nowhere, &manifest)).err().unwrap();
    assert!(
        refused.to_string().contains("no/such/folder/a.sqlite cannot be opened: its folder is not there"),
        "{refused}"
    );
    let text = folder.path().join("text.sqlite");
    std::fs::write(&text, "this is no database, but some text that somebody wrote").unwrap();
    let text = hirescam_server::study::store::address_of(&text).unwrap();
    let refused = wait(Store::open(&text, &manifest)).err().unwrap();
    assert!(
        refused.to_string().contains("text.sqlite cannot be opened") && refused.to_string().contains("not a database")
    );
}
