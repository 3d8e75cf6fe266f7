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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tract_onnx::tract_core::internal::*;
    use tract_onnx::tract_core::ops::array::Slice;
    use tract_onnx::tract_core::ops::math::add;

    /// Sums of which each takes a part of the one before, as the derivative of a dense block has them.
    fn sums(count: usize) -> TypedModel {
        let mut model = TypedModel::default();
        let width = |k: usize| 2 * (count - k + 1);
        let mut outputs = tvec!();
        let mut sum = model.add_source("first", f32::fact([1, width(0)])).unwrap();
        for k in 1..=count {
            let part = |from: usize, to: usize| Slice::new(1, from, to);
            let kept = model.wire_node(format!("kept{k}"), part(0, width(k)), &[sum]).unwrap()[0];
            outputs.push(model.wire_node(format!("out{k}"), part(width(k), width(k - 1)), &[sum]).unwrap()[0]);
            let own = model.add_source(format!("own{k}"), f32::fact([1, width(k)])).unwrap();
            sum = model.wire_node(format!("sum{k}"), add(), &[kept, own]).unwrap()[0];
        }
        outputs.push(sum);
        model.select_output_outlets(&outputs).unwrap();
        model
    }

    fn nodes(count: usize, optimizer: Optimizer) -> usize {
        let mut model = sums(count);
        optimizer.optimize(&mut model).unwrap();
        model.nodes.len()
    }

    #[test]
    fn slices_of_sums_stay_as_many_as_they_are() {
        for count in [8, 16] {
            assert!(nodes(count, ours(Optimizer::declutter())) <= sums(count).nodes.len());
        }
        // Once this fails tract pushes slices up no more, and the pass may stay.
        assert!(nodes(16, Optimizer::declutter()) > 2 * sums(16).nodes.len());
    }

    /// The product of a matrix that is broadcast along the axis that is summed over.
    fn product() -> TypedModel {
        let mut model = TypedModel::default();
        let x = model.add_source("x", f32::fact([2, 1])).unwrap();
        let wide = model.wire_node("wide", MultiBroadcastTo::new(tvec!(2.to_dim(), 3.to_dim()).into()), &[x]).unwrap();
        let ones = model.add_const("ones", Tensor::from_shape(&[3, 1], &[1f32; 3]).unwrap()).unwrap();
        let axes = "mk,kn->mn".parse().unwrap();
        let sum = EinSum { axes, operating_dt: f32::datum_type(), q_params: None };
        let y = model.wire_node("y", sum, &[wide[0], ones]).unwrap();
        model.select_output_outlets(&y).unwrap();
        model
    }

    fn products(optimizer: &Optimizer) -> TractResult<Vec<f32>> {
        let mut model = product();
        optimizer.optimize(&mut model)?;
        let y = SimplePlan::new(model)?.run(tvec!(Tensor::from_shape(&[2, 1], &[1f32, 2.])?.into()))?;
        Ok(y[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    }

    #[test]
    fn a_product_sums_over_what_was_broadcast() {
        assert_eq!(products(&ours(Optimizer::declutter())).unwrap(), [3.0, 6.0]);
        // Once this fails tract keeps the broadcast, and so need not we.
        assert!(!products(&Optimizer::declutter()).is_ok_and(|y| y == [3.0, 6.0]));
    }
}
