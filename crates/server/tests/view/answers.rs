//! What is answered is what the library says.

use crate::client::{Client, fixture, tract};
use axum::body::Body;
use axum::http::Request;
use hirescam::labels::Labels;
use hirescam::photo::Photo;
use hirescam::record::{Files, Mark, Origin, Record};
use hirescam::{Explained, Network, Spec};
use serde_json::{Value, json};

fn numbers(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// What the library makes of the same.
fn by_library(network: &str, photo: &str, spec: &Spec) -> Explained {
    let photo = Photo::open(fixture(photo)).unwrap();
    Network::open(fixture(network)).unwrap().explainer(spec).unwrap().explain_one(photo).unwrap()
}

#[test]
fn the_server_says_what_it_is_and_what_is_there() {
    let client = Client::digits();
    let api = client.get("/api").ok();
    assert_eq!(api["engine"], "tract");
    assert_eq!(
        (api["opened"]["models"].as_array().unwrap().len(), api["opened"]["images"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_eq!(api["opened"]["spec"], json!({"engine": "tract"}));
    let methods = api["methods"].as_array().unwrap();
    assert!(methods.iter().any(|m| m["name"] == "hirescam" && m["one_run"] == true));
    assert!(methods.iter().any(|m| m["name"] == "rise" && m["one_run"] == false));
    let glow = api["colormaps"].as_array().unwrap().iter().find(|map| map["name"] == "glow").unwrap();
    assert_eq!((glow["kind"].as_str(), glow["colours"].as_array().unwrap().len()), (Some("diverging"), 256));
    assert!(api["presets"].as_array().unwrap().iter().any(|preset| preset["name"] == "imagenet"));
    assert_eq!(client.get("/api/health").ok()["instance"], api["instance"]);
    assert_ne!(Client::digits().get("/api/health").ok()["instance"], api["instance"]);
}

#[test]
fn a_network_says_what_it_takes_and_what_goes_with_it() {
    let client = Client::digits();
    let models = client.get("/api/models").ok();
    let model = &models[0];
    assert_eq!((model["name"].as_str(), model["classes"].as_u64()), (Some("digits-cnn.onnx"), Some(10)));
    assert_eq!(model["id"], Network::open(fixture("digits-cnn.onnx")).unwrap().sha256());
    assert_eq!(
        (&model["image"]["layout"], &model["image"]["channels"], &model["image"]["height"]),
        (&json!("NCHW"), &json!(1), &json!(28))
    );
    assert_eq!(
        (&model["labels"]["count"], &model["missing"], &model["problem"]),
        (&json!(10), &json!([]), &Value::Null)
    );
    assert!(model["preprocess"]["toml"].as_str().unwrap().contains("channels = \"gray\""));
    let id = model["id"].as_str().unwrap();
    assert_eq!(&client.get(&format!("/api/models/{id}")).ok(), model);
    assert!(client.delete(&format!("/api/models/{id}")).status.is_success());
    client.get(&format!("/api/models/{id}")).error(404);
}

#[test]
fn what_is_sent_is_explained_as_what_was_opened() {
    let client = Client::with(&[], &[]);
    let bytes = std::fs::read(fixture("digits-cnn.onnx")).unwrap();
    let model = client.upload("/api/models?name=digits.onnx", bytes.clone());
    assert_eq!(model.status, 201);
    let model = model.json();
    assert_eq!((&model["name"], &model["missing"]), (&json!("digits.onnx"), &json!(["labels", "preprocess"])));
    assert_eq!(client.upload("/api/models?name=other.onnx", bytes).ok()["id"], model["id"]);
    let id = model["id"].as_str().unwrap();
    let images = client.upload("/api/images?name=seven.png", std::fs::read(fixture("photos/seven.png")).unwrap()).ok();
    assert_eq!(
        (&images[0]["name"], &images[0]["index"], &images[0]["width"]),
        (&json!("seven.png"), &json!(0), &json!(28))
    );
    let ask = |spec: Value| {
        let body = json!({"model": id, "images": [images[0]["id"]], "spec": spec});
        client.post("/api/explanations", &body).ok()["results"][0].clone()
    };
    let without = ask(json!({}));
    assert_eq!(without["error"]["kind"], "argument");
    assert!(without["error"]["remedy"].as_str().unwrap().contains("preprocess"));
    let steps = Network::open(fixture("digits-cnn.onnx")).unwrap().preprocess().unwrap().unwrap().0;
    let spec = json!({"preprocess": steps});
    let made = ask(spec.clone());
    assert_eq!((&made["maps"][0]["record"]["class"], &made["maps"][0]["record"]["label"]), (&json!(7), &Value::Null));
    // Labels come later, and hold for what is asked then.
    let label = |text: &str| {
        client.send(Request::put(format!("/api/models/{id}/labels")).body(Body::from(text.to_owned())).unwrap())
    };
    let names: Vec<String> = (0..10).map(|n| format!("the digit {n}")).collect();
    assert_eq!(label(&names.join("\n")).ok()["labels"]["count"], 10);
    assert_eq!(ask(spec.clone())["maps"][0]["record"]["label"], "the digit 7");
    assert_eq!(
        label(&json!(names.iter().rev().collect::<Vec<_>>()).to_string()).ok()["missing"],
        json!(["preprocess"])
    );
    assert_eq!(ask(spec)["maps"][0]["record"]["label"], "the digit 2");
    assert_eq!(label("a\nb").error(422)[0], "labels");
    assert_eq!(Labels::lines(&names.join("\n")).unwrap().len(), 10);
}

#[test]
fn maps_are_the_librarys_to_the_last_digit() {
    let client = Client::digits();
    let layers: Vec<String> = {
        let rows = Network::open(fixture("digits-cnn.onnx")).unwrap().layers(&tract(), false).unwrap().rows;
        rows.iter().filter(|row| row.error.is_none()).map(|row| row.layer.clone()).collect()
    };
    for spec in [
        json!({}),
        json!({"top": 3, "method": "hirescam,gradcam,saliency"}),
        json!({"class": ["1", 7], "layer": layers}),
        json!({"target": "contrast:7,1"}),
        json!({"method": "reciprocam", "settings": {"batch": 4}}),
    ] {
        let result = client.post("/api/explanations", &client.question(spec.clone())).ok()["results"][0].clone();
        assert_eq!(result["error"], Value::Null);
        let own = tract().with(spec.as_object().unwrap().clone()).unwrap();
        let made = by_library("digits-cnn.onnx", "photos/seven.png", &own);
        let maps = result["maps"].as_array().unwrap();
        assert_eq!(maps.len(), made.maps().len(), "{spec}");
        let photo = fixture("photos/seven.png");
        let sha256 = hirescam::source::hash(&photo).unwrap();
        for (map, e) in maps.iter().zip(made.maps()) {
            assert_eq!(numbers(&map["values"]), e.map.iter().copied().collect::<Vec<_>>(), "{spec}");
            assert_eq!(map["shape"], json!(e.map.shape()));
            assert_eq!((&map["words"], &map["unit"]), (&json!(e.in_words()), &json!(e.unit())));
            let record = Record::map(e, Origin::new(&photo, Some(&sha256), Some(0)), Files::default(), Mark::default());
            let record: Value = serde_json::from_slice(&record.to_json().unwrap()).unwrap();
            assert!(map["record"] == record, "{spec}");
            let (_, view) = e.seen().unwrap();
            assert_eq!(map["view"], json!({"x": view.x, "y": view.y, "width": view.width, "height": view.height}));
            assert_eq!(map["image"], json!([28, 28]));
        }
        let best = made.first().unwrap().best(10);
        let classes = result["classes"].as_array().unwrap();
        assert_eq!(classes.len(), 10);
        assert!(classes.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()));
        for (class, own) in classes.iter().zip(best) {
            assert_eq!((class["class"].as_u64(), class["score"].as_f64()), (Some(own.class as u64), Some(own.score)));
            assert_eq!(class["probability"].as_f64(), own.probability);
        }
    }
}

#[test]
fn progress_is_told_bit_by_bit() {
    let client = Client::with(&["digits-cnn.onnx"], &["photos/seven.png", "photos/three.png"]);
    let (model, _) = client.opened();
    let images = client.get("/api").ok()["opened"]["images"].clone();
    let body = json!({"model": model, "images": images, "spec": {"method": "occlusion"}});
    let events = client.told("/api/explanations", &body).events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], names.last()), ("progress", Some(&"end")));
    let results: Vec<&Value> = events.iter().filter(|(name, _)| name == "result").map(|(_, data)| data).collect();
    assert_eq!(results.iter().map(|result| result["image"].clone()).collect::<Vec<_>>(), *images.as_array().unwrap());
    assert!(events.iter().any(|(name, data)| name == "progress" && data["total"].as_u64() > Some(100)), "{names:?}");
    // The same as when all is told at once.
    let whole = client.post("/api/explanations", &body).ok();
    assert_eq!(whole["results"], json!(results));
    let wrong = json!({"model": model, "images": images, "spec": {"layer": "no such layer"}});
    let events = client.told("/api/explanations", &wrong).events();
    let (name, error) = events.last().unwrap();
    assert_eq!((name.as_str(), error["error"]["kind"].as_str()), ("error", Some("argument")));
}

#[test]
fn an_image_that_fails_spoils_no_other() {
    let client = Client::with(&["digits-cnn.onnx"], &["photos/seven.png", "digits-cnn.toml", "photos/three.png"]);
    let (model, _) = client.opened();
    let images = client.get("/api").ok()["opened"]["images"].clone();
    let results = client.post("/api/explanations", &json!({"model": model, "images": images})).ok()["results"].clone();
    let errors: Vec<bool> = results.as_array().unwrap().iter().map(|result| !result["error"].is_null()).collect();
    assert_eq!(errors, [false, true, false]);
    assert_eq!(results[1]["name"], "digits-cnn.toml");
    let classes = [0, 2].map(|i: usize| results[i]["maps"][0]["record"]["class"].clone());
    assert_eq!(classes, [json!(7), json!(3)]);
}

#[test]
fn layers_are_the_librarys() {
    let client = Client::with(&["efficientnet-lite0.onnx"], &[]);
    let (model, _) = client.opened();
    let rows = client.post(&format!("/api/models/{model}/layers"), &json!({})).ok();
    let own = Network::open(fixture("efficientnet-lite0.onnx")).unwrap().layers(&tract(), false).unwrap().rows;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), own.len());
    for (row, own) in rows.iter().zip(&own) {
        assert_eq!((row["name"].as_str(), &row["verdict"]), (Some(own.layer.as_str()), &json!(own.verdict)));
        assert_eq!((row["recommended"].as_bool(), &row["words"]), (Some(own.recommended), &json!(own.notes())));
        assert!(row["grid"][0].as_u64() > Some(0) && row["operator"].is_string(), "{row}");
    }
    let best = rows.iter().find(|row| row["recommended"] == true).unwrap();
    assert_eq!((&best["grid"], &best["verdict"]), (&json!([7, 7]), &json!("exact")));
}

#[test]
fn photos_and_what_the_network_sees_of_them_are_shown() {
    let client = Client::with(&["efficientnet-lite0.onnx"], &["photos/chelsea.png"]);
    let (model, image) = client.opened();
    let images = client.get("/api/images").ok();
    let (width, height) = (images[0]["width"].as_u64().unwrap(), images[0]["height"].as_u64().unwrap());
    let photo = client.get(&format!("/api/images/{image}/photo?side=100"));
    assert!(photo.status.is_success() && photo.header("cache-control").contains("immutable"));
    let small = image::load_from_memory(&photo.bytes).unwrap();
    assert_eq!(small.width().max(small.height()), 100);
    assert!((f64::from(small.width()) / f64::from(small.height()) - width as f64 / height as f64).abs() < 0.02);
    let full = image::load_from_memory(&client.get(&format!("/api/images/{image}/photo")).bytes).unwrap();
    assert_eq!((u64::from(full.width()), u64::from(full.height())), (width, height));
    let seen = client.post("/api/previews", &json!({"model": model, "image": image, "spec": {}}));
    assert_eq!((seen.status.as_u16(), seen.header("content-type")), (200, "image/png"));
    let seen = image::load_from_memory(&seen.bytes).unwrap().to_rgb8();
    let own = Network::open(fixture("efficientnet-lite0.onnx")).unwrap();
    assert!(seen == own.seen(&tract(), &Photo::open(fixture("photos/chelsea.png")).unwrap()).unwrap());
    assert!(client.delete(&format!("/api/images/{image}")).status.is_success());
    client.get(&format!("/api/images/{image}/photo")).error(404);
}

#[test]
fn rows_of_a_tensor_are_images_each() {
    let client = Client::digits();
    let (model, _) = client.opened();
    let seven = Photo::open(fixture("photos/seven.png")).unwrap();
    let explainer = Network::open(fixture("digits-cnn.onnx")).unwrap().explainer(&tract()).unwrap();
    let one = explainer.prepare(&seven).unwrap().tensor;
    let values: Vec<f32> = one.iter().copied().chain(one.iter().map(|v| v * 0.5)).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 28, 28), }";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header:<117}\n");
    npy.extend((padded.len() as u16).to_le_bytes());
    npy.extend(padded.as_bytes());
    values.iter().for_each(|value| npy.extend(value.to_le_bytes()));
    let images = client.upload("/api/images?name=two.npy", npy).ok();
    assert_eq!(
        (images.as_array().unwrap().len(), &images[1]["index"], &images[0]["width"]),
        (2, &json!(1), &Value::Null)
    );
    let ids: Vec<&Value> = images.as_array().unwrap().iter().map(|image| &image["id"]).collect();
    let results = client.post("/api/explanations", &json!({"model": model, "images": ids})).ok()["results"].clone();
    let whole = explainer.explain_one(seven).unwrap();
    assert_eq!(
        numbers(&results[0]["maps"][0]["values"]),
        whole.first().unwrap().map.iter().copied().collect::<Vec<_>>()
    );
    assert_ne!(results[0]["maps"][0]["values"], results[1]["maps"][0]["values"]);
    assert_eq!(
        (&results[0]["maps"][0]["view"], &results[1]["maps"][0]["record"]["image_index"]),
        (&Value::Null, &json!(1))
    );
    client.get(&format!("/api/images/{}/photo", images[0]["id"].as_str().unwrap())).error(422);
}

#[test]
fn methods_are_compared_as_the_command_does_it() {
    let client = Client::digits();
    let methods = ["hirescam", "gradcam", "eigencam", "reciprocam"];
    let body = client.question(json!({"compare": {"methods": methods}}));
    let compared = client.post("/api/comparisons", &body).ok()["results"][0].clone();
    let spec = tract().with(body["spec"].as_object().unwrap().clone()).unwrap();
    let comparer = Network::open(fixture("digits-cnn.onnx")).unwrap().comparer(&spec).unwrap();
    let photo = Photo::open(fixture("photos/seven.png")).unwrap();
    let own = comparer.compare(&[photo.into()], &mut |_, _| {}).pop().unwrap().unwrap();
    assert_eq!(compared["words"], json!(own.in_words()));
    let names: Vec<&Value> = compared["table"].as_array().unwrap().iter().map(|row| &row["method"]).collect();
    assert_eq!(json!(names), json!(methods));
    for (row, own) in compared["table"].as_array().unwrap().iter().zip(&own.methods) {
        assert_eq!((row["outside"].as_f64(), row["residual"].as_f64()), (own.outside, own.explanation.tested()));
    }
    assert_eq!(compared["record"]["methods"][1]["method"], "gradcam");
    let events = client.told("/api/comparisons", &body).events();
    assert!(events.iter().any(|(name, result)| name == "result" && *result == compared));
}

#[test]
fn a_check_tells_how_far_it_is_and_then_its_report() {
    let client = Client::digits();
    let body = client.question(json!({"check": {"places": 3, "sample": 1, "methods": ["gradcam"]}}));
    let events = client.told("/api/checks", &body).events();
    assert!(events.iter().filter(|(name, _)| name == "progress").count() > 3);
    let (_, found) = events.iter().find(|(name, _)| name == "report").unwrap();
    assert_eq!(found["report"]["record"], "check");
    assert!(
        found["html"].as_str().unwrap().contains("Randomised weights")
            && !found["words"].as_array().unwrap().is_empty()
    );
    assert_eq!(events.last().unwrap().0, "end");
    let proven = client.told("/api/checks", &json!({"model": body["model"], "images": [], "spec": {}})).events();
    assert!(
        proven
            .iter()
            .any(|(name, found)| name == "report" && !found["report"]["layers"].as_array().unwrap().is_empty())
    );
}

#[test]
fn two_who_ask_at_once_get_the_same() {
    let client = Client::with(&["efficientnet-lite0.onnx"], &["photos/chelsea.png", "photos/coffee.png"]);
    let (model, _) = client.opened();
    let images = client.get("/api").ok()["opened"]["images"].clone();
    let ask = |image: usize| {
        client.post("/api/explanations", &json!({"model": model, "images": [images[image]]})).ok()["results"][0].clone()
    };
    let (together, alone) = std::thread::scope(|scope| {
        let all: Vec<_> = [0, 1, 0, 1].map(|image| scope.spawn(move || ask(image))).into_iter().collect();
        let together: Vec<Value> = all.into_iter().map(|one| one.join().unwrap()).collect();
        (together, [ask(0), ask(1)])
    });
    assert_eq!(together, [alone[0].clone(), alone[1].clone(), alone[0].clone(), alone[1].clone()]);
    let labels = alone.map(|result| result["maps"][0]["record"]["label"].clone());
    assert_eq!(labels, [json!("tiger cat"), json!("espresso")]);
}
