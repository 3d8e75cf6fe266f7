//! The signs of arithmetic between values, and between values and numbers.

use super::Value;

macro_rules! arithmetic {
    ($($trait:ident $method:ident $op:literal)*) => {$(
        impl<'g> std::ops::$trait for Value<'g> {
            type Output = Value<'g>;
            fn $method(self, other: Value<'g>) -> Value<'g> {
                self.binary($op, other)
            }
        }
        impl<'g> std::ops::$trait<f64> for Value<'g> {
            type Output = Value<'g>;
            fn $method(self, other: f64) -> Value<'g> {
                self.binary($op, self.scalar(other))
            }
        }
    )*};
}
arithmetic! { Add add "Add"  Sub sub "Sub"  Mul mul "Mul"  Div div "Div" }

impl<'g> std::ops::Neg for Value<'g> {
    type Output = Value<'g>;
    fn neg(self) -> Value<'g> {
        self.unary("Neg")
    }
}
