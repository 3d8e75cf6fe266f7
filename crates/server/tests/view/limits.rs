//! How much a server holds and does.

use crate::client::{Client, RUNTIME, fixture, question, tract};
use axum::body::Body;
use axum::http::Request;
use futures_util::stream;
use hirescam_server::view::{Limits, Options};
use http_body_util::BodyExt;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tower::ServiceExt;

fn limited(limits: Limits) -> Client {
    Client::new(Options {
        spec: tract(),
        models: vec![fixture("digits-cnn.onnx")],
        images: vec![fixture("photos/seven.png")],
        limits,
        ..Options::default()
    })
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let client = limited(Limits { model_bytes: 1000, image_bytes: 500, ..Limits::default() });
    for (path, most) in [("/api/models", 1000), ("/api/images", 500)] {
        assert_eq!(client.upload(path, vec![0; most + 1]).error(413)[0], "too-large");
        client.upload(path, vec![0; most]).error(422);
        // A length that is announced is enough to refuse it, and one that is not is counted while it comes.
        let read = Arc::new(AtomicUsize::new(0));
        let chunks = |read: Arc<AtomicUsize>| {
            Body::from_stream(stream::iter(0..1000).map_chunks(move |_| {
                read.fetch_add(100, Ordering::Relaxed);
                vec![0u8; 100]
            }))
        };
        client.upload(path, chunks(read.clone())).error(413);
        assert!(read.load(Ordering::Relaxed) <= most + 200, "{}", read.load(Ordering::Relaxed));
        read.store(0, Ordering::Relaxed);
        let announced = Request::post(path).header("content-length", "100000").body(chunks(read.clone())).unwrap();
        assert!(client.send(announced).error(413)[1].contains(&format!("{most} bytes")));
        assert_eq!(read.load(Ordering::Relaxed), 0);
    }
}

/// A stream of chunks.
trait Chunks: Sized {
    fn map_chunks(
        self,
        make: impl FnMut(i32) -> Vec<u8> + Send + 'static,
    ) -> stream::BoxStream<'static, Result<Vec<u8>, Infallible>>;
}

impl<S: futures_util::Stream<Item = i32> + Send + 'static> Chunks for S {
    fn map_chunks(
        self,
        mut make: impl FnMut(i32) -> Vec<u8> + Send + 'static,
    ) -> stream::BoxStream<'static, Result<Vec<u8>, Infallible>> {
        use futures_util::StreamExt;
        self.map(move |i| Ok(make(i))).boxed()
    }
}

#[test]
fn no_more_is_held_than_allowed() {
    let photo = std::fs::read(fixture("photos/three.png")).unwrap();
    let client = limited(Limits { held_bytes: 2 * photo.len() as u64 + 10, ..Limits::default() });
    let send = |name: &str| client.upload(&format!("/api/images?name={name}"), photo.clone());
    let first = send("a.png").ok();
    send("b.png").ok();
    assert_eq!(send("c.png").error(507)[0], "full");
    assert_eq!(
        client.upload("/api/models", std::fs::read(fixture("efficientnet-lite0.onnx")).unwrap()).error(507)[0],
        "full"
    );
    assert!(client.delete(&format!("/api/images/{}", first[0]["id"].as_str().unwrap())).status.is_success());
    send("c.png").ok();
    let few = limited(Limits { held: 2, images: 1, ..Limits::default() });
    let second = few.upload("/api/images?name=a.png", photo.clone()).ok()[0]["id"].clone();
    few.upload("/api/images?name=b.png", photo).error(507);
    let (model, image) = few.opened();
    assert!(
        few.post("/api/explanations", &json!({"model": model, "images": [image, second]})).error(422)[1]
            .contains("at once")
    );
}

#[test]
fn work_that_takes_too_long_is_stopped() {
    let client = limited(Limits {
        longest: Duration::from_millis(300),
        longest_told: Duration::from_millis(300),
        ..Limits::default()
    });
    let slow = client.question(json!({"method": "rise", "samples": 1_000_000}));
    let start = Instant::now();
    assert_eq!(client.post("/api/explanations", &slow).error(504)[0], "timeout");
    let events = client.told("/api/explanations", &slow).events();
    assert_eq!(events.last().unwrap().1["error"]["kind"], "timeout");
    assert!(start.elapsed() < Duration::from_secs(20));
    // Its turn is given back once it has stopped.
    let quick = client.question(json!({}));
    let answered = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        client.post("/api/explanations", &quick).status == 200
    });
    assert!(answered);
}

#[test]
fn work_for_somebody_who_has_gone_away_is_stopped() {
    let client = limited(Limits { at_once: 1, waiting: 0, ..Limits::default() });
    let slow = client.question(json!({"method": "rise", "samples": 1_000_000}));
    for told in [true, false] {
        let mut request = question("/api/explanations", &slow);
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        if told {
            request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
        }
        RUNTIME.block_on(async {
            let reply = client.0.clone().router().oneshot(request);
            if told {
                // The first events come, and then nobody listens any more.
                let mut body = reply.await.unwrap().into_body();
                assert!(body.frame().await.is_some());
            } else {
                assert!(tokio::time::timeout(Duration::from_millis(200), reply).await.is_err());
            }
        });
        let start = Instant::now();
        while client.post("/api/explanations", &client.question(json!({}))).status != 200 {
            assert!(start.elapsed() < Duration::from_secs(30), "{told}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn photos_and_layers_do_not_wait_for_maps() {
    let client = limited(Limits { at_once: 1, waiting: 8, longest: Duration::from_secs(3), ..Limits::default() });
    let slow = client.question(json!({"method": "rise", "samples": 1_000_000}));
    let (model, image) = client.opened();
    std::thread::scope(|scope| {
        let working = scope.spawn(|| client.post("/api/explanations", &slow));
        std::thread::sleep(Duration::from_millis(200));
        assert!(client.get(&format!("/api/images/{image}/photo")).status.is_success());
        assert!(client.post(&format!("/api/models/{model}/layers"), &json!({})).status.is_success());
        assert!(client.get("/api/models").status.is_success() && !working.is_finished());
        working.join().unwrap().error(504);
    });
}

#[test]
fn those_who_find_no_place_to_wait_are_told_to_come_again() {
    let client = limited(Limits { at_once: 1, waiting: 1, longest: Duration::from_secs(3), ..Limits::default() });
    let slow = client.question(json!({"method": "rise", "samples": 1_000_000}));
    let replies = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(50));
                scope.spawn(|| client.post("/api/explanations", &slow))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert_eq!(busy.len(), 2, "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
    assert!(busy.iter().all(|reply| reply.header("retry-after") == "2" && reply.error(503)[0] == "busy"));
}

#[test]
fn a_network_given_up_is_made_ready_again() {
    // There is room for one network at a time.
    let client = limited(Limits { ready_bytes: 1, kept_bytes: 1, ..Limits::default() });
    let layers = ["/conv_layers/conv_layers.7/Relu_output_0", "/conv_layers/conv_layers.4/Relu_output_0"];
    let ask = |layer: &str| client.post("/api/explanations", &client.question(json!({"layer": layer}))).ok();
    let first = layers.map(ask);
    assert_ne!(first[0]["results"][0]["maps"][0]["values"], first[1]["results"][0]["maps"][0]["values"]);
    assert_eq!(layers.map(ask), first);
}
