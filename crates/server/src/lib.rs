//! HTTP: what hirescam serves to browsers and to other programs.
#![forbid(unsafe_code)]

mod connection;
mod guard;
mod listen;
#[cfg(feature = "study")]
pub mod study;
#[cfg(feature = "view")]
pub mod view;

pub use listen::ListenError;
