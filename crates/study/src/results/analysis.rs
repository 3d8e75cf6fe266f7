//! The analysis of some answers.

use super::measures::{About, Row, against, alone, measures};
use super::record::*;
use crate::kinds::{Question, Shows};
use crate::manifest::{Key, Manifest};
use crate::statistics::{
    Crossed, Level, Match, Observed, bradley_terry, clopper_pearson, crossed, krippendorff, pigeonhole, spearman,
    wilson,
};
use hirescam_evaluate::metrics::{Better, metric};
use hirescam_evaluate::statistics::{Bootstrap, Interval, holm, mcnemar, signed_rank};
use std::collections::{BTreeMap, BTreeSet};

/// What an analysis needs beside answers.
pub(super) struct Context<'a> {
    pub manifest: &'a Manifest,
    pub key: &'a Key,
    /// The arms in the order of the design, as the manifest numbers them.
    pub arms: Vec<usize>,
    pub measures: Vec<Measure>,
    pub how: Bootstrap,
}

impl<'a> Context<'a> {
    pub fn of(manifest: &'a Manifest, key: &'a Key) -> Self {
        let design = &key.design;
        let place = |name: &str| key.arms.iter().position(|arm| arm.name == name);
        let how = Bootstrap { resamples: design.test.resamples, level: 1.0 - design.test.alpha, seed: design.seed };
        let arms = design.arms.iter().filter_map(|arm| place(&arm.name)).collect();
        Context { manifest, key, arms, measures: measures(&manifest.question), how }
    }

    /// Each two arms, in the order of the design.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let pairs =
            self.arms.iter().enumerate().flat_map(|(at, &a)| self.arms.iter().skip(at + 1).map(move |&b| (a, b)));
        pairs.collect()
    }

    pub fn name(&self, arm: usize) -> String {
        self.key.arms.get(arm).map_or(String::new(), |arm| arm.name.clone())
    }

    /// The measure that the test is planned for.
    fn planned(&self) -> Option<&Measure> {
        self.measures.first()
    }

    pub fn analyse(&self, rows: &[Row], repeats: &[Row]) -> Analysis {
        let raters: BTreeSet<usize> = rows.iter().map(|row| row.rater).collect();
        let items: BTreeSet<usize> = rows.iter().map(|row| row.item).collect();
        Analysis {
            answers: rows.len(),
            raters: raters.len(),
            items: items.len(),
            comparisons: self.comparisons(rows),
            means: self.means(rows),
            ranking: self.ranking(rows),
            agreement: self.agreement(rows),
            consistency: self.consistency(rows, repeats),
            classes: self.parts(rows, |item, _, _| self.manifest.items.get(item).map(|item| item.class.clone())),
            verdicts: self.parts(rows, |item, a, b| self.verdict(item, a, b)),
            relations: self.relations(rows),
            sides: self.sides(rows),
            times: self.times(rows),
        }
    }

    fn comparisons(&self, rows: &[Row]) -> Vec<Comparison> {
        let mut made = Vec::new();
        for (number, measure) in self.measures.iter().enumerate() {
            let mut of_measure: Vec<Comparison> =
                self.pairs().into_iter().filter_map(|(a, b)| self.comparison(measure, number, a, b, rows)).collect();
            if number == 0 {
                correct(&mut of_measure);
            }
            made.extend(of_measure);
        }
        made
    }

    fn comparison(&self, measure: &Measure, number: usize, a: usize, b: usize, rows: &[Row]) -> Option<Comparison> {
        let values = against(measure, number, a, b, rows)?;
        let n = values.len();
        let estimate = (n > 0).then(|| values.iter().map(|v| v.value).sum::<f64>() / n as f64)?;
        let is_share = measure.null == 0.5;
        let means = means_of(&values, |v| v.item);
        let of_raters = means_of(&values, |v| v.rater);
        let found = crossed(&values);
        let (interval_by, interval, p) = judged(found.as_ref(), estimate, is_share, &means, &of_raters, self.how.level);
        let is = |value: f64| values.iter().filter(|v| v.value == value).count();
        let differences: Vec<f64> = means.iter().map(|mean| mean - measure.null).collect();
        Some(Comparison {
            measure: measure.clone(),
            first: self.name(a),
            second: self.name(b),
            answers: n,
            raters: of_raters.len(),
            items: means.len(),
            counts: is_share.then(|| [is(1.0), is(0.5), is(0.0)]),
            estimate,
            error: found.map(|f| f.error).filter(|e| *e > 0.0),
            df: found.filter(|f| f.error > 0.0).map(|f| f.df),
            interval_by,
            interval,
            p,
            corrected: None,
            rater_sd: found.map(|f| f.rater_variance.max(0.0).sqrt()),
            item_sd: found.map(|f| f.item_variance.max(0.0).sqrt()),
            bootstrap: pigeonhole(&values, &self.how),
            wilson: is_share.then(|| wilson(estimate * n as f64, n, self.how.level)).flatten(),
            by_item: signs(measure, &means),
            by_rater: signs(measure, &of_raters),
            signed_rank: signed_rank(&differences).map(|s| SignedRank { p: s.p, effect: s.effect(), n: s.n }),
        })
    }

    fn means(&self, rows: &[Row]) -> Vec<Mean> {
        let mut made = Vec::new();
        for (number, measure) in self.measures.iter().enumerate() {
            for &arm in &self.arms {
                let values = alone(number, arm, rows);
                if values.is_empty() {
                    continue;
                }
                let mean = values.iter().map(|v| v.value).sum::<f64>() / values.len() as f64;
                let interval = crossed(&values).and_then(|f| f.interval(self.how.level));
                made.push(Mean {
                    measure: measure.clone(),
                    arm: self.name(arm),
                    mean,
                    interval,
                    answers: values.len(),
                });
            }
        }
        made
    }

    fn ranking(&self, rows: &[Row]) -> Option<Ranking> {
        if self.arms.len() < 3 || self.manifest.question.shows() != Shows::Two {
            return None;
        }
        let of = |row: &Row| match &row.about {
            About::Two(arms, values) => {
                Some(Match { rater: row.rater, item: row.item, arms: *arms, outcome: *values.first()? })
            }
            _ => None,
        };
        let found = bradley_terry(self.arms.len(), &rows.iter().filter_map(of).collect::<Vec<_>>())?;
        let strength = |(arm, strength): (usize, &f64)| Strength {
            arm: self.name(arm),
            strength: *strength,
            interval: found.strength(arm).and_then(|s| s.interval(self.how.level)),
            share: 1.0 / (1.0 + (-strength).exp()),
        };
        let mut arms: Vec<Strength> = found.strengths.iter().enumerate().map(strength).collect();
        arms.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        Some(Ranking { arms, ties: found.ties })
    }

    fn agreement(&self, rows: &[Row]) -> Option<Agreement> {
        // What was judged, and how: an item under a pair of arms, or under an arm.
        let mut units = BTreeMap::<(usize, usize, usize), Vec<f64>>::new();
        let mut judged =
            |item: usize, a: usize, b: usize, value: f64| units.entry((item, a, b)).or_default().push(value);
        for row in rows {
            match &row.about {
                About::Two([a, b], values) => {
                    // The last measure is the finest: steps where there are steps.
                    let (Some(value), Some(measure)) = (values.last(), self.measures.last()) else { continue };
                    let value = if a < b { *value } else { 2.0 * measure.null - value };
                    judged(row.item, *a.min(b), *a.max(b), value);
                }
                About::One(arm, values) => values.first().into_iter().for_each(|v| judged(row.item, *arm, *arm, *v)),
                About::All(values) => {
                    for (a, b) in self.pairs() {
                        let of = |arm: usize| values.get(arm).and_then(|v| v.first());
                        of(a).zip(of(b)).into_iter().for_each(|(x, y)| judged(row.item, a, b, x - y));
                    }
                }
            }
        }
        let level = match self.manifest.question {
            Question::Prefer(_) | Question::Trust(_) | Question::Rate(_) => Level::Ordinal,
            Question::Reveal(_) | Question::Locate(_) => Level::Interval,
        };
        let alpha = krippendorff(&units.into_values().collect::<Vec<_>>(), level, &self.how)?;
        Some(Agreement { level, alpha })
    }

    /// Whether raters say the same of an item that comes again.
    fn consistency(&self, rows: &[Row], repeats: &[Row]) -> Option<Share> {
        /// Shares that differ by less count as the same.
        const NEAR: f64 = 0.1;
        let first: BTreeMap<(usize, usize), &Row> = rows.iter().map(|row| ((row.rater, row.item), row)).collect();
        let same = |row: &Row| {
            let before = first.get(&(row.rater, row.item))?;
            let near = |a: f64, b: f64| match self.manifest.question {
                Question::Reveal(_) | Question::Locate(_) => (a - b).abs() < NEAR,
                _ => a == b,
            };
            let value = match (&before.about, &row.about) {
                // Turned round: what stood first stands second.
                (About::Two(x, a), About::Two(y, b)) => {
                    let b = if x == y { *b.first()? } else { 1.0 - b.first()? };
                    near(*a.first()?, b)
                }
                (About::One(x, a), About::One(y, b)) if x == y => near(*a.first()?, *b.first()?),
                (About::All(a), About::All(b)) => {
                    a.iter().zip(b).all(|(a, b)| a.first().zip(b.first()).is_some_and(|(a, b)| near(*a, *b)))
                }
                _ => return None,
            };
            Some(Observed { rater: row.rater, item: row.item, value: f64::from(value) })
        };
        let what = match self.manifest.question {
            Question::Prefer(_) | Question::Trust(_) => "the same choice, the sides turned round",
            Question::Rate(_) => "the same points",
            Question::Reveal(_) => "a share uncovered that differs by less than 0.1",
            Question::Locate(_) => "marks that hold the same share of each arm's map, to 0.1",
        };
        self.share(&repeats.iter().filter_map(same).collect::<Vec<_>>(), what)
    }

    fn sides(&self, rows: &[Row]) -> Option<Share> {
        let of = |row: &Row| match &row.about {
            About::Two(_, values) => Some(Observed { rater: row.rater, item: row.item, value: *values.first()? }),
            _ => None,
        };
        self.share(
            &rows.iter().filter_map(of).collect::<Vec<_>>(),
            "for the picture that stood first; no difference counts half",
        )
    }

    fn share(&self, values: &[Observed], what: &str) -> Option<Share> {
        let n = values.len();
        let share = (n > 0).then(|| values.iter().map(|v| v.value).sum::<f64>() / n as f64)?;
        let (_, interval, _) = judged(
            crossed(values).as_ref(),
            share,
            true,
            &means_of(values, |v| v.item),
            &means_of(values, |v| v.rater),
            self.how.level,
        );
        Some(Share { share, interval, answers: n, what: what.into() })
    }

    /// The planned measure on parts of the items.
    fn parts(&self, rows: &[Row], part: impl Fn(usize, usize, usize) -> Option<String>) -> Vec<Part> {
        let mut made = Vec::new();
        for (a, b) in self.pairs() {
            let Some(measure) = self.planned() else { continue };
            let names: BTreeSet<String> = rows.iter().filter_map(|row| part(row.item, a, b)).collect();
            // One part is the whole again.
            if names.len() < 2 {
                continue;
            }
            for name in names {
                let of_part: Vec<Row> =
                    rows.iter().filter(|row| part(row.item, a, b).as_ref() == Some(&name)).cloned().collect();
                let Some(values) = against(measure, 0, a, b, &of_part).filter(|v| !v.is_empty()) else { continue };
                let estimate = values.iter().map(|v| v.value).sum::<f64>() / values.len() as f64;
                made.push(Part {
                    part: name,
                    first: self.name(a),
                    second: self.name(b),
                    items: means_of(&values, |v| v.item).len(),
                    answers: values.len(),
                    estimate,
                    interval: crossed(&values)
                        .and_then(|f| f.interval(self.how.level))
                        .map(|i| within(i, measure.null == 0.5)),
                });
            }
        }
        made
    }

    fn verdict(&self, item: usize, a: usize, b: usize) -> Option<String> {
        let maps = &self.key.items.get(item)?.maps;
        let (of_a, of_b) = (&maps.get(a)?.verdict, &maps.get(b)?.verdict);
        Some(match of_a == of_b {
            true => of_a.clone(),
            false => format!("{}: {of_a}, {}: {of_b}", self.name(a), self.name(b)),
        })
    }

    fn relations(&self, rows: &[Row]) -> Vec<Relation> {
        let Some(measure) = self.planned() else { return Vec::new() };
        let metrics = || self.key.items.iter().flat_map(|item| item.metrics.iter().flat_map(BTreeMap::keys));
        let names: BTreeSet<&String> = metrics().collect();
        // Of each item and pair of arms: which, and what answers say, more being better for the first.
        let mut said = Vec::new();
        for (a, b) in self.pairs() {
            let values = against(measure, 0, a, b, rows).unwrap_or_default();
            let mut of_item = BTreeMap::<usize, Vec<f64>>::new();
            values.iter().for_each(|v| of_item.entry(v.item).or_default().push(v.value - measure.null));
            for (item, values) in of_item {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                said.push((item, a, b, if measure.more_is_better { mean } else { -mean }));
            }
        }
        let relation = |name: &String| {
            let better = metric(name).map_or(Better::Neither, |row| row.better);
            let turned = better == Better::Lower;
            let pair = |(item, a, b, said): &(usize, usize, usize, f64)| {
                let metrics = &self.key.items.get(*item)?.metrics;
                let difference = metrics.get(*a)?.get(name)? - metrics.get(*b)?.get(name)?;
                difference.is_finite().then_some((if turned { -difference } else { difference }, *said))
            };
            let mut of_item = BTreeMap::<usize, Vec<(f64, f64)>>::new();
            for said in &said {
                pair(said).into_iter().for_each(|pair| of_item.entry(said.0).or_default().push(pair));
            }
            let groups: Vec<Vec<(f64, f64)>> = of_item.into_values().collect();
            Some(Relation { metric: name.clone(), turned, correlation: spearman(&groups, &self.how)? })
        };
        names.into_iter().filter_map(relation).collect()
    }

    fn times(&self, rows: &[Row]) -> Vec<Time> {
        let mut by = BTreeMap::<String, Vec<f64>>::new();
        for row in rows {
            by.entry("all".into()).or_default().push(row.ms as f64);
            if let About::One(arm, _) = &row.about {
                by.entry(self.name(*arm)).or_default().push(row.ms as f64);
            }
        }
        let time = |(of, times): (String, Vec<f64>)| {
            let n = times.len();
            // The quantiles of a level of ½ are the quartiles, of 0 the median twice.
            let quantiles = |level: f64| Bootstrap { level, ..self.how }.percentile(times.clone());
            let (quarters, middle) = (quantiles(0.5)?, quantiles(0.0)?);
            Some(Time { of, lower: quarters.low, median: middle.low, upper: quarters.high, answers: n })
        };
        by.into_iter().filter_map(time).collect()
    }
}

/// The means of values by what they are grouped by.
fn means_of(values: &[Observed], by: fn(&Observed) -> usize) -> Vec<f64> {
    let mut sums = BTreeMap::<usize, (f64, f64)>::new();
    for value in values {
        let sum = sums.entry(by(value)).or_default();
        sum.0 += value.value;
        sum.1 += 1.0;
    }
    sums.into_values().map(|(sum, n)| sum / n).collect()
}

/// An interval of shares ends where shares do.
fn within(interval: Interval, is_share: bool) -> Interval {
    match is_share {
        true => Interval { low: interval.low.max(0.0), high: interval.high.min(1.0) },
        false => interval,
    }
}

/// The interval that counts, and the p value of no difference. Answers that are all the same do not tell how far others would differ: of
/// shares the interval is then the exact one of as many trials as there are raters or items, whichever are fewer, and p that of the sign test.
fn judged(
    found: Option<&Crossed>,
    estimate: f64,
    is_share: bool,
    items: &[f64],
    raters: &[f64],
    level: f64,
) -> (IntervalBy, Option<Interval>, Option<f64>) {
    if let Some(interval) = found.and_then(|f| f.interval(level)) {
        let null = if is_share { 0.5 } else { 0.0 };
        return (IntervalBy::Crossed, Some(within(interval, is_share)), found.and_then(|f| f.p(null)));
    }
    let fewest = items.len().min(raters.len());
    if is_share && found.is_some() && (estimate == 0.0 || estimate == 1.0) {
        let first = if estimate == 1.0 { fewest } else { 0 };
        return (IntervalBy::Exact, clopper_pearson(first, fewest, level), Some(mcnemar(0, fewest as u64)));
    }
    (IntervalBy::Nothing, None, None)
}

/// What lies nearer to the middle than this is in it: means are rounded.
const ROUNDING: f64 = 1e-9;

fn signs(measure: &Measure, means: &[f64]) -> Signs {
    let side = |mean: &f64| if measure.more_is_better { mean - measure.null } else { measure.null - mean };
    let first = means.iter().filter(|m| side(m) > ROUNDING).count();
    let second = means.iter().filter(|m| side(m) < -ROUNDING).count();
    Signs { first, second, neither: means.len() - first - second, p: mcnemar(first as u64, second as u64) }
}

/// Holm's correction over the pairs that have a p value.
fn correct(comparisons: &mut [Comparison]) {
    let p: Vec<f64> = comparisons.iter().filter_map(|c| c.p).collect();
    let Some(corrected) = holm(&p) else { return };
    comparisons.iter_mut().filter(|c| c.p.is_some()).zip(corrected).for_each(|(c, p)| c.corrected = Some(p));
}
