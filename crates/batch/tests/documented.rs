//! docs/batch.md says what is so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use arrow_schema::DataType;
use hirescam_batch::Job;
use hirescam_batch::rows::{JOB_KEY, MAPS_KEY, RowOptions, SCHEMA, SCHEMA_KEY, schema};

const PAGE: &str = include_str!("../../../docs/batch.md");

/// A type as Arrow calls it.
fn word(kind: &DataType) -> String {
    match kind {
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::List(item) => format!("list of {}", word(item.data_type())),
        DataType::FixedSizeList(item, _) => format!("fixed_size_list of {}", word(item.data_type())),
        other => panic!("{other}"),
    }
}

/// The rows of the table under a heading: names and types.
fn table(heading: &str, columns: &str) -> Vec<(String, String)> {
    let section = PAGE.split(heading).nth(1).unwrap();
    let table = section.split(columns).nth(1).unwrap();
    let rows =
        table.lines().skip(1).skip_while(|line| line.starts_with("|---")).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    };
    rows.map(cells).collect()
}

#[test]
fn the_columns_are_those_that_the_page_lists() {
    let options = RowOptions { thumbnails: Some(96), metrics: vec!["sparseness".into()], ..RowOptions::default() };
    let schema = schema(&options, Some(&[7, 7]));
    let is: Vec<(String, String)> = schema.fields().iter().map(|f| (f.name().clone(), word(f.data_type()))).collect();
    assert_eq!(is, table("## Rows", "| column | type | what it is |"));
}

#[test]
fn the_metadata_is_what_the_page_lists() {
    let keys: Vec<String> = table("## Rows", "| key | what it holds |").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [SCHEMA_KEY, JOB_KEY, MAPS_KEY]);
    assert!(PAGE.contains(&format!("the version of the columns: `{SCHEMA}`")));
}

#[test]
fn the_jobs_on_the_page_are_jobs() {
    let jobs: Vec<&str> = PAGE.split("```toml\n").skip(1).map(|text| text.split("```").next().unwrap()).collect();
    assert_eq!(jobs.len(), 2);
    let [first, full] = [0, 1].map(|at: usize| Job::from_toml(jobs[at]).unwrap());
    assert_eq!((first.inputs.len(), first.shard_size), (1, 1000));
    assert_eq!((full.inputs.len(), full.rows.thumbnails, full.spec.top), (6, Some(128), Some(3)));
}
