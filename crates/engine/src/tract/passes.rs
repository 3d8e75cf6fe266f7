//! tract's own optimisation without three of its habits (0.23.9). It gives a whole model up where the simplification of one
//! node fails. It takes a broadcast for nothing before a product that sums over it, and gives wrong numbers. And it pushes
//! slices up through all that is before them: where slices of one sum are parts of another, as in
//! the derivative of a dense block, this makes of each node as many as there are slices behind it, in cubic time.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TypedModelPatch;
use tract_onnx::tract_core::ops::array::MultiBroadcastTo;
use tract_onnx::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};

/// The passes of `tract`, by the names that they show, one left out and one replaced.
pub(super) fn ours(tract: Optimizer) -> Optimizer {
    let kept = tract.passes.into_iter().filter_map(|pass| match format!("{pass:?}").as_str() {
        "PushSliceUp" => None,
        "declutter" => Some(Box::<Simplify>::default() as Box<dyn TypedPass>),
        _ => Some(pass),
    });
    Optimizer { passes: kept.collect(), steps: tract.steps }
}

/// Simplifies node after node. What fails leaves its node as it is: tract pulls a slice with steps over a Reshape that it
/// does not go through.
#[derive(Clone, Debug, Default)]
struct Simplify(usize);

impl TypedPass for Simplify {
    fn reset(&mut self) -> TractResult<()> {
        self.0 = 0;
        Ok(())
    }

    fn next(&mut self, session: &mut OptimizerSession, model: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        for node in
            model.nodes.iter().skip(self.0).filter(|node| !node.op_is::<Dummy>() && !reads_broadcast(model, node))
        {
            if let Ok(Some(mut patch)) = node.op.declutter_with_session(session, model, node) {
                patch.push_context(format!("simplifying {node}"));
                self.0 = node.id + usize::from(patch.dont_apply_twice.is_some());
                return Ok(Some(patch));
            }
        }
        Ok(None)
    }
}

/// Whether `node` is an EinSum of something broadcast. tract would take the broadcast away, and sum over an axis of 1 where
/// the other factor has more.
fn reads_broadcast(model: &TypedModel, node: &TypedNode) -> bool {
    node.op_is::<EinSum>() && node.inputs.iter().any(|input| model.node(input.node).op_is::<MultiBroadcastTo>())
}
