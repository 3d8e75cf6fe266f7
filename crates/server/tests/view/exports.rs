//! What one takes along is what the library writes.

use crate::client::{Client, Reply, fixture, tract};
use hirescam::overlay::Style;
use hirescam::photo::Photo;
use hirescam::{Network, Spec, sink};
use serde_json::{Value, json};

const SPEC: &str = r#"{"top": 2, "method": "hirescam,gradcam"}"#;

fn export(client: &Client, kind: &str, more: &Value) -> Reply {
    let (model, image) = client.opened();
    let spec: Value = serde_json::from_str(SPEC).unwrap();
    let mut body = json!({"kind": kind, "model": model, "image": image, "spec": spec, "rank": 1, "method": "gradcam"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/api/exports", &body)
}

#[test]
fn pictures_maps_and_records_are_the_librarys() {
    let client = Client::digits();
    let spec = tract().with(serde_json::from_str(SPEC).unwrap()).unwrap();
    let network = Network::open(fixture("digits-cnn.onnx")).unwrap();
    let explained =
        network.explainer(&spec).unwrap().explain_one(Photo::open(fixture("photos/seven.png")).unwrap()).unwrap();
    let e = explained.at(1, "gradcam", explained.first().unwrap().layer()).unwrap();
    let look = json!({"look": {"signed": true, "opacity": 0.5, "colormap": "bwr", "cells": true, "of the page": [1]}});
    let style = {
        let mut picture = Spec::default().picture;
        (picture.signed, picture.opacity, picture.colormap, picture.sharp) = (true, 0.5, Some("bwr".into()), true);
        Style { title: e.unit(), caption: e.caption(), ..picture.style().unwrap() }
    };
    let png = export(&client, "png", &look);
    assert_eq!(
        (png.header("content-type"), png.header("content-disposition")),
        ("image/png", "attachment; filename=\"seven-digits-cnn.png\"")
    );
    assert!(png.bytes == sink::png(&e.overlay(true, &style).unwrap()).unwrap());
    assert_eq!(export(&client, "svg", &look).text(), e.svg(true, &style).unwrap());
    assert!(export(&client, "npy", &json!({})).bytes == sink::npy(&e.map).unwrap());
    let record = export(&client, "record", &json!({})).ok();
    assert_eq!(
        (record["method"].as_str(), record["class"].as_u64()),
        (Some("gradcam"), e.class.map(|class| class as u64))
    );
    assert_eq!((record["sum"].as_f64(), record["score"].as_f64()), (Some(e.sum), Some(e.score)));
    let missing = export(&client, "png", &json!({"rank": 2})).error(404);
    assert!(missing[1].contains("no such map"));
}

#[test]
fn the_explaining_model_is_the_librarys() {
    let client = Client::digits();
    let made = export(&client, "onnx", &json!({}));
    let spec = tract().with(serde_json::from_str(r#"{"top": 2, "method": "gradcam"}"#).unwrap()).unwrap();
    let own = Network::open(fixture("digits-cnn.onnx")).unwrap().explaining_model(&spec, None).unwrap();
    assert!(made.bytes == own.bytes);
    assert!(export(&client, "onnx", &json!({"method": "rise"})).error(422)[1].contains("several runs"));
}

#[test]
fn the_command_line_makes_the_same() {
    let client = Client::digits();
    let look = json!({"look": {"signed": true}});
    let said = export(&client, "command", &look).text();
    let paths = [fixture("digits-cnn.onnx"), fixture("photos/seven.png")].map(|path| path.display().to_string());
    let options = "--top 2 --method hirescam,gradcam --engine tract --signed";
    assert_eq!(said, format!("hirescam explain {} {} {options}\n", paths[0], paths[1]));
    // What no option can say goes into a file first.
    let steps = json!({"spec": {"preprocess": {"scale": 2}, "labels": ["it's", "$(b)"], "class": "0"}});
    let said = export(&client, "command", &steps).text();
    assert!(said.contains("printf '%s\\n' 'scale = 2.0' > preprocess.toml\n"), "{said}");
    assert!(said.contains(r#"printf '%s\n' '["it'\''s","$(b)"]' > labels.json"#), "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .ends_with("--class 0 --labels labels.json --preprocess preprocess.toml --engine tract"),
        "{said}"
    );
}

#[test]
fn the_offline_page_holds_all_it_shows_and_asks_nobody() {
    let client = Client::digits();
    let page = export(&client, "html", &json!({"look": {"of the page": "</script><script>alert(1)</script>"}})).text();
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"offline\">").unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let (model, image) = client.opened();
    assert_eq!((&data["model"]["id"], &data["image"]["id"]), (&json!(model), &json!(image)));
    assert!(data["photo"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(data["results"][0]["maps"].as_array().unwrap().len(), 4);
    assert_eq!(data["look"]["of the page"], "</script><script>alert(1)</script>");
    let asked = json!({"model": model, "images": [image], "spec": serde_json::from_str::<Value>(SPEC).unwrap()});
    assert_eq!(data["results"], client.post("/api/explanations", &asked).ok()["results"]);
    assert!(!data["layers"].as_array().unwrap().is_empty() && data["api"]["colormaps"].is_array());
    assert!(!page.contains("src=\"/") && !page.contains("href=\"/") && page.contains("default-src 'none'"));
}

#[test]
fn weights_beside_the_network_stay_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(fixture("digits-cnn.onnx")).unwrap();
    let mut proto = hirescam::core::onnx::read(bytes).unwrap();
    let tensor = proto.graph.as_mut().unwrap().initializer.iter_mut().max_by_key(|t| t.raw_data().len()).unwrap();
    let raw = tensor.raw_data.take().unwrap();
    std::fs::write(folder.path().join("weights.bin"), &raw).unwrap();
    use hirescam::core::onnx::messages::{StringStringEntryProto, tensor_proto::DataLocation};
    tensor.external_data =
        vec![StringStringEntryProto { key: Some("location".into()), value: Some("weights.bin".into()) }];
    tensor.data_location = Some(DataLocation::External as i32);
    let file = hirescam::core::onnx::write(&proto);
    std::fs::write(folder.path().join("net.onnx"), &file).unwrap();
    for ending in ["toml", "labels.txt"] {
        std::fs::copy(fixture(&format!("digits-cnn.{ending}")), folder.path().join(format!("net.{ending}"))).unwrap();
    }
    // Sent, it lacks them: what helps is said.
    let client = Client::new(hirescam_server::view::Options {
        spec: tract(),
        models: vec![folder.path().join("net.onnx")],
        images: vec![fixture("photos/seven.png")],
        ..Default::default()
    });
    let [kind, message, remedy] = client.upload("/api/models?name=net.onnx", file).error(422);
    assert!(
        kind == "model" && message.contains("weights.bin") && remedy.contains("when the server is started"),
        "{message} {remedy}"
    );
    // Opened, it is explained as if they were inside.
    assert_eq!(client.get("/api/models").ok()[0]["files_needed"], json!(["weights.bin"]));
    let whole = Client::digits();
    let ask = |client: &Client| {
        client.post("/api/explanations", &client.question(json!({}))).ok()["results"][0]["maps"][0]["values"].clone()
    };
    assert_eq!(ask(&client), ask(&whole));
    assert!(export(&client, "onnx", &json!({})).error(422)[2].contains("hirescam compile"));
    // The protocol's models have them, too.
    assert_eq!(client.get("/v2/models/net").ok()["name"], "net");
}
