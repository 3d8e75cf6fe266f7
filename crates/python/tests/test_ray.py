"""Explanations on a local cluster of Ray with two workers, one of which is killed."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hirescam
import hirescam.batch
import pytest
from conftest import FIXTURES

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Workers that end must not be waited for.
os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.data", reason="Ray Data is not installed")
import hirescam.ray  # noqa: E402

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
pytestmark = [pytest.mark.filterwarnings("default")]

MODEL = str(FIXTURES / "digits-cnn.onnx")
# It takes so long that a worker can be killed at its work.
SPEC = {"engine": "tract", "method": "rise", "samples": 12}
PHOTOS = [(FIXTURES / "photos" / f"{name}.png").read_bytes() for name in ("seven", "three")]
BROKEN = 7


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", logging_level="warning", log_to_driver=False)
    yield ray
    ray.shutdown()


def dataset(count: int) -> Any:
    items = [{"path": f"image-{n:03}", "image": b"no image" if n == BROKEN else PHOTOS[n % 2]} for n in range(count)]
    return ray.data.from_items(items, override_num_blocks=4)


def rows(files: list[str]) -> list[dict[str, Any]]:
    made = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(made, key=lambda row: (row["uri"], row["number"] or 0))


def explain(data: Any, out: Path, **options: Any) -> hirescam.ray.Explained:
    return hirescam.ray.explain(data, MODEL, SPEC, out=out, **{"part": 5, "workers": 2, "num_cpus": 0.5, **options})


def workers(title: str) -> list[int]:
    """The processes of this cluster that work on it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if not entry.read_bytes().startswith(f"ray::{title}".encode()):
                continue
            process = int(entry.parent.name)
            ancestor = process
            while ancestor not in (0, 1, os.getpid()):
                ancestor = int((Path("/proc") / str(ancestor) / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if ancestor == os.getpid():
            found.append(process)
    return found


def killing(title: str) -> tuple[Callable[..., None], list[int]]:
    """Kills one such process the first time that it is told of progress."""
    killed: list[int] = []

    def progress(*_: int) -> None:
        if not killed and (found := workers(title)):
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])

    return progress, killed


@pytest.fixture(scope="module")
def calm(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> hirescam.ray.Explained:
    """Forty images, and nothing that happens."""
    return explain(dataset(40), tmp_path_factory.mktemp("calm"))


def test_a_killed_worker_costs_no_row_and_doubles_none(calm: hirescam.ray.Explained, tmp_path: Path) -> None:
    progress, killed = killing("MapWorker")
    made = explain(dataset(40), tmp_path, progress=progress)
    assert killed, "no worker was killed"
    assert (made.images, made.failed, made.rows) == (calm.images, calm.failed, calm.rows) == (40, 1, 40)
    assert rows(made.files) == rows(calm.files)
    for out in (tmp_path, calm.out):
        assert hirescam.batch.verify(out)["problems"] == []
    # Rows are those of jobs.
    row, e = rows(calm.files)[0], hirescam.Network(MODEL).explain(PHOTOS[0], **SPEC)
    assert (row["uri"], row["label"], row["score"], row["map"]) == ("image-000", e.label, e.score, e.map.ravel().tolist())


def test_a_call_that_broke_off_is_gone_on_with(calm: hirescam.ray.Explained, tmp_path: Path) -> None:
    def ends(_: int) -> None:
        raise RuntimeError("the driver ends")

    with pytest.raises(RuntimeError, match="the driver ends"):
        explain(dataset(40), tmp_path, workers=1, progress=ends)
    assert hirescam.batch.files(tmp_path) == [], "nobody has said yet what counts"
    seen: list[int] = []
    # The data set has grown meanwhile, and is cut otherwise.
    grown = explain(dataset(43), tmp_path, part=8, workers=1, progress=seen.append)
    assert seen[0] >= 5 and seen[-1] == grown.images == 43
    made = rows(grown.files)
    assert [row["uri"] for row in made] == [f"image-{n:03}" for n in range(43)] and made[:40] == rows(calm.files)
    assert grown.dataset().count() == 43 and hirescam.batch.verify(tmp_path)["problems"] == []


def test_a_driver_that_is_killed_with_all_its_workers_is_gone_on_from(calm: hirescam.ray.Explained, tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_ray as here
here.ray.init(num_cpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", logging_level="error", log_to_driver=False)
here.explain(here.dataset(40), here.Path({str(tmp_path)!r}), workers=1, progress=lambda done: print("done", done, flush=True))
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None
    told = next((line for line in driver.stdout if line.startswith("done")), None)
    os.killpg(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL and told is not None
    made = explain(dataset(40), tmp_path)
    assert (made.images, rows(made.files)) == (40, rows(calm.files))
    # What it was about to name when it was killed is no row, and stays until nobody can be at work on it.
    assert all("an hour old" in problem["what"] for problem in hirescam.batch.verify(tmp_path)["problems"])


def test_pixels_are_the_same_images(calm: hirescam.ray.Explained, tmp_path: Path) -> None:
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(PHOTOS[n])
    pixels = explain(ray.data.read_images(str(tmp_path), mode="L", include_paths=True), tmp_path / "out", array="HW", workers=1)
    assert [row["map"] for row in rows(pixels.files)] == [row["map"] for row in rows(calm.files)[:2]]


def test_what_is_wrong_is_raised_as_itself(calm: hirescam.ray.Explained, tmp_path: Path) -> None:
    data = dataset(4)
    with pytest.raises(hirescam.MissingFileError, match="none.onnx"):
        hirescam.ray.explain(data, "none.onnx", out=tmp_path)
    with pytest.raises(hirescam.NotFoundError, match="layer"):
        hirescam.ray.explain(data, MODEL, {"layer": "none"}, out=tmp_path)
    with pytest.raises(hirescam.ChangedError, match="method"):
        hirescam.ray.explain(data, MODEL, {**SPEC, "method": "gradcam"}, out=calm.out)
    with pytest.raises(hirescam.TooManyErrors, match=rf"image-{BROKEN:03}"):
        explain(dataset(10), tmp_path / "hopeless", workers=1, max_errors=0)
    assert (made := explain(dataset(10), tmp_path / "hopeless", workers=1, max_errors=1)).images == 10 and made.failed == 1
    with pytest.raises(hirescam.ChangedError, match="HWC"):
        hirescam.ray.explain(data, MODEL, SPEC, out=calm.out, array="HWC")
    twice = ray.data.from_items([{"path": "a", "image": PHOTOS[0]}] * 3)
    with pytest.raises(hirescam.ArgumentError, match="two images are called"):
        explain(twice, tmp_path / "twice", workers=1)
    worker = hirescam.ray._Worker(MODEL, hirescam.Spec(**SPEC), str(tmp_path / "named"), {}, "photo", "path", 1, b"", {})
    error = pickle.loads(worker({"path": ["a"], "image": [PHOTOS[0]]})["error"][0])
    assert isinstance(error, hirescam.ArgumentError) and "no column 'photo'" in str(error)


def test_shards_of_a_job_are_placed_and_a_killed_worker_is_replaced(cluster: Any, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(40):
        (photos / f"{n:02}.png").write_bytes(PHOTOS[n % 2])
    for out in ("ray", "here"):
        hirescam.batch.plan(model=MODEL, inputs=photos, out=tmp_path / out, shard_size=4, spec=SPEC)
    progress, killed = killing("_shard")
    status = hirescam.ray.run(tmp_path / "ray", progress=progress)
    assert killed, "no worker was killed"
    assert (status["done"], status["failed"]) == (10, 0)
    hirescam.batch.run(tmp_path / "here")
    assert rows(hirescam.batch.files(tmp_path / "ray")) == rows(hirescam.batch.files(tmp_path / "here"))
    assert hirescam.batch.verify(tmp_path / "ray")["problems"] == []
    shutil.rmtree(photos)
    again = hirescam.ray.run(tmp_path / "ray")
    assert (again["done"], again["images_done"]) == (10, 40), "nothing is left to do"
