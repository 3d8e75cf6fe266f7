//! What one run of the explaining model makes of images.

use super::Error;
use super::ready::{Part, rows};
use crate::explanation::{Found, Logits};
use crate::others::Others;
use hirescam_core::cam::{Explaining, Target};
use hirescam_engine::{Array, Session};
use ndarray::{ArrayViewD, Axis};
use std::sync::Arc;

/// Runs the explaining model on batches, whose first image is the image number `start`: what each layer makes of each image
/// and class.
pub(super) fn run_once(
    session: &dyn Session,
    layers: &[Explaining],
    batches: Vec<Part>,
    others: &Others,
    start: usize,
) -> Result<Vec<Vec<Vec<Found>>>, Error> {
    let image = layers.first().map_or("", |e| &e.image);
    let (mut first, mut fed, mut taken) = (start, Vec::new(), Vec::new());
    for Part { array, samples, notes } in batches {
        let copies = if samples == 1 && notes.is_empty() { 0 } else { rows(&array).saturating_sub(samples) };
        let images: Vec<usize> = (first..first + samples).chain(std::iter::repeat_n(first, copies)).collect();
        first += samples;
        let mut arrays = others.of(&images)?;
        arrays.push((image, array));
        fed.push(arrays);
        taken.push((samples, notes));
    }
    let lists: Vec<Vec<(&str, &Array)>> =
        fed.iter().map(|arrays| arrays.iter().map(|(name, array)| (*name, array)).collect()).collect();
    let mut all: Vec<Vec<Vec<Found>>> = layers.iter().map(|_| Vec::new()).collect();
    for (made, (samples, notes)) in session.run_all(&lists)?.iter().zip(taken) {
        for (all, layer) in all.iter_mut().zip(layers) {
            let mut found = of_layer(layer, made)?;
            found.truncate(samples);
            found.iter_mut().flatten().for_each(|found| found.notes.extend(notes.iter().cloned()));
            all.extend(found);
        }
    }
    Ok(all)
}

/// What one layer makes of each image and class.
fn of_layer(explaining: &Explaining, made: &[(String, Array)]) -> Result<Vec<Vec<Found>>, Error> {
    let names = &explaining.outputs;
    let find = |name: &str| {
        let found = made.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        found.ok_or_else(|| Error::Argument(format!("the engine gave no output {name:?}")))
    };
    let (map, class, score) = (find(&names.map)?.to_f32(), find(&names.class)?.to_i64(), find(&names.score)?.to_f64());
    let other_tokens = names.other_tokens.as_deref().map(find).transpose()?.map(Array::to_f32);
    let logits = names.logits.as_deref().map(find).transpose()?.map(Array::to_f32);
    let m = explaining.maps;
    let (mut classes, mut scores) = (class.iter(), score.iter());
    let mut rows = logits.as_ref().map(|l| l.axis_iter(Axis(0)));
    let mut others = other_tokens.as_ref().map(|o| o.iter());
    let mut of_image = |image_map: ArrayViewD<f32>| {
        let row = rows.as_mut().and_then(Iterator::next);
        let logits = Arc::new(Logits::new(row.iter().flatten().copied()));
        let one = |i: usize| {
            let map = if m == 1 { image_map.to_owned() } else { image_map.index_axis(Axis(0), i).to_owned() };
            let class = classes.next().and_then(|&c| usize::try_from(c).ok());
            let score = scores.next().copied().unwrap_or(f64::NAN);
            let other_tokens = others.as_mut().and_then(Iterator::next).copied().map(f64::from);
            let (logits, bias) = (logits.clone(), explaining.b(class.unwrap_or(0)));
            Found { map, class, score, logits, bias, other_tokens, integral: None, notes: Vec::new() }
        };
        let all = (0..m).map(one);
        // What is not above the threshold has no class.
        let is_wanted = |found: &Found| found.class.is_some() || !matches!(explaining.target, Target::Above(_));
        all.filter(is_wanted).collect()
    };
    Ok(map.axis_iter(Axis(0)).map(&mut of_image).collect())
}
