//! Pad with negative pads, which take places away. tract (0.23.9) takes a negative number for one beyond all measure, and
//! panics; here the places are cut off first.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::array::{Pad, PadMode, Slice};

/// What a Pad node is read as.
type Read = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Reads a Pad node.
pub(super) fn pad(ctx: &ParsingContext, node: &NodeProto) -> Read {
    static TRACT: std::sync::LazyLock<tract_onnx::Onnx> = std::sync::LazyLock::new(tract_onnx::onnx);
    let pads = node.attribute.iter().find(|a| a.name == "pads").map(|a| a.ints.clone());
    if let Some(pads) = pads.filter(|pads| pads.iter().any(|&p| p < 0)) {
        let value = node.attribute.iter().find(|a| a.name == "value").map_or(0.0, |a| a.f);
        if node.attribute.iter().any(|a| a.name == "mode" && a.s != b"constant") {
            bail!("negative pads in another mode than `constant`");
        }
        return Ok((expand(ByAttribute { pads, value }), vec![]));
    }
    let Some(own) = TRACT.op_register.0.get("Pad") else { bail!("there is no Pad") };
    let (op, closures) = own(ctx, node)?;
    let by_input = op.as_op().downcast_ref::<Box<dyn Expansion>>().map(|own| expand(ByInput(own.clone())));
    Ok((by_input.unwrap_or(op), closures))
}

/// Cuts off what the negative ones of `pads`, first those before all axes, take away; what the others add.
fn crop(
    name: &str,
    model: &mut TypedModel,
    mut wire: OutletId,
    pads: &[(usize, i64, i64)],
) -> TractResult<(OutletId, Vec<(usize, usize)>)> {
    let mut added = vec![(0, 0); model.outlet_fact(wire)?.rank()];
    for &(axis, begin, end) in pads {
        let Some(added) = added.get_mut(axis) else { bail!("pads for axis {axis}") };
        *added = (usize::try_from(begin).unwrap_or(0), usize::try_from(end).unwrap_or(0));
        if begin < 0 || end < 0 {
            let extent = model.outlet_fact(wire)?.shape[axis].clone();
            let slice = Slice::new(axis, -begin.min(0), extent + end.min(0));
            wire = model.wire_node(format!("{name}.cut_{axis}"), slice, &[wire])?[0];
        }
    }
    Ok((wire, added))
}

/// With pads in an attribute, as up to operator set 10.
#[derive(Debug, Clone)]
struct ByAttribute {
    pads: Vec<i64>,
    value: f32,
}

impl Expansion for ByAttribute {
    fn name(&self) -> StaticName {
        "Pad".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        let rank = self.pads.len() / 2;
        s.equals(&inputs[0].rank, rank as i64)?;
        for (axis, (begin, end)) in self.pads.iter().zip(&self.pads[rank..]).enumerate() {
            s.equals(&outputs[0].shape[axis], inputs[0].shape[axis].bex() + (begin + end).to_dim())?;
        }
        Ok(())
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = self.pads.len() / 2;
        let each = self.pads.iter().zip(&self.pads[rank..]).enumerate();
        let pads: Vec<_> = each.map(|(axis, (&begin, &end))| (axis, begin, end)).collect();
        let (wire, pads) = crop(name, model, inputs[0], &pads)?;
        model.wire_node(name, Pad { pads, mode: PadMode::Constant(rctensor0(self.value)) }, &[wire])
    }
}

/// With pads as an input, and maybe the axes that they are of: tract's own, after what is cut off.
#[derive(Debug, Clone)]
struct ByInput(Box<dyn Expansion>);

impl Expansion for ByInput {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        Expansion::rules(&*self.0, s, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let list = |model: &TypedModel, i: usize| -> TractResult<Option<Vec<i64>>> {
            let Some(input) = inputs.get(i) else { return Ok(None) };
            let Some(known) = model.outlet_fact(*input)?.konst.clone() else { return Ok(None) };
            Ok(Some(known.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec()))
        };
        let Some(pads) = list(model, 1)?.filter(|pads| pads.iter().any(|&p| p < 0)) else {
            return self.0.wire(name, model, inputs);
        };
        // The axes are the last input, and a list, unlike the value to pad with.
        let last = inputs.len() - 1;
        let axes = if last > 1 && model.outlet_fact(inputs[last])?.rank() == 1 { list(model, last)? } else { None };
        let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
        let axes = axes.iter().map(|&a| (if a < 0 { a + rank as i64 } else { a }) as usize);
        let each = axes.zip(pads.iter().zip(&pads[pads.len() / 2..]));
        let each: Vec<_> = each.map(|(axis, (&begin, &end))| (axis, begin, end)).collect();
        let (wire, _) = crop(name, model, inputs[0], &each)?;
        let added: Vec<i64> = pads.iter().map(|&p| p.max(0)).collect();
        let added = model.add_const(format!("{name}.added"), tensor1(&added))?;
        let mut own = inputs.to_vec();
        (own[0], own[1]) = (wire, added);
        self.0.wire(name, model, &own)
    }
}
