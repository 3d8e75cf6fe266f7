//! Random networks of everything that cards know, and of some things that they do not.

use crate::Random;
use crate::by_hand::{info, model};
use hirescam_core::Tensor;
use hirescam_core::graph::Attributes;
use hirescam_core::onnx::attribute;
use hirescam_core::onnx::messages::tensor_shape_proto::{Dimension, dimension};
use hirescam_core::onnx::messages::{
    AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto, type_proto,
};
use hirescam_core::ops;
use hirescam_core::ops::list::NEWEST_OPSET;
use hirescam_core::shape::{self, Fact};
use hirescam_core::tensor::DataType;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

mod of_cards;

/// The domain of an operator that nobody knows: `Square`, the product of its input with itself.
pub const FOREIGN: &str = "com.example";
/// An attribute that nobody knows. With it any operator of one input is `Square`.
pub const TWISTED: &str = "twisted";

/// The network number `seed`: an image `x`, scores `y`, and in between what chance brings.
pub fn network(seed: u64) -> ModelProto {
    let mut random = Random::new(seed);
    let opset = [13, 17][below(&mut random, 2)];
    let opset = if random.unit() < 0.1 { opset } else { 7 + below(&mut random, NEWEST_OPSET as usize - 6) as i64 };
    let dtype = if random.unit() < 0.2 { DataType::Double } else { DataType::Float };
    let (free, batch) = (random.unit() < 0.6, 1 + below(&mut random, 2));
    let batch = if free { 2 } else { batch };
    let mut maker = Maker {
        random: RefCell::new(random),
        opset,
        dtype,
        nodes: Vec::new(),
        stored: Vec::new(),
        facts: HashMap::new(),
        made: Vec::new(),
    };
    let space = [3, 2, 2, 2, 1][maker.below(5)];
    let mut image = vec![batch, 1 + maker.below(3)];
    image.extend((0..space).map(|_| 2 + maker.below(if space == 3 { 2 } else { 4 })));
    maker.facts.insert("x".into(), Fact::new(dtype, image.clone()));
    let mut at = "x".to_owned();
    for _ in 0..2 + maker.below(7) {
        // Mostly a chain, with leaps back to what was there before.
        if maker.chance(0.1) && !maker.made.is_empty() {
            at = maker.pick_made();
        }
        if let Some(next) = maker.step(&at) {
            at = next;
        }
    }
    let y = maker.scores(at);
    let exit = maker.chance(0.15).then(|| maker.pick_made()).map(|early| maker.scores(early));
    maker.finish(&image, free, [Some(y), exit].into_iter().flatten())
}

fn below(random: &mut Random, n: usize) -> usize {
    (random.unit() * n as f64) as usize
}

struct Maker {
    random: RefCell<Random>,
    opset: i64,
    dtype: DataType,
    nodes: Vec<NodeProto>,
    stored: Vec<(String, Tensor)>,
    facts: HashMap<String, Fact>,
    /// The float values that nodes have made.
    made: Vec<String>,
}

impl Maker {
    fn below(&self, n: usize) -> usize {
        below(&mut self.random.borrow_mut(), n)
    }
    fn chance(&self, p: f64) -> bool {
        self.random.borrow_mut().unit() < p
    }
    fn pick_made(&self) -> String {
        let i = self.below(self.made.len());
        self.made[i].clone()
    }
    fn shape(&self, value: &str) -> Vec<usize> {
        self.facts[value].shape.clone()
    }
    fn store(&mut self, tensor: Tensor) -> String {
        let name = format!("w{}", self.stored.len());
        self.facts.insert(name.clone(), Fact::constant(tensor.clone()));
        self.stored.push((name.clone(), tensor));
        name
    }
    fn weight(&mut self, shape: &[usize], low: f64, high: f64) -> String {
        let tensor = Tensor { dtype: self.dtype, ..self.random.borrow_mut().tensor(shape, low, high) };
        self.store(tensor)
    }
    fn scalar(&mut self, v: f64) -> String {
        self.store(Tensor { dtype: self.dtype, data: ndarray::arr0(v).into_dyn() })
    }
    fn floats(&mut self, v: &[f64]) -> String {
        self.store(Tensor::float(ndarray::arr1(v).into_dyn()))
    }
    fn ints(&mut self, v: &[i64]) -> String {
        self.store(Tensor::ints(v))
    }

    /// Adds a node, if its card finds that it fits.
    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>, outputs: usize) -> Option<String> {
        let n = self.nodes.len();
        let domain = if self.chance(0.1) { "ai.onnx" } else { "" };
        let node = NodeProto {
            op_type: Some(op.into()),
            domain: Some(domain.into()),
            name: Some(format!("{op} {n}")),
            input: inputs.iter().map(|&i| i.into()).collect(),
            output: (0..outputs).map(|i| format!("v{n}_{i}")).collect(),
            attribute: attributes,
            ..Default::default()
        };
        let facts: Vec<Option<&Fact>> = inputs.iter().map(|i| self.facts.get(*i)).collect();
        let a = Attributes { node: &node, opset: self.opset };
        let made = shape::outputs(ops::named(&node)?, &a, &facts, &Cell::new(1 << 20)).ok()?;
        if made.iter().any(|f| f.shape.contains(&0) || f.shape.iter().product::<usize>() > 1500) {
            return None;
        }
        let first = node.output[0].clone();
        for (name, fact) in node.output.iter().zip(made) {
            self.facts.insert(name.clone(), Fact::new(fact.dtype, fact.shape));
        }
        if self.facts[&first].dtype == self.dtype {
            self.made.push(first.clone());
        }
        self.nodes.push(node);
        Some(first)
    }

    fn plain(&mut self, op: &str, inputs: &[&str]) -> Option<String> {
        self.node(op, inputs, vec![], 1)
    }

    /// A node whose list `name` became an input with operator set `since`.
    fn listed(
        &mut self,
        op: &str,
        x: &str,
        (name, list, since): (&str, &[i64], i64),
        mut attributes: Vec<AttributeProto>,
        outputs: usize,
    ) -> Option<String> {
        if self.opset >= since {
            let list = self.ints(list);
            return self.node(op, &[x, &list], attributes, outputs);
        }
        attributes.push(attribute(name, list.to_vec()));
        self.node(op, &[x], attributes, outputs)
    }

    /// What nobody can vouch for, in one of the ways in which that comes.
    fn foreign(&mut self, x: &str) -> Option<String> {
        let n = self.nodes.len();
        let (op, domain, attributes) = match self.below(3) {
            0 => ("Square", FOREIGN, vec![]),
            // Like an operator that everybody knows, but of another domain.
            1 => ("Relu", FOREIGN, vec![]),
            _ => (["Relu", "Identity", "Neg"][self.below(3)], "", vec![attribute(TWISTED, 1)]),
        };
        let y = format!("v{n}_0");
        self.nodes.push(NodeProto {
            op_type: Some(op.into()),
            domain: Some(domain.into()),
            name: Some(format!("foreign {n}")),
            input: vec![x.into()],
            output: vec![y.clone()],
            attribute: attributes,
            ..Default::default()
        });
        let fact = self.facts[x].clone();
        self.facts.insert(y.clone(), Fact::new(fact.dtype, fact.shape));
        self.made.push(y.clone());
        Some(y)
    }

    /// An earlier value of the shape of `x`, or weights that broadcast to it.
    fn partner(&mut self, x: &str) -> String {
        let shape = self.shape(x);
        let same: Vec<String> = self.made.iter().filter(|m| self.facts[*m].shape == shape).cloned().collect();
        if !same.is_empty() && self.chance(0.6) {
            return same[self.below(same.len())].clone();
        }
        let thin: Vec<usize> = shape.iter().enumerate().map(|(i, &n)| if i == 1 { n } else { 1 }).collect();
        match self.below(3) {
            0 => self.scalar(0.7),
            _ => self.weight(&thin, 0.5, 1.5),
        }
    }

    fn step(&mut self, x: &str) -> Option<String> {
        let shape = self.shape(x);
        if shape.is_empty() {
            return None;
        }
        let (rank, c) = (shape.len(), shape.get(1).copied().unwrap_or(1));
        match self.below(24) {
            0..=4 => self.unary(x),
            5..=6 => self.window(x),
            7 => self.normalization(x),
            8..=9 => self.join(x),
            10..=12 => self.movement(x),
            13 => self.reduction(x),
            14 => {
                let last = *shape.last()?;
                let weights = self.weight(&[last, 3], -1.0, 1.0);
                if rank == 2 && self.chance(0.5) {
                    let turned = self.node("Transpose", &[x], vec![attribute("perm", [1, 0])], 1)?;
                    let bias = self.weight(&[3], -0.5, 0.5);
                    let factors = [attribute("transA", 1), attribute("alpha", 0.5f32), attribute("beta", 2.0f32)];
                    return self.node("Gemm", &[&turned, &weights, &bias], factors.to_vec(), 1);
                }
                self.plain("MatMul", &[x, &weights])
            }
            15 if rank > 2 => {
                // A gate, as of squeeze and excitation.
                let pooled = self.plain("GlobalAveragePool", &[x])?;
                let gate = self.plain(["Sigmoid", "HardSigmoid", "Softmax"][self.below(3)], &[&pooled])?;
                self.plain("Mul", &[x, &gate])
            }
            16 => {
                let axis = self.below(rank + 1) as i64 - 1;
                let op = ["Softmax", "LogSoftmax", "Hardmax"][self.below(3)];
                self.node(op, &[x], vec![attribute("axis", axis)], 1)
            }
            17 if rank > 2 => {
                // Every place with every other.
                let perm: Vec<i64> = (0..rank as i64 - 2).chain([rank as i64 - 1, rank as i64 - 2]).collect();
                let turned = self.node("Transpose", &[x], vec![attribute("perm", perm)], 1)?;
                let square = self.plain("MatMul", &[x, &turned])?;
                if self.chance(0.5) { self.plain("MatMul", &[&square, x]) } else { Some(square) }
            }
            18 => self.foreign(x),
            19 if rank > 1 => {
                // Weights that are standardised in every run.
                let raw = self.weight(&[1, 3, c], -1.0, 1.0);
                let weights = self.batch_norm(&raw, true)?;
                let target = self.ints(&[&[3, c as i64], vec![1; rank - 2].as_slice()].concat());
                let weights = self.plain("Reshape", &[&weights, &target])?;
                self.plain("Conv", &[x, &weights])
            }
            20.. => self.of_a_card(x),
            _ => None,
        }
    }

    fn unary(&mut self, x: &str) -> Option<String> {
        let set = |name: &str, v: f32| vec![attribute(name, v)];
        match self.below(24) {
            0..=4 => self.plain("Relu", &[x]),
            5 => {
                let alpha = [0.1f32, -0.3, 1.5][self.below(3)];
                self.node(["LeakyRelu", "Elu", "Selu", "ThresholdedRelu"][self.below(4)], &[x], set("alpha", alpha), 1)
            }
            6 => self.node(["Celu", "Swish"][self.below(2)], &[x], set("alpha", 0.7), 1),
            7..=8 => {
                let smooth = ["Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Exp", "Sin", "Cos", "Atan", "Sinh"];
                let op = smooth[self.below(smooth.len())];
                self.plain(op, &[x])
            }
            9 => self.plain(["HardSigmoid", "HardSwish", "Mish", "Gelu"][self.below(4)], &[x]),
            10 => self.plain(["Abs", "Neg", "Identity"][self.below(3)], &[x]),
            11 => self.plain(["Floor", "Ceil", "Round", "Sign"][self.below(4)], &[x]),
            12 => self.node("Shrink", &[x], vec![attribute("bias", 0.2f32), attribute("lambd", 0.3f32)], 1),
            13 if self.opset >= 11 => {
                let (low, high) = (self.scalar(-0.4), self.scalar(0.6));
                self.plain("Clip", &[x, &low, &high])
            }
            13 => self.node("Clip", &[x], [set("min", -0.4), set("max", 0.6)].concat(), 1),
            14 => {
                let positive = self.plain("Abs", &[x])?;
                let one = self.scalar(0.5);
                let positive = self.plain("Add", &[&positive, &one])?;
                self.plain(["Sqrt", "Log", "Reciprocal"][self.below(3)], &[&positive])
            }
            15 => {
                let power = [0.0, 1.0, 2.0, 3.0][self.below(4)];
                let power = self.scalar(power);
                self.plain("Pow", &[x, &power])
            }
            16 => {
                let to = [DataType::Double, DataType::Float, DataType::Int32, DataType::Bool][self.below(4)];
                let other = self.node("Cast", &[x], vec![attribute("to", to as i64)], 1)?;
                self.node("Cast", &[&other], vec![attribute("to", self.dtype as i64)], 1)
            }
            17 if self.opset >= 12 => {
                let (ratio, training) = (self.floats(&[0.5]), self.below(2));
                let ratio = self.reshaped_scalar(&ratio);
                let flag = Tensor { dtype: DataType::Bool, data: ndarray::arr0(training as f64).into_dyn() };
                let flag = self.store(flag);
                let outputs = 1 + self.below(2);
                self.node("Dropout", &[x, &ratio, &flag], vec![], outputs)
            }
            17 => self.node("Dropout", &[x], set("ratio", 0.5), 1),
            18 => {
                let shape = self.shape(x);
                let thin: Vec<usize> = shape.iter().enumerate().map(|(i, &n)| if i == 1 { n } else { 1 }).collect();
                let slope = self.weight(&thin, -0.5, 0.5);
                self.plain("PRelu", &[x, &slope])
            }
            19 if self.opset >= 13 && self.dtype == DataType::Float => {
                let scale = self.scalar(0.25);
                let zero = self.store(Tensor { dtype: DataType::Int8, data: ndarray::arr0(3.0).into_dyn() });
                let steps = self.plain("QuantizeLinear", &[x, &scale, &zero])?;
                self.plain("DequantizeLinear", &[&steps, &scale, &zero])
            }
            20 => {
                // A mask of what is large.
                let level = self.scalar(0.1);
                let large = self.plain(["Greater", "Less"][self.below(2)], &[x, &level])?;
                let (yes, no) = (self.partner(x), self.partner(x));
                self.plain("Where", &[&large, &yes, &no])
            }
            21 => {
                let axis = self.below(self.facts[x].shape.len()) as i64;
                let at = self.store(Tensor { dtype: DataType::Int64, data: ndarray::arr0(axis as f64).into_dyn() });
                self.node("CumSum", &[x, &at], vec![attribute("reverse", self.below(2) as i64)], 1)
            }
            22 => self.node("Trilu", &[x], vec![attribute("upper", self.below(2) as i64)], 1),
            _ => self.plain("Relu", &[x]),
        }
    }

    fn reshaped_scalar(&mut self, name: &str) -> String {
        let (i, value) =
            self.stored.iter().enumerate().find(|(_, (n, _))| n == name).map(|(i, s)| (i, s.1.clone())).unwrap();
        self.stored[i].1.data = value.data.into_shape_with_order(Vec::<usize>::new()).unwrap();
        self.facts.insert(name.to_owned(), Fact::constant(self.stored[i].1.clone()));
        name.to_owned()
    }

    /// Convolutions and pools.
    fn window(&mut self, x: &str) -> Option<String> {
        let shape = self.shape(x);
        let [_, c, space @ ..] = shape.as_slice() else { return None };
        let n = space.len();
        if n == 0 {
            return None;
        }
        let (c, space) = (*c, space.to_vec());
        let kernel: Vec<i64> = space.iter().map(|&s| 1 + self.below(s.min(3)) as i64).collect();
        let mut attributes = Vec::new();
        if self.chance(0.4) {
            attributes.push(attribute("strides", (0..n).map(|_| 1 + self.below(2) as i64).collect::<Vec<_>>()));
        }
        match self.below(4) {
            0 => attributes.push(attribute("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"][self.below(3)])),
            1 => {
                let pads = (0..2 * n).map(|i| self.below(kernel[i % n] as usize) as i64).collect::<Vec<_>>();
                attributes.push(attribute("pads", pads));
            }
            _ => {}
        }
        match self.below(7) {
            0..=3 => {
                let group = if c % 2 == 0 && self.chance(0.3) {
                    2
                } else if self.chance(0.2) {
                    c
                } else {
                    1
                };
                let turned = self.chance(0.2);
                let filters = group * (1 + self.below(2));
                let lead = if turned { [c, filters / group] } else { [filters, c / group] };
                let size: Vec<usize> = lead.into_iter().chain(kernel.iter().map(|&k| k as usize)).collect();
                attributes.push(attribute("group", group as i64));
                let (w, b) = (self.weight(&size, -1.0, 1.0), self.weight(&[filters], -0.5, 0.5));
                self.node(if turned { "ConvTranspose" } else { "Conv" }, &[x, &w, &b], attributes, 1)
            }
            4 => {
                attributes.push(attribute("kernel_shape", kernel));
                let outputs = 1 + usize::from(self.chance(0.3));
                self.node("MaxPool", &[x], attributes, outputs)
            }
            5 => {
                attributes.push(attribute("kernel_shape", kernel));
                self.node(["AveragePool", "LpPool"][self.below(2)], &[x], attributes, 1)
            }
            _ => self.plain(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"][self.below(3)], &[x]),
        }
    }

    fn batch_norm(&mut self, x: &str, training: bool) -> Option<String> {
        let c = *self.shape(x).get(1)?;
        let (scale, bias, mean) =
            (self.weight(&[c], 0.5, 1.5), self.weight(&[c], -0.5, 0.5), self.weight(&[c], -0.3, 0.3));
        let var = self.weight(&[c], 0.5, 1.5);
        let (attributes, outputs) = match (training, self.opset) {
            (true, 14..) => (vec![attribute("training_mode", 1)], 1 + 2 * self.below(2)),
            (true, _) => (vec![], 5),
            (false, _) => (vec![], 1),
        };
        self.node("BatchNormalization", &[x, &scale, &bias, &mean, &var], attributes, outputs)
    }

    fn normalization(&mut self, x: &str) -> Option<String> {
        let shape = self.shape(x);
        let (c, last) = (*shape.get(1)?, *shape.last()?);
        match self.below(8) {
            0 => self.batch_norm(x, false),
            1 => self.batch_norm(x, true),
            2 => {
                let (w, b) = (self.weight(&[c], 0.5, 1.5), self.weight(&[c], -0.5, 0.5));
                self.plain("InstanceNormalization", &[x, &w, &b])
            }
            3 => {
                let (w, b) = (self.weight(&[last], 0.5, 1.5), self.weight(&[last], -0.5, 0.5));
                self.plain("LayerNormalization", &[x, &w, &b])
            }
            4 => {
                let groups = if c % 2 == 0 { 2 } else { 1 };
                let n = if self.opset < 21 { groups } else { c };
                let (w, b) = (self.weight(&[n], 0.5, 1.5), self.weight(&[n], -0.5, 0.5));
                self.node("GroupNormalization", &[x, &w, &b], vec![attribute("num_groups", groups as i64)], 1)
            }
            5 => self.node("LRN", &[x], vec![attribute("size", 3), attribute("alpha", 0.5f32)], 1),
            6 => {
                let axis = self.below(shape.len()) as i64;
                self.node(
                    "LpNormalization",
                    &[x],
                    vec![attribute("axis", axis), attribute("p", 1 + self.below(2) as i64)],
                    1,
                )
            }
            _ => {
                let axes = if self.chance(0.7) { vec![attribute("axes", [1, 2])] } else { vec![] };
                self.node("MeanVarianceNormalization", &[x], axes, 1)
            }
        }
    }

    fn join(&mut self, x: &str) -> Option<String> {
        let other = self.partner(x);
        let op = ["Add", "Add", "Mul", "Sub", "Max", "Min", "Sum", "Mean", "Concat", "Div", "Mul"][self.below(11)];
        match op {
            "Concat" => {
                let axis = self.below(self.facts[x].shape.len()) as i64;
                let all = if self.chance(0.3) { vec![x, x] } else { vec![x, other.as_str()] };
                self.node("Concat", &all, vec![attribute("axis", axis)], 1)
            }
            "Div" => {
                let below = self.plain("Abs", &[&other])?;
                let half = self.scalar(0.5);
                let below = self.plain("Add", &[&below, &half])?;
                self.plain("Div", &[x, &below])
            }
            "Mul" if self.chance(0.2) => self.plain("Mul", &[x, x]),
            _ => self.plain(op, &[x, &other]),
        }
    }

    fn movement(&mut self, x: &str) -> Option<String> {
        let shape = self.shape(x);
        let rank = shape.len();
        let first = usize::from(!self.chance(0.1));
        match self.below(14) {
            0..=1 => {
                let mut perm: Vec<i64> = (0..rank as i64).collect();
                for i in (first + 1..rank).rev() {
                    let j = first + self.below(i + 1 - first);
                    perm.swap(i, j);
                }
                self.node("Transpose", &[x], vec![attribute("perm", perm)], 1)
            }
            2..=3 => {
                // Two axes in one, or one taken apart.
                let at = 1 + self.below(rank.saturating_sub(1).max(1));
                let mut target: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
                target[0] = 0;
                if at + 1 < rank && self.chance(0.6) {
                    target[at] = -1;
                    target.remove(at + 1);
                } else if at < rank && shape[at].is_multiple_of(2) {
                    target[at] = -1;
                    target.insert(at, 2);
                }
                let target = self.ints(&target);
                self.plain("Reshape", &[x, &target])
            }
            4 => {
                let at = self.below(rank + 1) as i64;
                self.listed("Unsqueeze", x, ("axes", &[at], 13), vec![], 1)
            }
            5 => {
                let one = shape.iter().skip(1).position(|&n| n == 1)? as i64 + 1;
                self.listed("Squeeze", x, ("axes", &[one], 13), vec![], 1)
            }
            6 => {
                let at = self.below(rank);
                let step = if self.chance(0.3) { -1 } else { 1 };
                let (start, end) = if step < 0 { (-1, i64::MIN + 1) } else { (self.below(2) as i64, shape[at] as i64) };
                if self.opset < 10 {
                    let list = |name: &str, v: i64| attribute(name, [v]);
                    let all =
                        vec![list("axes", at as i64), list("starts", start.max(0)), list("ends", shape[at] as i64)];
                    return self.node("Slice", &[x], all, 1);
                }
                let lists = [start, end, at as i64, step].map(|v| self.ints(&[v]));
                self.plain("Slice", &[x, &lists[0], &lists[1], &lists[2], &lists[3]])
            }
            7 => {
                let at = self.below(rank);
                let n = shape[at] as i64;
                self.listed("Split", x, ("split", &[1, n - 1], 13), vec![attribute("axis", at as i64)], 2)
            }
            8 => {
                let pads: Vec<i64> =
                    (0..2 * rank).map(|i| if i % rank < first { 0 } else { self.below(2) as i64 }).collect();
                let mode = ["constant", "reflect", "edge"][self.below(3)];
                self.listed("Pad", x, ("pads", &pads, 11), vec![attribute("mode", mode)], 1)
            }
            9 => {
                let at = self.below(rank);
                let n = shape[at];
                let count = 1 + self.below(3);
                let places: Vec<i64> = (0..count).map(|_| self.below(n) as i64).collect();
                let places = self.ints(&places);
                self.node("Gather", &[x, &places], vec![attribute("axis", at as i64)], 1)
            }
            10 => {
                let times: Vec<i64> = (0..rank).map(|i| if i == 0 { 1 } else { 1 + self.below(2) as i64 }).collect();
                let times = self.ints(&times);
                self.plain("Tile", &[x, &times])
            }
            11 if rank == 4 => {
                let op = ["DepthToSpace", "SpaceToDepth"][self.below(2)];
                self.node(op, &[x], vec![attribute("blocksize", 2)], 1)
            }
            12 if rank > 2 => self.resize(x),
            _ => {
                let at = 1 + self.below(rank) as i64 - i64::from(self.chance(0.1));
                self.node("Flatten", &[x], vec![attribute("axis", at.min(rank as i64))], 1)
            }
        }
    }

    fn resize(&mut self, x: &str) -> Option<String> {
        let rank = self.shape(x).len();
        let scales: Vec<f64> = (0..rank).map(|i| if i < 2 { 1.0 } else { [1.0, 2.0, 1.5][self.below(3)] }).collect();
        let mode = ["nearest", "linear"][self.below(2)];
        let (mode_attribute, list) = (attribute("mode", mode), self.floats(&scales));
        match self.opset {
            ..=8 => {
                let scales = scales.iter().map(|&s| s as f32).collect::<Vec<_>>();
                let mut a = attribute("scales", [0.0f32; 0]);
                a.floats = scales;
                self.node("Upsample", &[x], vec![mode_attribute, a], 1)
            }
            9 => self.node("Upsample", &[x, &list], vec![mode_attribute], 1),
            10 => self.node("Resize", &[x, &list], vec![mode_attribute], 1),
            _ => {
                let ways = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"];
                let way = attribute("coordinate_transformation_mode", ways[self.below(4)]);
                self.node("Resize", &[x, "", &list], vec![mode_attribute, way], 1)
            }
        }
    }

    fn reduction(&mut self, x: &str) -> Option<String> {
        let rank = self.shape(x).len();
        let mut axes: Vec<i64> = (1..rank as i64).filter(|_| self.chance(0.5)).collect();
        if self.chance(0.08) {
            axes.push(0);
        }
        if axes.is_empty() {
            return None;
        }
        let all = [
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSumExp",
            "ReduceProd",
            "ArgMax",
            "TopK",
        ];
        let op = all[self.below(all.len())];
        let keep = attribute("keepdims", self.below(2) as i64);
        match op {
            "ArgMax" => {
                let best = self.node("ArgMax", &[x], vec![attribute("axis", axes[0]), keep], 1)?;
                self.node("Cast", &[&best], vec![attribute("to", self.dtype as i64)], 1)
            }
            "TopK" => {
                let at = attribute("axis", axes[0]);
                if self.opset < 10 {
                    return self.node("TopK", &[x], vec![at, attribute("k", 1)], 2);
                }
                let k = self.ints(&[1]);
                self.node("TopK", &[x, &k], vec![at], 2)
            }
            "ReduceSum" => self.listed(op, x, ("axes", &axes, 13), vec![keep], 1),
            _ => self.listed(op, x, ("axes", &axes, 18), vec![keep], 1),
        }
    }

    /// Scores made of a value.
    fn scores(&mut self, x: String) -> String {
        let mut at = x;
        if self.shape(&at).len() > 2 {
            let rank = self.shape(&at).len() as i64;
            let axes: Vec<i64> = (2..rank).collect();
            let pooled = match self.below(6) {
                0..=1 => self.plain("GlobalAveragePool", &[&at]),
                2 => self.plain("GlobalMaxPool", &[&at]),
                3 => self.listed("ReduceMean", &at, ("axes", &axes, 18), vec![attribute("keepdims", 0)], 1),
                _ => None,
            };
            at = pooled.unwrap_or(at);
            at = self.node("Flatten", &[&at], vec![attribute("axis", 1)], 1).unwrap_or(at);
        }
        if self.chance(0.1)
            && let Some(rough) = self.unary(&at)
        {
            at = rough;
        }
        let wide = self.shape(&at).last().copied().unwrap_or(1);
        let (w, b) = (self.weight(&[wide, 3], -1.0, 1.0), self.weight(&[3], -0.5, 0.5));
        let made = match self.below(3) {
            0 => self.plain("MatMul", &[&at, &w]),
            _ => self.plain("Gemm", &[&at, &w, &b]).or_else(|| self.plain("MatMul", &[&at, &w])),
        };
        at = made.unwrap_or(at);
        if self.chance(0.15)
            && let Some(last) = self.plain(["Softmax", "Sigmoid"][self.below(2)], &[&at])
        {
            at = last;
        }
        at
    }

    fn finish(self, image: &[usize], free: bool, outputs: impl Iterator<Item = String>) -> ModelProto {
        let batch = image[0];
        let declare = |name: &str, fact: &Fact| -> ValueInfoProto {
            let mut v = info(name, fact.dtype, &fact.shape);
            if let (true, Some(type_proto::Value::TensorType(t))) =
                (free, v.r#type.as_mut().and_then(|t| t.value.as_mut()))
                && let Some(first) = t.shape.as_mut().and_then(|s| s.dim.first_mut()).filter(|_| fact.shape[0] == batch)
            {
                *first = Dimension { value: Some(dimension::Value::DimParam("N".into())), ..Default::default() };
            }
            v
        };
        let foreign =
            self.nodes.iter().any(|n| n.domain() == FOREIGN || n.attribute.iter().any(|a| a.name() == TWISTED));
        // Without shapes in the file nothing is found out behind an operator that nobody knows.
        let shapes = self.chance(if foreign { 0.9 } else { 0.4 });
        let held: Vec<ValueInfoProto> = match shapes {
            false => Vec::new(),
            true => self
                .nodes
                .iter()
                .flat_map(|n| &n.output)
                .filter_map(|o| Some(declare(o, self.facts.get(o).filter(|f| !f.shape.is_empty())?)))
                .collect(),
        };
        let outputs = outputs.map(|y| declare(&y, &self.facts[&y])).collect();
        let input = declare("x", &self.facts["x"]);
        let stored: Vec<(&str, Tensor)> = self.stored.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
        let mut proto = model(self.opset, self.nodes, vec![input], outputs, &stored);
        proto.opset_import.push(OperatorSetIdProto { domain: Some(FOREIGN.into()), version: Some(1) });
        if let Some(graph) = &mut proto.graph {
            graph.value_info = held;
        }
        proto
    }
}

/// The same network with what nobody knows written in operators that everybody knows.
pub fn truth(proto: &ModelProto) -> ModelProto {
    let mut proto = proto.clone();
    for node in proto.graph.iter_mut().flat_map(|g| &mut g.node) {
        if node.domain() == FOREIGN || node.attribute.iter().any(|a| a.name() == TWISTED) {
            node.op_type = Some("Mul".into());
            node.domain = None;
            node.attribute.clear();
            node.input = vec![node.input[0].clone(); 2];
        }
    }
    proto
}
