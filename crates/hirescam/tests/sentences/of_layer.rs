//! What is said of the layers of a network.

use crate::subject::Subject;
use crate::text::Text;
use hirescam::layers::LayerRow;
use hirescam_testing::each::all_right;
use std::path::PathBuf;

/// So many layers of a network are explained, those first of which something is said.
const MOST: usize = 5;

type Checked = Result<(), String>;

fn holds(what: bool, why: impl FnOnce() -> String) -> Checked {
    if what { Ok(()) } else { Err(why()) }
}

/// Holds what is said of each layer against what is recorded of it, and against maps made there.
pub fn check(path: PathBuf) -> Checked {
    let subject = Subject::open(&path).map_err(|e| e.to_string())?;
    let rows = match subject.network.layers(&subject.spec("hirescam", None, None), true) {
        Ok(layers) => layers.rows,
        Err(error) => return subject.names_nodes(&error.to_string()).map_err(|why| format!("{error}: {why}")),
    };
    let mut order: Vec<&LayerRow> = rows.iter().collect();
    let remarks = |row: &LayerRow| {
        [
            row.recommended,
            row.reads_one_place,
            row.ignores_scale,
            row.grid.is_some(),
            row.error.is_some(),
            !row.followed,
        ]
    };
    order.sort_by_key(|row| std::cmp::Reverse(remarks(row)));
    let mut wrong = Vec::new();
    for (i, row) in order.into_iter().enumerate() {
        let words = row.in_words(0);
        let checked = of_row(&subject, row, &words).and_then(|()| subject.names_nodes(&words));
        let made = if i < MOST && checked.is_ok() { of_its_map(&subject, row) } else { Ok(()) };
        wrong.extend(checked.and(made).err().map(|why| format!("{words:?}: {why}")));
    }
    let recommended = rows.iter().filter(|row| row.recommended).count();
    holds(recommended <= 1, || format!("{recommended} layers are recommended"))?;
    all_right(&wrong)
}

/// What is said against the row's own facts.
fn of_row(subject: &Subject, row: &LayerRow, words: &str) -> Checked {
    let mut text = Text(words);
    text.want_if(row.recommended, "* ", "  ")?;
    text.want(&row.layer)?;
    let mut rest: Vec<&str> = text.0.split("; ").collect();
    // Extents, what makes it, and the verdict come before the rest.
    let first = rest.remove(0).trim();
    if let Some(verdict) = &row.verdict {
        holds(first.ends_with(verdict.as_str()), || format!("the verdict is {verdict}"))?;
    }
    let made = subject.model().order().map(|(_, node)| node).find(|node| node.output.contains(&row.layer));
    let operator = made.map_or("input".to_owned(), |node| format!("after {}", node.op_type()));
    holds(first.contains(&operator), || format!("it stands {operator}"))?;
    holds(first.contains("inside a branch") != row.on_every_path, || "it is, or is not, on every path".into())?;
    for note in rest {
        let mut text = Text(note);
        let checked = if text.has("uniform gradient (HiResCAM = Grad-CAM)") {
            holds(row.uniform == Some(true), || "it is not".into())
        } else if text.has("bypassed at the ") {
            holds(row.bypass.as_deref() == Some(std::mem::take(&mut text.0)), || "it is not".into())
        } else if text.has("cannot be explained: ") {
            text.0 = "";
            holds(row.error.is_some(), || "it can".into())
        } else if text.has("a grid ") {
            for (i, n) in row.grid.iter().flatten().enumerate() {
                text.want(if i > 0 { "×" } else { "" })?;
                text.number(*n as f64)?;
            }
            let others = row.other_tokens.unwrap_or(0);
            if others > 0 {
                text.want(" and ")?;
                text.number(others as f64)?;
                text.want(if others == 1 { " other token" } else { " other tokens" })?;
            }
            Ok(())
        } else if text.has("its head hardly changes with its scale: the map sums to 0, or nearly") {
            holds(row.ignores_scale, || "it does".into())
        } else if text.has("its head reads one place: the map has one cell, or none") {
            holds(row.reads_one_place, || "it reads several".into())
        } else if text.has("the graph does not tell where its places lie in the image") {
            holds(!row.followed, || "it does".into())
        } else if text.has("recommended: ") {
            text.0 = "";
            holds(row.recommended, || "it is not".into())
        } else if row.error.as_ref().is_some_and(|error| error.contains(note)) {
            continue;
        } else {
            Err(format!("nobody holds {note:?} against numbers"))
        };
        checked.and_then(|()| text.end())?;
    }
    Ok(())
}

/// What is said against a map made there.
fn of_its_map(subject: &Subject, row: &LayerRow) -> Checked {
    let entry = subject.entry();
    let explain = |method: &str| subject.explain(&subject.spec(method, Some(&row.layer), entry.as_deref()));
    let made = match (explain("hirescam"), &row.error) {
        (Ok(mut made), None) => made.remove(0),
        (Err(error), Some(said)) => {
            return holds(error.to_string().contains(said.as_str()), || format!("the cause is another: {error}"));
        }
        (Ok(_), Some(_)) => return Err("it can be explained".into()),
        (Err(error), None) => {
            // What an engine or the image refuses is nothing of the layer.
            return holds(!matches!(error, hirescam::Error::Core(_)), || format!("it cannot be explained: {error}"));
        }
    };
    let c = made.certificate();
    holds(Some(c.verdict.to_string()) == row.verdict, || format!("the map is {}", c.verdict))?;
    holds(c.bypass == row.bypass && c.reason == row.reason, || format!("the map has {:?}, {:?}", c.bypass, c.reason))?;
    // Of a single score the gradient can be the same where that of all is not.
    holds(c.uniform || row.uniform != Some(true), || format!("uniform is {} for the map", c.uniform))?;
    holds(c.elsewhere.is_none() == row.followed, || format!("the map has {:?}", c.elsewhere))?;
    if let Some(sides) = &row.grid {
        holds(made.map.shape() == sides.as_slice(), || format!("the map is {:?}", made.map.shape()))?;
        holds(made.other_tokens.is_some() == (row.other_tokens != Some(0)), || "other tokens".into())?;
    }
    if row.ignores_scale {
        let size: f64 = made.map.iter().map(|v| f64::from(v.abs())).sum();
        holds(made.sum.abs() <= 0.02 * (size + made.score.abs()), || format!("it sums to {} of {size}", made.sum))?;
    }
    if row.reads_one_place {
        let cells = made.map.iter().filter(|v| **v != 0.0).count();
        holds(cells <= 1, || format!("the map has {cells} cells"))?;
    }
    if row.uniform == Some(true) {
        let gradcam = explain("gradcam").map_err(|e| e.to_string())?.remove(0);
        let largest = made.map.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let apart = made.map.iter().zip(&gradcam.map).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        holds(apart <= 1e-4 * largest, || format!("Grad-CAM's map is {apart} apart, of {largest}"))?;
    }
    Ok(())
}
