//! Whether the numbers that a file stores can be computed with.

use crate::error::short;
use crate::onnx::describe;
use crate::ops::{self, Weights};
use crate::{Error, Model, tensor};

/// Whether the weights are numbers. Engines differ in what they make of others: some lose a NaN on the way, and give a
/// map that looks like any.
///
/// Stored tensors that only mask values may be infinite.
///
/// # Errors
/// [`Error::Invalid`] with the node that reads a NaN or an infinity.
pub fn check(model: &Model) -> Result<(), Error> {
    for (_, node) in model.order() {
        let may_be_infinite = match ops::named(node).map(|card| card.weights) {
            Some(Weights::Finite) => false,
            Some(Weights::Numbers) => true,
            Some(Weights::None) | None => continue,
        };
        for name in &node.input {
            let stored = model.initializer(name).or_else(|| ops::constant::stored(model.maker(name)?));
            if let Some(bad) = stored.and_then(|t| tensor::first_not_finite(t, may_be_infinite)) {
                let what = format!("the stored tensor {:?} that it reads holds {bad}", short(name));
                return Err(Error::Invalid { at: describe(node), what });
            }
        }
    }
    Ok(())
}
