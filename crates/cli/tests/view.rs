//! `hirescam view` and `serve` as a user meets them.
#![cfg(all(feature = "view", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{fails, fixture};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A server that ends with the test, however that ends.
struct Server {
    child: Child,
    /// What it said while it started.
    said: Vec<String>,
    host: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Started with these arguments; `programs` is a folder with programs that it may call.
    fn start(folder: &Path, programs: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hirescam"))
            .current_dir(folder)
            .env("PATH", programs)
            .args(arguments)
            .args(["--engine", "tract"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        for line in lines {
            let last = line.starts_with("Ctrl-C");
            said.push(line);
            if last {
                break;
            }
        }
        let url = said.iter().find_map(|line| line.split("http://").nth(1)).unwrap();
        let host = url.split(['/', ',']).next().unwrap().to_owned();
        Server { child, said, host }
    }

    /// Sends a request, of which the reply is read to its end by `read`.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        )
        .unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut reply = String::new();
        self.send(method, path, body).read_to_string(&mut reply).unwrap();
        reply
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.ask(method, path, &body.to_string());
        assert!(reply.starts_with("HTTP/1.1 2"), "{reply}");
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Tells it to end as a terminal does, and waits for it.
    fn interrupt(&mut self) -> ExitStatus {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        let start = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None if start.elapsed() > Duration::from_secs(20) => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

#[test]
fn the_page_is_opened_and_explains_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let opener = programs.join(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
    std::fs::write(&opener, format!("#!/bin/sh\necho \"$1\" > {}/opened\n", folder.path().display())).unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (digits, photos) = (fixture("digits-cnn.onnx"), fixture("photos"));
    let lite = fixture("efficientnet-lite0.onnx");
    let mut server = Server::start(folder.path(), &programs, &["view", &digits, &lite, &photos, "--top", "2"]);
    assert_eq!(server.said, [format!("the page: http://{}/", server.host), "Ctrl-C ends it".to_owned()]);
    let start = Instant::now();
    let opened = loop {
        match std::fs::read_to_string(folder.path().join("opened")) {
            Ok(opened) if opened.ends_with('\n') => break opened,
            _ => assert!(start.elapsed() < Duration::from_secs(10), "no browser was opened"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(opened.trim(), format!("http://{}/", server.host));
    let page = server.ask("GET", "/", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page}");
    let opened = server.json("GET", "/api", &Value::Null)["opened"].clone();
    assert_eq!((opened["models"].as_array().unwrap().len(), opened["images"].as_array().unwrap().len()), (2, 4));
    assert_eq!(opened["spec"]["top"], 2);
    let images = server.json("GET", "/api/images", &Value::Null);
    let seven = images.as_array().unwrap().iter().find(|image| image["name"] == "seven.png").unwrap();
    let asked = json!({"model": opened["models"][0], "images": [seven["id"]]});
    let maps = server.json("POST", "/api/explanations", &asked)["results"][0]["maps"].clone();
    assert_eq!((maps.as_array().unwrap().len(), &maps[0]["record"]["class"]), (2, &json!(7)));
    // It ends at once, whatever it computes.
    let slow = json!({"model": opened["models"][0], "images": [seven["id"]], "spec": {"method": "rise", "samples": 1_000_000}});
    let waiting = server.send("POST", "/api/explanations", &slow.to_string());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.interrupt().code(), Some(0));
    drop(waiting);
}

#[test]
fn the_api_is_served_without_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["serve", &fixture("digits-cnn.onnx"), "--listen", "127.0.0.1:0"];
    let mut server = Server::start(folder.path(), folder.path(), &arguments);
    assert!(server.said[0].contains("/api/openapi.json") && server.said[1].ends_with("/v2"), "{:?}", server.said);
    assert!(server.ask("GET", "/", "").starts_with("HTTP/1.1 404"));
    assert_eq!(server.json("GET", "/v2/models/digits-cnn", &Value::Null)["inputs"][0]["name"], "input");
    let values = vec![0.5; 28 * 28];
    let input = json!({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": values}]});
    let outputs = server.json("POST", "/v2/models/digits-cnn/infer", &input)["outputs"].clone();
    assert_eq!(outputs.as_array().unwrap().len(), 4);
    assert_eq!(server.interrupt().code(), Some(0));
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is() {
    let folder = tempfile::tempdir().unwrap();
    let digits = fixture("digits-cnn.onnx");
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for (arguments, code, said) in [
        (
            vec!["serve", &digits, "--listen", "0.0.0.0:0"],
            2,
            "reached by others than this machine: say by which address they do (--url https://",
        ),
        (vec!["serve", &digits, "--url", "explain.example.org"], 2, "no address of a server"),
        (vec!["view", "nothing.onnx", "--no-open"], 3, "nothing.onnx"),
        (vec!["view", &digits, "nothing.png", "--no-open"], 3, "nothing.png"),
        (vec!["serve", "--timeout", "0"], 2, "--timeout"),
        (vec!["serve", &digits, "--engine", "none"], 5, "no engine `none`"),
    ] {
        let (own, text) = fails(folder.path(), &arguments);
        assert!(own == code && text.contains(said), "{arguments:?}: {own} {text}");
    }
    let (code, text) = fails(folder.path(), &["serve", "--listen", &taken]);
    assert!(
        code == 3 && text.contains("another program listens") && text.contains("--listen 127.0.0.1:"),
        "{code} {text}"
    );
}
