//! The API's description.

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/openapi.json");

#[test]
fn the_description_that_the_page_is_built_from_is_that_of_the_server() {
    let own = hirescam_server::view::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("HIRESCAM_WRITE").is_some() {
        std::fs::write(FILE, &own).unwrap();
    }
    let there = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        there == own,
        "web/openapi.json is stale: HIRESCAM_WRITE=1 cargo test -p hirescam-server --test view writes it"
    );
}

#[test]
fn every_question_and_every_answer_is_described() {
    let api = serde_json::to_value(hirescam_server::view::openapi()).unwrap();
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{}", paths.len());
    let mut names = std::collections::BTreeSet::new();
    for (path, methods) in paths {
        for (method, of) in methods.as_object().unwrap() {
            assert!(
                names.insert(of["operationId"].as_str().unwrap().to_owned()),
                "{method} {path}: {}",
                of["operationId"]
            );
            let text = of["summary"].as_str().or(of["description"].as_str()).unwrap_or_default();
            assert!(!text.is_empty(), "{method} {path} says nothing of itself");
            assert!(!of["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        }
    }
}
