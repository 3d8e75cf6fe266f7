//! Servers and databases that are killed under load: each acknowledged answer is there once.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::database::{Postgres, new_in};
use common::{SMALL, Size, fields, given, make};
use hirescam_server::study::{App, Options, Store, Study, store};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const RATERS: usize = 16;
const SIZE: Size = Size { items: 60, practice: 0, checks: 0, slots: RATERS };
/// The port is that of the first start: raters come back to the same address.
const FOLDER: &str = "HIRESCAM_TEST_FOLDER";
const DATABASE: &str = "HIRESCAM_TEST_DATABASE";
const LISTEN: &str = "HIRESCAM_TEST_LISTEN";

/// This is the server: the tests start this program again with this test alone.
#[test]
#[ignore = "it is the server that the other tests start"]
fn serves() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let study = Study::open(Path::new(&folder)).unwrap();
    let address = std::env::var(DATABASE).unwrap();
    let listen = std::env::var(LISTEN).unwrap().parse().unwrap();
    common::wait(async {
        let store = Store::open(&address, &study.manifest).await.unwrap();
        let app = App::new(study, store, Options::default()).unwrap();
        let tell = |served: &hirescam_server::study::Served| println!("listening {}", served.address);
        hirescam_server::study::serve(app, listen, tell).await.unwrap();
    });
}

struct Server {
    child: Child,
    address: String,
    /// It is written to until the end.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(folder: &Path, database: &str, listen: &str, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let mut child = command
                .args(["--ignored", "--exact", "serves", "--nocapture", "--test-threads=1"])
                .env(FOLDER, folder)
                .env(DATABASE, database)
                .env(LISTEN, listen)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let lines = output.by_ref().lines().map_while(Result::ok);
            let line = lines.into_iter().find_map(|line| line.split("listening ").nth(1).map(str::to_owned));
            if let Some(address) = line {
                return Server { child, address, _output: output };
            }
            // The database may not be up again.
            child.wait().unwrap();
            assert!(Instant::now() < until, "the server does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// One request over a connection of its own; none where it was not answered whole.
fn ask(address: &str, method: &str, path: &str, cookie: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let status = reply.split(' ').nth(1)?.parse().ok()?;
    reply.contains("\r\n\r\n").then_some((status, reply))
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> Option<String> {
    Some(page.split(&format!("name=\"{name}\" value=\"")).nth(1)?.split('"').next()?.to_owned())
}

/// What a rater was told: for each trial that was acknowledged, whether the first or the second answer was sent first.
type Told = Arc<Mutex<BTreeMap<(String, usize), usize>>>;

/// A rater who answers until the end, and sends again whatever got no reply.
fn rate(address: &str, told: &Told, enough: &AtomicBool) {
    let patient = |method: &str, path: &str, cookie: &str, body: &str| loop {
        if enough.load(Ordering::Relaxed) {
            return None;
        }
        match ask(address, method, path, cookie, body) {
            Some((status, reply)) if status < 400 => return Some(reply),
            Some((status, reply)) => assert!(matches!(status, 429 | 503), "{status} {reply}"),
            None => {}
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    // Whoever gets no reply to the consent begins again as somebody else; there are slots enough.
    let Some(page) = patient("GET", "/", "", "") else { return };
    let ticket = field(&page, "ticket").unwrap();
    let Some(begun) = patient("POST", "/begin", "", &format!("ticket={ticket}&agree=yes")) else { return };
    let cookie =
        begun.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
    // The name stands at the end, after the signature.
    let rater = cookie[cookie.len() - 22..].to_owned();
    let answer = format!("{}={}", fields("prefer")[0].0, fields("prefer")[0].1);
    loop {
        let Some(page) = patient("GET", "/trial", &cookie, "") else { return };
        let Some(signed) = field(&page, "page") else { return };
        let trial: usize = signed.split('.').nth(1).unwrap().parse().unwrap();
        if patient("POST", "/answer", &cookie, &format!("page={signed}&{answer}")).is_none() {
            return;
        }
        *told.lock().unwrap().entry((rater.clone(), trial)).or_default() += 1;
    }
}

/// Load, with three kills in the middle of it, by `kill`, which leaves a running server.
fn killed(folder: &Path, database: &str, mut kill: impl FnMut(Option<Server>) -> Option<Server>) {
    let manifest = make("prefer", Size { slots: RATERS * 3, ..SIZE }, folder);
    let first = Server::start(folder, database, "127.0.0.1:0", &[]);
    let address = first.address.clone();
    let told: Told = Arc::default();
    let enough = Arc::new(AtomicBool::new(false));
    let raters: Vec<_> = (0..RATERS)
        .map(|_| {
            let (address, told, enough) = (address.clone(), told.clone(), enough.clone());
            std::thread::spawn(move || rate(&address, &told, &enough))
        })
        .collect();
    let mut server = Some(first);
    let mut before = 0;
    for _ in 0..3 {
        let until = Instant::now() + Duration::from_secs(60);
        // In the middle of it: there were answers since the last kill, and there are more to come.
        while told.lock().unwrap().len() < before + 40 {
            assert!(Instant::now() < until, "{} answers", told.lock().unwrap().len());
            std::thread::sleep(Duration::from_millis(20));
        }
        server = kill(server);
        before = told.lock().unwrap().len();
    }
    std::thread::sleep(Duration::from_millis(500));
    enough.store(true, Ordering::Relaxed);
    raters.into_iter().for_each(|rater| rater.join().unwrap());
    server.unwrap().kill();
    let told = told.lock().unwrap();
    let answers = common::wait(async {
        let store = Store::open(database, &manifest).await.unwrap();
        let answers = store.export().await.unwrap();
        store.close().await;
        answers
    });
    let mut kept: BTreeMap<(String, usize), usize> = BTreeMap::new();
    for answer in &answers.answers {
        assert_eq!(answer.given, given("prefer"));
        *kept.entry((answer.rater.clone(), answer.trial)).or_default() += 1;
    }
    assert!(told.len() > 120, "{}", told.len());
    for which in told.keys() {
        assert_eq!(kept.get(which), Some(&1), "{which:?} was acknowledged");
    }
    assert!(kept.values().all(|count| *count == 1));
    eprintln!("{} answers were acknowledged, {} are there", told.len(), kept.len());
}

/// Kills the server without a warning, and starts another at its address.
fn again(folder: &Path, database: &str, server: Option<Server>) -> Option<Server> {
    let server = server.unwrap();
    let address = server.address.clone();
    server.kill();
    Some(Server::start(folder, database, &address, &[]))
}

#[test]
fn a_killed_server_loses_no_acknowledged_answer_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let database = store::address(&study, None).unwrap();
    killed(&study, &database, |server| again(&study, &database, server));
}

#[test]
fn a_killed_server_or_database_loses_no_acknowledged_answer_on_postgresql() {
    let Some(mut postgres) = Postgres::start() else {
        assert!(std::env::var_os("CI").is_none(), "CI has to test with PostgreSQL");
        eprintln!("SKIPPED: initdb and postgres are not there");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let database = new_in(&postgres.address);
    killed(&study, &database, |server| again(&study, &database, server));
    let other = folder.path().join("other");
    let database = new_in(&postgres.address);
    killed(&other, &database, |server| {
        postgres.kill();
        std::thread::sleep(Duration::from_millis(300));
        postgres.run();
        server
    });
}

#[test]
fn a_full_disk_is_a_sentence_and_the_answer_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let manifest = make("typed", Size { items: 80, practice: 0, checks: 0, slots: 2 }, &study);
    let database = store::address(&study, None).unwrap();
    // Tables first, with room for them.
    common::wait(async { Store::open(&database, &manifest).await.unwrap().close().await });
    // No file may grow beyond 128 KiB; the signal that says so is ignored, so that writing fails as it does on a full disk.
    let limit = ["sh", "-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""];
    let server = Server::start(&study, &database, "127.0.0.1:0", &limit);
    let address = server.address.clone();
    let page = ask(&address, "GET", "/", "", "").unwrap().1;
    let begun = ask(&address, "POST", "/begin", "", &format!("ticket={}&agree=yes", field(&page, "ticket").unwrap()))
        .unwrap()
        .1;
    let cookie =
        begun.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
    let mut acknowledged = 0;
    let (body, refused) = loop {
        let page = ask(&address, "GET", "/trial", &cookie, "").unwrap();
        if page.0 == 429 {
            std::thread::sleep(Duration::from_millis(200));
            continue;
        }
        let body = format!("page={}&steps=2&class={}", field(&page.1, "page").unwrap(), "x".repeat(190));
        let reply = loop {
            match ask(&address, "POST", "/answer", &cookie, &body).unwrap() {
                (429, _) => std::thread::sleep(Duration::from_millis(200)),
                reply => break reply,
            }
        };
        match reply.0 {
            303 => acknowledged += 1,
            _ => break (body, reply),
        }
        assert!(acknowledged < 79, "the disk was never full");
    };
    assert_eq!(refused.0, 503);
    assert!(
        refused.1.contains("Your answer is not stored yet") && refused.1.contains("Send it again"),
        "{}",
        refused.1
    );
    assert!(refused.1.contains(&format!("value=\"{}\"", "x".repeat(190))), "the page has the answer in it");
    server.kill();
    // There is room again.
    let server = Server::start(&study, &database, &address, &[]);
    assert_eq!(ask(&address, "POST", "/answer", &cookie, &body).unwrap().0, 303);
    server.kill();
    let answers = common::wait(async {
        let store = Store::open(&database, &manifest).await.unwrap();
        let answers = store.export().await.unwrap();
        store.close().await;
        answers
    });
    assert_eq!(answers.answers.len(), acknowledged + 1);
}

#[test]
fn told_to_end_the_server_answers_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    make("prefer", SMALL, &study);
    let database = store::address(&study, None).unwrap();
    let mut server = Server::start(&study, &database, "127.0.0.1:0", &[]);
    assert_eq!(ask(&server.address, "GET", "/health", "", "").unwrap().0, 200);
    Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    let begun = Instant::now();
    assert!(server.child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(8));
}
