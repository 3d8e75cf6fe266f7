//! Explanations over HTTP: an API that is described by OpenAPI, and the page that looks at them.
//!
//! Networks and images are held, by the command line or by whoever sends them; all else is the library's own: a [`Spec`](hirescam::Spec) goes in,
//! maps and [records](hirescam::record) come out. [`App`] is what requests share, [`serve`] answers them.

mod about;
mod app;
mod cache;
mod checks;
mod comparisons;
mod events;
mod explanations;
mod exports;
mod failure;
mod images;
mod infer;
mod layers;
mod models;
mod openapi;
mod page;
mod previews;
mod ready;
mod serve;
mod work;

pub use app::{App, Error, Limits, Options};
pub use openapi::openapi;
pub use serve::{Served, serve};
