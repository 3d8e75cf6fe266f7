//! Every sentence that is printed of a map or a layer is held against the numbers that stand beside it, for all networks in
//! `fixtures` and all methods. A sentence that nobody holds against anything fails, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod of_layer;
mod of_map;
mod subject;
mod text;

use hirescam::Explanation;
use hirescam::core::cam;
use hirescam_testing::FIXTURES;
use hirescam_testing::each::{Tests, all_right};
use of_map::Of;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use subject::Subject;

const FOLDERS: [&str; 4] = ["zoo", "kinds", "inputs", "certificate"];
const SEVERAL_RUNS: [&str; 6] = ["ablationcam", "scorecam", "integrated-gradients", "smoothgrad", "occlusion", "rise"];

fn networks() -> Vec<(String, PathBuf)> {
    let of = |folder: &str| {
        let files = std::fs::read_dir(format!("{FIXTURES}/{folder}")).into_iter().flatten().filter_map(Result::ok);
        let mut networks: Vec<PathBuf> =
            files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
        networks.sort();
        let name = |path: &PathBuf| format!("{folder}/{}", path.file_stem().unwrap().to_string_lossy());
        networks.into_iter().map(|path| (name(&path), path)).collect::<Vec<_>>()
    };
    FOLDERS.iter().flat_map(|folder| of(folder)).collect()
}

/// Holds what is said of each method's maps at the recommended layer against the numbers.
fn of_maps(path: PathBuf) -> Result<(), String> {
    let subject = Subject::open(&path).map_err(|e| e.to_string())?;
    let (mut wrong, mut maps) = (Vec::new(), HashMap::new());
    // What is refused is nothing of these sentences, but for the node that it names.
    let explain = |method: &'static str, target: Option<&str>, wrong: &mut Vec<String>| -> Option<Vec<Explanation>> {
        let made = subject.explain(&subject.spec(method, None, target));
        let error = made.as_ref().err().map(ToString::to_string);
        wrong.extend(error.and_then(|e| Some(format!("{method}: {e}: {}", subject.names_nodes(&e).err()?))));
        made.ok()
    };
    let entry = subject.entry();
    let Some(best) = explain("hirescam", entry.as_deref(), &mut wrong) else { return all_right(&wrong) };
    // All for one class, so that images can be compared.
    let class = best[0].entry.filter(|_| entry.is_none());
    let target = class.map(|class| format!("class:{class}")).or(entry);
    let several = best[0].scores().classes > 1;
    let methods = cam::METHODS.iter().map(|m| m.name).chain(SEVERAL_RUNS);
    let made: Vec<(&str, Vec<Explanation>)> =
        methods.filter_map(|name| Some((name, explain(name, target.as_deref(), &mut wrong)?))).collect();
    for (name, of_method) in &made {
        maps.insert(*name, of_method[0].clone());
    }
    for (name, of_method) in &made {
        let here = |(_, e): &(&&str, &Explanation)| e.layer() == of_method[0].layer();
        let mut beside: HashMap<&'static str, Explanation> =
            maps.iter().filter(here).map(|(name, e)| (*name, e.clone())).collect();
        if let Some(class) = class.filter(|_| several && *name == "eigencam") {
            let another = format!("class:{}", usize::from(class == 0));
            beside.extend(
                explain("eigencam", Some(&another), &mut wrong).map(|mut made| ("another class", made.remove(0))),
            );
        }
        let of = Of { subject: &subject, e: &of_method[0], other: &of_method[1], beside: &beside };
        wrong.extend(of.check().err().map(|why| format!("{name}: {why}")));
    }
    all_right(&wrong)
}

fn main() -> ExitCode {
    Tests::default()
        .each("what_is_said_of_maps_is_true", 80, networks(), of_maps)
        .each("what_is_said_of_layers_is_true", 80, networks(), of_layer::check)
        .run()
        .exit_code()
}
