//! What is emitted otherwise than one would, because an engine has a quirk: each with the engine and the version in which
//! it was met, and what would show that it is gone.
//!
//! What tract does wrong with the nodes of any network, ours or not, is mended where it is run, in the engine's adapter.

use super::Value;

impl<'g> Value<'g> {
    /// This cotangent and the weight with which it is multiplied; both negated where a DequantizeLinear makes the weight.
    ///
    /// OpenVINO (2026.4, on processors) takes x · w for a product of a quantised network, and uses the first channel's scale
    /// for all where a derivative sums over channels. −x · −w is the same, and no such product to it. The quantised networks
    /// in the tests of runtimes show whether that is still so.
    pub fn unquantised(self, weight: Value<'g>) -> (Value<'g>, Value<'g>) {
        match self.graph.maker(weight) {
            Some(("DequantizeLinear", _)) => (-self, -weight),
            _ => (self, weight),
        }
    }

    /// This value and the weight of a convolution of it; both negated where the weight is stored and square.
    ///
    /// OpenVINO (2026.4, on processors) lays a stored weight out for one direction and takes that for the other, too, where
    /// both have the same shape. A tensor of its own, such as −w, is laid out by itself; −x · −w is x · w. The networks with
    /// square convolutions in the tests of runtimes show whether that is still so.
    pub(super) fn with_own_layout(self, weight: Value<'g>, group: i64) -> (Value<'g>, Value<'g>) {
        let stored = self.graph.inner.borrow().values.get(weight.id).is_some_and(|e| e.name.is_some());
        let square = matches!(weight.sizes().as_slice(), [m, c, ..] if Some(*m as i64) == group.checked_mul(*c as i64));
        if stored && square { (-self, -weight) } else { (self, weight) }
    }

    /// The `k` largest values along the last axis and their positions, by an ArgMax for each, which then leaves out what it
    /// found.
    ///
    /// tract (0.23.9) has no TopK of the operator sets before 10. The tests of engines list what it misses, and fail when it
    /// has come.
    pub(super) fn largest_one_by_one(self, k: usize) -> (Value<'g>, Value<'g>) {
        let axis = self.rank().saturating_sub(1);
        let n = self.sizes().last().copied().unwrap_or(1);
        let (mut values, mut indices, mut rest) = (Vec::new(), Vec::new(), self);
        for _ in 0..k {
            let best = rest.arg_max(axis);
            let chosen = best.equal(self.iota(n));
            values.push(chosen.select(self, self.scalar(0.0)).reduce_sum(&[axis], true));
            indices.push(best);
            rest = chosen.select(self.scalar(f64::from(f32::MIN)), rest);
        }
        (Value::concat(&values, axis).unwrap_or(self), Value::concat(&indices, axis).unwrap_or(self))
    }
}
