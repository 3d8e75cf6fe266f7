//! The engine `tract`: pure Rust, built in.
//!
//! A model is parsed once. A plan, optimised for one set of input shapes, is made when such shapes
//! first come and kept for the next time: some models fail with a batch left open, none with one
//! given. Where the model leaves no shape open the plan is made at once, and errors come early.
//!
//! Threads share out the rows of a result and never split a sum, so that their number leaves every
//! bit of the outputs as it is.

mod kinds;
mod pad;
mod passes;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::pb::{tensor_shape_proto::dimension::Value as Dim, type_proto::Value as Type};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::optim::Optimizer;

use crate::array::{Shared, with_array, with_kind};
use crate::error::guard;
use crate::panics::WORKERS;
use crate::port::{Port, assign};
use crate::{Array, Device, Engine, Error, Kind, Options, Session, TRACT as NAME};

mod training;

/// tract does not tell its version; a test holds this against Cargo.lock.
const VERSION: &str = "0.23.9";

/// How many plans a session keeps. Each holds its own copy of the weights, packed for its shapes.
const PLANS_KEPT: usize = 8;

/// The most nodes of a model: for each change that it makes, tract goes through all of them.
const MOST_NODES: usize = 10_000;

/// A constant of more numbers is large.
const SMALL: usize = 1 << 16;

/// Domains whose operators tract means by their bare names.
const DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// The engine itself: the threads that its sessions share.
pub(crate) struct Tract {
    executor: Executor,
}

impl Tract {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        if options.device != Device::Cpu {
            return Err(Error::Unsupported { engine: NAME, what: format!("the device {}", options.device) });
        }
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let executor = match threads {
            1 => Executor::SingleThread,
            // Panics where the machine cannot start so many threads.
            _ => guard(NAME, || Ok(Executor::multithread_with_name(threads, WORKERS)))?,
        };
        Ok(Self { executor })
    }
}

impl Engine for Tract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn prepare(&self, model: &[u8]) -> Result<Box<dyn Session>, Error> {
        let executor = &self.executor;
        let prepared = scoped(executor, || TractSession::new(model, executor.clone()))?;
        Ok(Box::new(prepared))
    }
}

/// Does `work` on the threads of `executor`, a panic being an error.
///
/// The panic is caught inside the scope, which would otherwise not be left behind.
fn scoped<T>(executor: &Executor, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    multithread_tract_scope(executor.clone(), || guard(NAME, work))
}

/// Whether a transposed convolution is told the shape of its output: tract then gives other numbers than ONNX says, without
/// a word where it is built without overflow checks.
fn sizes_its_output(node: &NodeProto) -> bool {
    DOMAINS.contains(&&*node.domain)
        && node.op_type == "ConvTranspose"
        && node.attribute.iter().any(|a| a.name == "output_shape" && !a.ints.is_empty())
}

type Plan = Arc<TypedRunnableModel>;

/// The shape given for each port, `None` for ports left to the model's own value.
type Shapes = Vec<Option<Vec<usize>>>;

struct TractSession {
    executor: Executor,
    ports: Vec<Port>,
    outputs: Vec<String>,
    plans: Plans,
}

enum Plans {
    /// The model takes arrays of one shape each.
    One(Plan),
    /// The plans for the shapes that came last, the latest first.
    PerShape { template: Box<Template>, recent: Mutex<Vec<(Shapes, Plan)>> },
}

/// What plans are made from.
struct Template {
    parsed: InferenceModel,
    /// Kept where some initialisers may be replaced: tract merges equal ones in parsing.
    proto: Option<ModelProto>,
}

impl TractSession {
    fn new(model: &[u8], executor: Executor) -> Result<Self, Error> {
        let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &*model).map_err(|e| invalid(&e))?;
        let opset = operator_set(&proto);
        let graph = proto.graph.as_mut().ok_or_else(|| refused("it holds no graph"))?;
        if graph.node.len() > MOST_NODES {
            let nodes = graph.node.len();
            let what = format!(
                "a model of {nodes} nodes (at most {MOST_NODES}: getting ready takes it time with their square)"
            );
            return Err(Error::Unsupported { engine: NAME, what });
        }
        if let Some(node) = graph.node.iter().find(|node| sizes_its_output(node)) {
            let what = format!(
                "the output_shape of ConvTranspose (node {:?}), whose pads it takes from the wrong side",
                node.name
            );
            return Err(Error::Unsupported { engine: NAME, what });
        }
        spell_out_domains(graph);
        training::write_out(graph, opset);
        kinds::respell(graph);
        let ports = graph
            .input
            .iter()
            .map(|input| port(input, graph.initializer.iter().any(|i| i.name == input.name)))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = graph.output.iter().map(|output| made(graph, &output.name)).collect::<Result<_, _>>()?;

        let parsed = parse(&proto)?;
        let replaceable = ports.iter().any(|port| port.optional);
        let template = Template { parsed, proto: replaceable.then_some(proto) };
        let shapes: Shapes = ports.iter().map(Port::usual_shape).collect();
        let mut required = ports.iter().zip(&shapes).filter(|(port, _)| !port.optional);
        let planned =
            if required.all(|(_, shape)| shape.is_some()) { Some(template.plan(&ports, &shapes)?) } else { None };
        let plans = match planned {
            Some(plan) if !replaceable => Plans::One(plan),
            planned => Plans::PerShape {
                template: Box::new(template),
                recent: Mutex::new(planned.map(|plan| (shapes, plan)).into_iter().collect()),
            },
        };
        Ok(Self { executor, ports, outputs, plans })
    }

    fn plan(&self, given: &[Option<&Array>]) -> Result<Plan, Error> {
        let (template, recent) = match &self.plans {
            Plans::One(plan) => return Ok(plan.clone()),
            Plans::PerShape { template, recent } => (template, recent),
        };
        let shapes: Shapes = given.iter().map(|array| array.map(|a| a.shape().to_owned())).collect();
        // Held while planning: whoever needs the same plan waits for it instead of making another.
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.iter().position(|(key, _)| *key == shapes);
        let entry = match found {
            Some(place) => recent.remove(place),
            None => {
                // The model as such was read: it is these shapes that it does not go with.
                let plan = template.plan(&self.ports, &shapes).map_err(|error| match error {
                    Error::Invalid { engine, reason } => Error::Run { engine, reason },
                    error => error,
                })?;
                (shapes, plan)
            }
        };
        let plan = entry.1.clone();
        recent.insert(0, entry);
        recent.truncate(PLANS_KEPT);
        Ok(plan)
    }
}

/// Every output of a run, by name.
type Outcome = Result<Vec<(String, Array)>, Error>;

impl TractSession {
    fn run_on(&self, executor: &Executor, inputs: &[(&str, &Array)]) -> Outcome {
        let given = assign(&self.ports, inputs)?;
        scoped(executor, || {
            let plan = self.plan(&given)?;
            let tensors = given
                .iter()
                .flatten()
                .map(|array| with_array!(array, a => tensor(a)).map(Into::into))
                .collect::<TractResult<TVec<TValue>>>()
                .map_err(|e| failed(&e))?;
            let results = plan.run(tensors).map_err(|e| failed(&e))?;
            self.outputs.iter().zip(results).map(|(name, result)| Ok((name.clone(), array(name, &result)?))).collect()
        })
    }
}

impl Session for TractSession {
    fn run(&self, inputs: &[(&str, &Array)]) -> Outcome {
        self.run_on(&self.executor, inputs)
    }

    /// One run a thread: tract's threads have little to do within a run.
    fn run_all(&self, lists: &[Vec<(&str, &Array)>]) -> Vec<Outcome> {
        let pool = match &self.executor {
            Executor::MultiThread(pool) if lists.len() > 1 => pool,
            _ => return lists.iter().map(|inputs| self.run(inputs)).collect(),
        };
        let unreached = || Err(Error::Panicked { engine: NAME, message: "a run did not come to its end".into() });
        let mut results: Vec<Outcome> = lists.iter().map(|_| unreached()).collect();
        pool.scope(|scope| {
            for (inputs, result) in lists.iter().zip(&mut results) {
                scope.spawn(move |_| *result = guard(NAME, || self.run_on(&Executor::SingleThread, inputs)));
            }
        });
        results
    }

    fn is_slow_at_batches(&self) -> bool {
        true
    }
}

impl Template {
    fn plan(&self, ports: &[Port], shapes: &Shapes) -> Result<Plan, Error> {
        let replaced = |name: &str| ports.iter().zip(shapes).any(|(p, s)| p.optional && s.is_some() && p.name == name);
        let mut model = match &self.proto {
            Some(proto) if ports.iter().any(|port| replaced(&port.name)) => {
                let mut proto = proto.clone();
                if let Some(graph) = &mut proto.graph {
                    graph.initializer.retain(|initializer| !replaced(&initializer.name));
                }
                parse(&proto)?
            }
            _ => self.parsed.clone(),
        };
        // The sources stand in the order of the inputs that have no initialiser: that of `ports`.
        let given = ports.iter().zip(shapes).filter_map(|(port, s)| Some((port, s.as_ref()?)));
        for (source, (port, shape)) in given.enumerate() {
            let fact = InferenceFact::dt_shape(datum_type(port.kind), &**shape);
            model.set_input_fact(source, fact).map_err(|e| invalid(&e))?;
        }
        let plan = || optimised(model.clone()).and_then(IntoRunnable::into_runnable).map_err(|e| invalid(&e));
        guard(NAME, plan).map_err(|error| located(&model, error))
    }
}

/// The `error` that planning `model` met, with the node that it lies at: the first whose value tract does not get ready.
/// tract itself names none where it panics, and its own inner ones elsewhere.
fn located(model: &InferenceModel, error: Error) -> Error {
    let Ok(order) = model.eval_order() else { return error };
    let fails = |count: usize| {
        let part = || {
            let mut part = model.clone();
            let kept: HashSet<usize> = order.iter().take(count).copied().collect();
            let outlets = order.iter().take(count).flat_map(|&id| {
                let outputs = part.node(id).outputs.iter().enumerate();
                let ends = outputs.filter(|(_, o)| !o.successors.iter().any(|s| kept.contains(&s.node)));
                ends.map(move |(slot, _)| OutletId::new(id, slot))
            });
            part.outputs = outlets.collect();
            part.compact().and_then(|()| optimised(part)).map_err(|e| invalid(&e))
        };
        guard(NAME, part).is_err()
    };
    let (mut good, mut bad) = (0, order.len());
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        if fails(middle) { bad = middle } else { good = middle }
    }
    let Some(node) = order.get(good).map(|&id| model.node(id)) else { return error };
    let at = |words: String| format!("{} node `{}`: {words}", node.op.name(), node.name);
    match error {
        Error::Invalid { engine, reason } => Error::Invalid { engine, reason: at(reason) },
        Error::Panicked { engine, message } => Error::Panicked { engine, message: at(message) },
        error => error,
    }
}

fn optimised(model: InferenceModel) -> TractResult<TypedModel> {
    let mut model = model.into_typed()?;
    let own = model.outputs.len();
    // Where tract tries to change axes it copies the constants concerned each time, but outputs it leaves as they are.
    let shared: Vec<OutletId> = shared(&model).into_iter().map(|id| OutletId::new(id, 0)).collect();
    model.outputs.extend(shared);
    passes::ours(Optimizer::declutter()).optimize(&mut model)?;
    model.outputs.truncate(own);
    unshare(&mut model)?;
    model.optimize_with_session(&mut passes::ours(Optimizer::codegen()).session())?;
    Ok(model)
}

/// The large constants that have several users, as the weights of a layer and of its derivative have.
fn shared(model: &TypedModel) -> Vec<usize> {
    let large = |node: &TypedNode| node.op_as::<Const>().is_some_and(|c| c.val().len() > SMALL);
    let shared = |node: &&TypedNode| large(node) && node.outputs[0].successors.len() > 1;
    model.nodes.iter().filter(shared).map(|node| node.id).collect()
}

/// Gives every user of a large constant one of its own. tract brings weights into the order that a product reads them in
/// beforehand, but leaves that to every run where a constant of more than 4 MiB has several users.
fn unshare(model: &mut TypedModel) -> TractResult<()> {
    for id in shared(model) {
        let node = &model.nodes[id];
        let Some(constant) = node.op_as::<Const>().cloned() else { continue };
        let (name, fact) = (node.name.clone(), node.outputs[0].fact.clone());
        for (i, user) in node.outputs[0].successors.clone().into_iter().enumerate().skip(1) {
            let own = model.add_node(format!("{name}.{i}"), constant.clone(), tvec!(fact.clone()))?;
            model.add_edge(own.into(), user)?;
        }
    }
    Ok(())
}

/// The model in tract's own form, every operator that the outputs need being known.
fn parse(proto: &ModelProto) -> Result<InferenceModel, Error> {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register.insert("Pad", pad::pad);
    let parsed = onnx
        // Shapes written down for inner values hold for one batch or name a symbol; the shapes of
        // the inputs decide.
        .with_ignore_value_info(true)
        .parse(proto, None)
        .map_err(|e| invalid(&e))?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(refused(&format!("nothing makes the value `{name}`")));
    }
    let graph = proto.graph.as_ref();
    let opset = operator_set(proto);
    let mut missing: Vec<String> = graph.iter().flat_map(|g| &g.node).filter_map(|n| misread(n, opset)).collect();
    for node in parsed.model.eval_order().map_err(|e| invalid(&e))? {
        let node = parsed.model.node(node);
        let name = node.op.name();
        if let Some(operator) = name.strip_prefix("Unimplemented(").and_then(|n| n.strip_suffix(')')) {
            missing.push(format!("operator {operator} (node `{}`)", node.name));
        }
    }
    if missing.is_empty() {
        return Ok(parsed.model);
    }
    Err(Error::Unsupported { engine: NAME, what: missing.join(", ") })
}

/// The version of ONNX's own operator set.
fn operator_set(model: &ModelProto) -> i64 {
    model.opset_import.iter().find(|o| matches!(&*o.domain, "" | "ai.onnx")).map_or(1, |o| o.version)
}

/// What tract would silently compute otherwise than ONNX says: it takes some attributes for their defaults.
fn misread(node: &NodeProto, opset: i64) -> Option<String> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    let setting = match &*node.op_type {
        "Celu" | "Swish" => attribute("alpha").filter(|a| a.f != 1.0).map(|a| format!("alpha {}", a.f)),
        "SpaceToDepth" => attribute("mode").filter(|a| a.s != b"DCR").map(|_| "another mode than DCR".into()),
        "BatchNormalization" => training::in_training(node, opset).then(|| "training mode".into()),
        // It takes the mean of what is to be summed.
        "GlobalLpPool" => Some("any p".into()),
        _ => None,
    };
    setting.map(|setting| format!("operator {} with {setting} (node `{}`)", node.op_type, node.name))
}

/// Makes operators of foreign domains known by their full names: tract looks at the bare name only,
/// and would run somebody's `Relu` as ONNX's.
fn spell_out_domains(graph: &mut GraphProto) {
    for node in &mut graph.node {
        if !DOMAINS.contains(&&*node.domain) {
            node.op_type = format!("{}.{}", node.domain, node.op_type);
        }
    }
}

fn port(input: &ValueInfoProto, optional: bool) -> Result<Port, Error> {
    let name = &input.name;
    let declared = input.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(Type::TensorType(declared)) = declared else {
        let what = format!("input `{name}`, which is no tensor");
        return Err(Error::Unsupported { engine: NAME, what });
    };
    let Some(kind) = Kind::of_onnx(declared.elem_type) else {
        let what = format!("the element kind of input `{name}`");
        return Err(Error::Unsupported { engine: NAME, what });
    };
    let shape = declared.shape.as_ref().map(|shape| {
        let size = |dim: &Option<Dim>| match dim {
            Some(Dim::DimValue(size)) => usize::try_from(*size).ok(),
            _ => None,
        };
        shape.dim.iter().map(|dim| size(&dim.value)).collect()
    });
    Ok(Port { name: name.clone(), kind, shape, optional })
}

/// The name of an output, which something must make: tract panics where nothing does.
fn made(graph: &GraphProto, output: &str) -> Result<String, Error> {
    let mut made = graph.node.iter().flat_map(|node| &node.output);
    let inputs = graph.input.iter().map(|input| &input.name);
    let mut given = inputs.chain(graph.initializer.iter().map(|i| &i.name));
    if made.any(|name| name == output) || given.any(|name| name == output) {
        return Ok(output.to_owned());
    }
    Err(refused(&format!("nothing makes the output `{output}`")))
}

fn datum_type(kind: Kind) -> DatumType {
    with_kind!(kind, T => T::datum_type())
}

/// A tensor with the elements of `array`, copied once.
fn tensor<T: Datum + Copy>(array: &Shared<T>) -> TractResult<Tensor> {
    let array = array.as_standard_layout();
    Tensor::from_shape(array.shape(), array.as_slice().unwrap_or_default())
}

/// The array with the elements of `tensor`, copied once.
fn array(name: &str, tensor: &Tensor) -> Result<Array, Error> {
    // Values that count sizes are tract's own kind of number.
    let sized;
    let tensor = if tensor.datum_type() == TDim::datum_type() {
        sized = tensor.cast_to::<i64>().map_err(|e| failed(&e))?;
        &*sized
    } else {
        tensor
    };
    let plain = tensor.datum_type().unquantized();
    let Some(kind) = Kind::ALL.into_iter().find(|kind| datum_type(*kind) == plain) else {
        let what = format!("{plain:?} as the element kind of output `{name}`");
        return Err(Error::Unsupported { engine: NAME, what });
    };
    with_kind!(kind, T => tensor.to_plain_array_view::<T>().map(|view| view.to_owned().into())).map_err(|e| failed(&e))
}

fn invalid(error: &TractError) -> Error {
    refused(&words(error))
}

fn refused(reason: &str) -> Error {
    Error::Invalid { engine: NAME, reason: reason.to_owned() }
}

fn failed(error: &TractError) -> Error {
    Error::Run { engine: NAME, reason: words(error) }
}

/// The error and its causes, each cut short: tract may print a whole graph.
fn words(error: &TractError) -> String {
    let short = |text: String| match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    };
    error.chain().map(|cause| short(cause.to_string())).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tract_onnx::pb::tensor_proto::DataType;

    #[test]
    fn version_is_that_of_the_lock_file() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        assert!(lock.contains(&format!("name = \"tract-onnx\"\nversion = \"{VERSION}\"\n")));
    }

    #[test]
    fn the_plans_for_the_last_shapes_are_kept() {
        let model = include_bytes!("../tests/data/several.onnx");
        let session = TractSession::new(model, Executor::SingleThread).unwrap();
        let batches = |session: &TractSession| match &session.plans {
            Plans::One(_) => Vec::new(),
            Plans::PerShape { recent, .. } => {
                let recent = recent.lock().unwrap();
                recent.iter().map(|(shapes, _)| shapes[0].as_ref().unwrap()[0]).collect()
            }
        };
        for batch in [1, 2, 1] {
            let a = Array::from(ndarray::Array2::<f32>::zeros((batch, 4)));
            session.run(&[("a", &a), ("b", &a)]).unwrap();
        }
        assert_eq!(batches(&session), [1, 2]);
        for batch in 3..3 + PLANS_KEPT {
            let a = Array::from(ndarray::Array2::<f32>::zeros((batch, 4)));
            session.run(&[("a", &a), ("b", &a)]).unwrap();
        }
        assert_eq!(batches(&session), (3..3 + PLANS_KEPT).rev().collect::<Vec<_>>());
    }

    #[test]
    fn weights_of_two_users_are_packed_beforehand() {
        use tract_onnx::pb::attribute_proto::AttributeType;
        use tract_onnx::pb::{AttributeProto, TensorProto, TypeProto, type_proto};
        // y = x Wᵀ W, with whole numbers that make the sums exact.
        let n = 1100;
        let w = |i: usize, j: usize| f32::from((i * 7 + j * 3) as u8 % 5);
        let weight = TensorProto {
            name: "w".into(),
            dims: vec![n as i64; 2],
            data_type: DataType::Float as i32,
            float_data: (0..n * n).map(|at| w(at / n, at % n)).collect(),
            ..Default::default()
        };
        let gemm = |input: &str, output: &str, transposed: i64| NodeProto {
            op_type: "Gemm".into(),
            name: output.into(),
            input: vec![input.into(), "w".into()],
            output: vec![output.into()],
            attribute: vec![AttributeProto {
                name: "transB".into(),
                r#type: AttributeType::Int as i32,
                i: transposed,
                ..Default::default()
            }],
            ..Default::default()
        };
        let float = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
        let float = TypeProto { value: Some(Type::TensorType(float)), ..Default::default() };
        let named =
            |name: &str| ValueInfoProto { name: name.into(), r#type: Some(float.clone()), ..Default::default() };
        let proto = ModelProto {
            opset_import: vec![tract_onnx::pb::OperatorSetIdProto { version: 17, ..Default::default() }],
            graph: Some(GraphProto {
                node: vec![gemm("x", "a", 1), gemm("a", "y", 0)],
                initializer: vec![weight],
                input: vec![named("x")],
                output: vec![named("y")],
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut model = parse(&proto).unwrap();
        model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), [1, n])).unwrap();
        let model = optimised(model).unwrap();
        let constant = |outlet: &OutletId| model.node(outlet.node).op_is::<Const>();
        let packing = model.nodes.iter().filter(|node| node.op.name().contains("Pack"));
        assert!(packing.flat_map(|node| &node.inputs).all(|input| !constant(input)));
        let y = model.into_runnable().unwrap().run(tvec!(Tensor::from_shape(&[1, n], &vec![1f32; n]).unwrap().into()));
        let a: Vec<f32> = (0..n).map(|i| (0..n).map(|j| w(i, j)).sum()).collect();
        let expected: Vec<f32> = (0..n).map(|j| (0..n).map(|i| a[i] * w(i, j)).sum()).collect();
        assert_eq!(array("y", &y.unwrap()[0]).unwrap().into_f32().into_raw_vec_and_offset().0, expected);
    }
}
