//! Products that need not be computed.

use super::Value;
use crate::shape::Dim;

impl<'g> Value<'g> {
    /// The product with the matrix `b`(ᵀ) where each row of this value is 1 at the entry that an index names and 0
    /// elsewhere: no product, but the rows of `b` that the indices name.
    pub(super) fn rows_named(self, b: Value<'g>, trans_b: bool) -> Option<Value<'g>> {
        let ("Cast", hot) = self.graph.maker(self)? else { return None };
        let ("Equal", parts) = self.graph.maker(*hot.first()?)? else { return None };
        let &[index, list] = parts.as_slice() else { return None };
        let ([n, k], [r, c]) = (<[Dim; 2]>::try_from(self.dims()).ok()?, <[Dim; 2]>::try_from(b.dims()).ok()?);
        let out = if trans_b { r } else { c };
        let all = list.known()?.to_ints().into_iter().eq(0..k.per_image() as i64);
        if !all || index.dims() != [n, Dim::Fixed(1)] || k != (if trans_b { c } else { r }) {
            return None;
        }
        let rows = if trans_b { b.gather(index, 1).transpose(&[1, 2, 0]) } else { b.gather(index, 0) };
        Some(rows.reshape(&[n, out]))
    }
}
