//! CAM methods, and how a map is attached to a model.

mod arrays;
mod attach;
pub mod list;
mod methods;

pub use crate::strip::{bare, strip};
pub use crate::target::{Pick, Span, Target, Vector};
pub use arrays::on_arrays;
pub use attach::explaining::Explaining;
pub use attach::heatmap::HeatmapSize;
pub use attach::outputs::Outputs;
pub use attach::{Further, Request, TargetInput, attach, attach_to, target_input};
pub use methods::{Guarantee, METHODS, Method, MethodInput, method};
