//! What is said of one map.

use crate::subject::Subject;
use crate::text::Text;
use hirescam::core::certify::Verdict;
use hirescam::core::score::Activation;
use hirescam::{Explanation, summary};
use std::collections::HashMap;

/// A map with what its sentences can be held against.
pub struct Of<'a> {
    pub subject: &'a Subject,
    pub e: &'a Explanation,
    /// The same of another image.
    pub other: &'a Explanation,
    /// The maps of other methods at the same layer, of the same image and class.
    pub beside: &'a HashMap<&'static str, Explanation>,
}

type Checked = Result<(), String>;

fn holds(what: bool, why: impl FnOnce() -> String) -> Checked {
    if what { Ok(()) } else { Err(why()) }
}

impl Of<'_> {
    fn scale(&self) -> f64 {
        self.e.certificate().scale as f64
    }

    fn sum(&self) -> f64 {
        self.e.map.iter().map(|&v| f64::from(v)).sum::<f64>() / self.scale()
    }

    fn size(&self) -> f64 {
        self.e.map.iter().map(|&v| f64::from(v.abs())).sum::<f64>() / self.scale()
    }

    fn others(&self) -> f64 {
        self.e.other_tokens.unwrap_or(0.0) / self.scale()
    }

    fn total(&self) -> f64 {
        self.sum() + self.others()
    }

    fn b(&self) -> f64 {
        self.e.bias.unwrap_or(0.0)
    }

    fn residual(&self) -> f64 {
        self.e.score - self.total() - self.b()
    }

    fn all(&self) -> f64 {
        self.e.score.abs() + self.b().abs() + self.size() + self.others().abs()
    }

    /// Holds all that is said of the map against its numbers.
    pub fn check(&self) -> Checked {
        let e = self.e;
        let lines = e.in_words();
        let said = |line: &str, checked: Checked| {
            checked.and_then(|()| self.subject.names_nodes(line)).map_err(|why| format!("{line:?}: {why}"))
        };
        said(&lines[0], self.verdict(&lines[0]))?;
        for line in &lines[1..] {
            said(line, self.sentence(line))?;
        }
        said(&e.caption(), self.caption(&e.caption()))?;
        let first = summary::headline(e);
        said(&first, self.headline(&first).and_then(|()| self.score()))?;
        let contribution = matches!(e.certificate().verdict, Verdict::Exact | Verdict::LocallyLinear);
        holds(e.unit().contains("contribution to the score") == contribution, || format!("the unit {:?}", e.unit()))?;
        self.what_must_be_said(&lines)
    }

    /// What may not be left out.
    fn what_must_be_said(&self, lines: &[String]) -> Checked {
        let (e, c) = (self.e, self.e.certificate());
        let must = |holds_of_it: bool, words: &str| {
            let said = lines.iter().any(|line| line.contains(words));
            holds(said == holds_of_it, || format!("{words:?} is {}said: {lines:?}", if said { "" } else { "not " }))
        };
        let additive = e.method().additive;
        must(additive && self.total().abs() < 0.01 * e.score.abs(), "next to nothing of the score")?;
        must(e.map.iter().all(|&v| v == 0.0), "every cell is 0")?;
        must(e.map.iter().all(|&v| v <= 0.0) && e.map.iter().any(|&v| v < 0.0), "every cell is negative or zero")?;
        must(c.bypass.is_some(), "a path goes around the layer")?;
        must(c.uniform, "the gradient is the same at all places, so")?;
        must(e.scores().activation.is_some(), "the score is the logit before the final")
    }

    /// The first sentence: what is proven, and what the numbers make of it.
    fn verdict(&self, line: &str) -> Checked {
        let (e, c) = (self.e, self.e.certificate());
        let mut text = Text(line);
        text.want(&c.verdict.to_string())?;
        if let Some(reason) = c.reason.as_ref().filter(|_| c.verdict != Verdict::Unproven) {
            text.want(" because of the ")?;
            text.want(reason)?;
        }
        text.want(": ")?;
        match c.verdict {
            Verdict::Exact => {
                text.want("the cells are ")?;
                if c.scale != 1 {
                    text.number(self.scale())?;
                    text.want(" times ")?;
                }
                text.want("each place's contribution to the score; ")?;
                text.want_if(c.scale == 1, "they ", "divided by that they ")?;
                self.sum_and_b(&mut text)?;
            }
            Verdict::LocallyLinear => {
                text.want(
                    "the cells are contributions to the linear form that the network follows for this image; they ",
                )?;
                self.sum_and_b(&mut text)?;
            }
            Verdict::GradientOnly => {
                text.want("a place that the score does not depend on gets 0; ")?;
                match e.residual {
                    Some(_) => {
                        text.want("more is not proven of the cells, which ")?;
                        self.sum_alone(&mut text)?;
                    }
                    None => text.want("the cells are not meant to add up to the score")?,
                }
            }
            Verdict::SumOnly => {
                text.want("the cells ")?;
                self.sum_and_b(&mut text)?;
                text.want("; the map can show places that the network did not use")?;
            }
            Verdict::Unproven => {
                text.want("the map can show places that the network did not use, and hide some that it did")?;
                if e.residual.is_some() {
                    text.want("; its cells ")?;
                    self.sum_alone(&mut text)?;
                }
            }
        }
        text.end()
    }

    /// `add up to 3.1000 (12.0 % of the score)`.
    fn sum_in_words(&self, text: &mut Text) -> Checked {
        text.want("add up to ")?;
        text.number(self.sum())?;
        if text.has(" (with the tokens that are no places ") {
            holds(self.e.other_tokens.is_some(), || "there are no such tokens".into())?;
        } else if text.0.starts_with(" (and ") || !text.has(" (") {
            // Of a score near 0 a share says nothing.
            return holds(self.total().abs() > 9.99 * self.e.score.abs(), || "the share is missing".into());
        } else {
            holds(self.e.other_tokens.is_none(), || "the other tokens are missing".into())?;
        }
        text.percent(self.total() / self.e.score)?;
        text.want(" of the score)")
    }

    fn other_tokens(&self, text: &mut Text, before: &str, after: &str) -> Checked {
        if self.e.other_tokens.is_none() {
            return Ok(());
        }
        text.want(before)?;
        text.number(self.others())?;
        text.want(" of the tokens that are no places")?;
        text.want(after)
    }

    fn b_is(&self, text: &mut Text) -> Checked {
        let (e, verdict) = (self.e, self.e.certificate().verdict);
        if text.has(" (the same for every image)") {
            let same = self.other.bias.is_some_and(|b| (b - self.b()).abs() <= 1e-5 * self.all());
            return holds(same && e.bias_is_known, || format!("of another image it is {:?}", self.other.bias));
        }
        if text.has(" (the score of the baseline)") {
            return holds(e.integral.is_some(), || "there is no baseline".into());
        }
        if text.has(", which belongs to this image") {
            return holds(verdict == Verdict::LocallyLinear, || "it does not".into());
        }
        holds(verdict == Verdict::SumOnly, || "nothing is said of what b is".into())
    }

    fn sum_and_b(&self, text: &mut Text) -> Checked {
        let e = self.e;
        self.sum_in_words(text)?;
        if !e.bias_is_known {
            self.other_tokens(text, " (and ", ")")?;
            text.want(", the rest of the score ")?;
            text.number(e.score)?;
            text.want(" is b = ")?;
            text.number(e.score - self.total())?;
            return self.b_is(text);
        }
        let adds_up = self.residual().abs() <= 1e-4 * self.all();
        if adds_up {
            text.want(" and, with ")?;
            self.other_tokens(text, "", " and ")?;
            text.want("b = ")?;
            text.number(self.b())?;
            self.b_is(text)?;
            text.want(", make the score ")?;
            text.number(e.score)?;
            text.want(" (residual ")?;
            text.number(self.residual())?;
            return text.want(")");
        }
        text.want(", which with ")?;
        self.other_tokens(text, "", " and ")?;
        text.want("b = ")?;
        text.number(self.b())?;
        self.b_is(text)?;
        text.want(" makes ")?;
        text.number(self.total() + self.b())?;
        holds(e.integral.is_some(), || "a certificate does not hold".into())?;
        text.want(" and not the score ")?;
        text.number(e.score)?;
        text.want(": ")?;
        text.number(self.residual().abs())?;
        text.want_if(self.residual() > 0.0, " is missing", " is too much")
    }

    fn sum_alone(&self, text: &mut Text) -> Checked {
        self.sum_in_words(text)?;
        self.other_tokens(text, " (and ", ")")?;
        let adds_up = self.residual().abs() <= 1e-4 * self.all();
        text.want_if(adds_up, ": the score ", " and not to the score ")?;
        text.number(self.e.score)?;
        text.want_if(adds_up, ", but for a residual of ", " (residual ")?;
        text.number(self.residual())?;
        if adds_up { Ok(()) } else { text.want(")") }
    }

    /// Any sentence but the first.
    fn sentence(&self, line: &str) -> Checked {
        let (e, c, score) = (self.e, self.e.certificate(), self.e.scores());
        let mut text = Text(line);
        let known = |given: &Option<String>| given.as_deref() == Some(line);
        if text.has("the tokens that are no places have ") {
            text.number(self.others() * self.scale())?;
            text.want(", which is not in the map")?;
        } else if text.has("the map comes to next to nothing of the score, ") {
            text.number(self.total())?;
            text.want(" of ")?;
            text.number(e.score)?;
            let cancels = text.has(": cells for it and against it cancel (Σ |map| is ");
            holds(cancels == (self.size() >= 0.01 * e.score.abs()), || format!("Σ |map| is {}", self.size()))?;
            if cancels {
                text.number(self.size())?;
                text.want(")")?;
            }
            text.want_if(e.bias.is_some(), "; what is left is b = ", "; what is left is the residual ")?;
            text.number(e.bias.unwrap_or(self.residual()))?;
        } else if text.has("nearly all lies on tokens that are no places (") {
            text.number(self.others())?;
            text.want("), and next to nothing in the map (")?;
            text.number(self.sum())?;
            text.want(")")?;
            holds(self.sum().abs() < 0.01 * self.others().abs(), || "it does not".into())?;
        } else if text.has("the layer's ") {
            text.number(e.map.len() as f64)?;
            text.want(" places are in a row, and the graph does not tell how they lie in the image: a grid, as 14x14, says it and makes the map a picture")?;
            holds(e.map.ndim() == 1, || "they are not".into())?;
        } else if known(&c.elsewhere) || known(&c.caution) {
            return Ok(());
        } else if known(&c.but) {
            return self.but(line);
        } else if e.notes.iter().any(|note| note == line) {
            return self.note(line);
        } else if text.has("the gradient is the same at all places, so HiResCAM and Grad-CAM are the same map here") {
            let maps = ["hirescam", "gradcam"].map(|name| self.beside.get(name));
            let [Some(hirescam), Some(gradcam)] = maps else { return text.end() };
            holds(apart(hirescam, gradcam) <= 1e-4, || format!("they are {:.1e} apart", apart(hirescam, gradcam)))?;
        } else if text.has("a path goes around the layer and joins at the ") {
            let join = text.until(": the map explains only what flows through the layer")?;
            let around = self.subject.around(e.layer());
            let nodes = &self.subject.model().graph().node;
            let node = nodes.iter().find(|node| hirescam::core::onnx::describe(node) == join);
            let reached = node.is_some_and(|node| node.input.iter().any(|i| around.contains(i)));
            holds(reached, || "no such path leads there".into())?;
        } else if text.has("every cell is 0: the map shows no place") {
            holds(e.map.iter().all(|&v| v == 0.0), || "it is not".into())?;
        } else if text.has("every cell is negative or zero: a picture of what is positive is empty") {
            holds(c.verdict == Verdict::Unproven, || "more is proven".into())?;
        } else if text.has("no place speaks for ") {
            text.want(&e.name())?;
            text.want(": every cell is negative or zero. That is a result, not a failure")?;
            holds(c.verdict != Verdict::Unproven, || "nothing is proven of the cells".into())?;
        } else if text.has("the score is the logit before the final ") {
            let activation = text.until("").and(Ok(std::mem::take(&mut text.0)))?;
            let made = self.subject.model().order().map(|(_, node)| node).any(|node| node.op_type() == activation);
            holds(made && score.logits != score.output, || "there is no such node".into())?;
        } else if text.has("which axis of ") {
            holds(score.class_axis.is_none() && score.entries() > 1, || "it is told".into())?;
            text.want(&format!(
                "{:?} counts classes is told neither by the graph nor by the number of labels: its entries are named by their numbers, unless the class axis is given",
                score.output
            ))?;
        } else if Some(line) == score.instead.as_deref() {
            let outputs = &self.subject.model().graph().output;
            let tensor = format!("explained is the tensor {:?}, of which ", score.output);
            return holds(line.contains(&tensor) && outputs.iter().all(|o| o.name() != score.output), || {
                "it is another".into()
            });
        } else if text.has("the class is predicted at no place, so there is nothing to add up") {
            holds(e.score == 0.0, || "there is".into())?;
        } else {
            return Err("nobody holds this sentence against numbers".into());
        }
        text.end()
    }

    /// What a method does that costs it the certificate.
    fn but(&self, line: &str) -> Checked {
        let e = self.e;
        let mut text = Text(line);
        text.want(e.method().title)?;
        let same = |name: &str| self.beside.get(name).is_some_and(|other| apart(e, other) <= 1e-4);
        match text.0 {
            said if said.contains("shows evidence for the class only") => {
                holds(e.map.iter().all(|&v| v >= 0.0), || "a cell is negative".into())
            }
            said if said.contains("how fast the score changes") => {
                holds(e.map.iter().all(|&v| v >= 0.0), || "a cell is negative".into())
            }
            said if said.contains("the same for every class") => {
                holds(self.beside.get("another class").is_none_or(|other| apart(e, other) <= 1e-4), || {
                    format!(
                        "another class has another map: {:?}",
                        self.beside.get("another class").map(|o| apart(e, o))
                    )
                })
            }
            said if said.contains("here nothing says that it is the same") => {
                holds(!e.certificate().uniform, || "it is the same".into())
            }
            said if said.contains("leaves out negative gradients") => {
                holds(!same("hirescam") || e.map.iter().all(|&v| v >= 0.0), || "nothing is left out".into())
            }
            _ => Ok(()),
        }
    }

    /// How a method of several runs came to the map, and what was done to run the network.
    fn note(&self, line: &str) -> Checked {
        let e = self.e;
        let mut text = Text(line);
        if let Some(integral) =
            e.integral.filter(|_| text.has("completeness: the cells should add up to s(x) − s(baseline) = "))
        {
            let difference = e.score - self.b();
            text.number(difference)?;
            text.want(", and do so but for a delta of ")?;
            text.number(integral.delta)?;
            let rounding = 1e-6 * (self.size() + self.others().abs());
            holds((self.total() - difference - integral.delta).abs() <= rounding, || {
                format!("the delta is {}", self.total() - difference)
            })?;
            text.want(" (")?;
            if difference != 0.0 {
                text.percent(integral.delta.abs() / difference.abs())?;
                text.want(" of it; ")?;
            }
            text.number(integral.steps as f64)?;
            text.want(if integral.steps == 1 { " step" } else { " steps" })?;
            return text.want(", midpoint rule, baseline 0 everywhere)");
        }
        if let Some(integral) = e.integral.filter(|_| text.has("the delta is large")) {
            return holds(integral.delta.abs() > 0.01 * (e.score - self.b()).abs(), || "it is not".into());
        }
        if let Some(integral) = e.integral.filter(|_| text.has("the integral has not converged")) {
            let tolerance = integral.tolerance.unwrap_or(0.01);
            return holds(integral.delta.abs() > tolerance * (e.score - self.b()).abs(), || "it has".into());
        }
        if text.has("the score is negative") {
            return holds(e.score < 0.0, || "it is not".into());
        }
        if text.has("every channel is constant for this image, and so none has a weight") {
            return holds(e.map.iter().all(|&v| v == 0.0), || "the map shows something".into());
        }
        if text.has("the heaviest of ") {
            let count = text.until(" channels has ")?.parse::<f64>().map_err(|e| e.to_string())?;
            let percent = text.until(" % of the weight")?.parse::<f64>().map_err(|e| e.to_string())?;
            return holds(percent <= 100.0 && percent + 0.5 >= 100.0 / count, || "no weights are such".into());
        }
        if text.has("the head is affine") || text.has("the head ran once for each channel") {
            let hirescam = self.beside.get("hirescam");
            let exact = hirescam.is_some_and(|e| e.certificate().verdict == Verdict::Exact);
            return holds(hirescam.is_none() || exact == line.starts_with("the head is"), || "it is not".into());
        }
        if text.has("which axis of the image counts channels the network does not tell: the axis ") {
            let axis: usize = text.until(" was taken, ")?.parse().map_err(|_| "no axis")?;
            let hirescam::Input::Tensor(image) = &self.subject.samples[0].image else { return Ok(()) };
            text.number(image.shape()[axis] as f64)?;
            return text.want(" long");
        }
        let settings = self.subject.spec("", None, None).settings;
        if text.has("the mean of ") {
            text.number(settings.samples.unwrap_or(50) as f64)?;
            text.want(" maps by Saliency with noise of the deviation ")?;
            text.number(settings.noise * self.subject.range())?;
            text.want(&format!(", {} of the image's range (seed {})", settings.noise, settings.seed))?;
            return text.end();
        }
        if let Some((windows, sides)) = line.split_once(" windows of up to ") {
            let cells = e.map.len().to_string();
            let sides = sides.strip_suffix(" set to 0 one after the other").unwrap_or("").split('×').count();
            return holds(windows == cells && sides == e.map.ndim(), || format!("there are {cells} cells"));
        }
        if line.contains(" random masks of ") {
            text.number(settings.samples.unwrap_or(4000) as f64)?;
            text.want(" random masks of ")?;
            text.number(settings.cells as f64)?;
            text.want(&format!(" cells along each axis, {} of them kept (seed {})", settings.keep, settings.seed))?;
            return text.end();
        }
        let run = [
            "images at once: copies filled the run",
            "it was run beside a copy of itself",
            "channels are constant for this image and were left out",
            "channel is constant for this image and was left out",
        ];
        holds(run.iter().any(|known| line.ends_with(known)), || "nobody holds this note against numbers".into())
    }

    fn caption(&self, line: &str) -> Checked {
        let (e, c) = (self.e, self.e.certificate());
        let mut text = Text(line);
        text.want(&e.name())?;
        text.want(" · score ")?;
        text.number(e.score)?;
        if e.residual.is_some() {
            let adds_up = self.residual().abs() <= 1e-4 * self.all();
            text.want_if(adds_up, " = Σ ", ", Σ ")?;
            text.number(self.sum())?;
            if e.other_tokens.is_some() {
                text.want(" + ")?;
                text.number(self.others())?;
                text.want(" of other tokens")?;
            }
            if text.has(" (") {
                text.percent(self.total() / e.score)?;
                text.want(")")?;
            }
            if e.bias.is_some() {
                text.want(" + b ")?;
                text.number(self.b())?;
            }
            if !adds_up {
                text.want(", residual ")?;
                text.number(self.residual())?;
            }
        }
        text.want(&format!(" · {} at {} · {}", e.method().title, e.layer(), c.verdict))?;
        text.end()
    }

    /// `espresso (score 11.4004, probability 95.1 %)`.
    fn headline(&self, line: &str) -> Checked {
        let e = self.e;
        let mut text = Text(line);
        text.want(&format!("{} (score ", e.name()))?;
        text.number(e.score)?;
        if let Some(probability) = e.probability {
            text.want(", probability ")?;
            text.percent(probability)?;
        }
        text.want(")")?;
        text.end()
    }

    /// The score and its probability, held against what the network itself gives.
    fn score(&self) -> Checked {
        let (e, score) = (self.e, self.e.scores());
        let (Some(output), Some(entry)) = (self.subject.outputs.get(&score.output), e.entry) else { return Ok(()) };
        if score.is_dense() || self.subject.samples[0].inputs.len() > 1 {
            return Ok(());
        }
        let Some(&given) = output.to_f64().iter().nth(entry) else { return Err("there is no such entry".into()) };
        let made = match (score.activation.as_deref(), score.probability) {
            (None, Activation::None) => e.score,
            (Some("LogSoftmax"), _) => e.probability.unwrap_or(f64::NAN).ln(),
            (None, _) => return Ok(()),
            _ => e.probability.unwrap_or(f64::NAN),
        };
        holds((made - given).abs() <= 1e-3 * given.abs().max(1e-3), || {
            format!("the network gives {given}, and not {made}")
        })
    }
}

/// How far two maps are apart, as a share of the largest cell of the first.
fn apart(a: &Explanation, b: &Explanation) -> f64 {
    let largest = a.map.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    if a.map.shape() != b.map.shape() {
        return f64::INFINITY;
    }
    let apart = a.map.iter().zip(&b.map).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    f64::from(apart) / f64::from(largest.max(f32::MIN_POSITIVE))
}
