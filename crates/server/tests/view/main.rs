//! Explanations over HTTP: what is asked, what is answered, and what is refused.
#![cfg(feature = "view")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod client;
mod exports;
mod limits;
mod openapi;
mod protocol;
mod refused;
