//! What cards say of operators: that it is true, and that nobody else says it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::ops;
use hirescam_core::tensor::is_float;
use hirescam_core::{Tensor, reference};
use hirescam_testing::Random;
use hirescam_testing::by_hand::single_node;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where nodes are made, and so their operators written: cards and what they emit, the parts of a head, functions in line.
const MAKERS: &[&str] = &["ops", "build.rs", "build", "head/model.rs", "onnx/functions.rs", "onnx/messages.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn operators_are_named_in_cards_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let makers: Vec<PathBuf> = MAKERS.iter().map(|maker| root.join(maker)).collect();
    assert!(makers.iter().all(|maker| maker.exists()), "{makers:?}");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|file| makers.iter().all(|maker| !file.starts_with(maker)));
    assert!(files.len() >= 60, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().lines().filter(|l| !l.trim_start().starts_with("//"));
        for line in code {
            let named = line.split('"').skip(1).step_by(2).find(|quoted| ops::list::is_onnx(quoted));
            assert!(named.is_none(), "{}: {line}", file.display());
        }
    }
}

#[test]
fn what_is_said_to_be_never_negative_is_not() {
    let (mut always, mut of_inputs) = (0, 0);
    for card in ops::all() {
        for (n, case) in (card.cases)().into_iter().enumerate() {
            let (model, values) = single_node(card, &case, &mut Random::new(7));
            let node = model.graph().node.last().unwrap();
            let Some(card) = model.card(node) else { continue };
            let stored = |name: &String| model.initializer(name).map(|t| Tensor::from_proto(t).unwrap());
            let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
            for values in [values.clone(), values.into_iter().map(|(name, t)| (name, without_signs(t))).collect()] {
                let not_negative = |name: &String| {
                    let value = values.get(name).cloned().or_else(|| stored(name));
                    value.is_some_and(|t| t.data.iter().all(|&v| v >= 0.0))
                };
                let inputs: Vec<bool> = node.input.iter().map(not_negative).collect();
                if !(card.never_negative)(&model.attributes(node), &inputs) {
                    continue;
                }
                let known: HashMap<String, Tensor> = values;
                for made in reference::evaluate(&model, known, &outputs).unwrap() {
                    let negative = made.data.iter().find(|&&v| is_float(made.dtype) && v < 0.0);
                    assert!(negative.is_none(), "{}, case {n}: {negative:?}", card.name);
                }
                match inputs.contains(&false) {
                    true => always += 1,
                    false => of_inputs += 1,
                }
            }
        }
    }
    assert!(always >= 15 && of_inputs >= 100, "{always} and {of_inputs} were tried");
}

fn without_signs(tensor: Tensor) -> Tensor {
    Tensor { dtype: tensor.dtype, data: tensor.data.abs() }
}
