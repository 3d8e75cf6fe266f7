//! The bytes of an ONNX file, without decoding it: how much memory it takes, adding to it without touching the rest, and
//! taking that off again.

use super::functions::Inlined;
use super::messages::{
    AttributeProto, DeviceConfigurationProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto,
};
use crate::Error;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

/// What the messages of a file may take once decoded, weights aside. (A message of two bytes can take a thousand; a
/// network of 100,000 nodes takes about half of this.)
const MOST_MEMORY: usize = 1 << 30;
/// As deep as `prost` decodes.
const DEEPEST: usize = 100;

/// A kind of message, as far as messages inside of it have to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Info,
    Type,
    TensorType,
    OfType,
    Shape,
    Annotation,
    Device,
    Sharding,
    ShardedDim,
    Entry,
}

use MessageKind::*;

/// Which fields of which message hold messages, of which kind.
const FIELDS: &[(MessageKind, &[u32], MessageKind)] = &[
    (Model, &[7], Graph),
    (Model, &[8, 14, 26], Entry),
    (Model, &[20], Training),
    (Model, &[25], Function),
    (Training, &[1, 2], Graph),
    (Training, &[3, 4], Entry),
    (Function, &[7], Node),
    (Function, &[11], Attribute),
    (Function, &[12], Info),
    (Function, &[9, 14], Entry),
    (Graph, &[1], Node),
    (Graph, &[5], Tensor),
    (Graph, &[15], Sparse),
    (Graph, &[11, 12, 13], Info),
    (Graph, &[14], Annotation),
    (Graph, &[16], Entry),
    (Annotation, &[2], Entry),
    (Node, &[5], Attribute),
    (Node, &[9], Entry),
    (Node, &[10], Device),
    (Device, &[2], Sharding),
    (Sharding, &[3], Entry),
    (Sharding, &[4], ShardedDim),
    (ShardedDim, &[2], Entry),
    (Attribute, &[5, 10], Tensor),
    (Attribute, &[6, 11], Graph),
    (Attribute, &[22, 23], Sparse),
    (Attribute, &[14, 15], Type),
    (Sparse, &[1, 2], Tensor),
    (Tensor, &[3, 13, 16], Entry),
    (Info, &[2], Type),
    (Info, &[4], Entry),
    (Type, &[1, 8], TensorType),
    (Type, &[4, 5, 9], OfType),
    (OfType, &[1, 2], Type),
    (TensorType, &[2], Shape),
    (Shape, &[1], Entry),
];

impl MessageKind {
    /// About the bytes that one message of the kind takes, without what it points to.
    fn memory(self) -> usize {
        match self {
            Graph | Training => size_of::<GraphProto>(),
            Function => size_of::<FunctionProto>(),
            Node => size_of::<NodeProto>(),
            Attribute => size_of::<AttributeProto>(),
            Tensor => size_of::<TensorProto>(),
            Sparse => size_of::<SparseTensorProto>(),
            Info => size_of::<ValueInfoProto>(),
            Type | OfType => size_of::<TypeProto>(),
            _ => size_of::<DeviceConfigurationProto>(),
        }
    }
}

/// Refuses a file whose messages would take more memory than any network's.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check_memory(file: &[u8]) -> Result<(), Error> {
    let mut left = MOST_MEMORY;
    match spend(file, Model, &mut left, DEEPEST) {
        Some(()) => Ok(()),
        None => Err(Error::Invalid {
            at: "the file".into(),
            what: "it holds more nodes, attributes and declarations than any network".into(),
        }),
    }
}

fn spend(message: &[u8], kind: MessageKind, left: &mut usize, depth: usize) -> Option<()> {
    // What cannot be walked through is left to the decoder, which says what is wrong.
    for field in fields(message) {
        let inner = FIELDS.iter().find(|(parent, tags, _)| *parent == kind && tags.contains(&field.tag));
        if let (Some((_, _, inner)), Some(payload), 1..) = (inner, field.payload, depth) {
            *left = left.checked_sub(inner.memory())?;
            spend(message.get(payload)?, *inner, left, depth - 1)?;
        }
    }
    Some(())
}

/// A field of a message: its number, where it lies, and where its content does if that has a length.
struct Field {
    tag: u32,
    whole: Range<usize>,
    payload: Option<Range<usize>>,
}

/// The fields of a message, as far as it is well formed.
fn fields(message: &[u8]) -> impl Iterator<Item = Field> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut rest = message.get(start..).filter(|r| !r.is_empty())?;
        let (tag, wire) = decode_key(&mut rest).ok()?;
        let mut payload = None;
        let size = match wire {
            WireType::Varint => {
                decode_varint(&mut rest).ok()?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let size = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let begin = message.len() - rest.len();
                payload = Some(begin..begin.checked_add(size)?);
                size
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        at = (message.len() - rest.len()).checked_add(size).filter(|&end| end <= message.len())?;
        Some(Field { tag, whole: start..at, payload })
    })
}

/// The numbers of fields of a model, and of its graph.
const GRAPH: u32 = 7;
const IMPORT: u32 = 8;
const METADATA: u32 = 14;
const NODE: u32 = 1;
const INPUT: u32 = 11;
const OUTPUT: u32 = 12;
const INFO: u32 = 13;

/// The file with what `added` holds put after what is there: nodes, inputs and outputs of its graph, and metadata. Entries
/// of the same key are replaced, calls by the nodes of `model` that `inlined` tells of, and the declarations of the inputs
/// `closed` by those of `model`. Everything else stays byte for byte, fields included that came after this crate was
/// written.
///
/// Nothing where the file is not laid out as a list of fields.
pub(crate) fn append(
    file: &[u8],
    added: &ModelProto,
    model: &ModelProto,
    inlined: &Inlined,
    closed: &Closed,
) -> Option<Vec<u8>> {
    let keys: HashSet<&str> = added.metadata_props.iter().map(|e| e.key()).collect();
    let (whole, mut new) = (model.graph.as_ref()?, added.graph.clone()?);
    new.value_info = whole.value_info.get(whole.value_info.len().checked_sub(inlined.infos)?..)?.to_vec();
    let imports = model.opset_import.len().checked_sub(inlined.imports)?;
    let (mut calls, mut at) = (inlined.calls.iter().peekable(), 0);
    let (mut inputs, mut own) = (0, Closed::default());
    let graph = |payload: &[u8], last: bool| {
        let mut graph = Vec::with_capacity(payload.len());
        for field in fields(payload) {
            if field.tag == INPUT {
                inputs += 1;
                if closed.contains_key(&(inputs - 1)) {
                    own.insert(inputs - 1, payload.get(field.whole)?.to_vec());
                    put(INPUT, &whole.input.get(inputs - 1)?.encode_to_vec(), &mut graph);
                    continue;
                }
            }
            match calls.next_if(|call| field.tag == NODE && call.at == at) {
                Some(call) => {
                    let node = whole.node.get(at..at + call.count)?.to_vec();
                    graph.extend(GraphProto { node, ..Default::default() }.encode_to_vec());
                    at += call.count;
                }
                None => {
                    at += usize::from(field.tag == NODE);
                    graph.extend_from_slice(payload.get(field.whole)?);
                }
            }
        }
        if last {
            graph.extend(new.encode_to_vec());
        }
        Some(graph)
    };
    let keep = |tag: u32, payload: &[u8]| tag != METADATA || entry(payload).is_some_and(|e| !keys.contains(e.key()));
    let mut out = rewrite(file, graph, keep)?;
    let mut rest = ModelProto {
        opset_import: model.opset_import.get(imports..)?.to_vec(),
        metadata_props: added.metadata_props.clone(),
        ..Default::default()
    };
    // The declarations as this very file has them.
    let entry = rest.metadata_props.iter_mut().filter(|e| e.key() == CLOSED);
    entry.for_each(|e| e.value = Some(written(&own)));
    out.extend(rest.encode_to_vec());
    Some(out)
}

/// The metadata entry that tells which inputs' declarations were replaced: for each its number and the bytes that were
/// there, as hexadecimal.
pub(crate) const CLOSED: &str = "hirescam.closed";

/// Declarations of inputs that are replaced, by number: the fields of a graph that they were.
pub(crate) type Closed = BTreeMap<usize, Vec<u8>>;

/// What stands under [`CLOSED`].
pub(crate) fn written(closed: &Closed) -> String {
    closed.iter().map(|(at, field)| format!("{at} {}", hexadecimal(field))).collect::<Vec<_>>().join(" ")
}

/// Two digits for each byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The bytes that [`hexadecimal`] wrote.
pub(crate) fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let byte = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
    (0..text.len().div_ceil(2)).map(byte).collect()
}

/// What [`append`] put into a file: how many of each, and the calls and declarations that were there.
pub(crate) struct Added {
    pub nodes: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub inlined: Inlined,
    pub closed: Closed,
}

/// The file as it was before [`append`], without the metadata that `drop` names. Nothing where it holds less than what was
/// added.
pub(crate) fn remove(file: &[u8], added: &Added, drop: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut imports = fields(file).filter(|f| f.tag == IMPORT).count().checked_sub(added.inlined.imports)?;
    // Nodes of the last call lie before the node `resume`.
    let (mut calls, mut at, mut resume) = (added.inlined.calls.iter().peekable(), 0, 0);
    let (mut inputs, mut closed) = (0, added.closed.iter().peekable());
    let graph = |payload: &[u8], last: bool| {
        let mut left: HashMap<u32, usize> = HashMap::new();
        fields(payload).for_each(|f| *left.entry(f.tag).or_default() += 1);
        let infos = added.inlined.infos;
        let taken = [(NODE, added.nodes), (INPUT, added.inputs), (OUTPUT, added.outputs), (INFO, infos)];
        for (tag, n) in taken.into_iter().filter(|_| last) {
            let have = left.entry(tag).or_default();
            *have = have.checked_sub(n)?;
        }
        let mut graph = Vec::with_capacity(payload.len());
        for field in fields(payload) {
            match left.get_mut(&field.tag) {
                None | Some(0) => continue,
                Some(left) => *left -= 1,
            }
            if field.tag == NODE {
                while let Some(call) = calls.next_if(|call| call.at == at) {
                    put(NODE, &call.node.encode_to_vec(), &mut graph);
                    resume = at.checked_add(call.count)?;
                }
                at += 1;
            }
            if field.tag == INPUT {
                inputs += 1;
                if let Some((_, own)) = closed.next_if(|(number, _)| **number == inputs - 1) {
                    let mut whole = fields(own);
                    whole.next().filter(|f| f.tag == INPUT && f.whole.len() == own.len())?;
                    graph.extend_from_slice(own);
                    continue;
                }
            }
            if field.tag != NODE || at > resume {
                graph.extend_from_slice(payload.get(field.whole)?);
            }
        }
        Some(graph)
    };
    let keep = |tag: u32, payload: &[u8]| match tag {
        METADATA => entry(payload).is_none_or(|e| !drop(e.key())),
        IMPORT => imports.checked_sub(1).map(|left| imports = left).is_some(),
        _ => true,
    };
    let out = rewrite(file, graph, keep)?;
    (calls.next().is_none() && closed.next().is_none() && resume <= at).then_some(out)
}

/// The file with each graph replaced by what `graph` makes of it (a message may come in pieces; told is whether it is the
/// last), and without the fields that `keep` refuses. Nothing where the file is no list of fields.
fn rewrite(
    file: &[u8],
    mut graph: impl FnMut(&[u8], bool) -> Option<Vec<u8>>,
    mut keep: impl FnMut(u32, &[u8]) -> bool,
) -> Option<Vec<u8>> {
    if fields(file).last()?.whole.end != file.len() {
        return None;
    }
    let last = fields(file).filter(|f| f.tag == GRAPH && f.payload.is_some()).last()?.whole;
    let mut out = Vec::with_capacity(file.len());
    for field in fields(file) {
        match field.payload.and_then(|p| file.get(p)) {
            Some(payload) if field.tag == GRAPH => put(GRAPH, &graph(payload, field.whole == last)?, &mut out),
            Some(payload) if !keep(field.tag, payload) => {}
            _ => out.extend_from_slice(file.get(field.whole)?),
        }
    }
    Some(out)
}

fn put(tag: u32, payload: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

fn entry(payload: &[u8]) -> Option<StringStringEntryProto> {
    StringStringEntryProto::decode(payload).ok()
}

/// The entries of a file's metadata.
pub(crate) fn metadata(file: &[u8]) -> impl Iterator<Item = StringStringEntryProto> {
    fields(file).filter(|f| f.tag == METADATA).filter_map(|f| entry(file.get(f.payload?)?))
}
