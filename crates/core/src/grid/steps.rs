//! Axes as lists of steps: how far along the image each of their entries lies.

use crate::axes::reshape::stretches;
use std::sync::Arc;

/// The most axes of space an image has.
pub(super) const MOST_AXES: usize = 3;
/// Axes with more entries than this are not followed.
pub(super) const MOST_ENTRIES: usize = 1 << 20;

/// How far along each axis of the image; none for what is no place.
pub(super) type Step = Option<[i64; MOST_AXES]>;

/// What an axis of a value that is made of the image counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// No places of the image: channels, heads, a single place.
    Nothing,
    /// Places: where each entry lies.
    Places(Arc<[Step]>),
    /// Perhaps places; where they lie could not be followed.
    Lost,
}

/// Where the elements of a value lie. An element lies where the steps of its indices add up to.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    pub(super) axes: Vec<Counts>,
    /// The extents of the image in units of the steps.
    pub(super) whole: [usize; MOST_AXES],
}

impl Counts {
    /// Steps as an axis keeps them: nothing where all are the same place.
    pub(super) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps: Arc<[Step]> = steps.into_iter().collect();
        let places = steps.iter().flatten().any(|s| *s != [0; MOST_AXES]);
        if places || steps.contains(&None) { Counts::Places(steps) } else { Counts::Nothing }
    }

    /// The axis number `along` of an image that has `n` places there.
    pub(super) fn fresh(along: usize, n: usize) -> Self {
        if n > MOST_ENTRIES { Counts::Lost } else { Counts::of((0..n as i64).map(|k| at(along, k))) }
    }

    /// The entries of which `from` says where in this axis they come from; lost where one does not exist. A single one stays
    /// a place.
    pub(super) fn take(&self, from: impl IntoIterator<Item = Option<usize>>) -> Self {
        let Counts::Places(steps) = self else { return self.clone() };
        let taken: Option<Arc<[Step]>> = from.into_iter().map(|k| steps.get(k?).copied()).collect();
        taken.map_or(Counts::Lost, Counts::Places)
    }

    /// What is known of an axis of `n` entries that two values share: places before none, and either before lost ones.
    pub(super) fn with(self, other: &Counts, n: usize) -> Self {
        let fits = |a: &Counts| matches!(a, Counts::Places(steps) if steps.len() == n);
        match (&self, other) {
            _ if fits(&self) => self,
            _ if fits(other) => other.clone(),
            (Counts::Nothing, _) => other.clone(),
            _ => self,
        }
    }

    /// The same in units that are so many times as fine.
    fn finer(&self, times: [i64; MOST_AXES]) -> Self {
        let finer = |s: &Step| s.map(|s| each(s, times, i64::wrapping_mul));
        match self {
            Counts::Places(steps) => Counts::Places(steps.iter().map(finer).collect()),
            other => other.clone(),
        }
    }

    /// The axis with `begin` entries more before it and `end` more behind it (fewer where negative). Beside places one
    /// after the other along one axis of the image there are more of the kind; elsewhere what is added is no place.
    pub(super) fn padded(&self, begin: i64, end: i64) -> Self {
        let Counts::Places(steps) = self else { return self.clone() };
        let line = line(steps);
        let added = |k: i64| line.and_then(|line| place(line, k));
        let n = steps.len() as i64;
        let entry = |k: i64| usize::try_from(k).ok().and_then(|k| steps.get(k)).copied().unwrap_or_else(|| added(k));
        let count = begin.saturating_add(n).saturating_add(end);
        let from = 0i64.saturating_sub(begin);
        if count > MOST_ENTRIES as i64 { Counts::Lost } else { Counts::of((0..count).map(|k| entry(from + k))) }
    }
}

/// Two lists of numbers for the axes of the image, joined entry by entry.
fn each<A, B, C>(a: [A; MOST_AXES], b: [B; MOST_AXES], join: impl Fn(A, B) -> C) -> [C; MOST_AXES] {
    let ([a, b, c], [p, q, r]) = (a, b);
    [join(a, p), join(b, q), join(c, r)]
}

/// The place number `k` of those that follow an axis of the image; none beyond all measure.
fn place((along, first, apart): (usize, i64, i64), k: i64) -> Step {
    apart.checked_mul(k)?.checked_add(first).and_then(|k| at(along, k))
}

/// The place number `k` along an axis of the image.
fn at(along: usize, k: i64) -> Step {
    Some(std::array::from_fn(|d| if d == along { k } else { 0 }))
}

/// The values in units that all share; none where these would be too fine. Values without places have any units.
pub(super) fn in_common_units(values: &mut [Positions]) -> Option<[usize; MOST_AXES]> {
    let has_places = |positions: &&Positions| positions.axes.iter().any(|a| matches!(a, Counts::Places(_)));
    let mut wholes = values.iter().filter(has_places).map(|positions| positions.whole);
    let first = wholes.next().or(values.first().map(|positions| positions.whole))?;
    let common = wholes.try_fold(first, |mut common, whole| {
        for (a, b) in common.iter_mut().zip(whole) {
            *a = (*a / gcd(*a, b)).checked_mul(b).filter(|&n| n <= MOST_ENTRIES)?;
        }
        Some(common)
    })?;
    for positions in values.iter_mut().filter(|positions| positions.whole != common) {
        if positions.axes.iter().any(|a| matches!(a, Counts::Places(_))) {
            let times = each(common, positions.whole, |common, own| (common / own.max(1)) as i64);
            positions.axes.iter_mut().for_each(|axis| *axis = axis.finer(times));
        }
        positions.whole = common;
    }
    Some(common)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// Whether places lie equally far apart, from end to end of an axis of the image. Where it was padded they may go on
/// beyond its ends, as long as most lie within.
pub(super) fn covers(places: &[i64], whole: usize) -> bool {
    let Some(&first) = places.first() else { return false };
    let whole = whole as i64;
    let apart = places.get(1).map_or(Some(whole), |second| second.checked_sub(first));
    let Some(apart) = apart else { return false };
    let regular = places.windows(2).all(|w| matches!(w, [a, b] if b.checked_sub(*a) == Some(apart)));
    let within = places.iter().filter(|p| (0..whole).contains(*p)).count();
    regular
        && (0..apart).contains(&first.max(0))
        && whole.saturating_sub(apart.saturating_mul(places.len() as i64)) < apart
        && 2 * within > places.len()
}

/// Which axis of the image these steps follow one after the other: its number, the first place and how far apart they are.
pub(super) fn line(steps: &[Step]) -> Option<(usize, i64, i64)> {
    let (first, second) = ((*steps.first()?)?, steps.get(1).copied().flatten()?);
    let (along, (first, second)) = first.into_iter().zip(second).enumerate().find(|(_, (a, b))| a != b)?;
    let line = (along, first, second.checked_sub(first)?);
    (0..).zip(steps).all(|(k, step)| step.is_some() && *step == place(line, k)).then_some(line)
}

/// The axis of the image that these steps cover from end to end.
pub(super) fn whole_axis(steps: &[Step], whole: &[usize; MOST_AXES]) -> Option<usize> {
    let (along, first, apart) = line(steps)?;
    let places: Vec<i64> = (0..steps.len() as i64).map(|k| first + apart * k).collect();
    covers(&places, *whole.get(along)?).then_some(along)
}

/// The steps of several axes of the given extents taken as one; none where one is lost, or where they are too many.
pub(super) fn merged(axes: &[&Counts], extents: &[usize]) -> Option<Vec<Step>> {
    let count = extents.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if !(1..=MOST_ENTRIES).contains(&count) {
        return None;
    }
    let mut all: Vec<Step> = vec![Some([0; MOST_AXES])];
    for (&axis, &n) in axes.iter().zip(extents) {
        let add = |a: Step, b: Step| Some(each(a?, b?, i64::wrapping_add));
        let at = |k: usize| match axis {
            Counts::Places(steps) => steps.get(k).copied().flatten(),
            _ => Some([0; MOST_AXES]),
        };
        if *axis == Counts::Lost && n > 1 {
            return None;
        }
        all = all.iter().flat_map(|&a| (0..n).map(move |k| (a, k))).map(|(a, k)| add(a, at(k))).collect();
    }
    (all.len() == count).then_some(all)
}

/// One axis taken apart into axes of the given extents, which are lost where its steps are no sums.
pub(super) fn split(steps: Vec<Step>, extents: &[usize]) -> Vec<Counts> {
    let count = steps.len();
    let strides: Vec<usize> =
        extents.iter().scan(count, |left, &n| Some(std::mem::replace(left, *left / n) / n)).collect();
    // One of the axes alone: this keeps what is no place.
    for (i, (&n, &stride)) in extents.iter().zip(&strides).enumerate().filter(|(_, (n, _))| **n > 1) {
        if steps.iter().enumerate().all(|(k, step)| steps.get(k / stride % n * stride) == Some(step)) {
            let mut axes = vec![Counts::Nothing; extents.len()];
            let own = Counts::of((0..n).map(|k| steps.get(k * stride).copied().flatten()));
            axes.iter_mut().skip(i).take(1).for_each(|slot| *slot = own.clone());
            return axes;
        }
    }
    // Or their sum, where the first axis carries where all of it begins.
    let mut axes = Vec::new();
    for (i, (&n, &stride)) in extents.iter().zip(&strides).enumerate() {
        let begin = if i == 0 { Some([0; MOST_AXES]) } else { steps.first().copied().flatten() };
        let from_begin = |step: Step| Some(each(step?, begin?, i64::wrapping_sub));
        axes.push(Counts::of((0..n).map(|k| from_begin(steps.get(k * stride).copied().flatten()))));
    }
    let whole = !steps.contains(&None) && merged(&axes.iter().collect::<Vec<_>>(), extents) == Some(steps);
    if whole { axes } else { vec![Counts::Lost; extents.len()] }
}

/// The axes of a Reshape, each from those that it is made of. `work` counts the steps that are gone through for it.
pub(super) fn regrouped(axes: &[Counts], from: &[usize], to: &[usize], work: &mut usize) -> Option<Vec<Counts>> {
    let mut made = Vec::new();
    for (before, after) in stretches(from, to)? {
        let parts: Vec<&Counts> = axes.get(before.clone())?.iter().collect();
        let (own, extents) = (from.get(before)?, to.get(after)?);
        if parts.iter().all(|a| **a == Counts::Nothing) {
            made.extend(vec![Counts::Nothing; extents.len()]);
            continue;
        }
        let count: usize = own.iter().product();
        *work += if count <= MOST_ENTRIES { count } else { 0 };
        match merged(&parts, own) {
            Some(steps) => made.extend(split(steps, extents)),
            None => made.extend(vec![Counts::Lost; extents.len()]),
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_beyond_all_measure_are_none() {
        // So many pads before, and as many places cut away behind, leave as many entries as there were.
        let far = i64::MAX - 8;
        let apart = Counts::of((0..8).map(|k| at(0, 2 * k)));
        assert_eq!(apart.padded(far, -far), Counts::Places(vec![None; 8].into()));
        assert_eq!(apart.padded(1, -1), Counts::of((-1..7).map(|k| at(0, 2 * k))));
        assert_eq!(line(&[at(0, i64::MIN), at(0, i64::MAX)]), None);
        assert!(!covers(&[i64::MIN, i64::MAX], 8));
    }
}
