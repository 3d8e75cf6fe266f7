//! What is refused: hostile files, names, specs and pages of others.

use crate::client::{Client, fixture, question, tract};
use axum::body::Body;
use axum::http::Request;
use hirescam_server::view::{App, Error, Options};
use serde_json::json;

#[test]
fn garbage_is_no_network_and_no_image() {
    let client = Client::digits();
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", &[0xff; 1000], b"<svg onload=alert(1)>"] {
        let [kind, message, _] = client.upload("/api/models?name=a.onnx", bytes.to_vec()).error(422);
        assert!(["model", "unsupported"].contains(&kind.as_str()) && !message.is_empty(), "{kind} {message}");
        assert_eq!(client.upload("/api/images?name=a.png", bytes.to_vec()).error(422)[0], "file");
    }
    assert_eq!(client.get("/api/models").ok().as_array().unwrap().len(), 1);
    assert_eq!(client.get("/api/images").ok().as_array().unwrap().len(), 1);
}

#[test]
fn hostile_networks_are_errors_and_the_server_goes_on() {
    let client = Client::digits();
    let image = client.opened().1;
    let hostile = std::fs::read_dir(fixture("hostile")).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in hostile.filter(|path| path.extension().is_some_and(|ending| ending == "onnx")) {
        seen += 1;
        let model = client.upload("/api/models?name=hostile.onnx", std::fs::read(&path).unwrap());
        if !model.status.is_success() {
            model.error(422);
            continue;
        }
        let model = model.json();
        let id = model["id"].as_str().unwrap();
        let layers = client.post(&format!("/api/models/{id}/layers"), &json!({}));
        let explained = client.post("/api/explanations", &json!({"model": id, "images": [image]}));
        for reply in [layers, explained] {
            assert!(reply.status.is_success() || reply.json()["error"]["kind"].is_string(), "{}", path.display());
        }
    }
    assert!(seen > 2);
    assert_eq!(client.post("/api/explanations", &client.question(json!({}))).status, 200);
}

#[test]
fn names_are_text_and_never_paths() {
    let client = Client::digits();
    let bytes = std::fs::read(fixture("photos/three.png")).unwrap();
    for (sent, name) in [
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.png", "<img src=x onerror=alert(1)>.png"),
        ("a%0d%0aSet-Cookie:%20x.png", "aSet-Cookie: x.png"),
        ("C%3A%5Cphotos%5Ca.png", "a.png"),
    ] {
        let images = client.upload(&format!("/api/images?name={sent}"), bytes.clone()).ok();
        assert_eq!(images[0]["name"], name);
        let id = images[0]["id"].as_str().unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let (model, _) = client.opened();
        let result =
            client.post("/api/explanations", &json!({"model": model, "images": [id]})).ok()["results"][0].clone();
        assert_eq!((&result["name"], &result["maps"][0]["record"]["image"]), (&json!(name), &json!(name)));
        let png = client.post("/api/exports", &json!({"kind": "png", "model": model, "image": id}));
        let disposition = png.header("content-disposition");
        assert!(
            png.status.is_success() && disposition.matches('"').count() == 2 && !disposition.contains(['<', '/', '\\']),
            "{disposition}"
        );
    }
    for path in [
        "/../Cargo.toml",
        "/assets/../../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/api/images/..%2f..%2fetc%2fpasswd/photo",
        "/etc/passwd",
    ] {
        client.get(path).error(404);
    }
}

#[test]
fn specs_read_no_files_of_this_machine_choose_no_engine_and_take_no_more_memory() {
    let client = Client::digits();
    for spec in [
        json!({"preprocess": fixture("digits-cnn.toml")}),
        json!({"labels": fixture("digits-cnn.labels.txt")}),
        json!({"input": {"input": "/etc/passwd"}}),
        json!({"target": "dot:/etc/passwd"}),
        json!({"picture": {"font": "/etc/passwd"}}),
        json!({"onnxruntime": "/tmp/evil.so"}),
        json!({"engine": {"name": "onnxruntime", "onnxruntime": "/tmp/evil.so"}}),
        json!({"engine": "onnxruntime"}),
        json!({"threads": 1000}),
        json!({"memory": 1_000_000}),
        json!({"batch": 1_000_000}),
        json!({"shape": [1, 1, 100_000, 100_000]}),
        json!({"shape": [usize::MAX, usize::MAX]}),
    ] {
        let [kind, message, _] = client.post("/api/explanations", &client.question(spec.clone())).error(422);
        assert!(kind == "argument" && !message.contains("root:"), "{spec}: {message}");
    }
    // What the server itself was told may name files.
    let own = Client::new(Options {
        spec: hirescam::Spec {
            labels: Some(hirescam::spec::LabelsFrom::File(fixture("digits-cnn.labels.txt"))),
            ..tract()
        },
        models: vec![fixture("digits-cnn.onnx")],
        images: vec![fixture("photos/seven.png")],
        ..Options::default()
    });
    assert_eq!(own.post("/api/explanations", &own.question(json!({"engine": "tract"}))).status, 200);
}

#[test]
fn what_does_not_fit_is_said_with_what_helps() {
    let client = Client::digits();
    let (model, image) = client.opened();
    for (spec, said, helps) in [
        (json!({"layr": "a"}), "layr", ""),
        (json!({"layer": "no such"}), "no such", "/layers"),
        (json!({"class": "no such"}), "no such", ""),
        (json!({"class": 99}), "99", ""),
        (json!({"method": "gradcm"}), "gradcam", ""),
        (json!({"top": "many"}), "top", ""),
        (json!({"picture": 3}), "", ""),
    ] {
        let reply = client.post("/api/explanations", &client.question(spec.clone()));
        if spec["picture"] == 3 && reply.status == 200 {
            continue;
        }
        let [_, message, remedy] = reply.error(422);
        assert!(message.contains(said) && remedy.contains(helps), "{spec}: {message} | {remedy}");
    }
    client.post("/api/explanations", &json!({"model": "none", "images": [image]})).error(404);
    client.post("/api/explanations", &json!({"model": model, "images": ["none"]})).error(404);
    client.post("/api/explanations", &json!({"model": model, "images": []})).error(422);
    client.post("/api/explanations", &json!({"model": model})).error(422);
    client.post("/api/explanations", &json!({"model": model, "images": [image], "more": 1})).error(422);
    client
        .send(
            Request::post("/api/explanations")
                .header("content-type", "application/json")
                .body(Body::from("{"))
                .unwrap(),
        )
        .error(400);
    client.send(Request::post("/api/explanations").body(Body::from("{}")).unwrap()).error(415);
    client.get("/api/nothing").error(404);
    client.send(Request::put("/api/explanations").body(Body::empty()).unwrap()).error(405);
}

#[test]
fn other_names_and_other_sites_pages_are_refused() {
    let client = Client::digits();
    let get =
        |host: &str, path: &str| client.send(Request::get(path).header("host", host).body(Body::empty()).unwrap());
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
        assert_eq!(get(host, "/api").error(403)[0], "foreign");
        get(host, "/").error(403);
    }
    assert!(get("localhost:1234", "/api").status.is_success() && get("[::1]:1", "/").status.is_success());
    // Whoever keeps machines running asks for their health by number.
    assert!(get("10.0.0.7:8000", "/v2/health/ready").status.is_success());
    get("10.0.0.7:8000", "/v2").protocol_error(403);
    for (name, value) in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let mut request = question("/api/explanations", &client.question(json!({})));
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(client.send(request).error(403)[0], "foreign");
    }
    let named = Client::new(Options { url: Some("https://explain.example.org".into()), ..Options::default() });
    let host = |host: &str| named.send(Request::get("/api").header("host", host).body(Body::empty()).unwrap());
    assert!(host("explain.example.org").status.is_success());
    host("explain.example.org.evil.example").error(403);
    assert!(matches!(
        App::new(Options { url: Some("explain.example.org".into()), ..Options::default() }),
        Err(Error::Listen(_))
    ));
}

#[test]
fn pages_load_nothing_from_elsewhere() {
    let client = Client::digits();
    for path in ["/", "/api", "/api/health", "/nothing"] {
        let reply = client.get(path);
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'")
                && !policy.contains("unsafe")
                && !policy.contains("http")
        );
        assert!(policy.contains("connect-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(
            (reply.header("x-content-type-options"), reply.header("referrer-policy")),
            ("nosniff", "same-origin")
        );
    }
    assert_eq!(client.get("/").header("content-type"), "text/html; charset=utf-8");
    // Without the page there is the API alone.
    let api = Client::new(Options::default());
    api.get("/").error(404);
    assert!(api.get("/api").status.is_success());
}

#[test]
fn a_network_that_cannot_be_opened_is_said_before_anything_is_served() {
    for missing in ["nothing.onnx", "digits-cnn.toml"] {
        assert!(
            matches!(
                App::new(Options { models: vec![fixture(missing)], ..Options::default() }),
                Err(Error::Explain(_))
            ),
            "{missing}"
        );
    }
}
