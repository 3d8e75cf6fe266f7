"""Jobs of many images, as functions; and the files of examples/batch, run as a scheduler would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hirescam
import hirescam.batch
import pytest
from conftest import FIXTURES

MODEL = str(FIXTURES / "digits-cnn.onnx")
EXAMPLES = FIXTURES.parent / "examples" / "batch"
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="there is no shell there")


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Ten images, one of which is broken."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for number in range(10):
        shutil.copy(f"photos/{('seven', 'three')[number % 2]}.png", folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def planned(tmp_path: Path, digits: Path) -> Path:
    """A job of five shards."""
    out = tmp_path / "out"
    made = hirescam.batch.plan(model=MODEL, inputs=digits, out=out, shard_size=2, spec={"engine": "tract"})
    assert (made["images"], made["shards"]) == (10, 5)
    return out


def rows(out: Path) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    made = [row for file in hirescam.batch.files(out) for row in pq.read_table(file).to_pylist()]
    return sorted(made, key=lambda row: (row["uri"], row["number"] or 0))


def test_a_job_is_planned_run_and_verified(planned: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert hirescam.batch.missing(planned) == [0, 1, 2, 3, 4]
    ran = hirescam.batch.run(planned, progress=lambda done, of: seen.append((done, of)))
    assert (ran["made"], ran["images"], ran["failed"]) == (5, 10, 1) and seen[-1] == (10, 10)
    status = hirescam.batch.status(planned)
    assert (status["done"], status["failed"], hirescam.batch.missing(planned)) == (5, 1, [])
    assert hirescam.batch.verify(planned)["problems"] == []
    assert hirescam.batch.run(planned)["made"] == 0
    assert len(hirescam.batch.files(planned)) == 5


def test_a_row_is_what_the_image_gives_by_itself(planned: Path, net: hirescam.Network) -> None:
    hirescam.batch.run(planned)
    made = rows(planned)
    assert [row["error_kind"] is not None for row in made] == [number == 4 for number in range(10)]
    e = net.explain("photos/seven.png", engine="tract")
    assert (made[0]["label"], made[0]["score"], made[0]["verdict"]) == (e.label, e.score, e.certificate.verdict)
    assert made[0]["map"] == e.map.ravel().tolist() and made[0]["map_shape"] == [7, 7]


def test_shards_are_run_one_by_one_in_any_order(planned: Path, tmp_path: Path, digits: Path) -> None:
    for shard in (3, 0, 3, 4, 1):
        assert hirescam.batch.run(planned, shard)["shard"] == shard
    assert hirescam.batch.missing(planned) == [2]
    # What is done is not done again: its images need not be there any more.
    (digits / "0.png").rename(digits / "away.png")
    assert hirescam.batch.run(planned, 0)["failed"] == 0
    (digits / "away.png").rename(digits / "0.png")
    assert hirescam.batch.verify(planned)["missing"] == 1
    hirescam.batch.run(planned, 2)
    other = tmp_path / "other"
    hirescam.batch.plan(model=MODEL, inputs=digits, out=other, shard_size=2, spec=hirescam.Spec(engine="tract"))
    hirescam.batch.run(other)
    assert rows(planned) == rows(other)


def test_a_shard_tells_how_far_it_is_and_gives_up_as_the_job_does(planned: Path, digits: Path) -> None:
    seen: list[tuple[int, int]] = []
    hirescam.batch.run(planned, 0, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (2, 2)
    with pytest.raises(hirescam.TooManyErrors, match=r"4\.png"):
        hirescam.batch.run(planned, 2, max_errors=0)
    assert 2 in hirescam.batch.missing(planned)


def test_a_worker_that_is_kept_serves_the_job_that_lies_there_now(planned: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hirescam.batch.run(planned, 0)
    shutil.rmtree(planned)
    hirescam.batch.plan(model=MODEL, inputs=digits, out=planned, shard_size=2, spec={"engine": "tract", "top": 2})
    assert hirescam.batch.run(planned, 0)["rows"] == 4
    hirescam.batch.run(planned)
    assert hirescam.batch.verify(planned)["problems"] == []
    # A place is that which the name means from where the process is.
    other = tmp_path / "elsewhere" / "out"
    monkeypatch.chdir(tmp_path)
    assert hirescam.batch.run("out", 1)["rows"] == 4
    hirescam.batch.plan(model=MODEL, inputs=digits, out=other, shard_size=2, spec={"engine": "tract"})
    monkeypatch.chdir(other.parent)
    assert hirescam.batch.run("out", 1)["rows"] == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks there")
def test_a_fork_runs_shards(planned: Path) -> None:
    # The parent has threads of its own for what it reads, and a network that is ready.
    hirescam.batch.run(planned, 0)
    script = f"""
import os, hirescam.batch
out = {str(planned)!r}
assert hirescam.batch.missing(out) == [1, 2, 3, 4]
hirescam.batch.run(out, 1)
if (child := os.fork()) == 0:
    hirescam.batch.run(out, 3)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
hirescam.batch.run(out, 4)
assert hirescam.batch.missing(out) == [2]
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)


def test_what_failed_is_mended(planned: Path, digits: Path) -> None:
    (digits / "6.png").rename(digits / "away.png")
    assert hirescam.batch.run(planned)["failed"] == 2
    (digits / "away.png").rename(digits / "6.png")
    assert hirescam.batch.retry(planned)["failed"] == 1
    # Whoever comes late to the shard brings nothing back.
    assert hirescam.batch.run(planned, 3)["generation"] == 1 and len(hirescam.batch.files(planned)) == len(os.listdir(planned / "rows")) == 5
    assert hirescam.batch.verify(planned)["problems"] == []
    assert [row["error_kind"] is None for row in rows(planned)] == [number != 4 for number in range(10)]


def test_rows_are_merged(planned: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    hirescam.batch.run(planned)
    assert hirescam.batch.merge(planned, tmp_path / "all.parquet")["rows"] == 10
    assert sorted(pq.read_table(tmp_path / "all.parquet").to_pylist(), key=lambda row: row["uri"]) == rows(planned)


def test_a_changed_job_is_refused_with_what_changed(planned: Path, digits: Path) -> None:
    with pytest.raises(hirescam.ChangedError, match="method"):
        hirescam.batch.plan(model=MODEL, inputs=digits, out=planned, shard_size=2, spec={"engine": "tract", "method": "gradcam"})
    with pytest.raises(hirescam.ChangedError, match="model"):
        hirescam.batch.run(planned, model=FIXTURES / "zoo" / "vgg.ts.onnx")


def test_too_many_errors_end_a_job(planned: Path, digits: Path) -> None:
    with pytest.raises(hirescam.TooManyErrors, match=r"max_errors=.*4\.png") as found:
        hirescam.batch.run(planned, max_errors=0)
    assert "--" not in str(found.value)


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda: hirescam.batch.run("none"), hirescam.ArgumentError, "no job is planned"),
        (lambda: hirescam.batch.plan("none.toml"), hirescam.FileError, "none.toml"),
        (lambda: hirescam.batch.plan("job.toml", out="x"), hirescam.ArgumentError, "either"),
        (lambda: hirescam.batch.plan(model=MODEL, inputs="photos", out="/none", spec={"methd": "x"}), hirescam.NotFoundError, "methd"),
        (lambda: hirescam.batch.plan(model=MODEL, inputs="none/*.png", out="/none/at/all"), hirescam.Error, "none"),
        (lambda: hirescam.batch.plan(model="none.onnx", inputs="photos", out="/none"), hirescam.MissingFileError, "none.onnx"),
        (lambda: hirescam.batch.plan({"model": MODEL}), hirescam.ArgumentError, r"plan\(\*\*job\)"),  # type: ignore[arg-type]
        (lambda: hirescam.batch.plan(model=MODEL, inputs="photos", out="/none", shard_size=0), hirescam.ArgumentError, "shard_size"),
        (lambda: hirescam.batch.run("none", -1), hirescam.ArgumentError, "from 0 on"),
        (lambda: hirescam.batch.plan(inputs="photos", out="/none"), hirescam.ArgumentError, "model"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[], object], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        call()


def test_a_shard_that_there_is_not(planned: Path) -> None:
    with pytest.raises(hirescam.ArgumentError, match="5 shards"):
        hirescam.batch.run(planned, 5)


def environment(planned: Path) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "OUT": str(planned)}


def scheduled(script: list[str], planned: Path, tasks: list[dict[str, str]]) -> None:
    """Runs what a scheduler would, all tasks at once, with its variables."""
    running = [subprocess.Popen(script, env=environment(planned) | task, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for task in tasks]
    for process in running:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    verified = hirescam.batch.verify(planned)
    assert (verified["problems"], verified["missing"]) == ([], 0)


@UNIX
@pytest.mark.skipif(not EXAMPLES.exists(), reason="the fixtures lie elsewhere than in the repository")
class TestSchedulers:
    def test_an_array_of_slurm_runs_a_job(self, planned: Path) -> None:
        task = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1"}
        scheduled(["bash", str(EXAMPLES / "slurm.sh")], planned, [task | {"SLURM_ARRAY_TASK_ID": str(n)} for n in range(2)])

    def test_an_array_of_grid_engine_runs_a_job(self, planned: Path) -> None:
        task = {"SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "2", "NSLOTS": "1"}
        scheduled(["bash", str(EXAMPLES / "grid-engine.sh")], planned, [task | {"SGE_TASK_ID": str(n)} for n in (1, 2)])

    def test_an_indexed_job_of_kubernetes_runs_a_job(self, planned: Path) -> None:
        yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
        (container,) = yaml.safe_load((EXAMPLES / "kubernetes-job.yaml").read_text())["spec"]["template"]["spec"]["containers"]
        pod = {one["name"]: one["value"] for one in container["env"]} | {"OUT": str(planned), "WORKERS": "2", "THREADS": "1"}
        scheduled(container["command"] + container["args"], planned, [pod | {"JOB_COMPLETION_INDEX": str(n)} for n in range(2)])

    def test_the_example_job_is_one(self, digits: Path) -> None:
        shutil.copy(EXAMPLES / "job.toml", digits.parent / "job.toml")
        shutil.copy(MODEL, digits.parent / "network.onnx")
        for ending in ("toml", "labels.txt"):
            shutil.copy(FIXTURES / f"digits-cnn.{ending}", digits.parent / f"network.{ending}")
        digits.rename(digits.parent / "photos")
        assert hirescam.batch.plan(digits.parent / "job.toml")["images"] == 10
        assert hirescam.batch.run(digits.parent / "job.toml")["failed"] == 1
        assert len(hirescam.batch.files(digits.parent / "job.toml")) == len(hirescam.batch.files(digits.parent / "maps")) == 1

    def test_one_task_of_an_array_is_not_taken_for_the_whole(self, planned: Path) -> None:
        one = {"SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "1"}
        last = {"SGE_TASK_FIRST": "2", "SGE_TASK_LAST": "2", "SGE_TASK_ID": "2", "NSLOTS": "1"}
        for script, task in [("slurm.sh", one), ("grid-engine.sh", last)]:
            done = subprocess.run(["bash", str(EXAMPLES / script)], env=environment(planned) | task, capture_output=True, text=True)
            assert done.returncode == 2 and "WORKERS" in done.stderr, done.stderr
        assert hirescam.batch.missing(planned) == [0, 1, 2, 3, 4]
        done = subprocess.run(["bash", str(EXAMPLES / "grid-engine.sh")], env=environment(planned) | last | {"WORKERS": "2"}, capture_output=True, text=True)
        assert done.returncode == 0 and hirescam.batch.missing(planned) == [0, 2, 4], done.stderr
