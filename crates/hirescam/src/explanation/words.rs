//! What there is to say of an explanation. Each sentence follows the numbers that it speaks of.

use super::Explanation;
use crate::{overlay, summary};
use hirescam_core::cam::Target;
use hirescam_core::certify::{Certificate, Verdict};

/// How much of the sizes of all that is added up rounding can leave: engines compute maps in float32 to about 4e-5.
const ROUNDING: f64 = 1e-4;
/// A map that comes to less than this share of the score explains next to nothing of it.
const LITTLE: f64 = 0.01;
/// Characters of a label in a caption.
const LONGEST_NAME: usize = 60;
/// Beyond so many times the score, a share of it says nothing more.
const MOST_TIMES: f64 = 10.0;

/// A share in percent. An exact 0 is told from what rounds to it, and so is all from nearly all.
pub(crate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent.abs() {
        0.0 => "0 %".into(),
        size if size < 0.05 => format!("{percent:.1e} %"),
        size if (99.95..100.0).contains(&size) => format!("{:.3} %", percent.clamp(-99.999, 99.999)),
        _ => format!("{percent:.1} %"),
    }
}

/// Four digits after the point, where they show anything.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.4e}") }
}

impl Explanation {
    /// What to do about a row of places that the graph does not lay out in the image.
    pub(super) fn without_grid(&self) -> Option<String> {
        (self.map.ndim() == 1 && self.shared.image_axes > 1).then(|| {
            format!(
                "the layer's {} places are in a row, and the graph does not tell how they lie in the image: a grid, as 14x14, says it and makes the map a picture",
                self.map.len()
            )
        })
    }

    /// (Σ map + other tokens) / scale: what the map makes of the score.
    fn total(&self) -> f64 {
        (self.sum + self.other_tokens.unwrap_or(0.0)) / self.certificate().scale as f64
    }

    /// The sizes of all that is added up: |score| + |b| + (Σ |map| + |other tokens|) / scale.
    fn size(&self) -> f64 {
        let cells: f64 = self.map.iter().map(|v| f64::from(v.abs())).sum();
        let map = (cells + self.other_tokens.unwrap_or(0.0).abs()) / self.certificate().scale as f64;
        self.score.abs() + self.bias.unwrap_or(0.0).abs() + map
    }

    /// Whether the residual is no more than rounding leaves; none where there is no residual.
    pub fn adds_up(&self) -> Option<bool> {
        self.residual.map(|residual| residual.abs() <= ROUNDING * self.size())
    }

    /// The residual where it says something: not where b is made of it.
    pub fn tested(&self) -> Option<f64> {
        self.residual.filter(|_| self.bias.is_none() || self.bias_is_known)
    }

    /// Σ map, with the other tokens, as a share of the score; none where the sum means nothing, or the score is so near to 0
    /// that a share of it does.
    pub fn share(&self) -> Option<f64> {
        let share = self.total() / self.score;
        (self.method().additive && share.abs() <= MOST_TIMES).then_some(share)
    }

    /// What the numbers of the map are: the title of a colour bar.
    pub fn unit(&self) -> String {
        let (c, method) = (self.certificate(), self.method());
        match (c.verdict, c.scale) {
            (Verdict::Exact | Verdict::LocallyLinear, 1) => "contribution to the score".into(),
            (Verdict::Exact | Verdict::LocallyLinear, places) => format!("{places} × contribution to the score"),
            _ if method.scored => format!("{}, in units of the score", method.title),
            _ => method.title.into(),
        }
    }

    /// What a picture shows, in a line: what is explained, its score, how much of that is in the map and what is left,
    /// method, layer and verdict.
    pub fn caption(&self) -> String {
        let short = |v: f64| overlay::number(v as f32);
        let mut score = format!("score {}", short(self.score));
        if let Some(residual) = self.residual {
            let sum = self.sum / self.certificate().scale as f64;
            let share = self.share().map_or(String::new(), |share| format!(" ({})", percent(share)));
            let others = self.other_tokens.map_or(String::new(), |o| {
                format!(" + {} of other tokens", short(o / self.certificate().scale as f64))
            });
            let b = self.bias.map_or(String::new(), |b| format!(" + b {}", short(b)));
            score += &match self.adds_up() {
                Some(true) => format!(" = Σ {}{others}{share}{b}", short(sum)),
                _ => format!(", Σ {}{others}{share}{b}, residual {}", short(sum), short(residual)),
            };
        }
        let name = self.name();
        // The score must be seen however long the label.
        let cut = name.char_indices().nth(LONGEST_NAME).map(|(end, _)| format!("{}…", name[..end].trim_end()));
        format!(
            "{} · {score} · {} at {} · {}",
            cut.unwrap_or(name),
            self.method().title,
            self.layer(),
            self.certificate().verdict
        )
    }

    /// The certificate in plain words, one sentence a line.
    pub fn in_words(&self) -> Vec<String> {
        let c = self.certificate();
        let mut lines = vec![self.verdict_in_words()];
        if let (Verdict::Unproven, Some(others)) = (c.verdict, self.other_tokens) {
            lines.push(format!("the tokens that are no places have {}, which is not in the map", number(others)));
        }
        lines.extend(self.explains_little());
        lines.extend(self.without_grid());
        lines.extend(reservations(c).chain(&self.notes).cloned());
        lines.extend(paths(c));
        lines.extend(self.nothing_positive());
        lines.extend(self.of_scores());
        lines.extend(self.photo().iter().flat_map(|photo| photo.notes()));
        lines
    }

    /// What is proven of the method's maps at the layer whatever the image, one sentence a line: [`Explanation::in_words`] without the numbers.
    pub fn proven(&self) -> Vec<String> {
        let c = self.certificate();
        let verdict = summary::proven(c, self.other_tokens.is_some());
        [verdict].into_iter().chain(reservations(c).cloned()).chain(paths(c)).collect()
    }

    /// What there is to say of the scores.
    fn of_scores(&self) -> Vec<String> {
        let score = self.scores();
        let mut lines: Vec<String> = score.instead.iter().cloned().collect();
        if let Some(activation) = &score.activation {
            lines.push(format!("the score is the logit before the final {activation}"));
        }
        let empty = self.score == 0.0 && self.map.iter().all(|&v| v == 0.0);
        if empty && matches!(self.target(), Target::Predicted(_)) {
            lines.push("the class is predicted at no place, so there is nothing to add up".into());
        }
        match (score.class_axis, self.shared.unused_labels) {
            (None, _) if score.entries() > 1 => lines.push(format!(
                "which axis of {:?} counts classes is told neither by the graph nor by the number of labels: its entries are named by their numbers, unless the class axis is given",
                score.output
            )),
            (Some(_), Some(labels)) => lines.push(format!(
                "there are {labels} labels, and {:?} has {} classes: they are named by their numbers",
                score.output, score.classes
            )),
            _ => {}
        }
        lines
    }

    /// The verdict and what the numbers make of it.
    fn verdict_in_words(&self) -> String {
        let c = self.certificate();
        let because = c.reason.as_ref().map_or(String::new(), |r| format!(" because of the {r}"));
        match c.verdict {
            Verdict::Exact => {
                let cells = match c.scale {
                    1 => "the cells are each place's contribution to the score; they".into(),
                    n => {
                        format!("the cells are {n} times each place's contribution to the score; divided by that they")
                    }
                };
                format!("exact: {cells} {}", self.sum_and_b())
            }
            Verdict::LocallyLinear => format!(
                "locally-linear{because}: the cells are contributions to the linear form that the network follows for this image; they {}",
                self.sum_and_b()
            ),
            Verdict::GradientOnly => {
                let local = format!("gradient-only{because}: a place that the score does not depend on gets 0");
                match self.sum_alone() {
                    Some(sum) => format!("{local}; more is not proven of the cells, which {sum}"),
                    None => format!("{local}; the cells are not meant to add up to the score"),
                }
            }
            Verdict::SumOnly => format!(
                "sum-only{because}: the cells {}; the map can show places that the network did not use",
                self.sum_and_b()
            ),
            Verdict::Unproven => {
                let nothing =
                    "unproven: the map can show places that the network did not use, and hide some that it did";
                self.sum_alone().map_or(nothing.into(), |sum| format!("{nothing}; its cells {sum}"))
            }
        }
    }

    /// `add up to 3.1000 (12.0 % of the score)`.
    fn sum_in_words(&self) -> String {
        let share = self.share().map_or(String::new(), |share| match self.other_tokens {
            None => format!(" ({} of the score)", percent(share)),
            Some(_) => format!(" (with the tokens that are no places {} of the score)", percent(share)),
        });
        format!("add up to {}{share}", number(self.sum / self.certificate().scale as f64))
    }

    /// What Σ map and b make of the score, where a b is proven.
    fn sum_and_b(&self) -> String {
        let (sum, score, b) = (self.sum_in_words(), number(self.score), number(self.bias.unwrap_or(0.0)));
        // The other tokens are a part of the sum that is not in the picture.
        let others = self.other_tokens.map(|o| number(o / self.certificate().scale as f64));
        let residual = self.residual.unwrap_or(0.0);
        let b_is = match (&self.certificate().verdict, &self.integral) {
            (Verdict::Exact, _) => " (the same for every image)",
            (Verdict::SumOnly, Some(_)) => " (the score of the baseline)",
            (Verdict::SumOnly, None) if self.bias_is_known => " (the same for every image)",
            (Verdict::SumOnly, None) => "",
            _ => ", which belongs to this image",
        };
        if !self.bias_is_known {
            let others = others.map_or(String::new(), |o| format!(" (and {o} of the tokens that are no places)"));
            return format!("{sum}{others}, the rest of the score {score} is b = {b}{b_is}");
        }
        let others = others.map_or(String::new(), |o| format!("{o} of the tokens that are no places and "));
        let made = number(self.total() + self.bias.unwrap_or(0.0));
        match (self.adds_up(), &self.integral) {
            (Some(false), None) => format!(
                "{sum}, which with {others}b = {b}{b_is} makes {made} and NOT the score {score}: the residual {} is {} of all that is added up, more than rounding leaves in 32 bits. In a network that computes in 16 bits it may be rounding; elsewhere the certificate does not hold, and that deserves a report",
                number(residual),
                percent(residual.abs() / self.size()),
            ),
            (Some(false), Some(_)) => {
                let off = if residual > 0.0 { "is missing" } else { "is too much" };
                format!(
                    "{sum}, which with {others}b = {b}{b_is} makes {made} and not the score {score}: {} {off}",
                    number(residual.abs())
                )
            }
            _ => format!("{sum} and, with {others}b = {b}{b_is}, make the score {score} (residual {residual:.1e})"),
        }
    }

    /// What Σ map is beside the score, where no b is proven; none where it means nothing.
    fn sum_alone(&self) -> Option<String> {
        let (residual, score) = (self.residual?, number(self.score));
        let others = self.other_tokens.map_or(String::new(), |o| {
            let o = number(o / self.certificate().scale as f64);
            format!(" (and {o} of the tokens that are no places)")
        });
        let sum = format!("{}{others}", self.sum_in_words());
        Some(match self.adds_up() {
            Some(true) => format!("{sum}: the score {score}, but for a residual of {residual:.1e}"),
            _ => format!("{sum} and not to the score {score} (residual {})", number(residual)),
        })
    }

    /// That hardly anything of the score is in the map, where it is so.
    fn explains_little(&self) -> Option<String> {
        let residual = self.residual?;
        let (scale, total, score) = (self.certificate().scale as f64, self.total(), self.score);
        if total.abs() < LITTLE * score.abs() {
            let cells: f64 = self.map.iter().map(|v| f64::from(v.abs())).sum::<f64>() / scale;
            let why = match cells < LITTLE * score.abs() {
                true => String::new(),
                false => format!(": cells for it and against it cancel (Σ |map| is {})", number(cells)),
            };
            let rest = match self.bias {
                Some(b) => format!("b = {}", number(b)),
                None => format!("the residual {}", number(residual)),
            };
            return Some(format!(
                "the map comes to next to nothing of the score, {} of {}{why}; what is left is {rest}",
                number(total),
                number(score)
            ));
        }
        let (sum, others) = (self.sum / scale, self.other_tokens? / scale);
        (sum.abs() < LITTLE * others.abs()).then(|| {
            format!(
                "nearly all lies on tokens that are no places ({}), and next to nothing in the map ({})",
                number(others),
                number(sum)
            )
        })
    }

    /// That no cell is positive, where it is so.
    pub(crate) fn nothing_positive(&self) -> Option<String> {
        if self.map.iter().any(|&v| v > 0.0) {
            return None;
        }
        Some(if self.map.iter().all(|&v| v == 0.0) {
            "every cell is 0: the map shows no place".into()
        } else if self.certificate().verdict == Verdict::Unproven {
            "every cell is negative or zero: a picture of what is positive is empty".into()
        } else {
            format!(
                "no place speaks for {}: every cell is negative or zero. That is a result, not a failure",
                self.name()
            )
        })
    }
}

/// What keeps a certificate from saying more.
fn reservations(c: &Certificate) -> impl Iterator<Item = &String> {
    c.elsewhere.iter().chain(&c.but).chain(&c.caution)
}

/// What there is to say of the paths between layer and score.
fn paths(c: &Certificate) -> impl Iterator<Item = String> {
    let uniform = "the gradient is the same at all places, so HiResCAM and Grad-CAM are the same map here";
    let around = |join: &String| {
        format!(
            "a path goes around the layer and joins at the {join}: the map explains only what flows through the layer"
        )
    };
    c.uniform.then(|| uniform.to_owned()).into_iter().chain(c.bypass.as_ref().map(around))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_numbers_show_what_is_there() {
        let shares = [(0.0, "0 %"), (1.0, "100.0 %"), (0.12345, "12.3 %"), (-0.5, "-50.0 %"), (1e-5, "1.0e-3 %")];
        assert!(shares.into_iter().all(|(share, text)| percent(share) == text));
        assert_eq!((percent(0.9998).as_str(), percent(0.999_999_9).as_str()), ("99.980 %", "99.999 %"));
        assert_eq!(
            (number(0.0).as_str(), number(11.4).as_str(), number(-2e-5).as_str()),
            ("0.0000", "11.4000", "-2.0000e-5")
        );
    }
}
