//! The list of methods for people: those of [`METHODS`], and those that take several runs and so live where there is an
//! engine, in the `hirescam` crate.

use super::methods::{Guarantee, METHODS, Method};
use std::borrow::Cow;
use std::fmt::Write;

/// A method in the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name in options and records.
    pub name: &'static str,
    /// The name in prose.
    pub title: &'static str,
    /// The formula of the raw map.
    pub formula: &'static str,
    /// Forward passes for an image.
    pub cost: &'static str,
    /// What is proven of the map.
    pub proven: Cow<'static, str>,
    /// Author, year, where.
    pub source: &'static str,
    /// Whether the map is in units of the score, so that it can be compared with others of which that is true.
    pub scored: bool,
    /// Whether Σ map (of CAM, over the number of places) is to be held against the score. The cells of occlusion, RISE and
    /// ReciproCAM are scores or differences of scores, each for itself: their sum means nothing.
    pub additive: bool,
}

impl Method {
    /// What there is to say of the method.
    pub fn row(&self) -> Row {
        let (uniform, other) = ((self.guarantee)(true), (self.guarantee)(false));
        let proven = match uniform == other {
            true => other.words().into(),
            false => format!("{}; where the gradient is uniform, {}", other.words(), uniform.words()).into(),
        };
        Row {
            name: self.name,
            title: self.title,
            formula: self.formula,
            cost: "1",
            proven,
            source: self.source,
            scored: self.scored,
            additive: self.scored || uniform == Guarantee::Mean,
        }
    }
}

/// The methods that one run is enough for.
pub fn one_run() -> Vec<Row> {
    METHODS.iter().map(Method::row).collect()
}

const NOTHING: Cow<'static, str> = Cow::Borrowed("nothing");

/// Ablation-CAM.
pub const ABLATION_CAM: Row = Row {
    name: "ablationcam",
    title: "Ablation-CAM",
    formula: "Σ_c w_c · A_c, w_c = (s − s_c) / s, s_c the score with channel c of A set to 0",
    cost: "1, then the head once a channel; once in all where the head is affine",
    proven: NOTHING,
    source: "Desai & Ramaswamy 2020, WACV, 10.1109/WACV45572.2020.9093360",
    scored: false,
    additive: false,
};

/// ReciproCAM.
pub const RECIPRO_CAM: Row = Row {
    name: "reciprocam",
    title: "ReciproCAM",
    formula: "at place p: the score of A with all other places set to 0",
    cost: "1, then the head once a place",
    proven: NOTHING,
    source: "Byun & Lee 2022, arXiv:2209.14074",
    scored: true,
    additive: false,
};

/// Score-CAM.
pub const SCORE_CAM: Row = Row {
    name: "scorecam",
    title: "Score-CAM",
    formula: "Σ_c w_c · A_c, w = softmax_c s(x ⊙ M_c), M_c = A_c resized to the image and brought to 0…1",
    cost: "1, then 1 a channel",
    proven: NOTHING,
    source: "Wang et al. 2020, arXiv:1910.01279",
    scored: false,
    additive: false,
};

/// Integrated gradients.
pub const INTEGRATED_GRADIENTS: Row = Row {
    name: "integrated-gradients",
    title: "Integrated Gradients",
    formula: "Σ_c (x − x₀)_c ⊙ mean_k ∂s/∂x_c at x₀ + (k − ½)/steps · (x − x₀), at the image or at a layer",
    cost: "2 + steps, with a backward pass each (50, doubled until the sum is right, 1550 in all at most)",
    proven: Cow::Borrowed("the sum: s(x) − s(x₀), up to a delta that is reported"),
    source: "Sundararajan et al. 2017, arXiv:1703.01365, eq. 1 and 3",
    scored: true,
    additive: true,
};

/// SmoothGrad.
pub const SMOOTH_GRAD: Row = Row {
    name: "smoothgrad",
    title: "SmoothGrad",
    formula: "the mean of another method's maps of x + noise, noise ~ N(0, (σ · (max x − min x))²)",
    cost: "1 + samples (50)",
    proven: NOTHING,
    source: "Smilkov et al. 2017, arXiv:1706.03825",
    scored: true,
    additive: true,
};

/// Occlusion.
pub const OCCLUSION: Row = Row {
    name: "occlusion",
    title: "Occlusion",
    formula: "at cell p: s(x) − s(x with a window about p set to a constant)",
    cost: "1 + 1 a cell (196)",
    proven: NOTHING,
    source: "Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2",
    scored: true,
    additive: false,
};

/// RISE.
pub const RISE: Row = Row {
    name: "rise",
    title: "RISE",
    formula: "Σ_i s(x ⊙ M_i) · M_i / (samples · p), M_i random masks that keep a share p",
    cost: "1 + samples (4000)",
    proven: NOTHING,
    source: "Petsiuk et al. 2018, arXiv:1806.07421, eq. 6",
    scored: true,
    additive: false,
};

/// The methods that take several runs.
pub const SEVERAL_RUNS: &[Row] =
    &[ABLATION_CAM, RECIPRO_CAM, SCORE_CAM, INTEGRATED_GRADIENTS, SMOOTH_GRAD, OCCLUSION, RISE];

/// Methods as a table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| method | formula | forward passes | proven | source |\n|---|---|---|---|---|\n".to_owned();
    for r in rows {
        let formula = r.formula.replace('|', "\\|");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` {} | {formula} | {} | {} | {} |", r.name, r.title, r.cost, r.proven, r.source);
    }
    text
}
