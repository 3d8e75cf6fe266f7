//! Receptive fields: nothing beyond them moves a cell, and all that lies in them can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam_core::analysis::{Analysis, Hints};
use hirescam_core::grid::ReceptiveField;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::ops::{self, Along};
use hirescam_core::shape::{Dim, Fact};
use hirescam_core::tensor::DataType;
use hirescam_core::{Model, Tensor, layers, reference};
use hirescam_testing::by_hand::{info, model, single_node};
use hirescam_testing::{Random, by_chance, zoo};
use ndarray::{ArrayD, Axis, Slice};
use std::collections::HashMap;

/// Evaluates one value of a model, of an image.
fn value(model: &Model, image: &str, pixels: &Tensor, name: &str) -> Option<ArrayD<f64>> {
    let known = HashMap::from([(image.to_owned(), pixels.clone())]);
    reference::evaluate(model, known, &[name]).ok().map(|mut values| values.remove(0).data)
}

/// A layer of which the receptive field is known, by rows and columns of a value `[1, C, …]`.
struct Known {
    layer: String,
    /// Axes of the layer that count places, in the image's order.
    space: Vec<usize>,
    field: ReceptiveField,
}

fn known(analysis: &Analysis) -> Vec<Known> {
    let Ok(all) = layers::layers(analysis, true) else { return Vec::new() };
    let of_layer = |layer: layers::Layer| {
        let field = layer.receptive_field.filter(|_| layer.grid.is_none())?;
        let channels = analysis.channels(&layer.name);
        let space = (1..layer.dims.len()).filter(|&axis| axis != channels).collect();
        Some(Known { layer: layer.name, space, field })
    };
    all.into_iter().filter_map(of_layer).collect()
}

/// A cell of a value: all of its channels.
fn cell(values: &ArrayD<f64>, space: &[usize], at: &[usize]) -> ArrayD<f64> {
    let pairs = space.iter().zip(at);
    pairs.fold(values.clone(), |cut, (&axis, &k)| cut.slice_axis(Axis(axis), Slice::from(k..k + 1)).into_owned())
}

/// The image with all pixels changed that lie beyond a cell's field, or within it.
fn changed(pixels: &Tensor, axes: &[usize], field: &ReceptiveField, at: &[usize], within: bool) -> Tensor {
    let mut data = pixels.data.clone();
    for (index, v) in data.indexed_iter_mut() {
        let mut sides = axes.iter().zip(&field.sides).zip(at);
        if sides.all(|((&axis, side), &k)| side[k].contains(&index[axis])) == within {
            *v = 1.7 - 2.3 * *v;
        }
    }
    Tensor { dtype: pixels.dtype, data }
}

/// Tries some cells of all layers of a model, and says how many there were, and how many of them moved with their own pixels.
fn tried(name: &str, model: &Model, random: &mut Random) -> (usize, usize) {
    let Ok(analysis) = Analysis::of(model, &Hints::default()) else { return (0, 0) };
    let (image, axes) = (&analysis.image, analysis.shapes.image_places());
    let Some(dims) = analysis.shapes.dims(image) else { return (0, 0) };
    let extents: Vec<usize> = dims.iter().map(|d| if let Dim::Fixed(n) = d { *n } else { 1 }).collect();
    let dtype = analysis.shapes.dtype(image).unwrap_or(DataType::Float);
    let pixels = Tensor { dtype, ..random.tensor(&extents, -1.0, 1.0) };
    let (mut count, mut moved) = (0, 0);
    for Known { layer, space, field } in known(&analysis) {
        let Some(before) = value(analysis.model(), image, &pixels, &layer) else { continue };
        // A value that is folded into the batch has more than one entry for an image.
        if before.len_of(Axis(0)) != extents[0] || space.len() != field.sides.len() {
            continue;
        }
        let at: Vec<usize> = field.sides.iter().map(|side| random.below(side.len())).collect();
        let own = cell(&before, &space, &at);
        if field.whole.is_none() {
            let after = value(analysis.model(), image, &changed(&pixels, &axes, &field, &at, false), &layer).unwrap();
            let after = cell(&after, &space, &at);
            let same = own.iter().zip(&after).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
            assert!(same, "{name}, {layer} at {at:?}: {own} became {after} by pixels beyond {:?}", field.sides);
        }
        let after = value(analysis.model(), image, &changed(&pixels, &axes, &field, &at, true), &layer).unwrap();
        moved += usize::from(cell(&after, &space, &at) != own);
        count += 1;
    }
    (count, moved)
}

#[test]
fn nothing_beyond_its_field_moves_a_cell() {
    let mut random = Random::new(5);
    let (mut count, mut moved) = (0, 0);
    for seed in 0..1000 {
        let Ok(model) = Model::new(by_chance::network(seed)) else { continue };
        let (n, m) = tried(&format!("network {seed}"), &model, &mut random);
        (count, moved) = (count + n, moved + m);
    }
    // What is cut off, or rounded, does not move; most does.
    assert!(count >= 500 && 4 * moved >= 3 * count, "{moved} of {count} moved");
}

#[test]
fn miniatures_of_known_networks_see_what_they_should() {
    let mut random = Random::new(6);
    let folder = format!("{}/../../fixtures/zoo", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".ts.onnx"))
        .collect();
    files.sort();
    let mut count = 0;
    for file in files {
        count += tried(&file, &zoo(&file), &mut random).0;
    }
    assert!(count >= 60, "{count} layers were tried");
}

#[test]
fn a_gate_and_an_attention_see_all_of_the_image() {
    let first_whole = |file: &str| {
        let model = zoo(file);
        let analysis = Analysis::of(&model, &Hints::default()).unwrap();
        let all = layers::layers(&analysis, true).unwrap();
        all.into_iter().filter_map(|layer| layer.receptive_field).map(|field| field.whole).collect::<Vec<_>>()
    };
    for (file, by) in [("efficientnet.ts.onnx", "Mul"), ("vit.ts.onnx", "MatMul")] {
        let whole = first_whole(file);
        assert_eq!(whole.first(), Some(&None), "{file}: the first layer sees a window");
        let by_what = whole.last().unwrap().as_ref().unwrap_or_else(|| panic!("{file}"));
        assert!(by_what.contains(by), "{file}: {by_what}");
    }
    assert!(first_whole("resnet.ts.onnx").iter().all(Option::is_none));
}

/// A node of one input.
fn node(op: &str, input: &str, output: &str, attributes: &[(&str, &[i64])]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: vec![input.into()],
        output: vec![output.into()],
        attribute: attributes.iter().map(|(name, list)| attribute(name, list.to_vec())).collect(),
        ..Default::default()
    }
}

/// r = 1 + Σ (k − 1)·d·Π s, of Araujo, Norris and Sim (2019, doi:10.23915/distill.00021), equation 2: two convolutions of 3×3,
/// the second with steps of 2 and holes of 2, and a pool of 2×2.
#[test]
fn windows_grow_by_the_known_formula() {
    let mut conv = node("Conv", "x", "a", &[("pads", &[1, 1, 1, 1])]);
    conv.input.push("w".into());
    let mut holes = node("Conv", "a", "b", &[("pads", &[2, 2, 2, 2]), ("strides", &[2, 2]), ("dilations", &[2, 2])]);
    holes.input.push("w".into());
    let pool = node("MaxPool", "b", "c", &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]);
    let (flat, mut linear) = (node("Flatten", "c", "d", &[]), node("MatMul", "d", "y", &[]));
    linear.input.push("v".into());
    let mut random = Random::new(1);
    let stored = [("w", random.tensor(&[1, 1, 3, 3], 0.1, 1.0)), ("v", random.tensor(&[64, 3], 0.1, 1.0))];
    let (x, y) = (info("x", DataType::Float, &[1, 1, 32, 32]), info("y", DataType::Float, &[1, 3]));
    let model = Model::new(model(17, vec![conv, holes, pool, flat, linear], vec![x], vec![y], &stored)).unwrap();
    let analysis = Analysis::of(&model, &Hints::default()).unwrap();
    let all = known(&analysis);
    let last = all.iter().find(|known| known.layer == "c").unwrap();
    // 1 + 2·1 + 2·2 + 1·2 = 9, in steps of 4, the first from −1 − 2.
    let expected: Vec<_> = (0..8i64).map(|k| (4 * k - 3).max(0) as usize..(4 * k + 6).min(32) as usize).collect();
    assert_eq!(last.field, ReceptiveField { sides: vec![expected.clone(), expected], whole: None });
}

/// Every window that a card gives: an entry that lies in none of them moves nothing, and an entry of each moves something.
#[test]
fn windows_of_cards_are_true() {
    let (mut axes, mut cards) = (0, std::collections::BTreeSet::new());
    for card in ops::all() {
        for case in (card.cases)() {
            let (model, values) = single_node(card, &case, &mut Random::new(3));
            let node = model.graph().node.last().unwrap();
            let Some(card) = model.card(node) else { continue };
            let of = |name: &String| {
                let stored = || model.initializer(name).map(|t| Tensor::from_proto(t).unwrap());
                values.get(name).cloned().or_else(stored)
            };
            let tensors: Vec<Option<Tensor>> = node.input.iter().map(of).collect();
            let facts: Vec<Option<Fact>> = tensors.iter().map(|t| t.clone().map(Fact::constant)).collect();
            let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
            let (Some(Some(first)), a) = (tensors.first(), model.attributes(node)) else { continue };
            let Ok(before) = reference::evaluate(&model, values.clone(), &[&node.output[0]]) else { continue };
            for axis in 0..first.data.ndim() {
                let Along::Moved(to) = (card.along)(&a, &facts, 0, axis) else { continue };
                let Some(windows) = (card.windows)(&a, &facts, axis) else { continue };
                assert_eq!(windows.len(), before[0].data.len_of(Axis(to)), "{}: {windows:?}", card.name);
                for entry in 0..first.data.len_of(Axis(axis)) {
                    let mut other = first.clone();
                    other.data.index_axis_mut(Axis(axis), entry).mapv_inplace(|v| 3.1 - 1.9 * v);
                    let mut values = values.clone();
                    values.insert(node.input[0].clone(), other);
                    let Ok(after) = reference::evaluate(&model, values, &[&node.output[0]]) else { continue };
                    for (k, window) in windows.iter().enumerate().filter(|(_, w)| !w.contains(&entry)) {
                        let at = |t: &Tensor| t.data.index_axis(Axis(to), k).to_owned();
                        assert_eq!(at(&before[0]), at(&after[0]), "{}: {k} of {window:?} by {entry}", card.name);
                    }
                }
                axes += 1;
                cards.insert(card.name);
            }
        }
    }
    assert!(axes >= 100 && cards.len() >= 11, "{axes} axes of {cards:?}");
}
