//! What a design refuses, and that it says which field.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use hirescam_study::kinds::Question;
use hirescam_study::{Design, Error};
use std::collections::BTreeSet;
use toml::Table;

const LEAST: &str = "
    title = 'A study'
    seed = 1
    question = { kind = 'prefer' }
    arms = [{ name = 'a', model = 'a.onnx' }, { name = 'b', model = 'b.onnx' }]
    items = { images = ['photos'] }
";

/// The least design with other values: `path = value` by lines, dots and numbers between fields.
fn with(changes: &[(&str, &str)]) -> Result<Design, String> {
    let mut table: Table = LEAST.parse().unwrap();
    for (path, value) in changes {
        let value: Table = format!("it = {value}").parse().unwrap();
        let mut place = toml::Value::Table(table);
        put(&mut place, &path.split('.').collect::<Vec<_>>(), &value["it"]);
        table = place.as_table().unwrap().clone();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, table.to_string()).unwrap();
    Design::open(&file).map_err(|error| match error {
        Error::Damaged { path, because } if path == file => format!("study.toml: {because}"),
        error => error.to_string(),
    })
}

fn put(place: &mut toml::Value, path: &[&str], value: &toml::Value) {
    let [first, rest @ ..] = path else { return *place = value.clone() };
    match first.parse::<usize>() {
        Ok(at) => put(&mut place.as_array_mut().unwrap()[at], rest, value),
        Err(_) => {
            let table = place.as_table_mut().unwrap();
            put(table.entry(*first).or_insert_with(|| Table::new().into()), rest, value);
        }
    }
}

#[test]
fn the_least_design_is_enough() {
    let design = with(&[]).unwrap();
    assert!(matches!(design.question, Question::Prefer(_)));
    assert_eq!(design.raters.answers_per_item, 10);
    assert_eq!(
        with(&[("question.kind", "'locate'"), ("arms", "[{ name = 'a', model = 'a' }]")]).unwrap().arms.len(),
        1
    );
}

#[test]
fn what_is_taken_where_nothing_is_said_fits_the_kind_of_question() {
    let taken = |kind: &str, more: &[(&str, &str)]| {
        let design = with(&[&[("question.kind", kind)], more].concat()).unwrap();
        let assume = design.assume;
        (design.raters.repeats, design.test.effect, assume.rater_sd, assume.item_sd, assume.noise_sd)
    };
    assert_eq!(taken("'rate'", &[]), (2, 0.6, 0.5, 0.5, 1.0));
    assert_eq!(taken("'reveal'", &[]), (0, 0.1, 0.1, 0.1, 0.2));
    assert_eq!(taken("'locate'", &[]), (2, 0.1, 0.1, 0.1, 0.2));
    let said = [("test.effect", "0.3"), ("assume.noise_sd", "0.4"), ("raters.repeats", "1")];
    assert_eq!(taken("'locate'", &said), (1, 0.3, 0.1, 0.1, 0.4));
}

#[test]
fn a_design_is_the_same_from_what_is_written_of_it() {
    for kind in ["prefer", "rate", "locate", "trust"] {
        let design = with(&[("question.kind", &format!("'{kind}'"))]).unwrap();
        assert_eq!(toml::from_str::<Design>(&toml::to_string(&design).unwrap()).unwrap(), design);
        assert_eq!(serde_json::from_str::<Design>(&serde_json::to_string(&design).unwrap()).unwrap(), design);
    }
}

#[test]
fn what_cannot_be_followed_is_refused_by_the_name_of_its_field() {
    let reveal = ("question.kind", "'reveal'");
    let none = ("raters.repeats", "0");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("title", "' '")], "title is empty"),
        (&[("sedd", "1")], "unknown field `sedd`"),
        (&[("question.kind", "'pick'")], "unknown variant `pick`"),
        (&[("question.neiter", "true")], "unknown field `neiter`"),
        (&[("question.text", "''")], "question.text is empty"),
        (&[("question", "{ kind = 'rate', steps = 1 }")], "question.steps is 1"),
        (&[reveal, none, ("question.text", "'Is it a {class}?'")], "question.text names the {class}"),
        (&[reveal, none, ("question.options", "1")], "question.options is 1"),
        (&[reveal, ("raters.repeats", "2")], "raters.repeats is 2"),
        (&[("question.text", "'Which {klass}?'")], "nothing but {class} is known in braces"),
        (&[("arms.1.spec", "{ method = 'gradcan' }")], "arms[1].spec.method: "),
        (&[("arms.1.spec", "{ method = 'gradcan' }")], "gradcam"),
        (&[("exclude.unfinished", "true")], "unknown field `unfinished`"),
        (
            &[("question.kind", "'locate'"), ("test.effect", "1.5")],
            "test.effect is 1.5: a number between 0 and 1 is wanted",
        ),
        (&[("arms", "[{ name = 'a', model = 'a' }]")], "there are 1 `[[arms]]`: prefer takes 2 or more"),
        (&[("question.kind", "'locate'"), ("arms", "[]")], "there are 0 `[[arms]]`: locate takes 1 or more"),
        (&[("arms.1.name", "'a'")], "arms[1].name is \"a\", and so is another arm's"),
        (&[("arms.0.name", "''")], "arms[0].name is empty"),
        (&[("arms.0.colour", "1")], "unknown field `colour`"),
        (&[("arms.1.spec", "{ class = 3 }")], "arms[1].spec.class: the class is the item's"),
        (&[("arms.1.spec", "{ top = 3 }")], "arms[1].spec.top"),
        (&[("arms.1.spec", "{ target = 'all' }")], "arms[1].spec.target"),
        (
            &[("arms.0.spec", "{ method = 'hirescam,gradcam' }")],
            "arms[0].spec.method is \"hirescam,gradcam\": an arm is one method",
        ),
        (&[("arms.0.spec", "{ layer = ['a', 'b'] }")], "arms[0].spec.layer has 2 layers"),
        (&[("arms.0.spec", "{ picture = { signed = true } }")], "arms[0].spec.picture"),
        (&[("arms.0.spec", "{ layr = 'a' }")], "unknown field `layr`"),
        (&[("question.kind", "'trust'"), ("arms.1.model", "'a.onnx'")], "each arm needs one of its own"),
        (&[("items", "{}")], "`[items]` names no images"),
        (&[("items.data", "'voc'")], "`[items]` has `images` and `data`"),
        (&[("items.classes", "'both'")], "items.classes means nothing to `images`"),
        (&[("items.class_map", "'order'")], "items.class_map means nothing to `images`"),
        (&[("items.options", "{ split = 'val' }")], "items.options means nothing to `images`"),
        (&[("items.limit", "0")], "items.limit is 0"),
        (&[("items.words", "{ answer = 'this one' }")], "items.words.answer is \"this one\""),
        (&[("items.words", "{ other = 'Choose this picture.' }")], "are the same"),
        (&[("picture.side", "8")], "picture.side is 8: 64 to 2048 is wanted"),
        (&[("picture.scale", "'both'")], "picture.scale is \"both\""),
        (&[("picture.opacity", "1.5")], "picture.opacity is 1.5"),
        (&[("picture.colormap", "'infero'")], "inferno"),
        (&[("picture.colormap", "'viridis'"), ("picture.signed", "true")], "does not tell signs apart"),
        (&[("picture.colour", "'red'")], "unknown field `colour`"),
        (&[("raters.answers_per_item", "0")], "raters.answers_per_item is 0"),
        (&[("raters.answers_per_item", "100000")], "raters.answers_per_item is 100000: 1 to 10000 are wanted"),
        (&[("items.checks", "5000")], "items.checks is 5000"),
        (&[("raters.items_per_rater", "0")], "raters.items_per_rater is 0"),
        (
            &[("raters.items_per_rater", "20"), ("items.limit", "12")],
            "raters.items_per_rater is 20, and items.limit 12",
        ),
        (&[("raters.repeats", "7"), ("items.limit", "6")], "raters.repeats is 7: a rater sees 6 items"),
        (&[("raters.seconds_per_answer", "0.0")], "raters.seconds_per_answer is 0"),
        (&[("raters.pay_per_hour", "-1.0")], "raters.pay_per_hour is -1: 0 or more is wanted"),
        (&[("exclude.too_fast_share", "30.0")], "exclude.too_fast_share is 30: 0 to 1 is wanted"),
        (&[("test.alpha", "0.0")], "test.alpha is 0"),
        (&[("test.power", "1.0")], "test.power is 1"),
        (&[("test.effect", "0.4")], "test.effect is 0.4: a number between 0.5 and 1 is wanted"),
        (
            &[("question.kind", "'rate'"), ("test.effect", "-1.0")],
            "test.effect is -1: a number between 0 and 4 is wanted",
        ),
        (&[("test.resamples", "3")], "test.resamples is 3: 100 to 1000000 are wanted"),
        (&[("assume.rater_sd", "-0.1")], "assume.rater_sd is -0.1"),
        (&[("assume.neither", "2.0")], "assume.neither is 2"),
        (&[("assume.dropout", "1.0")], "assume.dropout is 1"),
        (&[("assume.simulations", "0")], "assume.simulations is 0"),
        (&[("finish.redirect", "'http://example.org'")], "finish.redirect is \"http://example.org\""),
        (&[("finish.redirect", "'https://a b'")], "finish.redirect is \"https://a b\""),
        (
            &[("finish.redirect_failed", "'https://example.org'")],
            "finish.redirect_failed is given, and finish.redirect is not",
        ),
        (&[("consent.text", "''")], "consent.text is empty"),
        (&[("metrics", "['deletoin']")], "did you mean \"deletion\"?"),
    ];
    for (changes, said) in cases {
        let error = with(changes).expect_err(said);
        assert!(error.contains(said), "{changes:?}: {error}");
    }
}

#[test]
fn numbers_that_are_none_are_out_of_every_range() {
    for field in [
        "exclude.too_fast_share",
        "test.alpha",
        "test.effect",
        "raters.seconds_per_answer",
        "assume.noise_sd",
        "picture.opacity",
    ] {
        for number in ["nan", "inf", "-inf"] {
            // Infinite pay and deviations are no numbers to plan with.
            assert!(with(&[(field, number)]).is_err(), "{field} = {number}");
        }
    }
}

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// The names of all fields, with those that they stand in: `raters.repeats`.
fn fields(value: &serde_json::Value, within: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => object.iter().for_each(|(name, value)| {
            let path = format!("{within}{name}");
            fields(value, &format!("{path}."), found);
            found.insert(path);
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, within, found)),
        _ => {}
    }
}

/// A line with the sign taken away that makes a field a comment.
fn given(line: &str) -> &str {
    let field = line.strip_prefix("# ");
    field.filter(|field| field.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '))).unwrap_or(line)
}

#[test]
fn the_file_of_all_fields_says_what_is_taken_where_nothing_is_said() {
    let file = std::fs::read_to_string(format!("{DOCS}/study.toml")).unwrap();
    let design: Design = toml::from_str(&file).unwrap();
    design.check().unwrap();
    let least: Design = toml::from_str(
        "title = 'Which picture shows it better?'
        seed = 202611294118
        question = { kind = 'prefer' }
        arms = [{ name = 'hirescam', model = 'network.onnx' }, { name = 'gradcam', model = 'network.onnx', spec = { method = 'gradcam' } }]
        items = { images = ['photos'] }",
    )
    .unwrap();
    assert_eq!(design, least);

    // With all signs taken away every field is there, and nothing that is none.
    let whole: Vec<&str> = file.lines().map(given).collect();
    let whole: Design = toml::from_str(&whole.join("\n")).unwrap();
    let (mut there, mut told) = (BTreeSet::new(), BTreeSet::new());
    fields(&serde_json::to_value(&whole).unwrap(), "", &mut there);
    let written: Table = file.lines().map(given).collect::<Vec<_>>().join("\n").parse().unwrap();
    fields(&serde_json::to_value(&written).unwrap(), "", &mut told);
    // What is explained is told elsewhere.
    let of_spec = |path: &&String| path.starts_with("arms.spec.");
    let missing: Vec<&String> = there.iter().filter(|path| !of_spec(path) && !told.contains(*path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_page_lists_every_field_of_every_kind_of_question() {
    let page = std::fs::read_to_string(format!("{DOCS}/study.md")).unwrap();
    for kind in ["prefer", "rate", "locate", "reveal", "trust"] {
        let question: Question = toml::from_str(&format!("kind = '{kind}'")).unwrap();
        let of_kind: Vec<&str> = page.lines().filter(|line| line.starts_with(&format!("| `{kind}` "))).collect();
        let [row] = of_kind.as_slice() else { panic!("{kind}: {of_kind:?}") };
        for (name, value) in
            serde_json::to_value(&question).unwrap().as_object().unwrap().iter().filter(|(name, _)| *name != "kind")
        {
            assert!(row.contains(&format!("`{name} = {value}`")), "{kind}: {name} = {value}");
        }
    }
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_sentence_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    assert!(Design::open(&file).unwrap_err().to_string().contains("study.toml"));
    std::fs::write(&file, "title = ").unwrap();
    assert!(Design::open(&file).unwrap_err().to_string().contains("study.toml"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(Design::open(&file).unwrap_err().to_string().contains("study.toml"));
}
