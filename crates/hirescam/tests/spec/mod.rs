//! What several tests share.

use hirescam::Spec;

/// A spec whose results do not depend on which engines the machine has.
pub fn tract() -> Spec {
    Spec { engine: "tract".into(), ..Spec::default() }
}
