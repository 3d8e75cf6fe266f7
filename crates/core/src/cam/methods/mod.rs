//! CAM methods: functions of an activation and a gradient, which never see a model or an engine.
//!
//! To add one, write a file with its formula and source, and a row in [`METHODS`].

mod classic;
mod eigencam;
mod eigengradcam;
mod elementwise;
mod gradcam;
mod gradcam_plus_plus;
mod gradient_x_input;
pub(super) mod hirescam;
pub(super) mod input;
mod layercam;
mod saliency;
mod xgradcam;

pub use input::MethodInput;

use crate::Error;
use crate::build::Value;
use crate::certify::{Certificate, Verdict};
use crate::error::{Fault, near};

/// A way to make a map of an activation and a gradient.
#[derive(Debug)]
pub struct Method {
    /// The name in options and records.
    pub name: &'static str,
    /// The name in prose.
    pub title: &'static str,
    /// The formula of the raw map: A is the activation, g = ∂s/∂A the gradient, c counts channels.
    pub formula: &'static str,
    /// Author, year, where.
    pub source: &'static str,
    /// Emits the map in the activation's shape, the channel axis as an axis of 1. Other axes may have an extent of 1
    /// for a map that is the same all along them.
    pub map: for<'g> fn(&MethodInput<'g, '_>) -> Result<Value<'g>, Fault>,
    /// What is proven of the map, where the gradient is the same at all places (`true`) and where it is not.
    pub guarantee: fn(bool) -> Guarantee,
    /// What the method does that costs it the head's certificate: the rest of a sentence that begins with its title.
    pub but: &'static str,
    /// What to beware of where the activation can be negative; empty where it makes no difference.
    pub caution: &'static str,
    /// Whether the map is made at the image itself when no layer is named.
    pub at_image: bool,
    /// Whether the map is in units of the score, so that it can be compared with others of which that is true.
    pub scored: bool,
}

impl Method {
    /// A faithful method at a layer: what methods are written from.
    const BASE: Method = Method {
        name: "",
        title: "",
        formula: "",
        source: "",
        map: |s| Ok(s.weigh(s.gradient)),
        guarantee: |_| Guarantee::Faithful,
        but: "",
        caution: "",
        at_image: false,
        scored: true,
    };
}

/// What is proven of a method's maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// What the head's certificate says.
    Faithful,
    /// The same of the map divided by the number of places. Such a method is refused unless the head is `exact` and
    /// the gradient the same at all places.
    Mean,
    /// The cells add up as HiResCAM's do; of a single cell nothing.
    Total,
    /// A place that the score does not depend on gets 0; of the sum nothing.
    Local,
    /// Nothing.
    None,
}

impl Guarantee {
    /// In words, for lists of methods.
    pub fn words(self) -> &'static str {
        match self {
            Guarantee::Faithful => "what the head's certificate says",
            Guarantee::Mean => "what the head's certificate says, of the map / places",
            Guarantee::Total => "the sum, not the places",
            Guarantee::Local => "0 where the gradient is 0",
            Guarantee::None => "nothing",
        }
    }
}

/// All methods.
pub const METHODS: &[Method] = &[
    hirescam::METHOD,
    gradcam::METHOD,
    classic::METHOD,
    gradcam_plus_plus::METHOD,
    xgradcam::METHOD,
    layercam::METHOD,
    elementwise::METHOD,
    eigencam::METHOD,
    eigengradcam::METHOD,
    gradient_x_input::METHOD,
    saliency::METHOD,
];

/// The method called `name`.
///
/// # Errors
/// [`Error::NotFound`] with near names.
pub fn method(name: &str) -> Result<&'static Method, Error> {
    let missing =
        || Error::NotFound { kind: "method", name: name.to_owned(), near: near(name, METHODS.iter().map(|m| m.name)) };
    METHODS.iter().find(|m| m.name == name).ok_or_else(missing)
}

/// The certificate of a method's map, from that of the head. `signed` says whether the activation can be negative,
/// `places` how many there are.
pub(super) fn judge(method: &Method, head: Certificate, signed: bool, places: usize) -> Result<Certificate, Error> {
    let guarantee = (method.guarantee)(head.uniform);
    let verdict = match (guarantee, head.verdict) {
        (Guarantee::Faithful, verdict) => verdict,
        (Guarantee::Mean, Verdict::Exact) => Verdict::Exact,
        (Guarantee::Mean, _) => {
            let because = head.reason.map_or(String::new(), |r| format!(": here the {r} keeps it from being that"));
            return Err(Error::Argument(format!(
                "{} is defined for a score that is linear in the layer's means (global average pooling, then linear layers){because}. hirescam needs no such head",
                method.title
            )));
        }
        (Guarantee::Total, Verdict::Exact | Verdict::LocallyLinear) => Verdict::SumOnly,
        (Guarantee::Local, _) => Verdict::GradientOnly,
        (Guarantee::Total | Guarantee::None, _) => Verdict::Unproven,
    };
    let kept = matches!(guarantee, Guarantee::Faithful | Guarantee::Mean);
    Ok(Certificate {
        verdict,
        scale: if guarantee == Guarantee::Mean { places } else { 1 },
        but: (!kept).then(|| format!("{} {}", method.title, method.but)),
        caution: (signed && !method.caution.is_empty())
            .then(|| format!("nothing keeps the layer from being negative: {}", method.caution)),
        ..head
    })
}
