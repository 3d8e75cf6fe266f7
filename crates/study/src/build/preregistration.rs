//! The pre-registration: what is laid down before the first answer, in words that a registry can keep.
//!
//! It names the arms, and does not say which number of the manifest is which arm, nor the seed that drew this: the key has both, and its hash
//! stands here. It lies in the study's folder, and no rater sees it, for a server hands out nothing but the files that the manifest names.

use crate::design::Design;
use crate::kinds::{Question, Shows};
use crate::manifest::{Key, Manifest, Role};
use crate::plan::effect;
use crate::simulate::{World, expected};
use crate::text::{count, markdown};
use std::fmt::Write;

/// The text, of a manifest with this hash and a schedule with so many slots.
pub(super) fn text(manifest: &Manifest, key: &Key, sha256: &str, slots: usize) -> String {
    let design = &key.design;
    let mut text = format!("# Pre-registration: {}\n", markdown(&design.title));
    let mut part = |title: &str, lines: Vec<String>| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {title}\n\n{}\n", lines.join("\n"));
    };
    part("Question", question(design));
    part("Hypothesis", hypothesis(design));
    part("Arms", arms(key));
    part("Items", items(manifest, key));
    part("Raters", raters(manifest, slots));
    part("Exclusions", exclusions(design));
    part("Analysis", analysis(manifest, design));
    part("Blinding", blinding(design));
    part(
        "Hashes",
        vec![
            "What was built before the first answer, as SHA-256:".into(),
            String::new(),
            format!("- `manifest.json`, which has the hash of every picture: `{sha256}`"),
            format!("- the key, which says which arm is which, with the whole design and its seed: `{}`", manifest.key),
            format!("- study `{}`, built by hirescam {}", manifest.study, manifest.version),
        ],
    );
    text
}

fn question(design: &Design) -> Vec<String> {
    let asked = match &design.question {
        Question::Prefer(prefer) => {
            let neither = if prefer.neither { ", or says that there is no difference" } else { "" };
            format!("The rater sees the photo and two arms' maps of it, and chooses one{neither}.")
        }
        Question::Rate(rate) => format!(
            "The rater sees the photo and one arm's map of it, and rates it on {} steps from \"{}\" to \"{}\".",
            rate.steps,
            markdown(&rate.lowest),
            markdown(&rate.highest)
        ),
        Question::Locate(locate) => format!(
            "The rater sees the photo alone and marks a place with a {}; the overlap with each arm's map is found afterwards.",
            match locate.tool {
                crate::kinds::Tool::Point => "point",
                crate::kinds::Tool::Box => "rectangle",
                crate::kinds::Tool::Brush => "brush",
            }
        ),
        Question::Reveal(reveal) => format!(
            "The photo is uncovered in {} steps in the order of one arm's map, the most important places first, until the rater {}. What counts is \
             the share that was uncovered when the class was named rightly.",
            reveal.steps,
            match reveal.options {
                0 => "types the class".to_owned(),
                options => format!("chooses the class among up to {options}"),
            }
        ),
        Question::Trust(_) => "The rater sees two models' maps of the same class of one photo, and says on five steps which model is the more \
                               reliable."
            .to_owned(),
    };
    vec![format!("> {}", markdown(design.question.text())), String::new(), asked]
}

fn hypothesis(design: &Design) -> Vec<String> {
    let expected = design.hypothesis.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let none = match design.arms.len() {
        1 => "There is one arm, and no hypothesis: the study says how its maps do by themselves.",
        _ => {
            "No direction was laid down: all tests are two-sided, and their hypothesis is that the arms do not differ."
        }
    };
    vec![expected.map_or_else(|| none.to_owned(), markdown)]
}

fn arms(key: &Key) -> Vec<String> {
    // In the design's order, which is not that of the manifest.
    let named = |arm: &crate::design::Arm| {
        let made = key.arms.iter().find(|other| other.name == arm.name).map(|other| &other.provenance);
        let layer = arm.spec.layers.first().map_or("the recommended layer".to_owned(), |layer| format!("`{layer}`"));
        let (sha256, engine) = made.map_or(("?".into(), "?".into()), |made| {
            (made.model_sha256.clone(), format!("{} {}", made.engine, made.engine_version))
        });
        format!(
            "- **{}**: `{}` at {layer} of `{}` (SHA-256 `{sha256}`), run by {engine}",
            markdown(&arm.name),
            arm.spec.method,
            arm.model.display()
        )
    };
    key.design.arms.iter().map(named).collect()
}

fn items(manifest: &Manifest, key: &Key) -> Vec<String> {
    let number = |role: Role| manifest.items.iter().filter(|item| item.role == role).count();
    let design = &key.design.items;
    let from = match &design.data {
        Some(data) => format!("the data set `{}`", data.display()),
        None => design.images.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", "),
    };
    let classes = match &design.data {
        Some(_) => format!("the classes that are {} (as the design says)", design.classes.word()),
        None => "the class that the first arm's network predicts".into(),
    };
    let same = key.items.iter().filter(|item| item.same).count();
    let mut lines = vec![
        format!(
            "- Items that count: {}, drawn by a seed from {from}, {} at most; an item is an image and one of {classes}.",
            number(Role::Counts),
            design.limit.map_or("all".to_owned(), |limit| limit.to_string())
        ),
        format!(
            "- Items for practice before them: {}. Checks among them: {}.",
            number(Role::Practice),
            number(Role::Check)
        ),
        format!("- Images that could not be used: {}; the key names them with the reason.", key.failed.len()),
    ];
    if same > 0 {
        lines.push(format!(
            "- Items of which all arms' maps look the same: {same}; they are asked about like the others."
        ));
    }
    lines
}

fn raters(manifest: &Manifest, slots: usize) -> Vec<String> {
    let raters = &manifest.raters;
    let each = match manifest.question.shows() {
        Shows::None => "each item",
        Shows::One => "each item under each arm",
        Shows::Two => "each item under each pair of arms",
    };
    let counts = manifest.items.iter().filter(|item| item.role == Role::Counts).count();
    vec![
        format!(
            "- Answers to {each}: {}. Raters: {slots}, of {} each.",
            raters.answers_per_item,
            count(raters.items_per_rater.unwrap_or(counts).min(counts), "item")
        ),
        format!(
            "- Of a rater's items so many come a second time, turned round, to see whether the rater says the same: {}.",
            raters.repeated(counts)
        ),
        "- The study ends when all these raters have finished. Results by arm are not looked at before.".into(),
    ]
}

fn exclusions(design: &Design) -> Vec<String> {
    let exclude = &design.exclude;
    let mut lines = vec![
        format!("- An answer that took less than {} ms does not count.", exclude.fastest_ms),
        format!(
            "- A rater of whose answers more than {} are that fast does not count.",
            percent(exclude.too_fast_share)
        ),
        format!("- A rater who fails more than {} does not count.", count(exclude.failed_checks, "attention check")),
    ];
    if exclude.same_in_a_row > 0 {
        lines.push(format!(
            "- A rater who gives the same answer more than {} times in a row does not count.",
            exclude.same_in_a_row
        ));
    }
    lines.push(match exclude.keep_unfinished {
        true => "- Raters who did not finish count, as far as they went.".into(),
        false => "- Raters who did not finish do not count.".into(),
    });
    lines.push("- Answers to practice items and checks are not analysed; repeats serve consistency alone.".into());
    lines
}

/// What is found where several arms are compared, and how.
fn comparison(manifest: &Manifest, design: &Design) -> Vec<String> {
    let test = &design.test;
    let estimated = match design.question {
        Question::Prefer(_) | Question::Trust(_) => {
            "the share of answers for the one of two arms, \"no difference\" as half an answer for each"
        }
        Question::Rate(_) => "the difference of two arms' mean ratings",
        Question::Reveal(_) => "the difference of the mean shares uncovered under two arms",
        Question::Locate(_) => "the difference of two arms' mean overlaps with what was marked",
    };
    let world = World::one_better(manifest, None, &design.assume, 0, test.effect);
    let comes_to = expected(&design.question, &world, 0, 1);
    let effect = effect(design.question.word(), "the better arm", "the other", test.effect, comes_to);
    vec![
        format!(
            "- Primary: {estimated}, over the populations of raters and items, by a mixed-effects model in which both are random and crossed; two-sided, at the level {}{}.",
            test.alpha,
            if design.arms.len() > 2 { ", with Holm's correction over the pairs of arms" } else { "" }
        ),
        format!(
            "- The smallest effect of interest, with raters as the design assumes them: {effect}. The study is to have a power of {} to find it.",
            percent(test.power)
        ),
    ]
}

fn analysis(manifest: &Manifest, design: &Design) -> Vec<String> {
    let test = &design.test;
    let mut lines = match design.arms.len() {
        1 => vec![
            "- Primary: the mean of what the answers say of the arm's maps, over the populations of raters and items. There is nothing to test.".to_owned(),
        ],
        _ => comparison(manifest, design),
    };
    lines.extend([
        format!(
            "- Intervals hold {}; those that are drawn by chance are drawn {} times.",
            percent(1.0 - test.alpha),
            test.resamples
        ),
        "- Items of which all arms' maps look the same are left out, and counted.".to_owned(),
        match design.metrics.as_slice() {
            [] => "- No metrics of the maps are held against the answers.".to_owned(),
            metrics => format!(
                "- Secondary: rank correlations of the answers with {} of the same maps; agreement and consistency of raters; results by class and by verdict of the certificate.",
                metrics.join(", ")
            ),
        },
    ]);
    lines
}

fn blinding(design: &Design) -> Vec<String> {
    let scale = match design.picture.scale {
        hirescam::overlay::Scales::Shared => "one scale for all maps of an item",
        _ => "each map scaled to its own largest value",
    };
    vec![format!(
        "Raters see no names of arms. All pictures of an item have one size, all files one length in bytes and one time of change, random names and no \
         metadata; colours are the same, with {scale}. Sides, order and arms are drawn by a seed and balanced exactly."
    )]
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if (percent - percent.round()).abs() < 1e-9 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}
