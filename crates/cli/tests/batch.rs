//! `hirescam batch`.
#![allow(clippy::unwrap_used)]

mod common;

use common::fails;

#[cfg(not(feature = "batch"))]
#[test]
fn a_program_without_it_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = fails(folder.path(), &["batch", "run", "job.toml"]);
    assert_eq!(code, 2);
    assert!(said.contains("--features batch"), "{said}");
}

#[cfg(feature = "batch")]
mod with {
    use super::*;
    use common::{fixture, hirescam, ok};
    use std::path::Path;
    use tempfile::TempDir;

    /// A folder with a job of three shards, with two broken images and one of another size.
    fn job() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["digits-cnn.onnx", "digits-cnn.toml", "digits-cnn.labels.txt"] {
            std::fs::copy(fixture(name), at(name)).unwrap();
        }
        std::fs::create_dir(at("photos")).unwrap();
        for number in 0..5 {
            std::fs::copy(fixture("photos/seven.png"), at(&format!("photos/{number}.png"))).unwrap();
        }
        std::fs::copy(fixture("photos/coffee.png"), at("photos/large.png")).unwrap();
        std::fs::write(at("photos/broken.png"), "no image").unwrap();
        std::fs::write(at("photos/empty.jpg"), "").unwrap();
        let job = "model = 'digits-cnn.onnx'\ninputs = ['photos']\nout = 'out'\nshard_size = 3\n[spec]\n[spec.engine]\nname = 'tract'\n";
        std::fs::write(at("job.toml"), job).unwrap();
        folder
    }

    fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&ok(folder, arguments)).unwrap()
    }

    #[test]
    fn a_folder_of_photos_becomes_rows() {
        let folder = job();
        let folder = folder.path();
        let planned = ok(folder, &["batch", "plan", "job.toml"]);
        assert!(planned.contains("8 images in 3 shards") && planned.contains("fingerprint: "), "{planned}");
        let status = json(folder, &["batch", "status", "out", "--json"]);
        assert_eq!((&status["shards"], &status["done"]), (&3.into(), &0.into()));
        let done = hirescam(folder, &["batch", "run", "job.toml"]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        // Some images failed.
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(
            said.contains("3 shards made: 8 images, 3 failed, 8 rows") && said.contains("out/rows/*.parquet"),
            "{said}"
        );
        assert!(String::from_utf8_lossy(&done.stderr).contains("hirescam batch retry"));
        let again = ok(folder, &["batch", "run", "out"]);
        assert!(again.contains("0 shards made") && again.contains("3 were done before"), "{again}");
        let said = ok(folder, &["batch", "verify", "job.toml"]);
        assert!(said.contains("whole: every one of 8 images has its rows, once"), "{said}");
        let status = ok(folder, &["batch", "status", "job.toml"]);
        assert!(status.contains("3 of 3 done") && status.contains("8 of 8 done, 3 failed"), "{status}");
        assert!(ok(folder, &["batch", "merge", "out", "all.parquet"]).contains("8 rows of 3 shards"));
        std::fs::copy(fixture("photos/three.png"), folder.join("photos/large.png")).unwrap();
        let retried = hirescam(folder, &["batch", "retry", "out"]);
        let said = String::from_utf8_lossy(&retried.stdout).into_owned();
        // Who mends an image has its rows, whatever its length.
        assert!(said.contains("2 shards made") && said.contains("2 failed"), "{said}");
        std::fs::copy(fixture("photos/three.png"), folder.join("photos/broken.png")).unwrap();
        let retried = hirescam(folder, &["batch", "retry", "out"]);
        let said = String::from_utf8_lossy(&retried.stdout).into_owned();
        assert!(said.contains("2 shards made") && said.contains("1 failed"), "{said}");
        for (to, wanted) in [
            ("digits-cnn.onnx", "is there already"),
            ("out/receipts/shard-000000.g0.json", "in the job itself"),
            ("s3://bucket", "names no file"),
            ("photos/", "names no file"),
        ] {
            let (code, said) = fails(folder, &["batch", "merge", "out", to]);
            assert!(code == 2 && said.contains(wanted), "{said}");
        }
        // What merge wrote it writes again.
        ok(folder, &["batch", "merge", "./photos/../out", "all.parquet"]);
        std::fs::write(folder.join("out/receipts/shard-000000.g0.json"), "{}").unwrap();
        let found = hirescam(folder, &["batch", "verify", "out", "--json"]);
        assert_eq!(found.status.code(), Some(1));
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
        assert_eq!(found["problems"].as_array().unwrap().len(), 2, "{found}");
    }

    #[test]
    fn what_a_jobs_file_says_by_now_of_how_it_is_run_holds() {
        let folder = job();
        let folder = folder.path();
        let text = std::fs::read_to_string(folder.join("job.toml")).unwrap();
        let allowing = |most: &str| {
            std::fs::write(folder.join("job.toml"), text.replace("[spec]", &format!("max_errors = '{most}'\n[spec]")))
                .unwrap();
        };
        allowing("0");
        let (code, said) = fails(folder, &["batch", "run", "job.toml"]);
        assert!(code == 2 && said.contains("max-errors"), "{said}");
        allowing("3");
        assert_eq!(hirescam(folder, &["batch", "run", "job.toml"]).status.code(), Some(1));
        // An image that was mended has another length: to retry is not to plan anew.
        std::fs::copy(fixture("photos/three.png"), folder.join("photos/broken.png")).unwrap();
        let retried = hirescam(folder, &["batch", "retry", "job.toml"]);
        let said = String::from_utf8_lossy(&retried.stdout).into_owned();
        assert!(said.contains("2 shards made") && said.contains("2 failed"), "{said}");
        let (code, said) = fails(folder, &["batch", "run", "job.toml"]);
        assert!(code == 2 && said.contains("list of inputs"), "{said}");
        // The network may have moved.
        std::fs::create_dir(folder.join("moved")).unwrap();
        for name in ["digits-cnn.onnx", "digits-cnn.toml", "digits-cnn.labels.txt"] {
            std::fs::rename(folder.join(name), folder.join("moved").join(name)).unwrap();
        }
        let retried = hirescam(folder, &["batch", "retry", "job.toml", "--model", "moved/digits-cnn.onnx"]);
        assert_eq!(retried.status.code(), Some(1), "{}", String::from_utf8_lossy(&retried.stderr));
    }

    #[test]
    fn tasks_of_an_array_are_numbered_by_their_environment() {
        let folder = job();
        ok(folder.path(), &["batch", "plan", "job.toml"]);
        let task = |number: &str, more: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hirescam"));
            command.current_dir(folder.path()).args(["batch", "run", "out", "--index-from-env"]).args(more);
            command.env("SLURM_ARRAY_TASK_ID", number).output().unwrap()
        };
        assert_eq!(task("2", &[]).status.code(), Some(1));
        assert!(folder.path().join("out/receipts/shard-000002.g0.json").is_file());
        assert_eq!(task("3", &[]).status.code(), Some(2));
        assert_eq!(task("0", &["--workers", "2"]).status.code(), Some(0));
        assert_eq!(task("1", &["--workers", "2"]).status.code(), Some(1));
        assert!(ok(folder.path(), &["batch", "verify", "out"]).contains("whole"));
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_is_interrupted_ends_cleanly_and_goes_on_later() {
        let folder = job();
        let folder = folder.path();
        let seven = std::fs::read(fixture("photos/seven.png")).unwrap();
        for number in 0..3000 {
            std::fs::write(folder.join(format!("photos/{number:04}.png")), &seven).unwrap();
        }
        ok(folder, &["batch", "plan", "job.toml"]);
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_hirescam"))
            .current_dir(folder)
            .args(["batch", "run", "out"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::fs::read_dir(folder.join("out/receipts")).map_or(0, Iterator::count) < 3 {
            assert!(std::time::Instant::now() < until && run.try_wait().unwrap().is_none());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let pid = run.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let done = run.wait_with_output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(130) && said.contains("what was finished is kept"), "{said}");
        let found = hirescam(folder, &["batch", "verify", "out", "--json"]);
        let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
        assert!(found["problems"].as_array().unwrap().is_empty(), "{found}");
        assert!(ok(folder, &["batch", "retry", "out"]).contains("nothing to make again"));
        let missing = found["missing"].as_u64().unwrap();
        assert!(missing > 0 && missing < found["shards"].as_u64().unwrap(), "{found}");
        let names = ["rows", "receipts"].map(|name| std::fs::read_dir(folder.join("out").join(name)).unwrap().count());
        assert_eq!(names[0], names[1]);
        ok(folder, &["batch", "run", "out", "--shard", "0"]);
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_job() {
        let folder = job();
        let folder = folder.path();
        let (code, said) = fails(folder, &["batch", "run", "out"]);
        assert!(code == 2 && said.contains("hirescam batch plan JOB.toml"), "{said}");
        let (code, said) = fails(folder, &["batch", "run", "job.toml", "--max-errors", "1"]);
        assert!(code == 2 && said.contains(" images failed, and 1 may (--max-errors)"), "{said}");
        let text = std::fs::read_to_string(folder.join("job.toml")).unwrap();
        std::fs::write(folder.join("job.toml"), text.replace("[spec]\n", "[spec]\ntop = 2\n")).unwrap();
        let (code, said) = fails(folder, &["batch", "run", "job.toml"]);
        assert!(code == 2 && said.contains("the spec's top changed from none to 2"), "{said}");
        std::fs::write(folder.join("job.toml"), &text).unwrap();
        std::fs::write(folder.join("photos/one-more.png"), "").unwrap();
        let (code, said) = fails(folder, &["batch", "run", "job.toml"]);
        assert!(code == 2 && said.contains("list of inputs changed from 8 in shards of 3"), "{said}");
        assert!(said.contains("to 9 in shards of 3") && said.contains("go on with those that were planned"), "{said}");
        std::fs::write(folder.join("job.toml"), text.replace("[spec]\n", "[spec]\ntopp = 2\n")).unwrap();
        let (code, said) = fails(folder, &["batch", "plan", "job.toml"]);
        assert!(code == 2 && said.contains("topp"), "{said}");
        let (code, said) = fails(folder, &["batch", "run", "jab.toml"]);
        assert!(code == 3 && said.contains("jab.toml: No such file"), "{said}");
        std::fs::remove_file(folder.join("digits-cnn.toml")).unwrap();
        std::fs::write(folder.join("job.toml"), text.replace("'out'", "'other'")).unwrap();
        let (code, said) = fails(folder, &["batch", "run", "job.toml"]);
        assert!(code == 2 && said.contains("preprocess = \"PRESET\" under [spec]"), "{said}");
    }
}
