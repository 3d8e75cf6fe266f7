//! Serves studies with human raters: pages on which they answer, ways by which they come, a page for the owner, and the answers' storage.
//!
//! A study comes as the folder that `hirescam study build` made. The server knows its manifest and its pictures, never the key: it cannot tell
//! one arm from another. It sees no network.

mod api;
mod app;
mod error;
pub mod export;
mod files;
mod folder;
mod guard;
mod owner;
mod pages;
mod serve;
pub mod store;
mod token;
pub mod ways;

pub use api::openapi;
pub use app::{App, Options, authority, now, route_paths};
pub use error::Error;
pub use folder::Study;
pub use serve::{Served, serve};
pub use store::Store;
