//! The pages and the owner's page, over the router.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use common::browser::{Browser, encoded};
use common::{KINDS, SMALL, Site, database, fields, given, make, site, site_in, wait};
use hirescam_server::study::ways::{Open, links};
use hirescam_server::study::{App, Options, Store, Study, now, openapi};
use hirescam_study::answer::{Given, Mark};
use hirescam_study::schedule::Schedule;
use sha2::{Digest, Sha256};
use std::time::Duration;

fn open(ways: &[Open]) -> Options {
    Options { ways: ways.to_vec(), ..Options::default() }
}

#[test]
fn a_study_of_each_kind_is_answered_from_consent_to_code_on_each_database() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let manifest = make(kind, SMALL, &folder.path().join("study"));
        for (name, address) in database::each(folder.path()) {
            let copy = tempfile::tempdir().unwrap();
            make(kind, SMALL, &copy.path().join("study"));
            std::fs::copy(folder.path().join("study/manifest.json"), copy.path().join("study/manifest.json")).unwrap();
            let site = site_in(copy, manifest.clone(), &address, Options::default());
            let mut rater = Browser::of(&site.app);
            let begun = rater.begin("/");
            assert_eq!(
                (begun.status, begun.header("location")),
                (StatusCode::SEE_OTHER, "/instructions"),
                "{name} {kind}"
            );
            let instructions = rater.get("/instructions").text();
            assert!(instructions.contains("href=\"/trial\"") && instructions.contains("1 question for practice"));
            let trials = Schedule::of(&manifest).trials(0).unwrap().len();
            for trial in 0..trials {
                assert_eq!(rater.get("/finish").header("location"), "/trial");
                let page = rater.get("/trial").text();
                let wanted =
                    if trial == 0 { "Practice 1 of 1".into() } else { format!("Question {trial} of {}", trials - 1) };
                assert!(page.contains(&wanted), "{page}");
                assert_eq!(page.contains("The practice is over"), trial == 1);
                let reply = rater.answer(&fields(kind));
                let next = if trial + 1 == trials { "/finish" } else { "/trial" };
                assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, next), "{}", reply.text());
            }
            assert_eq!(rater.get("/trial").header("location"), "/finish");
            let end = rater.get("/finish").text();
            assert!(end.contains("CODE-1"), "{end}");
            let answers = wait(site.store.export()).unwrap();
            assert_eq!(answers.answers.len(), trials);
            assert!(answers.answers.iter().all(|answer| answer.given == given(kind)));
            assert!(answers.raters[0].finished.is_some());
        }
    }
}

#[test]
fn who_fails_the_checks_is_sent_elsewhere() {
    let site = site("rate", Options::default());
    for (points, wanted) in [("5", "GOOD"), ("1", "GOOD")] {
        let mut rater = Browser::of(&site.app);
        rater.begin("/");
        while rater.answer(&[("points", points.into())]).header("location") != "/finish" {}
        // One failed check is allowed by the design.
        assert!(rater.get("/finish").text().contains(wanted));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = make("rate", SMALL, &folder.path().join("study"));
    manifest.exclude.failed_checks = 0;
    std::fs::write(folder.path().join("study/manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let address = hirescam_server::study::store::address_of(&folder.path().join("a.sqlite")).unwrap();
    let site = site_in(folder, manifest, &address, Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    while rater.answer(&[("points", "1".into())]).header("location") != "/finish" {}
    assert!(rater.get("/finish").text().contains("FAILED"));
}

#[test]
fn a_second_click_a_lost_reply_and_an_old_page_change_nothing() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let old = rater.get("/trial").field("page");
    let form = |choice: &str| [("page", old.clone()), ("choice", choice.into()), ("ms", "5".into())];
    for choice in ["first", "first", "second"] {
        let reply = rater.post("/answer", &form(choice));
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "/trial"));
    }
    rater.answer(&fields("prefer"));
    rater.post("/answer", &form("neither"));
    let answers = wait(site.store.export()).unwrap().answers;
    assert_eq!(answers.len(), 2);
    assert_eq!(serde_json::to_value(&answers[0].given).unwrap()["choice"], "first");
}

#[test]
fn an_answer_that_the_database_does_not_take_stays_in_a_page_that_sends_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = make("prefer", SMALL, &folder.path().join("study"));
    let address = hirescam_server::study::store::address_of(&folder.path().join("a.sqlite")).unwrap();
    let site = site_in(folder, manifest.clone(), &address, Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let sent = rater.get("/trial").field("page");
    let form = [("page", sent.clone()), ("choice", "second".to_owned()), ("ms", "1".to_owned())];
    wait(site.store.close());
    let again = rater.post("/answer", &form);
    assert_eq!((again.status, again.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "30"));
    assert!(again.text().contains("Send it again"), "{}", again.text());
    // Once the database is there again, what the button sends is the answer.
    let store = wait(Store::open(&address, &manifest)).unwrap();
    let study = Study::open(&site.folder.path().join("study")).unwrap();
    let mut later = Browser::of(&App::new(study, store.clone(), Options::default()).unwrap());
    later.cookies = rater.cookies;
    let fields = ["page", "choice", "ms"].map(|name| (name, again.field(name)));
    assert_eq!(fields, form);
    assert_eq!(later.post("/answer", &fields).status, StatusCode::SEE_OTHER);
    assert_eq!(wait(store.export()).unwrap().answers[0].ms, 1);
}

#[test]
fn no_answer_takes_longer_than_its_page_was_out() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let said = |ms: &str| {
        vec![
            ("choice", "first".to_owned()),
            ("ms", ms.to_owned()),
            ("width", "390".to_owned()),
            ("height", "844".to_owned()),
        ]
    };
    for ms in ["86400000", "-5", "NaN", "inf", "x", ""] {
        assert_eq!(rater.answer(&said(ms)).status, StatusCode::SEE_OTHER);
        if rater.get("/trial").status != StatusCode::OK {
            break;
        }
    }
    let answers = wait(site.store.export()).unwrap().answers;
    assert!(answers.len() >= 5 && answers.iter().all(|answer| answer.ms < 60_000));
    assert!(answers.iter().all(|answer| answer.window == Some([390, 844])));
}

#[test]
fn what_is_no_answer_is_said_and_can_be_mended() {
    for (kind, bad) in [
        ("prefer", vec![("choice", "third")]),
        ("prefer", vec![]),
        ("rate", vec![("points", "6")]),
        ("rate", vec![("points", "4.5")]),
        ("trust", vec![("leaning", "-3")]),
        ("trust", vec![("leaning", "999999999999")]),
        ("point", vec![("x", "101"), ("y", "5")]),
        ("point", vec![("x", "1")]),
        ("point", vec![("x", "NaN"), ("y", "inf")]),
        ("point", vec![("at.x", "0"), ("at.y", "0")]),
        ("box", vec![("left", "5"), ("top", "5"), ("right", "5"), ("bottom", "50")]),
        ("box", vec![("left", "<b>"), ("top", "5"), ("right", "5"), ("bottom", "50")]),
        ("brush", vec![("radius", "3"), ("strokes", "[[[0.1,2]]]")]),
        ("brush", vec![("radius", "3"), ("strokes", "[[0.1]]")]),
        ("brush", vec![("radius", "3"), ("strokes", "[]")]),
        ("reveal", vec![("class", "horse"), ("steps", "2")]),
        ("reveal", vec![("class", "cat"), ("steps", "5")]),
        ("typed", vec![("steps", "2")]),
    ] {
        let site = site(kind, Options::default());
        let mut rater = Browser::of(&site.app);
        rater.begin("/");
        let bad: Vec<(&str, String)> = bad.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let reply = rater.answer(&bad);
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{kind} {bad:?}: {}", reply.text());
        assert!(reply.text().contains("href=\"/trial\"") && !reply.text().contains("<b>"));
        assert_eq!(rater.answer(&fields(kind)).status, StatusCode::SEE_OTHER);
    }
}

#[test]
fn without_scripts_clicks_in_the_photo_are_points_and_corners() {
    let mark = |site: &Site| match &wait(site.store.export()).unwrap().answers[0].given {
        Given::Locate { mark } => mark.clone(),
        other => panic!("{other:?}"),
    };
    let f = |name: &'static str, value: &str| (name, value.to_owned());
    // The photo has 240 by 180 pixels.
    let point = site("point", Options::default());
    let mut rater = Browser::of(&point.app);
    rater.begin("/");
    rater.answer(&[f("at.x", "60"), f("at.y", "90"), f("x", ""), f("y", "")]);
    assert_eq!(mark(&point), Mark::Point { x: 0.25, y: 0.5 });

    let of_box = site("box", Options::default());
    let mut rater = Browser::of(&of_box.app);
    rater.begin("/");
    let empty = ["left", "top", "right", "bottom"].map(|name| f(name, ""));
    let second = rater.answer(&[&empty[..], &[f("at.x", "120"), f("at.y", "135")]].concat());
    assert_eq!(second.status, StatusCode::OK);
    assert!(
        second.text().contains("Click the opposite corner") && wait(of_box.store.export()).unwrap().answers.is_empty()
    );
    let done = rater.post(
        "/answer",
        &[
            f("page", &second.field("page")),
            f("left", "50"),
            f("top", "75"),
            f("right", ""),
            f("bottom", ""),
            f("at.x", "60"),
            f("at.y", "45"),
        ],
    );
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(mark(&of_box), Mark::Box { left: 0.25, top: 0.25, right: 0.5, bottom: 0.75 });
    // The enter key in a field presses the photo at 0, 0: the numbers count.
    rater.answer(&[&fields("box")[..], &[f("at.x", "0"), f("at.y", "0")]].concat());
    assert_eq!(wait(of_box.store.export()).unwrap().answers[1].given, given("box"));
}

#[test]
fn a_pause_ends_by_its_link_in_another_browser() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    rater.answer(&fields("prefer"));
    let page = rater.get("/pause").text();
    let start = page.find("/resume/").unwrap();
    let link = page[start..].split('"').next().unwrap().to_owned();
    let mut other = Browser::of(&site.app);
    assert_eq!(other.get(&link).header("location"), "/trial");
    assert!(other.get("/trial").text().contains("Question 1 of"));
    let forged = link.replace("/resume/", "/resume/a");
    assert_eq!(Browser::of(&site.app).get(&forged).status, StatusCode::NOT_FOUND);
}

#[test]
fn after_the_end_there_is_no_pause_and_withdrawing_stays_possible() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let mut links = |path: &str| {
        let page = rater.get(path).text();
        ["/pause", "/withdraw"].map(|link| page.contains(&format!("href=\"{link}\"")))
    };
    // No page links to itself.
    assert_eq!(["/trial", "/pause", "/withdraw"].map(&mut links), [[true, true], [false, true], [true, false]]);
    while rater.answer(&fields("prefer")).header("location") != "/finish" {}
    assert_eq!(rater.get("/pause").header("location"), "/finish");
    let mut links = |path: &str| {
        let page = rater.get(path).text();
        ["/pause", "/trial", "/withdraw"].map(|link| page.contains(&format!("href=\"{link}\"")))
    };
    assert_eq!(["/finish", "/withdraw"].map(&mut links), [[false, false, true], [false; 3]]);
    let token = rater.get("/withdraw").field("token");
    assert_eq!(rater.post("/withdraw", &[("token", token)]).status, StatusCode::OK);
    assert!(wait(site.store.export()).unwrap().raters.is_empty());
}

#[test]
fn withdrawing_asks_first_and_then_leaves_nothing() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    rater.answer(&fields("prefer"));
    let page = rater.get("/withdraw");
    assert!(page.text().contains("your 1 answer "));
    assert_eq!(rater.post("/withdraw", &[("token", "x".into())]).status, StatusCode::BAD_REQUEST);
    assert_eq!(wait(site.store.export()).unwrap().answers.len(), 1);
    // Another rater's form is none of ours.
    let mut other = Browser::of(&site.app);
    other.begin("/");
    assert_eq!(other.post("/withdraw", &[("token", page.field("token"))]).status, StatusCode::BAD_REQUEST);
    let done = rater.post("/withdraw", &[("token", page.field("token"))]);
    assert!(done.status == StatusCode::OK && rater.cookies.is_empty(), "{:?}", rater.cookies);
    let left = wait(site.store.export()).unwrap();
    assert_eq!((left.raters.len(), left.answers.len(), left.withdrawn), (1, 0, 1));
}

#[test]
fn a_late_returner_is_told_and_can_withdraw() {
    let site = site("prefer", Options { hold: Duration::ZERO, ..Options::default() });
    let mut away = Browser::of(&site.app);
    away.begin("/");
    away.answer(&fields("prefer"));
    let page = away.get("/trial").field("page");
    std::thread::sleep(Duration::from_millis(20));
    for _ in 0..SMALL.slots {
        assert_eq!(Browser::of(&site.app).begin("/").status, StatusCode::SEE_OTHER);
    }
    let trial = away.get("/trial");
    assert_eq!(trial.status, StatusCode::GONE);
    assert!(trial.text().contains("given to somebody else"));
    let answer = away.post("/answer", &[("page", page), ("choice", "first".into())]);
    assert_eq!(answer.status, StatusCode::GONE);
    assert_eq!(away.get("/withdraw").status, StatusCode::OK);
}

#[test]
fn links_work_once_and_until_they_expire() {
    let site = site("prefer", open(&[Open::Links]));
    assert_eq!(Browser::of(&site.app).get("/").status, StatusCode::FORBIDDEN);
    let link = links(&site.store, 2, now() + 60_000).unwrap();
    assert_ne!(link[0], link[1]);
    // Looking at it uses nothing up.
    assert_eq!(Browser::of(&site.app).get(&link[0]).status, StatusCode::OK);
    let mut rater = Browser::of(&site.app);
    assert_eq!(rater.begin(&link[0]).status, StatusCode::SEE_OTHER);
    assert_eq!(rater.get(&link[0]).header("location"), "/trial");
    let used = Browser::of(&site.app).get(&link[0]);
    assert!(used.status == StatusCode::GONE && used.text().contains("This link was used before"), "{}", used.text());
    let old = links(&site.store, 1, now() - 1).unwrap();
    assert_eq!(Browser::of(&site.app).get(&old[0]).status, StatusCode::GONE);
    let later = link[1].replacen('.', ".9", 1);
    assert_eq!(Browser::of(&site.app).get(&later).status, StatusCode::NOT_FOUND);
    assert_eq!(wait(site.store.export()).unwrap().raters[0].source, "link");
}

#[test]
fn nobody_reads_and_agrees_when_there_is_no_place_left() {
    let site = site("prefer", open(&[Open::Address, Open::Prolific]));
    let link = links(&site.store, 1, now() + 60_000).unwrap().remove(0);
    let prolific = "/prolific?PROLIFIC_PID=abc&STUDY_ID=s&SESSION_ID=t";
    // Two read at once, and one place is left.
    Browser::of(&site.app).begin(prolific);
    (2..SMALL.slots).for_each(|_| assert_eq!(Browser::of(&site.app).begin("/").status, StatusCode::SEE_OTHER));
    let mut late = Browser::of(&site.app);
    let ticket = late.get("/").field("ticket");
    Browser::of(&site.app).begin("/");
    let other = prolific.replace("abc", "def");
    for reply in [
        late.post("/begin", &[("ticket", ticket), ("agree", "yes".into())]),
        Browser::of(&site.app).get("/"),
        Browser::of(&site.app).get(&link),
        Browser::of(&site.app).get(&other),
    ] {
        assert!(reply.status == StatusCode::GONE && reply.text().contains("All places are taken"), "{}", reply.text());
    }
    // Who has a place comes back to it.
    assert_eq!(Browser::of(&site.app).get(prolific).header("location"), "/trial");
}

#[test]
fn who_comes_from_prolific_returns_to_the_same_session() {
    let site = site("prefer", open(&[Open::Prolific]));
    let path = "/prolific?PROLIFIC_PID=abc&STUDY_ID=s&SESSION_ID=t";
    let mut rater = Browser::of(&site.app);
    rater.begin(path);
    rater.answer(&fields("prefer"));
    let mut again = Browser::of(&site.app);
    assert_eq!(again.get("/prolific?PROLIFIC_PID=abc&STUDY_ID=s&SESSION_ID=u").header("location"), "/trial");
    assert!(again.get("/trial").text().contains("Question 1 of"));
    for bad in [
        "/prolific",
        "/prolific?PROLIFIC_PID=&STUDY_ID=s&SESSION_ID=t",
        "/prolific?PROLIFIC_PID=%3Cb%3E&STUDY_ID=s&SESSION_ID=t",
    ] {
        assert_eq!(Browser::of(&site.app).get(bad).status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let export = wait(site.store.export()).unwrap();
    assert_eq!(export.raters[0].source, "prolific");
    assert!(!serde_json::to_string(&export).unwrap().contains("abc"));
    assert_eq!(Browser::of(&common::site("prefer", Options::default()).app).get(path).status, StatusCode::NOT_FOUND);
}

#[test]
fn mechanical_turk_previews_frames_and_gets_its_work_back() {
    let site = site("prefer", open(&[Open::Mturk]));
    let mut rater = Browser::of(&site.app);
    let preview = rater.get("/mturk?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=h");
    assert_eq!(preview.status, StatusCode::OK);
    assert!(preview.text().contains("Accept the task") && !preview.text().contains("<form"));
    assert!(preview.header("content-security-policy").contains("frame-ancestors https://www.mturk.com"));
    let path = |assignment: &str, host: &str| {
        format!("/mturk?assignmentId={assignment}&hitId=h&workerId=w&turkSubmitTo={host}")
    };
    assert_eq!(rater.get(&path("a1", "https://evil.example")).status, StatusCode::BAD_REQUEST);
    let begun = rater.begin(&path("a1", "https://workersandbox.mturk.com"));
    let cookie = begun.header("set-cookie").to_owned();
    for word in ["SameSite=None", "Secure", "Partitioned", "HttpOnly"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    while rater.answer(&fields("prefer")).header("location") != "/finish" {}
    // The worker gave the task back and took it again.
    rater.get(&path("a2", "https://workersandbox.mturk.com"));
    let end = rater.get("/finish");
    let text = end.text();
    assert!(
        text.contains("action=\"https://workersandbox.mturk.com/mturk/externalSubmit\"")
            && text.contains("value=\"a2\""),
        "{text}"
    );
    assert!(end.header("content-security-policy").contains("form-action 'self' https://workersandbox.mturk.com;"));
    assert!(rater.get("/withdraw").header("content-security-policy").contains("frame-ancestors https://www.mturk.com"));
    // Others see no page in a frame.
    let other = common::site("prefer", Options::default());
    assert!(Browser::of(&other.app).get("/").header("content-security-policy").contains("frame-ancestors 'none'"));
}

#[test]
fn every_reply_has_the_headers_and_no_page_has_inline_code() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    let mut pages =
        vec![rater.get("/"), rater.get("/none"), rater.get("/trial"), rater.get("/health"), rater.get("/owner")];
    rater.begin("/");
    for path in ["/instructions", "/trial", "/pause", "/withdraw", "/openapi.json"] {
        pages.push(rater.get(path));
    }
    pages.push(
        rater.send(Request::delete("/trial").header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap()),
    );
    for page in pages {
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("cache-control"), "no-store");
        let text = page.text();
        assert!(!text.contains("style=") && !text.contains("onclick") && !text.contains("<style"), "{text}");
        assert_eq!(
            text.matches("<script").count(),
            text.matches("<script type=\"module\" src=\"/static/").count(),
            "{text}"
        );
    }
}

#[test]
fn foreign_pages_and_foreign_names_are_refused() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let page = rater.get("/trial").field("page");
    let form = [("page", page), ("choice", "first".to_owned())];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let mut request = rater.form("/answer", &form);
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(rater.send(request).status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let mut rebound = Browser::of(&site.app);
    rebound.host = "evil.example:8080".into();
    assert_eq!(rebound.get("/").status, StatusCode::FORBIDDEN);
    assert!(wait(site.store.export()).unwrap().answers.is_empty());
    // Whoever has the page of somebody else answers nothing with it.
    let mut other = Browser::of(&site.app);
    other.begin("/");
    assert_eq!(other.post("/answer", &form).status, StatusCode::BAD_REQUEST);
    assert_eq!(rater.post("/answer", &form).status, StatusCode::SEE_OTHER);
}

#[test]
fn the_cookie_is_signed_and_without_one_nobody_answers() {
    let site = site("prefer", Options { url: Some("https://study.example.org".into()), ..Options::default() });
    let mut rater = Browser::of(&site.app);
    rater.host = "study.example.org".into();
    let begun = rater.begin("/");
    let cookie = begun.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Secure"), "{cookie}");
    let name = wait(site.store.export()).unwrap().raters[0].name.clone();
    for forged in [name.clone(), format!("{}{name}", "A".repeat(44)), String::new()] {
        let mut other = Browser::of(&site.app);
        other.cookies.insert("session".into(), forged);
        assert_eq!(other.get("/trial").status, StatusCode::FORBIDDEN);
    }
}

#[test]
fn only_files_of_the_manifest_are_served_all_alike_and_to_raters_alone() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    let file = format!("/files/{}", site.manifest.items[0].photo);
    assert_eq!(rater.get(&file).status, StatusCode::FORBIDDEN);
    rater.begin("/");
    let headers: Vec<_> = site
        .manifest
        .files
        .keys()
        .map(|file| {
            let reply = rater.get(&format!("/files/{file}"));
            assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "image/png"));
            let mut headers = reply.headers;
            headers.remove("content-length");
            headers
        })
        .collect();
    assert!(headers.iter().all(|one| *one == headers[0]));
    std::fs::write(site.folder.path().join("study/preregistration.md"), "which arm is which").unwrap();
    for path in [
        "manifest.json",
        "preregistration.md",
        "panels/../manifest.json",
        "panels/..%2f..%2fa%20b%25.sqlite",
        "panels/%2e%2e/manifest.json",
        "/etc/passwd",
        "panels/none.png",
    ] {
        assert_eq!(rater.get(&format!("/files/{path}")).status, StatusCode::NOT_FOUND, "{path}");
    }
    std::fs::write(site.folder.path().join("study").join(&site.manifest.items[0].photo), "another").unwrap();
    assert_eq!(rater.get(&file).status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_study_is_opened_with_the_manifest_that_was_laid_down_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    make("prefer", SMALL, folder.path());
    let file = folder.path().join("manifest.json");
    let built = std::fs::read_to_string(&file).unwrap();
    let hash = common::hex(&Sha256::digest(&built));
    std::fs::write(folder.path().join("preregistration.md"), format!("Its manifest has the SHA-256 {hash}.")).unwrap();
    assert!(Study::open(folder.path()).is_ok());
    std::fs::write(&file, built.replace("CODE-1", "CODE-2")).unwrap();
    let error = Study::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("manifest.json: it was changed after the study was built"), "{error}");
}

#[test]
fn what_raters_and_files_bring_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = make("typed", SMALL, &folder.path().join("study"));
    let evil = "<script>alert(1)</script>\"'&";
    manifest.title = evil.into();
    manifest.consent.text = evil.into();
    manifest.finish.text = evil.into();
    manifest.finish.code = Some(evil.into());
    manifest.finish.redirect = Some("javascript:alert(1)".into());
    manifest.finish.redirect_failed = None;
    manifest.items.iter_mut().for_each(|item| item.id = evil.into());
    std::fs::write(folder.path().join("study/manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let address = hirescam_server::study::store::address_of(&folder.path().join("a.sqlite")).unwrap();
    let site = site_in(folder, manifest, &address, Options::default());
    let mut rater = Browser::of(&site.app);
    let mut pages = vec![rater.get("/")];
    rater.begin("/");
    pages.push(rater.get("/instructions"));
    pages.push(rater.get("/trial"));
    while rater.answer(&[("class", evil.into()), ("steps", "1".into())]).header("location") != "/finish" {}
    pages.push(rater.get("/finish"));
    let mut owner = Browser::of(&site.app);
    owner.post("/owner/login", &[("token", site.app.owner_token().into())]);
    pages.push(owner.get("/owner"));
    for page in &pages {
        assert!(
            page.status.is_success() && !page.text().contains("<script>alert") && !page.text().contains("javascript:"),
            "{}",
            page.text()
        );
    }
}

#[test]
fn the_owner_is_let_in_by_token_alone() {
    let site = site("prefer", Options::default());
    let token = site.app.owner_token().to_owned();
    let mut owner = Browser::of(&site.app);
    assert_eq!(owner.get("/owner").status, StatusCode::UNAUTHORIZED);
    assert_eq!(owner.get(&format!("/owner?token={token}")).status, StatusCode::UNAUTHORIZED);
    assert_eq!(owner.post("/owner/login", &[("token", "wrong".into())]).status, StatusCode::UNAUTHORIZED);
    let reply = owner.post("/owner/login", &[("token", token.clone())]);
    let cookie = reply.header("set-cookie").to_owned();
    for word in ["Path=/owner", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let page = owner.get("/owner");
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text().contains("does not have the study&#x27;s key")
            || page.text().contains("does not have the study's key"),
        "{}",
        page.text()
    );
    // Its buttons work on its page only.
    assert_eq!(owner.post("/owner/running", &[("run", "stop".into())]).status, StatusCode::FORBIDDEN);
    assert_eq!(
        owner.post("/owner/running", &[("run", "stop".into()), ("csrf", page.field("csrf"))]).status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(Browser::of(&site.app).get("/").status, StatusCode::FORBIDDEN);
    assert!(owner.get("/owner").text().contains("the study was stopped"));
    // By header nothing else is needed.
    let by_header = |method: Method, path: &str, fields: &[(&str, String)]| {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encoded(fields)))
            .unwrap()
    };
    let mut other = Browser::of(&site.app);
    assert_eq!(
        other.send(by_header(Method::POST, "/owner/running", &[("run", "go".into())])).status,
        StatusCode::SEE_OTHER
    );
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    while rater.answer(&fields("prefer")).header("location") != "/finish" {}
    let csv = other.send(by_header(Method::GET, "/owner/export/answers.csv", &[])).text();
    assert_eq!(csv.lines().count(), 1 + SMALL.items + SMALL.practice + SMALL.checks + 1, "{csv}");
    assert!(csv.starts_with("rater,slot,trial,item,role,repeat,arms,kind,answer,"), "{csv}");
    for file in ["answers.json", "raters.csv", "codebook.md"] {
        assert_eq!(other.send(by_header(Method::GET, &format!("/owner/export/{file}"), &[])).status, StatusCode::OK);
    }
    assert_eq!(other.send(by_header(Method::GET, "/owner/export/key.json", &[])).status, StatusCode::NOT_FOUND);
    let page = owner.get("/owner").text();
    assert!(page.contains("3 of 12") && page.contains("6 of 6"), "{page}");
    let csrf = owner.get("/owner").field("csrf");
    owner.post("/owner/logout", &[("csrf", csrf)]);
    assert!(owner.cookies.is_empty());
    // Guessing is slow.
    let mut guesses = (0..20).map(|_| owner.post("/owner/login", &[("token", "wrong".into())]).status);
    assert!(guesses.any(|status| status == StatusCode::TOO_MANY_REQUESTS));
}

#[test]
fn platform_ids_are_deleted_where_there_are_any_and_the_owner_is_sure() {
    let site = site("prefer", open(&[Open::Prolific]));
    let mut owner = Browser::of(&site.app);
    owner.post("/owner/login", &[("token", site.app.owner_token().into())]);
    let button = "Delete the platforms' ids";
    assert!(!owner.get("/owner").text().contains(button));
    Browser::of(&site.app).begin("/prolific?PROLIFIC_PID=abc&STUDY_ID=s&SESSION_ID=t");
    let page = owner.get("/owner");
    assert!(page.text().contains(button), "{}", page.text());
    let csrf = ("csrf", page.field("csrf"));
    assert_eq!(owner.post("/owner/forget", std::slice::from_ref(&csrf)).status, StatusCode::BAD_REQUEST);
    assert_eq!(wait(site.store.platform_ids()).unwrap(), 1);
    assert_eq!(owner.post("/owner/forget", &[csrf, ("sure", "yes".into())]).status, StatusCode::SEE_OTHER);
    assert_eq!(wait(site.store.platform_ids()).unwrap(), 0);
    assert!(!owner.get("/owner").text().contains(button));
}

#[test]
fn a_session_that_asks_too_fast_is_slowed_and_loses_nothing() {
    let site = site("prefer", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let mut replies = (0..60).map(|_| rater.get("/trial").status);
    assert!(replies.any(|status| status == StatusCode::TOO_MANY_REQUESTS));
    let mut other = Browser::of(&site.app);
    other.begin("/");
    assert_eq!(other.get("/trial").status, StatusCode::OK);
}

#[test]
fn what_is_too_long_or_no_form_is_refused() {
    let site = site("brush", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let page = rater.get("/trial").field("page");
    let long = rater.post("/answer", &[("page", page), ("radius", "3".into()), ("strokes", "0".repeat(2 << 20))]);
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    for (kind, body, status) in [
        ("application/json", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/x-www-form-urlencoded", "", StatusCode::BAD_REQUEST),
        ("application/x-www-form-urlencoded", "page=a&page=b", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::post("/answer").header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap();
        assert_eq!(rater.send(request).status, status, "{body}");
    }
}

#[test]
fn the_next_trials_pictures_are_fetched_ahead_and_the_photo_gives_nothing_away() {
    let site = site("reveal", Options::default());
    let mut rater = Browser::of(&site.app);
    rater.begin("/");
    let page = rater.get("/trial").text();
    let trials = Schedule::of(&site.manifest).trials(0).unwrap().to_vec();
    let item = |at: usize| &site.manifest.items[trials[at].item];
    for file in &item(1).pictures[trials[1].arms[0]] {
        assert!(page.contains(&format!("rel=\"prefetch\" as=\"image\" href=\"/files/{file}\"")), "{page}");
    }
    assert!(!page.contains(&item(0).photo) && !page.contains(&item(1).photo));
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let site = site("prefer", Options::default());
    let document = openapi();
    let written = serde_json::to_value(&document).unwrap();
    let mut documented: Vec<(String, String)> = Vec::new();
    for (path, methods) in written["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase())));
    }
    let mut browser = Browser::of(&site.app);
    let mut ask = |method: &str, path: &str| {
        let path = path.replace("{file}", "x").replace("{version}", "y").replace("{link}", "z").replace("{token}", "w");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("sec-fetch-site", "same-origin")
            .body(Body::empty())
            .unwrap();
        browser.send(request).status
    };
    for (path, _) in written["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let there = documented.contains(&(path.clone(), method.into()));
            assert_eq!(ask(method, path) != StatusCode::METHOD_NOT_ALLOWED, there, "{method} {path}");
        }
    }
    assert_eq!(documented.len(), 23);
    assert_eq!(hirescam_server::study::route_paths(), written["paths"].as_object().unwrap().keys().cloned().collect());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, ..Default::default() })]

    #[test]
    fn no_form_breaks_the_answer_endpoint(
        kind in 0..KINDS.len(),
        names in proptest::collection::vec(proptest::sample::select(vec![
            "ms", "width", "height", "choice", "points", "leaning", "class", "steps", "nothing", "x", "y", "left", "top", "right", "bottom", "at.x", "at.y", "radius", "strokes", "other",
        ]), 0..8),
        values in proptest::collection::vec(proptest::prop_oneof![
            "\\PC*", "-?[0-9]{1,25}(\\.[0-9]{1,10})?", "[\\x00-\\x7f]{0,20}", proptest::prelude::Just("[[[0.5,0.5]]]".to_owned()), proptest::prelude::Just("1e999".to_owned()),
        ], 8),
    ) {
        let (site, page, rater) = &mut fuzzed()[kind];
        let mut form: Vec<(&str, String)> = vec![("page", page.clone())];
        form.extend(names.iter().copied().zip(values));
        let reply = rater.sent_at_ease("/answer", &form);
        proptest::prop_assert!(
            matches!(reply.status.as_u16(), 200 | 303 | 400 | 422), "{}: {}", reply.status, reply.text()
        );
        // What was taken can be read, and there is one of it.
        let answers = wait(site.store.export()).unwrap().answers;
        proptest::prop_assert!(answers.len() <= 1);
        if let Some(answer) = answers.first() {
            let item = &site.manifest.items[Schedule::of(&site.manifest).trials(0).unwrap()[0].item];
            site.manifest.question.accepts(item, &answer.given).unwrap();
        }
    }

    #[test]
    fn no_bytes_break_the_answer_endpoint(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), path in 0..4usize) {
        let (_, _, rater) = &mut fuzzed()[0];
        let path = ["/answer", "/begin", "/withdraw", "/owner/login"][path];
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(bytes)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        let status = rater.send(request).status;
        proptest::prop_assert!(status.is_client_error(), "{status}");
    }
}

type Fuzzed = Vec<(Site, String, Browser)>;

/// A site of each kind with a rater who answers.
fn fuzzed() -> std::sync::MutexGuard<'static, Fuzzed> {
    static SITES: std::sync::LazyLock<std::sync::Mutex<Fuzzed>> = std::sync::LazyLock::new(|| {
        let of = |kind: &str| {
            let site = site(kind, Options::default());
            let mut rater = Browser::of(&site.app);
            rater.begin("/");
            let page = rater.get("/trial").field("page");
            (site, page, rater)
        };
        std::sync::Mutex::new(KINDS.iter().map(|kind| of(kind)).collect())
    });
    SITES.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
