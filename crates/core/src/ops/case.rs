//! Cases under which the tests try cards.

use crate::onnx::messages::AttributeProto;
use crate::onnx::{AttributeValue, attribute};
use crate::tensor::{DataType, Tensor};

/// One setting under which the tests try a card: attributes and inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The attributes.
    pub attributes: Vec<AttributeProto>,
    /// The inputs.
    pub inputs: Vec<CaseInput>,
    /// The operator set's version.
    pub opset: i64,
    /// How many outputs the node has.
    pub outputs: usize,
}

/// An input of a [`Case`].
#[derive(Clone, Debug)]
pub enum CaseInput {
    /// Random floats of a shape within a range; the derivative by it is checked.
    Varied(Vec<usize>, f64, f64),
    /// Random floats of a shape within a range; nothing is differentiated by it.
    Weight(Vec<usize>, f64, f64),
    /// A constant.
    Fixed(Tensor),
    /// Left out.
    Absent,
}

/// An empty case at operator set 17.
pub fn case() -> Case {
    Case { attributes: Vec::new(), inputs: Vec::new(), opset: 17, outputs: 1 }
}

impl Case {
    /// Adds an input to differentiate by, within ±2.
    pub fn x(self, shape: &[usize]) -> Self {
        self.x_in(shape, -2.0, 2.0)
    }
    /// Adds an input to differentiate by, within a range.
    pub fn x_in(mut self, shape: &[usize], low: f64, high: f64) -> Self {
        self.inputs.push(CaseInput::Varied(shape.to_vec(), low, high));
        self
    }
    /// Adds random weights.
    pub fn w(self, shape: &[usize]) -> Self {
        self.w_in(shape, -1.0, 1.0)
    }
    /// Adds random weights within a range.
    pub fn w_in(mut self, shape: &[usize], low: f64, high: f64) -> Self {
        self.inputs.push(CaseInput::Weight(shape.to_vec(), low, high));
        self
    }
    /// Adds a constant.
    pub fn fixed(mut self, tensor: Tensor) -> Self {
        self.inputs.push(CaseInput::Fixed(tensor));
        self
    }
    /// Adds a float scalar.
    pub fn scalar(self, v: f64) -> Self {
        self.fixed(Tensor::float(ndarray::arr0(v).into_dyn()))
    }
    /// Adds a list of integers as an input.
    pub fn list(self, v: &[i64]) -> Self {
        self.fixed(Tensor::ints(v))
    }
    /// Adds integers of a shape as an input.
    pub fn grid(self, shape: &[usize], v: &[i64]) -> Self {
        let data = Tensor::ints(v).data.into_shape_with_order(shape).unwrap_or_default();
        self.fixed(Tensor { dtype: DataType::Int64, data })
    }
    /// Leaves an input out.
    pub fn absent(mut self) -> Self {
        self.inputs.push(CaseInput::Absent);
        self
    }
    /// Sets an attribute.
    pub fn set(mut self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(attribute(name, value));
        self
    }
    /// Sets the operator set's version.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }
    /// Sets the number of outputs.
    pub fn outputs(mut self, n: usize) -> Self {
        self.outputs = n;
        self
    }
}
