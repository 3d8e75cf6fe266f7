//! Names of classes that stand in the graph, where converters of scikit-learn and Core ML write them.

use super::MOST_RENAMINGS;
use crate::Model;
use crate::onnx::messages::NodeProto;
use crate::ops::Entries;

/// The domain of operators on tables and labels.
const TABLES: &str = "ai.onnx.ml";

/// The names of the classes that the graph itself holds: those of a ZipMap, or those among which an ArgMax chooses. None where
/// there are none, or several lists that differ.
pub fn names(model: &Model) -> Option<Vec<String>> {
    let mut lists = model.order().filter_map(|(_, node)| of_node(model, node));
    let first = lists.next()?;
    lists.all(|list| list == first).then_some(first)
}

fn of_node(model: &Model, node: &NodeProto) -> Option<Vec<String>> {
    let a = model.attributes(node);
    let input = |i: usize| node.input.get(i).map(String::as_str);
    match (node.domain(), node.op_type()) {
        (TABLES, "ZipMap") => match a.ints("classlabels_int64s") {
            // Numbers that only count say nothing.
            Some(numbers) if counts(numbers) => None,
            Some(numbers) => Some(numbers.iter().map(ToString::to_string).collect()),
            None => strings(&a.get("classlabels_strings")?.strings),
        },
        (TABLES, "LabelEncoder") if counts(a.ints("keys_int64s")?) && is_choice(model, input(0)?) => {
            strings(&a.get("values_strings")?.strings)
        }
        _ if looks_up(model, node) && is_choice(model, input(1)?) => {
            strings(&model.initializer(input(0)?)?.string_data)
        }
        _ => None,
    }
}

/// Whether these are 0, 1, 2, ….
fn counts(numbers: &[i64]) -> bool {
    numbers.iter().zip(0..).all(|(&n, i)| n == i)
}

fn strings<T: AsRef<[u8]>>(bytes: &[T]) -> Option<Vec<String>> {
    let read = |text: &T| String::from_utf8(text.as_ref().to_vec()).ok();
    bytes.iter().map(read).collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
}

/// Whether a node takes entries of its first input by the indices of its second.
fn looks_up(model: &Model, node: &NodeProto) -> bool {
    let by_card = || model.card(node).is_some_and(|card| card.entries == Entries::Indexed);
    (node.domain(), node.op_type()) == (TABLES, "ArrayFeatureExtractor") || by_card()
}

/// Whether `value` is what an ArgMax chose, in other clothes.
fn is_choice(model: &Model, value: &str) -> bool {
    let mut at = value;
    for _ in 0..MOST_RENAMINGS {
        let Some(node) = model.maker(at) else { return false };
        match (model.card(node), node.input.first()) {
            (Some(card), _) if card.entries == Entries::PlaceOfBest && card.takes_largest => return true,
            (Some(card), Some(input)) if card.renames => at = input,
            _ => return false,
        }
    }
    false
}
