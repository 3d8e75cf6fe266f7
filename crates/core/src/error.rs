//! What can go wrong, by what the caller can do about it.

/// Everything this crate refuses, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not an ONNX file.
    #[error("not an ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The file breaks ONNX's own rules: it has to be exported again.
    #[error("the model is invalid: {at}: {what}")]
    Invalid {
        /// The node or part of the file.
        at: String,
        /// What is wrong with it.
        what: String,
    },
    /// The file is right, but this version lacks something it needs.
    #[error("{at}: {what}. {remedy}")]
    Unsupported {
        /// The node or part of the file.
        at: String,
        /// What is missing.
        what: String,
        /// What the caller can do.
        remedy: String,
    },
    /// Something was asked for by a name that the model does not have.
    #[error("there is no {kind} {name:?}{}", did_you_mean(.near))]
    NotFound {
        /// What was looked for: layer, output, class, method.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// Names that exist and look alike.
        near: Vec<String>,
    },
    /// A value is asked for as the layer that cannot be one: it is of another kind, or has lost the places of the image.
    #[error("the layer {name:?} {why}")]
    Layer {
        /// The layer.
        name: String,
        /// Why it cannot be explained.
        why: String,
    },
    /// An input has open extents that have to be known.
    #[error("the input {input:?}{} has the open shape {shape}", if *.beside { " beside the image" } else { "" })]
    OpenShape {
        /// The input.
        input: String,
        /// Its extents.
        shape: String,
        /// Whether it comes beside the image.
        beside: bool,
    },
    /// Several images make one sample, and nothing says how many.
    #[error(
        "the first axis of {image:?} {shape} counts no images with scores of their own: the {node} reads several for one score, and how many make a sample is open"
    )]
    OpenSample {
        /// The input.
        image: String,
        /// Its extents.
        shape: String,
        /// The node that reads several images.
        node: String,
    },
    /// No output holds scores, nor is there a single tensor that the outputs are made of.
    #[error("no output holds scores, that is, floating-point numbers for each image ([N, classes], [N, classes, height, width] …): {outputs}{}{}", made_of(.tensors), because(.cause))]
    NoScores {
        /// What each output is.
        outputs: String,
        /// Why a shape is unknown, where one is.
        cause: Option<Box<Error>>,
        /// The tensors that the outputs are made of, and what each is: one of them can be named as what is explained.
        tensors: Vec<String>,
    },
    /// It has to be known which axis of the scores counts classes, and it is not.
    #[error(
        "which axis of {output:?} counts classes is told neither by the graph nor by the number of labels ({dims:?} after the batch)"
    )]
    OpenClasses {
        /// The tensor of the scores.
        output: String,
        /// Its extents for one image.
        dims: Vec<usize>,
    },
    /// Running the network would take more memory than it is allowed.
    #[error("{at}: {what}")]
    Memory {
        /// The node that makes the largest value.
        at: String,
        /// How much it would take, and how much it may.
        what: String,
    },
    /// The arguments do not fit the model: more classes than there are, a wrong shape.
    #[error("{0}")]
    Argument(String),
}

/// What a card says of a node, before the node's name is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The node is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The node is right, but its card does not cover it.
    #[error("{0}")]
    Unsupported(String),
}

/// Keeps a fault's words when no node is at hand.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(what) | Fault::Unsupported(what) => Error::Argument(what),
        }
    }
}

/// Shorthand for an invalid node in a card.
pub fn invalid<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Invalid(what.into()))
}

/// Shorthand for a case that a card does not cover.
pub fn unsupported<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unsupported(what.into()))
}

/// The beginning of a name, whole where it is of a reasonable length.
pub fn short(name: &str) -> &str {
    const LONGEST: usize = 300;
    name.char_indices().nth(LONGEST).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// Up to three of `names` that look like `name`, nearest first.
pub fn near<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut ranked: Vec<(f64, &str)> = names
        .into_iter()
        .map(|n| {
            let lower = n.to_lowercase();
            let part = if !wanted.is_empty() && lower.contains(&wanted) { 1.0 } else { 0.0 };
            (strsim::jaro_winkler(&wanted, &lower) + part, n)
        })
        .filter(|(likeness, _)| *likeness > 0.7)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.into_iter().take(3).map(|(_, n)| short(n).to_owned()).collect()
}

fn because(cause: &Option<Box<Error>>) -> String {
    cause.as_ref().map_or(String::new(), |cause| format!(". A shape is unknown. The cause: {cause}"))
}

fn made_of(tensors: &[String]) -> String {
    match tensors {
        [] => "; a floating-point tensor inside the network can be named as what is explained".into(),
        tensors => format!("; they are made of {}: name one of these as what is explained", tensors.join(", ")),
    }
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; did you mean {}?", names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or ")),
    }
}
