//! The commands, one a file.

mod missing;

use missing::missing;

#[cfg(feature = "batch")]
pub mod batch;
pub mod check;
pub mod compare;
pub mod compile;
#[cfg(feature = "evaluate")]
pub mod evaluate;
pub mod explain;
pub mod layers;
pub mod methods;
pub mod ops;
#[cfg(feature = "evaluate")]
pub mod panels;
pub mod presets;
#[cfg(feature = "view")]
pub mod serve;
pub mod strip;
#[cfg(feature = "study")]
pub mod study;
#[cfg(feature = "view")]
pub mod view;

missing!(batch::Batch, "batch");
missing!(evaluate::Evaluate, "evaluate");
missing!(panels::Panels, "evaluate");
missing!(serve::Serve, "view");
missing!(study::Study, "study");
missing!(view::View, "view");
