//! What grows with the number of shards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Room, plan, run};
use hirescam_batch::{Job, Receipt};
use std::fmt::Write;
use std::time::{Duration, Instant};

const SHARDS: usize = 10_000;

#[test]
fn a_job_of_ten_thousand_shards_that_are_done_is_resumed_by_one_listing() {
    let room = Room::with(1);
    let mut list = String::from("path\n");
    for number in 0..SHARDS {
        writeln!(list, "photos/{number:06}.png").unwrap();
    }
    room.write("list.csv", list);
    let job = Job { inputs: vec![room.text("list.csv").as_str().into()], shard_size: 1, ..room.job("out") };
    let started = Instant::now();
    let planned = plan(&job).unwrap();
    assert_eq!((planned.shards, planned.plan.len()), (SHARDS, 10));
    let planning = started.elapsed();
    // The last shard of a part and the first of the next are found where they are.
    for shard in [0, 999, 1000, 9999] {
        let items = planned.items(&room.store("out"), shard).unwrap();
        assert!(items[0].uri.ends_with(&format!("photos/{shard:06}.png")), "{}", items[0].uri);
    }
    for shard in 0..SHARDS {
        let receipt = format!(
            "{{\"shard\":{shard},\"generation\":0,\"file\":\"rows/none\",\"sha256\":\"\",\"bytes\":0,\"rows\":1,\"images\":1,\"failed\":0,\
             \"fingerprint\":\"{}\",\"engine\":\"tract\",\"engine_version\":\"\",\"seconds\":1,\"finished\":{shard}}}",
            planned.fingerprint
        );
        serde_json::from_str::<Receipt>(&receipt).unwrap();
        room.write(&format!("out/receipts/shard-{shard:06}.g0.json"), receipt);
    }
    let started = Instant::now();
    let ran = run(&job.out).unwrap();
    let resumed = started.elapsed();
    assert_eq!((ran.before, ran.made), (SHARDS, 0));
    let started = Instant::now();
    let status = hirescam_batch::status(&job.out).unwrap();
    let told = started.elapsed();
    assert_eq!((status.done, status.images_done, status.rows), (SHARDS, SHARDS as u64, SHARDS as u64));
    eprintln!("planned in {planning:?}, resumed in {resumed:?}, status in {told:?}");
    assert!(resumed < Duration::from_secs(5), "{resumed:?}");
}
