//! `hirescam study serve`, `links` and `export` as a user meets them.
#![cfg(all(feature = "study", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, ok};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that ends with the test, however that ends: one that is left over keeps the whole run waiting.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A built study of one item, by hand; the server does not look into pictures.
fn make(folder: &Path) {
    std::fs::create_dir_all(folder.join("panels")).unwrap();
    let files = [
        ("panels/a.png", "photo", "55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8"),
        ("panels/b.png", "first", "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"),
        ("panels/c.png", "second", "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4"),
    ];
    files.iter().for_each(|(name, text, _)| std::fs::write(folder.join(name), text).unwrap());
    let manifest = json!({
        "schema": 1, "version": "0.1.0", "study": "0123456789abcdef0123456789abcdef", "title": "Where?", "arms": 2, "seed": 1,
        "question": { "kind": "prefer" },
        "items": [{ "id": "i", "role": "counts", "class": "cat", "photo": "panels/a.png", "size": [8, 8],
            "pictures": [["panels/b.png"], ["panels/c.png"]] }],
        "raters": { "answers_per_item": 2, "repeats": 0 }, "exclude": {}, "consent": {}, "finish": {},
        "files": files.iter().map(|(name, _, hash)| (name.to_string(), hash.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
        "key": "0".repeat(64),
    });
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
}

fn ask(url: &str, request: &str, cookie: &str, body: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn field(page: &str, name: &str) -> String {
    page.split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap_or_else(|| panic!("{page}"))
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn a_study_is_served_answered_by_link_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("study"));
    let served = Command::new(env!("CARGO_BIN_EXE_hirescam"))
        .current_dir(folder.path())
        .args(["study", "serve", "study", "--listen", "127.0.0.1:0", "--from", "links"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(served);
    let server = &mut server.0;
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = said.next().unwrap();
    assert!(first.starts_with("the study, with 2 places: http://127.0.0.1:"), "{first}");
    let url = first.split(": ").nth(1).unwrap().trim_end_matches('/').to_owned();
    assert_eq!(said.next().unwrap(), format!("the owner's page: {url}/owner"));
    assert!(ask(&url, "GET /", "", "").starts_with("HTTP/1.1 403"));

    let links = ok(folder.path(), &["study", "links", "study", "-n", "2", "--url", &url]);
    let links: Vec<&str> = links.lines().collect();
    assert_eq!(links.len(), 2);
    let consent = ask(&url, &format!("GET {}", links[0].strip_prefix(&url).unwrap()), "", "");
    let begun = ask(&url, "POST /begin", "", &format!("ticket={}&agree=yes", field(&consent, "ticket")));
    let cookie =
        begun.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
    let page = field(&ask(&url, "GET /trial", &cookie, ""), "page");
    let reply = ask(&url, "POST /answer", &cookie, &format!("page={page}&choice=first&ms=1"));
    assert!(reply.contains("location: /finish"), "{reply}");

    // While it is served and after it.
    for _ in 0..2 {
        let told = ok(folder.path(), &["study", "export", "study", "-o", "answers"]);
        assert_eq!(told, "1 answer of 1 rater in answers (0 raters withdrew)\n");
        if server.try_wait().unwrap().is_none() {
            Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
            assert!(server.wait().unwrap().success());
        }
    }
    let answers: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("answers/answers.json")).unwrap()).unwrap();
    assert_eq!(answers["answers"][0]["given"], json!({ "kind": "prefer", "choice": "first" }));
    assert_eq!(answers["raters"][0]["source"], "link");
    let mut files: Vec<String> = std::fs::read_dir(folder.path().join("answers"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["answers.csv", "answers.json", "codebook.md", "raters.csv"]);
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("study"));
    make(&folder.path().join("other"));
    let other = folder.path().join("other/manifest.json");
    let text = std::fs::read_to_string(&other).unwrap().replace("0123456789abcdef", "fedcba9876543210");
    std::fs::write(&other, text).unwrap();
    ok(folder.path(), &["study", "links", "other", "-n", "1"]);
    std::fs::write(folder.path().join("text.toml"), "kind = \"prefer\"").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    for (arguments, code, wanted) in [
        (&["export", "study", "-o", "answers"][..], 3, "study-answers.sqlite is not there. Serve the study first"),
        (&["serve", "none"], 3, "none: it is no built study: there is no manifest.json in it"),
        (
            &["serve", "study", "--listen", "0.0.0.0:0"],
            2,
            "is reached by others than this machine: say by which address they do (--url https://",
        ),
        (
            &["serve", "study", "--listen", &taken.to_string()],
            3,
            &format!("listens on {taken} already: choose another port"),
        ),
        (&["serve", "study", "--url", "study.example.org"], 2, "no address of a server"),
        (&["serve", "study", "--from", "nowhere"], 2, "one of open, links, prolific, mturk"),
        (&["serve", "study", "--database", "mysql://host/name"], 2, "is no database"),
        (&["export", "study", "-o", "answers", "--database", "none.sqlite"], 3, "none.sqlite is not there"),
        (&["export", "study", "-o", "answers", "--database", "other-answers.sqlite"], 3, "does not have the study"),
        (&["results", "study", "--key", "text.toml"], 3, "text.toml: it is no key of a study"),
        (&["links", "study", "-n", "0"], 2, "0"),
        (&["links", "study", "-n", "1", "--url", "ftp://study.example.org"], 2, "no address of a server"),
    ] {
        let (found, says) = fails(folder.path(), &[&["study"], arguments].concat());
        assert!(found == code && says.contains(wanted), "{arguments:?}: {found} {says}");
    }
    assert!(!folder.path().join("none.sqlite").exists() && !folder.path().join("answers").exists());
    std::fs::write(folder.path().join("study/panels/c.png"), "third").unwrap();
    let (code, says) = fails(folder.path(), &["study", "serve", "study"]);
    assert!(code == 3 && says.contains("c.png: it was changed after the study was built"), "{says}");
    std::fs::remove_file(folder.path().join("study/panels/c.png")).unwrap();
    let (code, says) = fails(folder.path(), &["study", "serve", "study"]);
    assert!(code == 3 && says.contains("c.png: it was removed after the study was built"), "{says}");
}

#[test]
fn a_manifest_other_than_the_one_that_was_laid_down_is_opened_by_no_step() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("study"));
    let laid_down = folder.path().join("study/preregistration.md");
    std::fs::write(&laid_down, format!("The manifest: {}", "0".repeat(64))).unwrap();
    for arguments in [&["serve", "study"][..], &["links", "study", "-n", "1"], &["export", "study", "-o", "answers"]] {
        let (code, says) = fails(folder.path(), &[&["study"], arguments].concat());
        let wanted = "manifest.json: it was changed after the study was built";
        assert!(code == 3 && says.contains(wanted), "{arguments:?}: {code} {says}");
    }
    // Who keeps the pre-registration elsewhere compares it there.
    std::fs::remove_file(&laid_down).unwrap();
    ok(folder.path(), &["study", "links", "study", "-n", "1"]);
}
