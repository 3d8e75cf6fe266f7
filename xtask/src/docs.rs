//! The pages of `docs/` that list what the code has.

use hirescam::methods::several_runs;
use hirescam::preprocess::{self, KEYS};
use hirescam_core::build::OLDEST_OPSET;
use hirescam_core::cam::list::{one_run, table};
use hirescam_core::ops::list::{self, NEWEST_OPSET, OperatorRow};
use hirescam_evaluate::{data, metrics};

/// Each page: its path in the repository, and its text.
pub fn pages() -> [(&'static str, String); 6] {
    [
        ("docs/operators.md", operators()),
        ("docs/methods.md", methods()),
        ("docs/metrics.md", metric_page()),
        ("docs/datasets.md", include_str!("datasets.md").replace("{table}", &data::table())),
        ("docs/preprocessing.md", preprocessing()),
        ("docs/record.schema.json", record()),
    ]
}

/// The JSON Schema of records.
fn record() -> String {
    let schema = schemars::schema_for!(hirescam::record::Record);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

fn operators() -> String {
    let rows = list::rows();
    let lines: Vec<String> = rows.iter().map(operator).collect();
    let differentiable = rows.iter().filter(|r| r.derivative == list::Derivative::Yes).count();
    format!(
        "# Operators

Made by `cargo xtask docs` from the op cards; `hirescam ops` prints the same list.

{count} operators are known, {differentiable} of them with a derivative. What an operator is matters between the target layer and the score. Before the
layer any operator will do that the engine has.

- **since**: the first operator set in which ONNX has it, and the last where it was dropped. Models of the operator sets {OLDEST_OPSET} to {NEWEST_OPSET} are
  read by what holds for theirs; older ones have to be converted.
- **derivative**: without one, no layer before the operator can be explained through it. Operators that take or give no floats need none.
- **function**: what the [certificate](certificate.md) follows from. A *product* is affine as long as one factor alone depends on the layer.
  Where no derivative is needed, the operator chooses between pieces at most.

| operator | since | derivative | function | limits |
|---|---|---|---|---|
{lines}

## Without a card

Nothing is known of these, so they can stand before the layer only, and the shapes after them have to be in the file: {without}.
",
        count = rows.len(),
        lines = lines.join("\n"),
        without = list::without_card().collect::<Vec<_>>().join(", "),
    )
}

fn operator(r: &OperatorRow) -> String {
    let since = match (r.since, r.until) {
        (Some(since), Some(until)) => format!("{since}–{until}"),
        (Some(since), None) => since.to_string(),
        (None, _) => String::new(),
    };
    format!("| {} | {since} | {} | {} | {} |", r.full_name(), r.derivative, r.function, r.limits)
}

/// What there is to say of methods, around their table.
fn methods() -> String {
    include_str!("methods.md").replace("{table}", &table(&one_run())).replace("{several}", &table(&several_runs()))
}

/// What there is to say of metrics, around their table.
fn metric_page() -> String {
    include_str!("metrics.md").replace("{table}", &metrics::table()).replace("{details}", &metrics::details())
}

/// What there is to say of preprocessing, around its keys and presets.
fn preprocessing() -> String {
    let examples = |lines: &[&str]| lines.iter().map(|line| format!("`{line}`")).collect::<Vec<_>>().join("<br>");
    let rows: String = KEYS
        .iter()
        .map(|k| format!("| `{}` | {} | {} | {} |\n", k.name, k.values, k.what, examples(k.examples)))
        .collect();
    let keys = format!("| key | values | what it does | examples |\n|---|---|---|---|\n{rows}");
    include_str!("preprocessing.md").replace("{keys}", &keys).replace("{presets}", &preprocess::table())
}
