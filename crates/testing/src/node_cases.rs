//! ONNX's own tests of single operators, from `fixtures/node/cases.zip`.

use crate::FIXTURES;
use hirescam_core::onnx::messages::{GraphProto, NodeProto};
use hirescam_core::tensor::{DataType, is_float};
use hirescam_core::{Model, Tensor, reference};
use ndarray::ArrayD;
use prost::Message;
use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

/// A model of one node, values for its inputs, and what it must give for them.
pub struct NodeCase {
    /// ONNX's name of it.
    pub name: String,
    /// A model of the one node.
    pub model: Model,
    /// What goes in, by name.
    pub inputs: HashMap<String, Tensor>,
    /// What must come out.
    pub outputs: Vec<(String, Tensor)>,
}

impl NodeCase {
    /// The node.
    pub fn node(&self) -> &NodeProto {
        &self.model.graph().node[0]
    }
}

/// All cases, by name.
pub fn all() -> &'static [NodeCase] {
    static CASES: LazyLock<Vec<NodeCase>> = LazyLock::new(read);
    &CASES
}

/// How many cases of operators with a card there were, at least, when this was written.
pub const FLOOR: usize = 780;

/// The cases that are kept, with their names.
pub fn named(keep: fn(&NodeCase) -> bool) -> impl Iterator<Item = (String, &'static NodeCase)> {
    all().iter().filter(move |case| keep(case)).map(|case| (case.name.clone(), case))
}

fn read() -> Vec<NodeCase> {
    let mut pack = zip::ZipArchive::new(std::fs::File::open(format!("{FIXTURES}/node/cases.zip")).unwrap()).unwrap();
    let names: Vec<String> = pack.file_names().filter_map(|n| n.strip_suffix(".onnx")).map(str::to_owned).collect();
    let mut entry = |name: String| {
        let mut bytes = Vec::new();
        pack.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut cases: Vec<NodeCase> = names
        .into_iter()
        .map(|name| {
            let model = Model::from_bytes(entry(format!("{name}.onnx"))).unwrap();
            let held = GraphProto::decode(entry(format!("{name}.pb")).as_slice()).unwrap();
            let mut inputs: HashMap<String, Tensor> =
                held.initializer.iter().map(|t| (t.name().to_owned(), Tensor::from_proto(t).unwrap())).collect();
            let made = model.graph().output.iter().map(|o| o.name().to_owned());
            let outputs = made.map(|o| (o.clone(), inputs.remove(&o).unwrap())).collect();
            NodeCase { name, model, inputs, outputs }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// Cases that a card is known not to cover: (name, or its start before a `*`, why).
const LEFT_OUT: &[(&str, &str)] = &[
    ("gridsample_bicubic*", "mode cubic"),
    ("reduce_max_empty_set_bool", "the least of no booleans"),
    (
        "resize_downsample_scales_cubic_align_corners",
        "as in ONNX Runtime, extents are rounded before corners are aligned",
    ),
    (
        "resize_downsample_scales_linear_align_corners",
        "as in ONNX Runtime, extents are rounded before corners are aligned",
    ),
    ("training_dropout", "training"),
    ("training_dropout_default*", "training"),
    ("training_dropout_mask", "training"),
];

/// Cases whose answers ONNX itself gives to few digits.
const ROUNDED: &[&str] = &["averagepool_2d_ceil_last_window_starts_on_pad"];

/// The row for a case that is left out: its name, or the start of it, and why.
pub fn left_out(name: &str) -> Option<&'static (&'static str, &'static str)> {
    LEFT_OUT.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    })
}

/// How far a value of `case` may be from ONNX's, relative to it: ONNX's answers are rounded to their type, and often
/// computed in f32.
pub fn tolerance(case: &NodeCase, dtype: DataType) -> f64 {
    match dtype {
        _ if ROUNDED.contains(&case.name.as_str()) => 1e-3,
        DataType::Float16 => 2e-3,
        DataType::Bfloat16 => 1e-2,
        t if is_float(t) => 1e-5,
        _ => 0.0,
    }
}

/// Whether the reference gives ONNX's answers to `case`.
///
/// # Errors
/// What is wrong.
pub fn verdict(case: &NodeCase) -> Result<(), String> {
    let wanted: Vec<&str> = case.outputs.iter().map(|(name, _)| name.as_str()).collect();
    let made = reference::evaluate(&case.model, case.inputs.clone(), &wanted).map_err(|error| error.to_string())?;
    for (got, (name, expected)) in made.iter().zip(&case.outputs) {
        if got.dtype != expected.dtype {
            return Err(format!("{name} is {:?} and not {:?}", got.dtype, expected.dtype));
        }
        agree(expected, &got.data, tolerance(case, expected.dtype), 1e-7).map_err(|what| format!("{name}: {what}"))?;
    }
    Ok(())
}

/// Whether `got` is `expected`: each value to `absolute` and to `relative` of itself.
///
/// # Errors
/// How it differs.
pub fn agree(expected: &Tensor, got: &ArrayD<f64>, relative: f64, absolute: f64) -> Result<(), String> {
    if got.shape() != expected.shape() {
        return Err(format!("the shape {:?} and not {:?}", got.shape(), expected.shape()));
    }
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= absolute + relative * a.abs();
    let wrong: Vec<(&f64, &f64)> = expected.data.iter().zip(got).filter(|(a, b)| !same(**a, **b)).collect();
    match wrong.first() {
        None => Ok(()),
        Some((a, b)) => Err(format!("{} of {} values; the first is {b} and not {a}", wrong.len(), got.len())),
    }
}
