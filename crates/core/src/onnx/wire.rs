//! The bytes of an ONNX file, without decoding it: how much memory it takes, and adding to it without touching the rest.

use super::*;
use crate::Error;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use std::collections::HashSet;
use std::ops::Range;

/// What the messages of a file may take once decoded, weights aside. (A message of two bytes can take a thousand; a
/// network of 100,000 nodes takes about half of this.)
const MOST_MEMORY: usize = 1 << 30;
/// As deep as `prost` decodes.
const DEEPEST: usize = 100;

/// A kind of message, as far as messages inside of it have to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
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

use Kind::*;

/// Which fields of which message hold messages, of which kind.
const FIELDS: &[(Kind, &[u32], Kind)] = &[
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

impl Kind {
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

fn spend(message: &[u8], kind: Kind, left: &mut usize, depth: usize) -> Option<()> {
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

/// The file with what `added` holds put after what is there: nodes and outputs of its graph, and metadata. Entries of the
/// same key are replaced. Everything else stays byte for byte, fields included that came after this crate was written.
///
/// Nothing where the file is not laid out as a list of fields.
pub(crate) fn append(file: &[u8], added: &ModelProto) -> Option<Vec<u8>> {
    let graph = added.graph.as_ref()?.encode_to_vec();
    let keys: HashSet<&str> = added.metadata_props.iter().map(|e| e.key()).collect();
    if fields(file).last()?.whole.end != file.len() {
        return None;
    }
    let last = fields(file).filter(|f| f.tag == 7 && f.payload.is_some()).last()?.whole;
    let mut out = Vec::with_capacity(file.len() + 2 * graph.len());
    for field in fields(file) {
        let payload = field.payload.and_then(|p| file.get(p));
        match payload {
            Some(payload) if field.whole == last => {
                encode_key(7, WireType::LengthDelimited, &mut out);
                encode_varint((payload.len() + graph.len()) as u64, &mut out);
                out.extend_from_slice(payload);
                out.extend_from_slice(&graph);
            }
            Some(payload) if field.tag == 14 && keys.contains(StringStringEntryProto::decode(payload).ok()?.key()) => {}
            _ => out.extend_from_slice(file.get(field.whole)?),
        }
    }
    out.extend(ModelProto { metadata_props: added.metadata_props.clone(), ..Default::default() }.encode_to_vec());
    Some(out)
}
