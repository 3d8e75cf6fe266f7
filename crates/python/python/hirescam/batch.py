"""Jobs of many images: planned once, run in shards by anybody, resumable, each row there exactly once.

These are the commands `hirescam batch …` as functions; the documentation of jobs has what a job's file says, what lies where, and the columns of the rows.

>>> import hirescam.batch, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png", "photos/three.png"], out=folder)
...     ran = hirescam.batch.run(folder)
...     files = hirescam.batch.files(folder)
...     problems = hirescam.batch.verify(folder)["problems"]
>>> planned["images"], ran["failed"], len(files), problems
(2, 0, 1, [])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _hirescam
from ._errors import ArgumentError, ChangedError
from ._hirescam import Spec
from ._kept import Kept
from ._options import to_json

if TYPE_CHECKING:
    from ._types import Path

__all__ = ["files", "merge", "missing", "plan", "retry", "run", "status", "verify"]

_WORKERS: Kept[tuple[str, str, int], _hirescam.Worker] = Kept(1)


def plan(
    job: Path | None = None,
    *,
    model: Path | None = None,
    inputs: Path | Mapping[str, Any] | Sequence[Path | Mapping[str, Any]] | None = None,
    out: Path | None = None,
    shard_size: int | None = None,
    rows: Mapping[str, Any] | None = None,
    max_errors: int | str | None = None,
    spec: Spec | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plans a job: lists its images, cuts them into shards, and writes that into `out`. Gives how many images and shards there are.

    `job` is the job's file; the keywords are what such a file says, where there is none. What is planned already stays as it is; where it is
    another job, that is an error which says what changed.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs="photos/*.png", out=folder, shard_size=2, spec={"top": 3})
    >>> planned["shards"]
    2
    """
    said = {"model": model, "inputs": inputs, "out": out, "shard_size": shard_size, "rows": rows, "max_errors": max_errors}
    said = {name: value for name, value in said.items() if value is not None}
    if isinstance(job, Mapping):
        raise ArgumentError("what is planned first is a job's file; what such a file says goes as keywords: plan(**job)")
    if job is not None:
        if said or spec is not None:
            raise ArgumentError("the job's file says all of it: give either the file or the keywords")
        return _hirescam.batch_plan(os.fspath(job), None)
    if not isinstance(spec, Spec):
        spec = Spec(**(spec or {}))
    return _hirescam.batch_plan(None, to_json({**said, "spec": spec.to_dict()}))


def run(
    out: Path,
    shard: int | None = None,
    *,
    model: Path | None = None,
    threads: int = 0,
    max_errors: int | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Runs what is not done of a planned job: one shard, or all of them here.

    `out` is where the job lies, or its file; what the file says by now of `model`, `max_errors` and threads holds where nothing is given. `model` is the network's file where it lies elsewhere on this machine than it was planned with; it has to be the same file.
    `threads` is how many threads work; 0 takes all cores. With `max_errors`, a number or a share as `"5%"`, a run gives up once more images failed. `progress` is called
    with the number of images that are done, and of all that were not.

    A process keeps the network ready for the shards that come after. Whoever else runs a shard meanwhile, one of them counts.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs="photos/*.png", out=folder, shard_size=2)
    ...     hirescam.batch.run(folder, 1)["shard"], hirescam.batch.missing(folder)
    (1, [0])
    """
    if shard is not None and shard < 0:
        raise ArgumentError(f"shards are numbered from 0 on, and none is {shard}")
    place, options = _named(out, model, threads, max_errors)
    if shard is None:
        return _hirescam.batch_run(place, options, _of_images(progress))
    key = place, options, os.getpid()
    try:
        return _WORKERS.of(key, lambda: _hirescam.Worker(place, options)).run(shard, _of_images(progress))
    except ChangedError:
        # Where another job lies there by now, it is that one's worker who is asked.
        _WORKERS.forget(key)
        return _WORKERS.of(key, lambda: _hirescam.Worker(place, options)).run(shard, _of_images(progress))


def retry(
    out: Path,
    *,
    model: Path | None = None,
    threads: int = 0,
    max_errors: int | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Runs those shards again in which images failed; what comes of them stands for what was there.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png"], out=folder)
    ...     hirescam.batch.run(folder)["failed"], hirescam.batch.retry(folder)["failed"]
    (0, 0)
    """
    return _hirescam.batch_retry(*_named(out, model, threads, max_errors), _of_images(progress))


def status(out: Path) -> dict[str, Any]:
    """How far a job is: shards and images done, failed, and of all.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png"], out=folder)
    ...     status = hirescam.batch.status(folder)
    >>> status["shards"]
    1
    """
    return _hirescam.batch_status(_place(out))


def missing(out: Path) -> list[int]:
    """The shards of a job that are not done.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png"], out=folder)
    ...     hirescam.batch.missing(folder)
    [0]
    """
    return _hirescam.batch_missing(_place(out))


def files(out: Path) -> list[str]:
    """The Parquet files that hold the rows, as paths or URLs: those that count, and no others that lie there. It takes a job, and what engines brought together.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png"], out=folder)
    ...     hirescam.batch.files(folder)
    []
    """
    return _hirescam.batch_files(_place(out))


def merge(out: Path, to: Path) -> dict[str, Any]:
    """Writes the rows of a job as one Parquet file.

    >>> import hirescam.batch, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job, file = os.path.join(folder, "job"), os.path.join(folder, "all.parquet")
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs="photos/*.png", out=job, shard_size=2)
    ...     ran = hirescam.batch.run(job)
    ...     merged = hirescam.batch.merge(job, file)
    ...     os.path.exists(file)
    True
    """
    return _hirescam.batch_merge(_place(out), os.fspath(to))


def verify(out: Path) -> dict[str, Any]:
    """Reads all that a job wrote, and says in `problems` what is not as it should be: an image that is missing or there twice, rows that are not what their
    receipt says, rows of another network or spec; and in `missing` how many shards are not done. It takes what engines brought together, too.

    >>> import hirescam.batch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     planned = hirescam.batch.plan(model="digits-cnn.onnx", inputs=["photos/seven.png"], out=folder)
    ...     found = hirescam.batch.verify(folder)
    >>> found["problems"], found["missing"]
    ([], 1)
    """
    return _hirescam.batch_verify(_place(out))


def _named(out: Path, model: Path | None, threads: int, max_errors: int | str | None) -> tuple[str, str]:
    """Where a job lies, which can be named by its file, too, and how it is run, as JSON."""
    options = {"model": model, "threads": threads or None, "max_errors": max_errors}
    return _hirescam.batch_named(os.fspath(out), to_json({name: value for name, value in options.items() if value is not None}))


def _place(out: Path) -> str:
    """Where a job lies."""
    return _named(out, None, 0, None)[0]


def _of_images(progress: Callable[[int, int], object] | None) -> Callable[[int, int, int], object] | None:
    return None if progress is None else lambda _, done, of: progress(done, of)
