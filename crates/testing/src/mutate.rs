//! Damage done to a model field by field, so that it gets past the decoder.

use hirescam_core::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_shape_proto::dimension,
    type_proto,
};
use hirescam_core::ops;

const INTS: &[i64] = &[
    0,
    1,
    -1,
    2,
    3,
    -2,
    4,
    7,
    8,
    16,
    64,
    255,
    4096,
    65_536,
    65_537,
    1 << 24,
    1 << 31,
    -1 << 31,
    1 << 36,
    1 << 62,
    i64::MAX,
    i64::MIN,
];
const FLOATS: &[f32] = &[0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 3e38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
const TEXTS: &[&str] =
    &["", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "constant", "reflect", "edge", "nearest", "linear", "tanh"];

/// Changes one thing about `model`; `below(n)` chooses a number under n.
pub fn mutate(model: &mut ModelProto, below: &mut dyn FnMut(usize) -> usize) {
    if below(12) == 0 {
        for import in &mut model.opset_import {
            import.version = Some([1, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 21, -1, i64::MAX][below(14)]);
        }
        return;
    }
    let Some(graph) = &mut model.graph else { return };
    let names: Vec<String> = values(graph);
    let name = |below: &mut dyn FnMut(usize) -> usize| match below(names.len() + 1) {
        i if i < names.len() => names[i].clone(),
        _ => String::new(),
    };
    let nodes = graph.node.len();
    match below(12) {
        0 => pick(&mut graph.initializer, below, |t, below| tensor(t, below)),
        1 => {
            let infos = [&mut graph.input, &mut graph.output, &mut graph.value_info];
            if let Some(list) = infos.into_iter().nth(below(3)) {
                pick(list, below, |v, below| info(v, below));
            }
        }
        2 if nodes > 1 => {
            graph.node.remove(below(nodes));
        }
        3 if nodes > 1 => graph.node.swap(below(nodes), below(nodes)),
        4 if nodes > 0 => {
            let mut copy = graph.node[below(nodes)].clone();
            copy.output.iter_mut().for_each(|o| o.push_str("_copy"));
            let made = copy.output.first().cloned().unwrap_or_default();
            graph.node.insert(below(nodes), copy);
            pick(&mut graph.node, below, |n, _| n.input.iter_mut().take(1).for_each(|i| i.clone_from(&made)));
        }
        5 => pick(&mut graph.node, below, |n, below| {
            let all: Vec<&str> = ops::all().filter(|c| c.domain.is_empty()).map(|c| c.name).collect();
            n.op_type = Some(all[below(all.len())].to_owned());
        }),
        6 => {
            let new = name(below);
            pick(&mut graph.node, below, |n, below| pick(&mut n.input, below, |i, _| i.clone_from(&new)));
        }
        7 => {
            let new = name(below);
            pick(&mut graph.node, below, |n, below| match below(3) {
                0 => n.input.push(new),
                1 => drop(n.input.pop()),
                _ => pick(&mut n.output, below, |o, _| o.clone_from(&new)),
            });
        }
        8 => {
            let donor = graph.node.iter().flat_map(|n| &n.attribute).nth(below(1 + 2 * nodes)).cloned();
            pick(&mut graph.node, below, |n, below| match below(2) {
                0 => n.attribute.extend(donor),
                _ => drop(n.attribute.pop()),
            });
        }
        _ => pick(&mut graph.node, below, |n, below| attributes(n, below)),
    }
}

fn values(graph: &GraphProto) -> Vec<String> {
    let given = graph.input.iter().map(|v| v.name()).chain(graph.initializer.iter().map(|t| t.name()));
    given.chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str))).map(str::to_owned).collect()
}

fn pick<T>(
    list: &mut [T],
    below: &mut dyn FnMut(usize) -> usize,
    change: impl FnOnce(&mut T, &mut dyn FnMut(usize) -> usize),
) {
    if !list.is_empty() {
        let at = below(list.len());
        change(&mut list[at], below);
    }
}

fn attributes(node: &mut NodeProto, below: &mut dyn FnMut(usize) -> usize) {
    pick(&mut node.attribute, below, |a: &mut AttributeProto, below| {
        let int = INTS[below(INTS.len())];
        if let Some(t) = &mut a.t {
            return tensor(t, below);
        }
        if a.i.is_some() {
            a.i = Some(int);
        }
        if a.f.is_some() {
            a.f = Some(FLOATS[below(FLOATS.len())]);
        }
        if a.s.is_some() {
            a.s = Some(TEXTS[below(TEXTS.len())].into());
        }
        match below(4) {
            0 if !a.ints.is_empty() => drop(a.ints.pop()),
            1 if !a.ints.is_empty() => a.ints.push(int),
            _ => pick(&mut a.ints, below, |i, _| *i = int),
        }
    });
}

fn tensor(t: &mut TensorProto, below: &mut dyn FnMut(usize) -> usize) {
    let int = INTS[below(INTS.len())];
    match below(6) {
        0 => pick(&mut t.dims, below, |d, _| *d = int),
        1 => t.data_type = Some(below(20) as i32),
        2 => t.dims.insert(0, 1),
        3 => t.dims.push(int),
        _ => {
            let width = if t.data_type == Some(7) { 8 } else { 4 };
            let mut raw = t.raw_data.clone().unwrap_or_default().to_vec();
            if raw.len() >= width {
                let at = below(raw.len() / width) * width;
                let value = if width == 8 {
                    int.to_le_bytes().to_vec()
                } else {
                    FLOATS[below(FLOATS.len())].to_le_bytes().to_vec()
                };
                raw[at..at + width].copy_from_slice(&value);
            }
            t.raw_data = Some(raw.into());
        }
    }
}

fn info(v: &mut ValueInfoProto, below: &mut dyn FnMut(usize) -> usize) {
    let Some(type_proto::Value::TensorType(t)) = v.r#type.as_mut().and_then(|t| t.value.as_mut()) else { return };
    if below(4) == 0 {
        t.elem_type = Some([1, 2, 6, 7, 9, 10, 11, 16][below(8)]);
        return;
    }
    let Some(shape) = &mut t.shape else { return };
    match below(4) {
        0 => drop(shape.dim.pop()),
        1 => shape.dim.extend(shape.dim.first().cloned()),
        _ => pick(&mut shape.dim, below, |d, below| {
            d.value = match below(6) {
                0 => None,
                1 => Some(dimension::Value::DimParam("n".into())),
                _ => Some(dimension::Value::DimValue(INTS[below(INTS.len())])),
            }
        }),
    }
}
