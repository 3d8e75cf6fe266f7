"""Explanations on a cluster of Ray. It needs `pip install 'hirescam[ray]'`.

`explain` takes a data set of Ray Data, with images that are anywhere Ray can read, and publishes Parquet files; `run` places the shards of a job that was planned
(`hirescam.batch.plan`) as tasks of Ray. Both can be called again after anything went wrong, and leave out what is done. Ray only places the work; that each
row is there exactly once is seen to by what is written (see the documentation, "From one machine to many").
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _hirescam, batch
from ._errors import ArgumentError, Error
from ._hirescam import Image, Spec
from ._images import Taker
from ._network import Network
from ._options import to_json

if TYPE_CHECKING:
    from ._types import Path

__all__ = ["Explained", "explain", "run"]

PART = 512
"""How many images make a part where nothing is said: a file of rows, and what is lost with a worker."""


class Explained(NamedTuple):
    """What `explain` published."""

    out: str
    """Where it lies."""
    images: int
    """How many images there are, with those of earlier calls."""
    failed: int
    """How many of them have an error in the place of maps."""
    rows: int
    """How many rows there are."""
    files: list[str]
    """The Parquet files with the rows, as paths or URLs."""

    def dataset(self) -> Any:
        """The rows as a data set of Ray Data."""
        return _ray().data.read_parquet(self.files)


def explain(
    dataset: Any,
    model: Any,
    spec: Spec | Mapping[str, Any] | None = None,
    *,
    out: Path,
    image: str = "image",
    id: str = "path",
    array: str | None = None,
    rows: Mapping[str, Any] | None = None,
    part: int = PART,
    workers: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    max_errors: int | str | None = None,
    progress: Callable[[int], object] | None = None,
) -> Explained:
    """Explains the images of a data set of Ray Data and publishes the rows in `out`, a folder or a URL (`s3://`, `gs://`, `az://`) that all machines reach.

    The data set has a column `image` of images (bytes of files, paths, photos of uint8 or ready tensors, as `Network.explain` takes them) and a column `id` which tells them
    apart: `ray.data.read_images(…, include_paths=True)` makes both by these names. Rows have the columns of jobs, with the `id` as their `uri`.

    `model` is a path that all machines can read, or bytes. `workers` is how many actors hold the network, or the least and the most of them; each has
    `num_cpus` and `num_gpus`, and computes on a GPU where the spec says `device="cuda"`. `part` images make a file. `progress` is called with the number of images after each part.

    Call it again after anything went wrong, with the same data set or one that has grown: images that are done are left out. Another network, spec or
    version is an error that says what changed. An image that fails is a row that says why; with `max_errors`, a number or a share as `"5%"`, a worker gives up
    (`TooManyErrors`) once more have failed, of those that are done and its own. What made it give up is not published.

    ```python
    dataset = ray.data.read_images("s3://bucket/photos", include_paths=True)
    done = hirescam.ray.explain(dataset, "network.onnx", {"method": "hirescam"}, out="s3://bucket/maps")
    done.dataset().groupby("label").mean("residual").show()
    ```
    """
    ray = _ray()
    out = os.fspath(out)
    spec = spec if isinstance(spec, Spec) else Spec(**(spec or {}))
    if not spec.threads:
        # More threads than cores that Ray counts would fight with those of other actors.
        spec = spec.replace(threads=max(1, int(num_cpus)))
    options = {"rows": rows or {}, "array": array, "max_errors": max_errors}
    asked = {"model": model, "spec": spec, "out": out, "options": options, "image": image, "id": id, "cpus": num_cpus}
    if not num_gpus:
        # What is wrong is said before the cluster is asked for anything. With GPUs, only the workers can say.
        _Worker(**asked, done=b"", before={}).open()
    if isinstance(workers, tuple):
        pool = ray.data.ActorPoolStrategy(min_size=workers[0], max_size=workers[1])
    else:
        pool = ray.data.ActorPoolStrategy(size=workers)
    while True:
        # What an earlier call left behind counts, too.
        found = _hirescam.parts_commit(out)
        made = dataset.map_batches(
            _Worker,
            fn_constructor_kwargs={**asked, "done": _hirescam.parts_done(out), "before": found},
            batch_format="numpy",
            batch_size=part,
            zero_copy_batch=True,
            compute=pool,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
        )
        count, parts = found["images"], found["parts"]
        for row in made.iter_rows():
            if row["error"]:
                raise pickle.loads(row["error"])
            count += row["images"]
            if progress is not None:
                progress(count)
        found = _hirescam.parts_commit(out)
        # Parts that share images with others do not count; what was in these alone is explained again, if it is still in the data set.
        if not found["left"] or found["parts"] == parts:
            return Explained(out, found["images"], found["failed"], found["rows"], batch.files(out))


class _Worker:
    """An actor: it holds the network, explains batches, and publishes what comes of each as a part."""

    def __init__(
        self,
        model: Any,
        spec: Spec,
        out: str,
        options: Mapping[str, Any],
        image: str,
        id: str,
        cpus: float,
        done: bytes,
        before: Mapping[str, int],
    ) -> None:
        self.model, self.spec, self.out, self.done = model, spec, out, done
        self.options = {**options, "before": before}
        self.image, self.id, self.threads = image, id, max(1, int(cpus))
        self.ready: tuple[_hirescam.Publisher, Taker] | None = None

    def open(self) -> tuple[_hirescam.Publisher, Taker]:
        """Makes the network ready, once."""
        if self.ready is None:
            os.environ.setdefault("RAYON_NUM_THREADS", str(self.threads))
            network = self.model if isinstance(self.model, Network) else Network(self.model)
            spec = network.spec(self.spec)
            publisher = _hirescam.Publisher(self.out, network._native, spec, to_json(self.options), self.done)
            self.ready = publisher, network._taker(spec, self.options.get("array"))
        return self.ready

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        try:
            publisher, taker = self.open()
            for column in (self.id, self.image):
                if column not in batch:
                    raise ArgumentError(f"the data set has no column {column!r}: image= and id= take the names of two of {', '.join(map(repr, batch))}")
            ids = [str(one) for one in batch[self.id]]
            left = publisher.left(ids)
            made = publisher.publish([ids[n] for n in left], [_taken(taker, batch[self.image][n]) for n in left])
            return {"images": [made["images"]], "error": [b""]}
        except Error as error:
            # Raised here, it would come to the driver as text.
            return {"images": [0], "error": [pickle.dumps(error)]}


def _taken(taker: Taker, image: Any) -> Image | tuple[str, str]:
    """The image, or why there is none."""
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    try:
        if image is None:
            raise ArgumentError("the row has no image: it is null")
        images, several = taker.take(image)
        if several:
            raise ArgumentError("a row has one image, and this one has several")
        return images[0]
    except Error as error:
        return error.kind, str(error)


def run(
    out: Path,
    *,
    model: Path | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    retries: int = 3,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Runs the shards of a planned job as tasks of Ray, those that are not done; gives the job's status.

    `out` is a folder or URL that all machines reach, as are the images; `model` is the network's file where it lies elsewhere than it was planned with. Each task has
    `num_cpus` and `num_gpus`; `retries` is how often it is placed again where its process or its machine is lost. `progress` is called with the number of shards that are done, and of all of them.

    ```python
    hirescam.batch.plan("JOB.toml")
    hirescam.ray.run("s3://bucket/maps", num_cpus=4)
    ```
    """
    ray = _ray()
    out = batch._place(out)
    # A process of Ray's keeps the network ready for the tasks that come after.
    task = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=retries)(_shard)
    shards = batch.missing(out)
    waiting = [task.remote(out, shard, model and os.fspath(model), max(1, int(num_cpus))) for shard in shards]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            for error in ray.get(done):
                if error is not None:
                    raise error
            if progress is not None:
                progress(len(shards) - len(waiting), len(shards))
    finally:
        for left in waiting:
            ray.cancel(left)
    return batch.status(out)


def _shard(out: str, shard: int, model: str | None, threads: int) -> Error | None:
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    try:
        batch.run(out, shard, model=model, threads=threads)
    except Error as error:
        return error
    return None


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("hirescam.ray works on Ray's clusters, and Ray is not installed: pip install 'hirescam[ray]'") from error
    return ray
