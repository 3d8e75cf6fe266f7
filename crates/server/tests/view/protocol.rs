//! The Open Inference Protocol, version 2.

use crate::client::{Client, Reply, fixture, tract};
use axum::body::Body;
use axum::http::Request;
use hirescam::Network;
use hirescam::engine::Array;
use hirescam::photo::Photo;
use serde_json::{Value, json};

/// A photo as the digits network takes it, and what its explaining model gives.
fn by_library(name: &str) -> (Vec<f32>, Vec<(String, Array)>) {
    let network = Network::open(fixture("digits-cnn.onnx")).unwrap();
    let photo = Photo::open(fixture(&format!("photos/{name}.png"))).unwrap();
    let tensor = network.explainer(&tract()).unwrap().prepare(&photo).unwrap().tensor;
    let made = network.explaining_model(&tract(), None).unwrap();
    let session = tract().engine.start().unwrap().prepare(&made.bytes).unwrap();
    let values = tensor.iter().copied().collect();
    (values, session.run(&[("input", &Array::from(tensor))]).unwrap())
}

fn input(values: &[f32]) -> Value {
    json!({"name": "input", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": values})
}

fn floats(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn the_server_and_its_models_describe_themselves() {
    let client = Client::digits();
    assert_eq!(client.get("/v2").ok()["name"], "hirescam");
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/digits-cnn/ready"] {
        assert!(client.get(path).status.is_success(), "{path}");
    }
    let model = client.get("/v2/models/digits-cnn").ok();
    assert_eq!(model["inputs"], json!([{"name": "input", "datatype": "FP32", "shape": [1, 1, 28, 28]}]));
    let outputs: Vec<&Value> = model["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(json!(outputs), json!(["logits", "map", "class", "score", "b"]));
    assert!(client.get("/v2/models/nothing").protocol_error(404)[1].contains("nothing"));
    client.get("/v2/models/nothing/ready").protocol_error(404);
    client.get("/v2/nothing").protocol_error(404);
}

#[test]
fn what_is_inferred_is_what_the_explaining_model_gives() {
    let client = Client::digits();
    let (values, own) = by_library("seven");
    let infer = |body: Value| client.post("/v2/models/digits-cnn/infer", &body);
    let made = infer(json!({"id": "a", "inputs": [input(&values)]})).ok();
    assert_eq!((&made["id"], &made["model_name"]), (&json!("a"), &json!("digits-cnn")));
    let outputs = made["outputs"].as_array().unwrap();
    assert_eq!(
        outputs.iter().map(|output| output["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["map", "class", "score", "b"]
    );
    for output in outputs {
        let (_, array) = own.iter().find(|(name, _)| *name == output["name"]).unwrap();
        assert_eq!(output["shape"], json!(array.shape()));
        assert_eq!(floats(&output["data"]), array.to_f32().iter().copied().collect::<Vec<_>>());
    }
    assert_eq!((&outputs[1]["datatype"], &outputs[1]["data"]), (&json!("INT64"), &json!([7])));
    // The network's own outputs come where they are asked for.
    let asked = infer(json!({"inputs": [input(&values)], "outputs": [{"name": "logits"}]})).ok();
    let (_, logits) = own.iter().find(|(name, _)| name == "logits").unwrap();
    assert_eq!(floats(&asked["outputs"][0]["data"]), logits.to_f32().iter().copied().collect::<Vec<_>>());
    let nested: Vec<&[f32]> = values.chunks(28).collect();
    let nested = json!({"name": "input", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": [[nested]]});
    assert_eq!(infer(json!({"id": "a", "inputs": [nested]})).ok(), made);
}

/// A message with the bytes of its tensors behind it.
fn binary(client: &Client, head: &Value, bytes: &[u8]) -> Reply {
    let head = head.to_string();
    let body = [head.as_bytes(), bytes].concat();
    let request =
        Request::post("/v2/models/digits-cnn/infer").header("inference-header-content-length", head.len().to_string());
    client.send(request.body(Body::from(body)).unwrap())
}

#[test]
fn bytes_say_the_same_as_json() {
    let client = Client::digits();
    let (values, own) = by_library("three");
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = json!({"name": "input", "shape": [1, 1, 28, 28], "datatype": "FP32", "parameters": {"binary_data_size": bytes.len()}});
    let reply = binary(&client, &json!({"inputs": [tensor], "parameters": {"binary_data_output": true}}), &bytes);
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    let length: usize = reply.header("inference-header-content-length").parse().unwrap();
    let (head, mut rest) = reply.bytes.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    for output in head["outputs"].as_array().unwrap() {
        let (_, array) = own.iter().find(|(name, _)| *name == output["name"]).unwrap();
        let size = output["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
        let (part, after) = rest.split_at(size);
        assert_eq!(part, array.to_le_bytes());
        rest = after;
    }
    assert!(rest.is_empty());
    // Some as bytes, some as JSON.
    let some = json!({"inputs": [tensor], "outputs": [{"name": "class"}, {"name": "map", "parameters": {"binary_data": true}}]});
    let reply = binary(&client, &some, &bytes);
    let length: usize = reply.header("inference-header-content-length").parse().unwrap();
    let head: Value = serde_json::from_slice(&reply.bytes[..length]).unwrap();
    assert_eq!((&head["outputs"][0]["data"], reply.bytes.len() - length), (&json!([3]), 4 * 49));
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let client = Client::digits();
    let values = vec![0.5f32; 28 * 28];
    let changed = |name: &str, value: Value| {
        let mut input = input(&values);
        input[name] = value;
        json!({"inputs": [input]})
    };
    for body in [
        json!({}),
        json!({"inputs": []}),
        changed("name", json!("no such input")),
        changed("shape", json!([1, 1, 28, 27])),
        changed("shape", json!([1, 28, 28])),
        changed("datatype", json!("FP64")),
        changed("datatype", json!("BYTES")),
        changed("data", json!(["a"])),
        changed("data", Value::Null),
        json!({"inputs": [input(&values)], "outputs": [{"name": "no such output"}]}),
    ] {
        let [kind, message] = client.post("/v2/models/digits-cnn/infer", &body).protocol_error(422);
        assert!(kind == "argument" && !message.is_empty(), "{message}");
    }
    let tensor = json!({"name": "input", "shape": [1, 1, 28, 28], "datatype": "FP32", "parameters": {"binary_data_size": 28 * 28 * 4}});
    binary(&client, &json!({"inputs": [tensor]}), &[0; 100]).protocol_error(422);
    let request = Request::post("/v2/models/digits-cnn/infer").header("inference-header-content-length", "9999");
    client.send(request.body(Body::from("{}")).unwrap()).protocol_error(422);
}

#[test]
fn requests_that_come_together_get_each_its_own() {
    // A network that takes any number of images.
    let client = Client::with(&["kinds/free.onnx"], &[]);
    let model = client.get("/api/models").ok()[0].clone();
    let open = client.get("/v2/models/free");
    if open.status == 422 {
        // Any size, too: for explaining models one is said.
        let spec = hirescam::Spec { shape: Some(vec![1, 3, 16, 16]), ..tract() };
        let sized = Client::new(hirescam_server::view::Options {
            spec,
            models: vec![fixture("kinds/free.onnx")],
            ..Default::default()
        });
        return together(&sized, model["image"]["input"].as_str().unwrap());
    }
    together(&client, model["image"]["input"].as_str().unwrap());
}

fn together(client: &Client, name: &str) {
    let body = |n: usize| {
        let values: Vec<f32> = (0..3 * 16 * 16).map(|i| ((i * (n + 3)) % 17) as f32 / 17.0).collect();
        json!({"inputs": [{"name": name, "shape": [1, 3, 16, 16], "datatype": "FP32", "data": values}]})
    };
    let alone: Vec<Value> = (0..8).map(|n| client.post("/v2/models/free/infer", &body(n)).ok()).collect();
    assert_ne!(alone[0]["outputs"], alone[1]["outputs"]);
    let together: Vec<Value> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|n| scope.spawn(move || client.post("/v2/models/free/infer", &body(n)).ok())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for (together, alone) in together.iter().zip(&alone) {
        for (a, b) in together["outputs"].as_array().unwrap().iter().zip(alone["outputs"].as_array().unwrap()) {
            assert_eq!((&a["name"], &a["shape"]), (&b["name"], &b["shape"]));
            let (a, b) = (floats(&a["data"]), floats(&b["data"]));
            let largest = b.iter().fold(0f32, |largest, v| largest.max(v.abs()));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{a:?} {b:?}");
        }
    }
}
