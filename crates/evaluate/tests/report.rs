//! Reports: what the numbers are, and that a page, tables and files show them, whatever the rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hirescam::random::Random;
use hirescam_evaluate::metrics::{METRICS, THRESHOLDS};
use hirescam_evaluate::report::{self, Certificate, Example, Manifest, Part, Summary, Test, Why, page};
use hirescam_evaluate::rows::Row;
use hirescam_evaluate::statistics::{Bootstrap, holm, mcnemar, rank_biserial, signed_rank};
use std::path::Path;

const CLASSES: [&str; 4] = ["aeroplane", "bird", "dining table", "<b>person</b> & co"];
const METHODS: [(&str, f64, &str); 4] = [
    ("hirescam", 0.0, "exact"),
    ("gradcam", 0.25, "unproven"),
    ("xgradcam", 0.15, "sum-only"),
    ("layercam", 0.1, "gradient-only"),
];
const LAYER: &str = "/features/29/Relu_output_0";

fn manifest() -> Manifest {
    let certificate = |(method, _, verdict): (&str, f64, &str)| Certificate {
        layer: LAYER.into(),
        method: method.into(),
        verdict: verdict.into(),
        words: vec![format!("{verdict}: what the certificate says of {method}")],
    };
    Manifest {
        version: "0.1.0".into(),
        command: ["hirescam", "evaluate", "a net.onnx", "VOC2012"].map(String::from).to_vec(),
        model: "/models/a net.onnx".into(),
        model_sha256: "0f".repeat(32),
        engine: "tract".into(),
        engine_version: "0.23.9".into(),
        data: "PASCAL VOC 2012, val, in VOC2012".into(),
        images: 60,
        limit: Some(40),
        explained: "present".into(),
        unmapped: vec!["potted plant".into()],
        layers: vec![LAYER.into()],
        methods: METHODS.map(|m| m.0.to_owned()).to_vec(),
        metrics: METRICS.iter().take(12).map(|m| m.name.to_owned()).collect(),
        seed: 7,
        certificates: METHODS.map(certificate).to_vec(),
        ..Manifest::default()
    }
}

/// Rows as of an evaluation: every method is worse than HiResCAM by a shift of its own.
fn rows(images: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for index in 0..images {
        let mut random = Random::of_sample(11, index as usize);
        let image = Row { index, image: format!("2008_{index:06}"), ..Row::default() };
        if index % 13 == 12 {
            let reason = format!("Annotations/2008_{index:06}.xml: it ends within a tag");
            rows.push(Row { error: Some("data".into()), reason: Some(reason), ..image });
            continue;
        }
        if index % 9 == 4 {
            let class = Some("potted plant".to_owned());
            rows.push(Row {
                class,
                error: Some("unmapped".into()),
                reason: Some("no such class".into()),
                ..image.clone()
            });
        }
        let classes = 1 + usize::from(random.unit() < 0.4);
        let first = random.below(CLASSES.len());
        for c in (0..classes).map(|c| (first + c) % CLASSES.len()) {
            let class = Row {
                class: Some(CLASSES[c].into()),
                class_index: Some(c as u64),
                present: Some(true),
                predicted: Some(random.unit() < 0.7),
                difficult: Some(random.unit() < 0.3),
                object_share: Some(random.unit() * 0.5),
                score: Some(5.0),
                probability: Some(0.9),
                ..image.clone()
            };
            let ease = random.unit() * 0.4;
            for (method, shift, verdict) in METHODS {
                let map = Row {
                    method: Some(method.into()),
                    layer: Some(LAYER.into()),
                    verdict: Some(verdict.into()),
                    seconds: Some(0.25),
                    ..class.clone()
                };
                let mut good = || (0.5 + ease - shift + 0.1 * random.normal()).clamp(0.0, 1.0);
                for metric in ["energy-pointing-game", "deletion", "insertion", "total-variation", "unused-share"] {
                    let g = good();
                    let value = match metric {
                        "unused-share" => {
                            if method == "hirescam" {
                                0.0
                            } else {
                                1.0 - g
                            }
                        }
                        "deletion" => 1.0 - g,
                        _ => g,
                    };
                    rows.push(Row { metric: Some(metric.into()), value: Some(value), ..map.clone() });
                }
                let hit = f64::from(u8::from(good() > 0.5));
                rows.push(Row { metric: Some("pointing-game".into()), value: Some(hit), ..map.clone() });
                for metric in ["iou", "area-over-threshold"] {
                    let peak = 0.2 + shift;
                    let g = good();
                    let values = THRESHOLDS.iter().map(|t| match metric {
                        "iou" => g * (1.0 - (t - peak).abs()),
                        _ => (1.0 - t) * (0.5 + shift),
                    });
                    rows.push(Row { metric: Some(metric.into()), values: Some(values.collect()), ..map.clone() });
                }
                let reason = Some("the object has no cells".to_owned());
                match index % 4 {
                    0 => rows.push(Row {
                        metric: Some("relevance-rank".into()),
                        error: Some("undefined".into()),
                        reason,
                        ..map.clone()
                    }),
                    _ => rows.push(Row { metric: Some("relevance-rank".into()), value: Some(good()), ..map.clone() }),
                }
                // Asked for, and defined nowhere.
                rows.push(Row { metric: Some("mprt".into()), error: Some("undefined".into()), ..map.clone() });
            }
        }
    }
    rows
}

/// Goes through the tags of a page: each is closed where it was opened. Says what stands outside of tags.
fn outside_of_tags(page: &str) -> String {
    let (mut open, mut text) = (Vec::new(), String::new());
    let (_, mut rest) = page.split_once("<!DOCTYPE html>").unwrap();
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        assert!(!before.contains('>') || open.last() == Some(&"style"), "{before:?}");
        let (tag, after) = after.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "{tag:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag:?}");
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{tag:?}"),
            (false, true) => {}
            (false, false) => open.push(name),
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
    text
}

/// What must hold of every page.
fn check_page(page: &str) -> String {
    let text = outside_of_tags(page);
    assert!(!page.contains("<script") && !page.contains("NaN") && !page.contains("inf "), "{page}");
    assert_eq!(page.matches("src=").count(), page.matches("src=\"data:image/png;base64,").count());
    assert!(["url(", "@import", "<link", "http://", "https://"].iter().all(|outside| !page.contains(outside)));
    text
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_same_rows_give_the_same_bytes_in_any_order_and_come_they_twice() {
    let (manifest, rows) = (manifest(), rows(30));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    report::write(folders[0].path(), &manifest, &rows, None).unwrap();
    let mut mixed: Vec<Row> = rows.iter().rev().cloned().collect();
    mixed.extend(rows.iter().take(100).cloned());
    report::write(folders[1].path(), &manifest, &mixed, None).unwrap();
    let names =
        ["report.html", "summary.json", "summary.csv", "tests.csv", "agreement.csv", "thresholds.csv", "tables.tex"];
    for name in names {
        assert_eq!(read(folders[0].path(), name), read(folders[1].path(), name), "{name}");
    }
    assert_eq!(std::fs::read_dir(folders[0].path()).unwrap().count(), names.len());
    // What was written is read again.
    let read: Summary = serde_json::from_str(&read(folders[0].path(), "summary.json")).unwrap();
    assert_eq!(read, Summary::of(&manifest, &rows));
}

#[test]
fn a_page_is_well_formed_and_says_what_there_is() {
    let summary = Summary::of(&manifest(), &rows(40));
    let png = |w: &report::Wanted<'_>| w.index.is_multiple_of(2).then(|| vec![1, 2, 3]);
    let text = check_page(&page(&summary, Some(&png)));
    // The names hold markup; it stands there as text.
    assert!(text.contains("&lt;b&gt;person&lt;/b&gt; &amp; co"));
    for said in [
        "37 of 40 images (of the data set&#39;s 60, 40 were asked for) were explained, for the classes that they show.",
        "data: 3 rows in 3 images; the first is 2008_000012: Annotations/2008_000012.xml: it ends within a tag",
        "1 class of the data set that the network does not know, and that is left out: potted plant (in ",
        "hirescam evaluate &#39;a net.onnx&#39; VOC2012",
        "gradcam, against hirescam: worse in ",
        "gradcam, unproven: what the certificate says of gradcam",
        "which HiResCAM is where its verdict is exact",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // A metric that is defined nowhere says so.
    assert!(text.contains("Defined for no map: mprt."), "{text}");
    assert!(text.contains("Without a value in any row: completeness-residual, "));
}

#[test]
fn means_are_of_images_and_then_of_classes() {
    let row = |index, class: &str, value| Row {
        index,
        image: format!("{index}"),
        class: Some(class.into()),
        method: Some("hirescam".into()),
        layer: Some("a".into()),
        metric: Some("iou".into()),
        value: Some(value),
        ..Row::default()
    };
    let rows = [row(0, "x", 1.0), row(0, "y", 0.0), row(1, "x", 0.25), row(2, "x", 0.25)];
    let summary = Summary::of(&Manifest::default(), &rows);
    let cell = summary.cell("a", "hirescam", "iou", &Part::All).unwrap();
    assert_eq!((cell.mean.unwrap().mean, cell.mean.unwrap().n, cell.maps), (1.0 / 3.0, 3, 4));
    assert_eq!((cell.over_classes.unwrap().mean, cell.over_classes.unwrap().n), (0.25, 2));
    let x = summary.cell("a", "hirescam", "iou", &Part::Class("x".into())).unwrap();
    assert_eq!((x.mean.unwrap().mean, x.mean.unwrap().n), (0.5, 3));
    assert!(summary.comparisons.is_empty() && summary.halves.is_none());
    // What is asked of the intervals counts.
    let bootstrap = Bootstrap { resamples: 50, level: 0.5, seed: 9 };
    let narrow = Summary::of(&Manifest { seed: 9, bootstrap, ..Manifest::default() }, &rows);
    let width = |s: &Summary| s.cells[0].mean.unwrap().percentile.map(|i| i.high - i.low).unwrap();
    assert!(narrow.bootstrap == bootstrap && width(&narrow) < width(&summary));
}

#[test]
fn thresholds_are_chosen_on_the_other_half() {
    // The best threshold is the first for half of the images, and the last for the others: which half is reported can be told.
    let row = |index: u64, best: usize| Row {
        index,
        image: format!("{index}"),
        class: Some("x".into()),
        method: Some("hirescam".into()),
        layer: Some("a".into()),
        metric: Some("iou".into()),
        values: Some((0..THRESHOLDS.len()).map(|i| if i == best { 1.0 } else { 0.125 * (index % 8) as f64 }).collect()),
        ..Row::default()
    };
    let all: Vec<Row> = (0..11).map(|i| row(i, 3)).collect();
    let summary = Summary::of(&Manifest { seed: 5, ..Manifest::default() }, &all);
    let halves = summary.halves.unwrap();
    assert_eq!((halves.chosen_on, halves.reported_on), (5, 6));
    let [threshold] = summary.thresholds.as_slice() else { panic!() };
    assert_eq!((threshold.threshold, threshold.maps, threshold.instead.as_deref()), (THRESHOLDS[3], 5, None));
    assert_eq!(summary.cells[0].mean.unwrap().n, 6);
    // What the reported half would choose does not matter: turn its rows to another threshold.
    let mut order: Vec<u64> = (0..11).collect();
    order.sort_by(|a, b| {
        let drawn = |i: &u64| Random::of_sample(5, *i as usize).unit();
        drawn(a).total_cmp(&drawn(b))
    });
    let turned: Vec<Row> = (0..11).map(|i| row(i, if order[..5].contains(&i) { 3 } else { 40 })).collect();
    let other = Summary::of(&Manifest { seed: 5, ..Manifest::default() }, &turned);
    assert_eq!(other.thresholds, summary.thresholds);
    assert!(other.cells[0].mean.unwrap().mean < summary.cells[0].mean.unwrap().mean);
    // One image alone cannot be halved.
    let one = Summary::of(&Manifest::default(), &all[..1]);
    assert!(one.cells[0].mean.is_none() && one.thresholds.is_empty());
    assert!(check_page(&page(&one, None)).contains("too few images to halve"));
}

#[test]
fn tests_are_of_images_in_pairs() {
    let summary = Summary::of(&manifest(), &rows(40));
    let rows = rows(40);
    let values = |metric: &str, method: &str| {
        let mut images = std::collections::BTreeMap::<u64, Vec<f64>>::new();
        for row in rows.iter().filter(|r| r.metric.as_deref() == Some(metric) && r.method.as_deref() == Some(method)) {
            images.entry(row.index).or_default().extend(row.value);
        }
        images.into_values().map(|v| v.iter().sum::<f64>() / v.len() as f64).collect::<Vec<_>>()
    };
    let difference = |metric, method| -> Vec<f64> {
        values(metric, method).iter().zip(values(metric, "hirescam")).map(|(a, b)| a - b).collect()
    };
    let d = difference("deletion", "gradcam");
    let found = summary.comparisons.iter().find(|c| c.metric == "deletion" && c.method == "gradcam").unwrap();
    assert!((found.difference.mean - d.iter().sum::<f64>() / d.len() as f64).abs() < 1e-12);
    assert!((found.p - signed_rank(&d).unwrap().p).abs() < 1e-12 && found.test == Test::SignedRank);
    assert!((found.effect - rank_biserial(&d).unwrap()).abs() < 1e-12 && found.effect > 0.5);
    // All of the report is one family.
    let p: Vec<f64> = summary.comparisons.iter().map(|c| c.p).collect();
    assert!(summary.comparisons.iter().map(|c| c.corrected).eq(holm(&p).unwrap()));
}

#[test]
fn hits_of_one_class_an_image_are_compared_as_hits() {
    let row = |index: u64, method: &str, hit: bool| Row {
        index,
        image: format!("{index}"),
        class: Some("x".into()),
        method: Some(method.into()),
        layer: Some("a".into()),
        metric: Some("pointing-game".into()),
        value: Some(f64::from(u8::from(hit))),
        ..Row::default()
    };
    let rows: Vec<Row> =
        (0..10).flat_map(|i| [row(i, "hirescam", i != 9), row(i, "gradcam", i < 3 || i == 9)]).collect();
    let summary = Summary::of(&Manifest::default(), &rows);
    let [found] = summary.comparisons.as_slice() else { panic!("{:?}", summary.comparisons) };
    assert_eq!((found.test, found.p, found.baseline.as_str()), (Test::Mcnemar, mcnemar(1, 6), "hirescam"));
    assert_eq!(found.effect, -5.0 / 7.0);
}

#[test]
fn metrics_that_say_the_same_agree() {
    let row = |index: u64, method: &str, metric: &str, value: f64| Row {
        index,
        image: format!("{index}"),
        class: Some("x".into()),
        method: Some(method.into()),
        layer: Some("a".into()),
        metric: Some(metric.into()),
        value: Some(value),
        ..Row::default()
    };
    let mut rows = Vec::new();
    for index in 0..6u64 {
        for (m, method) in ["a", "b", "c"].into_iter().enumerate() {
            let v = ((index * 5 + m as u64 * 3) % 7) as f64;
            rows.extend([row(index, method, "insertion", v), row(index, method, "deletion", -v)]);
        }
    }
    let summary = Summary::of(&Manifest::default(), &rows);
    let [found] = summary.agreements.as_slice() else { panic!() };
    // Of deletion less is better.
    assert!((found.over_images.unwrap() - 1.0).abs() < 1e-12 && (found.over_methods.unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(found.methods, 3);
}

#[test]
fn maps_to_look_at_are_chosen_by_their_numbers() {
    let summary = Summary::of(&manifest(), &rows(40));
    let of = |why| summary.examples.iter().filter(move |e| e.why == why).collect::<Vec<&Example>>();
    let (best, worst, apart) = (of(Why::Best), of(Why::Worst), of(Why::Disagreement));
    assert_eq!((best.len(), worst.len(), apart.len()), (3, 3, 2 * (METHODS.len() - 1)));
    assert!(best.iter().all(|b| worst.iter().all(|w| b.value >= w.value)));
    let all = rows(40);
    let largest = all
        .iter()
        .filter(|r| r.metric.as_deref() == Some("unused-share") && r.method.as_deref() == Some("gradcam"))
        .filter_map(|r| r.value)
        .fold(0.0, f64::max);
    assert_eq!((apart[0].metric.as_str(), apart[0].other_value), ("unused-share", Some(largest)));
}

#[test]
fn numbers_that_are_none_count_as_failed() {
    let mut rows = rows(6);
    for row in rows.iter_mut().filter(|r| r.metric.as_deref() == Some("deletion")) {
        row.value = Some(f64::NAN);
    }
    let summary = Summary::of(&manifest(), &rows);
    assert!(summary.counts.failures.iter().any(|f| f.kind == "not-finite" && f.images == 6));
    assert!(summary.cell(LAYER, "hirescam", "deletion", &Part::All).unwrap().mean.is_none());
    check_page(&page(&summary, None));
}

#[test]
fn little_or_nothing_makes_a_page_that_says_so() {
    let one: Vec<Row> = rows(1);
    let failed =
        Row { image: "a".into(), error: Some("data".into()), reason: Some("it is missing".into()), ..Row::default() };
    let undefined: Vec<Row> =
        rows(3).into_iter().map(|r| Row { value: None, values: None, error: Some("undefined".into()), ..r }).collect();
    let cases: [(&str, Manifest, Vec<Row>, &str); 5] = [
        ("nothing at all", Manifest::default(), vec![], "Nothing was evaluated: there are no rows."),
        ("no rows", manifest(), vec![], "Nothing was evaluated: there are no rows."),
        ("all failed", manifest(), vec![failed], "There is not a single map, so there is nothing to measure."),
        ("one image", manifest(), one, "[one image]"),
        ("undefined everywhere", manifest(), undefined, "No metric has a value."),
    ];
    for (case, manifest, rows, said) in cases {
        let folder = tempfile::tempdir().unwrap();
        let summary = report::write(folder.path(), &manifest, &rows, None).unwrap();
        let text = check_page(&read(folder.path(), "report.html"));
        assert!(text.contains(said), "{case}: {text}");
        assert!(
            !read(folder.path(), "summary.json").contains("NaN") && !read(folder.path(), "summary.csv").contains("NaN")
        );
        let again: Summary = serde_json::from_str(&read(folder.path(), "summary.json")).unwrap();
        assert_eq!(again, summary, "{case}");
    }
}

#[test]
fn tables_hold_the_numbers_of_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let summary = report::write(folder.path(), &manifest(), &rows(20), None).unwrap();
    let table = read(folder.path(), "summary.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), summary.cells.len());
    for (record, cell) in records.iter().zip(&summary.cells) {
        assert_eq!(record[8].parse().ok(), cell.mean.map(|e| e.mean));
        assert_eq!(record[9].parse().ok(), cell.mean.and_then(|e| e.interval()).map(|i| i.low));
    }
    let tex = read(folder.path(), "tables.tex");
    assert_eq!(
        tex.matches('{').count() - tex.matches("\\{").count(),
        tex.matches('}').count() - tex.matches("\\}").count()
    );
    assert!(
        tex.contains("\\toprule") && tex.contains("/features/29/Relu\\_output\\_0") && tex.contains("$\\downarrow$")
    );
    assert_eq!(tex.matches("\\begin{").count(), tex.matches("\\end{").count());
    let columns = |line: &str| line.matches(" & ").count();
    let widths: Vec<usize> = tex.lines().filter(|l| l.ends_with("\\\\")).map(columns).collect();
    assert!(widths.iter().all(|w| *w == METHODS.len() + 1 || *w == 5), "{widths:?}");
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    std::fs::write(&file, "a file").unwrap();
    let error = report::write(&file, &manifest(), &rows(2), None).unwrap_err();
    assert!(error.to_string().contains("report"), "{error}");
}
