//! What stands in the rows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_schema::DataType;
use common::{Room, batches, numbers, plan, png, run, texts, verify};
use hirescam::{Network, Spec};
use hirescam_batch::rows::{JOB_KEY, MAPS_KEY, MapKind, RowOptions, SCHEMA_KEY};
use hirescam_batch::{Error, Job};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[test]
fn rows_say_what_explanations_say() {
    let room = Room::with(6);
    let spec = Spec { top: Some(2), method: "hirescam,gradcam".into(), ..common::spec() };
    let rows = RowOptions { metrics: vec!["entropy".into(), "total-variation".into()], ..RowOptions::default() };
    let job = Job { spec: spec.clone(), rows, ..room.job("out") };
    plan(&job).unwrap();
    assert_eq!(run(&job.out).unwrap().rows, 24);
    assert!(verify(&job.out).is_whole());
    let rows = batches(&job.out);
    let explainer = Network::open(room.path("digits-cnn.onnx")).unwrap().explainer(&spec).unwrap();
    let mut row = 0;
    for number in 0..6 {
        let photo = hirescam::source::decode(&png(number)).unwrap();
        let explained = explainer.explain_one(explainer.samples("", photo).unwrap().remove(0)).unwrap();
        for (at, e) in explained.maps().iter().enumerate() {
            let double = |name: &str| numbers::<Float64Type>(&rows, name)[row];
            let text = |name: &str| texts(&rows, name)[row].clone();
            assert_eq!(numbers::<Int64Type>(&rows, "id")[row], Some(number as i64));
            assert_eq!(numbers::<Int32Type>(&rows, "number")[row], Some(at as i32));
            assert_eq!(numbers::<Int64Type>(&rows, "class")[row], e.class.map(|class| class as i64));
            assert_eq!(
                (double("score"), double("probability"), double("sum")),
                (Some(e.score), e.probability, Some(e.sum))
            );
            assert_eq!((double("b"), double("residual")), (e.bias, e.residual));
            assert_eq!((text("label").as_deref(), text("method").as_deref()), (e.label(), Some(e.method().name)));
            assert_eq!(
                (text("layer").as_deref(), text("verdict")),
                (Some(e.layer()), Some(e.certificate().verdict.to_string()))
            );
            let wide = e.map.mapv(f64::from);
            assert_eq!(double("entropy"), hirescam_evaluate::metrics::entropy(wide.view()).ok());
            assert_eq!(double("total_variation"), hirescam_evaluate::metrics::total_variation(wide.view()).ok());
            let column = rows[0].column_by_name("map").unwrap().as_fixed_size_list().value(row);
            let map: Vec<f32> = column.as_primitive::<Float32Type>().values().to_vec();
            assert_eq!(map, e.map.iter().copied().collect::<Vec<_>>());
            let peak = numbers::<Float32Type>(&rows, "peak")[row].unwrap();
            assert_eq!(peak, map.iter().copied().fold(f32::MIN, f32::max));
            let at = rows[0].column_by_name("peak_at").unwrap().as_list::<i32>().value(row);
            let at: Vec<usize> = at.as_primitive::<Int32Type>().values().iter().map(|&at| at as usize).collect();
            assert_eq!(e.map[at.as_slice()], peak);
            row += 1;
        }
    }
    assert_eq!(row, 24);
}

#[test]
fn halves_of_maps_are_as_near_as_they_can_be_and_a_map_that_is_too_large_is_said_to_be() {
    let room = Room::with(4);
    let mut npy = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 28, 28), }".to_vec();
    npy.resize(127, b' ');
    npy.push(b'\n');
    npy.extend((0..784).flat_map(|n| (n as f32 * 1e5).to_le_bytes()));
    room.write("photos/z.npy", npy);
    let rows = RowOptions { map: MapKind::F16, ..RowOptions::default() };
    let [half, whole] =
        [("half", rows), ("whole", RowOptions::default())].map(|(out, rows)| Job { rows, ..room.job(out) });
    for job in [&half, &whole] {
        plan(job).unwrap();
        run(&job.out).unwrap();
        assert!(verify(&job.out).is_whole());
    }
    let (half, whole) = (batches(&half.out), batches(&whole.out));
    let said = texts(&half, "error").pop().unwrap().unwrap();
    assert!(said.contains("no number of 16 bits is so large: map = \"f32\""), "{said}");
    assert!(texts(&whole, "error").iter().all(Option::is_none));
    let column = |rows: &[arrow_array::RecordBatch]| {
        rows[0].column_by_name("map").unwrap().as_fixed_size_list().values().clone()
    };
    let (half, whole) = (column(&half), column(&whole));
    assert_eq!((half.data_type(), half.len()), (&DataType::Float16, 5 * 49));
    let pairs = half
        .as_primitive::<Float16Type>()
        .values()
        .iter()
        .take(4 * 49)
        .zip(whole.as_primitive::<Float32Type>().values());
    for (half, whole) in pairs {
        // Half of a unit in the last of 11 digits, binary; what is below 2⁻¹⁴ is coarser.
        assert!((half.to_f32() - whole).abs() <= whole.abs() / 2048.0 + 1.0 / 16_777_216.0, "{half} {whole}");
    }
}

#[test]
fn what_there_is_to_beware_of_in_a_file_stands_in_the_rows_of_its_image() {
    for thumbnails in [None, Some(64)] {
        let room = Room::with(1);
        for name in ["animated.gif", "sixteen.png"] {
            std::fs::copy(format!("{}/images/{name}", common::FIXTURES), room.path("photos").join(name)).unwrap();
        }
        let job = Job { rows: RowOptions { thumbnails, ..RowOptions::default() }, ..room.job("out") };
        plan(&job).unwrap();
        run(&job.out).unwrap();
        let notes = texts(&batches(&job.out), "image_note");
        assert_eq!(notes.len(), 3);
        assert_eq!(notes[0], None);
        assert_eq!(notes[1].as_deref(), Some("the file holds 2 frames; only the first is explained"));
        let sixteen = hirescam::photo::Photo::open(room.path("photos/sixteen.png")).unwrap().notes();
        assert_eq!(notes[2].clone().into_iter().collect::<Vec<_>>(), sixteen);
    }
}

#[test]
fn an_image_of_which_nothing_is_picked_has_a_row_that_is_no_failure() {
    let room = Room::with(4);
    let job = Job { spec: Spec { target: Some("above:1e9".into()), ..common::spec() }, ..room.job("out") };
    plan(&job).unwrap();
    let ran = run(&job.out).unwrap();
    assert_eq!((ran.rows, ran.failed), (4, 0));
    let rows = batches(&job.out);
    assert_eq!(numbers::<Int32Type>(&rows, "index"), [Some(0); 4]);
    assert_eq!(numbers::<Int32Type>(&rows, "number"), [None; 4]);
    assert!(texts(&rows, "error").iter().all(Option::is_none));
    assert!(verify(&job.out).is_whole());
}

#[test]
fn small_pictures_are_images_and_tensors_have_none() {
    let room = Room::with(2);
    let job = Job { rows: RowOptions { thumbnails: Some(56), ..RowOptions::default() }, ..room.job("out") };
    plan(&job).unwrap();
    run(&job.out).unwrap();
    let rows = batches(&job.out);
    let pictures = rows[0].column_by_name("thumbnail").unwrap().as_binary::<i32>();
    for row in 0..2 {
        let picture = image::load_from_memory(pictures.value(row)).unwrap();
        assert_eq!(picture.width().max(picture.height()), 56);
    }
    assert!(verify(&job.out).is_whole());
}

#[test]
fn what_all_rows_share_stands_once_in_the_metadata() {
    let room = Room::with(3);
    let job = room.job("out");
    let planned = plan(&job).unwrap();
    run(&job.out).unwrap();
    let file = std::fs::File::open(room.path("out").join(&common::receipts(&job.out)[0].file)).unwrap();
    let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let pairs = read.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let value = |key: &str| pairs.iter().find(|pair| pair.key == key).unwrap().value.clone().unwrap();
    let json = |key: &str| serde_json::from_str::<serde_json::Value>(&value(key)).unwrap();
    assert_eq!(value(SCHEMA_KEY), "1");
    assert_eq!(json(JOB_KEY)["fingerprint"], planned.fingerprint);
    assert_eq!(json(JOB_KEY)["spec"]["method"], "hirescam");
    let maps = json(MAPS_KEY);
    assert_eq!(maps.as_array().unwrap().len(), 1);
    assert_eq!((&maps[0]["method"], &maps[0]["verdict"]), (&"hirescam".into(), &"locally-linear".into()));
    assert!(maps[0]["reason"].as_str().unwrap().contains("MaxPool"), "{maps}");
}

#[test]
fn a_merged_file_tells_of_maps_that_its_first_shard_has_none_of() {
    let room = Room::with(20);
    (0..10).for_each(|number| room.write(&format!("photos/{number:05}.png"), "no image"));
    let job = room.job("out");
    plan(&job).unwrap();
    assert_eq!(run(&job.out).unwrap().failed, 10);
    hirescam_batch::merge(&job.out, &room.text("all.parquet")).unwrap();
    let read =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(room.path("all.parquet")).unwrap()).unwrap();
    let pairs = read.metadata().file_metadata().key_value_metadata().unwrap();
    let maps: Vec<_> =
        pairs.iter().filter(|pair| pair.key == MAPS_KEY).map(|pair| pair.value.clone().unwrap()).collect();
    assert!(matches!(maps.as_slice(), [one] if one.matches("\"method\"").count() == 1), "{maps:?}");
}

#[test]
fn a_metric_that_needs_more_than_the_map_is_refused() {
    let room = Room::with(2);
    let job = Job { rows: RowOptions { metrics: vec!["deletion".into()], ..RowOptions::default() }, ..room.job("out") };
    let error = plan(&job).unwrap_err();
    assert!(matches!(error, Error::Argument(_)) && error.to_string().contains("sparseness"), "{error}");
}
