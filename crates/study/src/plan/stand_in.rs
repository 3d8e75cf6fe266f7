//! A study that was not built yet, as far as its numbers go.

use crate::Error;
use crate::design::Design;
use crate::kinds::{Question, Shows};
use crate::manifest::{Expected, Item, Key, KeyArm, KeyItem, Manifest, Role, SCHEMA};
use serde_json::json;
use std::collections::BTreeMap;

/// A manifest and a key as building makes them of a design, without pictures and maps: they say who sees what, and tell the arms.
///
/// # Errors
/// [`Error::Design`] where an arm's spec cannot be written down.
pub fn stand_in(design: &Design, items: usize) -> Result<(Manifest, Key), Error> {
    let roles = [(Role::Counts, items), (Role::Practice, design.items.practice), (Role::Check, design.items.checks)];
    let roles = roles.into_iter().flat_map(|(role, n)| std::iter::repeat_n(role, n));
    let expected = match &design.question {
        Question::Prefer(_) | Question::Trust(_) => Expected::Picture(0),
        Question::Rate(of) => Expected::AtLeast(of.steps),
        Question::Locate(_) => Expected::Within([0.4, 0.4, 0.6, 0.6]),
        Question::Reveal(_) => Expected::Class("class".into()),
    };
    let pictures = if design.question.shows() == Shows::None { 0 } else { design.arms.len() };
    let item = |(at, role): (usize, Role)| Item {
        id: format!("item-{at}"),
        role,
        class: "class".into(),
        photo: String::new(),
        size: [100, 100],
        pictures: vec![vec![String::new()]; pictures],
        uncovered: Vec::new(),
        options: Vec::new(),
        expected: (role == Role::Check).then(|| expected.clone()),
    };
    let items: Vec<Item> = roles.enumerate().map(item).collect();
    let key_item = |item: &Item| KeyItem {
        id: item.id.clone(),
        image: "".into(),
        class: 0,
        maps: Vec::new(),
        same: false,
        metrics: Vec::new(),
    };
    let arm = |arm: &crate::design::Arm| {
        let made = json!({
            "model": arm.model, "model_sha256": "", "engine": "", "engine_version": "", "spec": arm.spec,
        });
        let provenance =
            serde_json::from_value(made).map_err(|e| Error::Design(format!("the arm {}: {e}", arm.name)))?;
        Ok(KeyArm { name: arm.name.clone(), provenance })
    };
    let key = Key {
        schema: SCHEMA,
        study: "0".repeat(32),
        design: design.clone(),
        arms: design.arms.iter().map(arm).collect::<Result<_, Error>>()?,
        items: items.iter().map(key_item).collect(),
        failed: Vec::new(),
    };
    let manifest = Manifest {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        study: key.study.clone(),
        title: design.title.clone(),
        question: design.question.clone(),
        arms: design.arms.len(),
        items,
        seed: design.seed,
        raters: design.raters.clone(),
        exclude: design.exclude.clone(),
        consent: design.consent.clone(),
        finish: design.finish.clone(),
        files: BTreeMap::new(),
        key: String::new(),
    };
    Ok((manifest, key))
}
