//! Nodes of any card in any of the settings under which the card is tried.

use super::Maker;
use hirescam_core::Tensor;
use hirescam_core::graph::Attributes;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::NodeProto;
use hirescam_core::ops::{self, Card, Case, CaseInput};
use hirescam_core::tensor::{DataType, is_float};
use std::sync::LazyLock;

/// All settings of all cards whose first input is varied.
static SETTINGS: LazyLock<Vec<(&Card, Case)>> = LazyLock::new(|| {
    let varied = |case: &Case| matches!(case.inputs.first(), Some(CaseInput::Varied(shape, ..)) if !shape.is_empty());
    ops::all().flat_map(|card| (card.cases)().into_iter().filter(varied).map(move |case| (card, case))).collect()
});

impl Maker {
    /// A node of a random card in a random setting, of values that are brought into the shapes that it takes.
    pub(super) fn of_a_card(&mut self, x: &str) -> Option<String> {
        // As many tries as settings that do not fit are likely to come one after the other.
        (0..8).find_map(|_| {
            let (card, case) = &SETTINGS[self.below(SETTINGS.len())];
            self.set_up(x, card, case)
        })
    }

    fn set_up(&mut self, x: &str, card: &Card, case: &Case) -> Option<String> {
        let batch = self.shape("x")[0];
        let alike = NodeProto {
            op_type: Some(card.name.into()),
            domain: Some(card.domain.into()),
            input: case.inputs.iter().map(|g| if matches!(g, CaseInput::Absent) { "" } else { "x" }.into()).collect(),
            output: (0..case.outputs).map(|i| format!("y{i}")).collect(),
            attribute: case.attributes.clone(),
            ..Default::default()
        };
        ops::find(&Attributes { node: &alike, opset: self.opset }).ok()?;
        let mut inputs = Vec::new();
        for (i, given) in case.inputs.iter().enumerate() {
            inputs.push(match given {
                CaseInput::Varied(shape, low, high)
                    if i == 0 || (shape.first() == Some(&batch) && self.chance(0.5)) =>
                {
                    // Where the first axis counts something else than images, these come before it.
                    let images = usize::from(shape.first() == Some(&batch) || shape.first() == Some(&1));
                    let shape = &[&[batch], &shape[images..]].concat();
                    let from = if i == 0 || self.made.is_empty() { x.to_owned() } else { self.pick_made() };
                    self.brought(&from, shape, *low, *high)?
                }
                CaseInput::Varied(shape, low, high) | CaseInput::Weight(shape, low, high) => {
                    self.weight(shape, *low, *high)
                }
                CaseInput::Fixed(tensor) if tensor.dtype == DataType::Float => {
                    self.store(Tensor { dtype: self.dtype, data: tensor.data.clone() })
                }
                CaseInput::Fixed(tensor) => self.store(tensor.clone()),
                CaseInput::Absent => String::new(),
            });
        }
        let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let made = self.node(card.name, &names, case.attributes.clone(), case.outputs)?;
        let dtype = self.facts[&made].dtype;
        if dtype == self.dtype {
            return Some(made);
        }
        (is_float(dtype) || !card.quantises)
            .then(|| self.node("Cast", &[&made], vec![attribute("to", self.dtype as i64)], 1))?
    }

    /// A value in another shape and range: its rows times weights.
    fn brought(&mut self, x: &str, shape: &[usize], low: f64, high: f64) -> Option<String> {
        let own = self.shape(x);
        if shape.first() != own.first() {
            return None;
        }
        let mut at = x.to_owned();
        if own != shape {
            let (from, to) = (own[1..].iter().product(), shape[1..].iter().product());
            at = self.node("Flatten", &[&at], vec![attribute("axis", 1)], 1)?;
            let weights = self.weight(&[from, to], -0.7, 0.7);
            at = self.plain("MatMul", &[&at, &weights])?;
            let target = self
                .ints(&shape.iter().enumerate().map(|(i, &n)| if i == 0 { 0 } else { n as i64 }).collect::<Vec<_>>());
            at = self.plain("Reshape", &[&at, &target])?;
        }
        // Values beyond ±2 are welcome where those are the bounds; other bounds are those of what is defined.
        if (low, high) != (-2.0, 2.0) {
            at = self.plain("Sigmoid", &[&at])?;
            let (width, low) = (self.scalar(0.9 * (high - low)), self.scalar(low + 0.05 * (high - low)));
            at = self.plain("Mul", &[&at, &width])?;
            at = self.plain("Add", &[&at, &low])?;
        }
        Some(at)
    }
}
