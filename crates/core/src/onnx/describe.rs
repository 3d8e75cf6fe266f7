//! Nodes in words, and what is wrong with one.

use super::messages::NodeProto;
use crate::Error;
use crate::error::{Fault, short};

impl Fault {
    /// The error for `node`.
    pub fn at(self, node: &NodeProto) -> Error {
        match self {
            Fault::Invalid(what) => Error::Invalid { at: describe(node), what },
            Fault::Unsupported(what) => Error::Unsupported {
                at: describe(node),
                what,
                remedy: "Export the network with other operators there, or ask for this case with the file".into(),
            },
        }
    }
}

/// `Conv node "/layer4/conv2" (makes "/layer4/conv2/Conv_output_0")`: an operator in words.
pub fn describe(node: &NodeProto) -> String {
    let made = short(node.output.first().map_or("", String::as_str));
    let op = short(node.op_type());
    match short(node.name()) {
        "" => format!("{op} node that makes {made:?}"),
        name => format!("{op} node {name:?} (makes {made:?})"),
    }
}
