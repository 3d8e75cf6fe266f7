//! Where results go: files that are whole or not there, under names that lose nothing.

mod folder;
mod protected;
mod whole;

pub use folder::{Claim, Folder};
pub(crate) use folder::{part_of, put};
pub use protected::Protected;
pub use whole::{Whole, write};
