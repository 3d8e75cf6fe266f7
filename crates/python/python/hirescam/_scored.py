"""Metrics that change the image and look at what becomes of the score. They are part of `hirescam.metrics`, which says what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import _hirescam
from ._errors import ArgumentError
from ._images import numbers
from ._metric import metric, real

Score = Callable[[NDArray[np.float32]], Any]
Fill = float | Literal["mean"] | tuple[Literal["blur"], int, float] | tuple[Literal["imputed"], float, int]


@metric
def deletion(
    map: Any,
    image: Any,
    score: Score,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.deletion([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    3.75
    """
    return _scored("deletion", map, image, score, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def insertion(
    map: Any,
    image: Any,
    score: Score,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = ("blur", 11, 5.0),
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.insertion([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)), fill=0.0)
    6.25
    """
    return _scored("insertion", map, image, score, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def aopc_morf(
    map: Any,
    image: Any,
    score: Score,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.aopc_morf([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    6.0
    """
    return _scored("aopc-morf", map, image, score, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def aopc_lerf(
    map: Any,
    image: Any,
    score: Score,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.aopc_lerf([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    4.0
    """
    return _scored("aopc-lerf", map, image, score, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def average_drop(map: Any, image: Any, score: Score, *, class_: int = 0, channels: int = 0, batch: int = 32) -> float:
    """
    The scores are probabilities. Undefined where the image's is 0.

    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.average_drop([1.0, 0.0], [[1.0, 1.0]], score)
    0.5
    """
    return _scored("average-drop", map, image, score, class_, channels, batch, {})


@metric
def confidence_increase(map: Any, image: Any, score: Score, *, class_: int = 0, channels: int = 0, batch: int = 32) -> float:
    """
    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.confidence_increase([0.0, 1.0], [[1.0, 1.0]], score)
    1.0
    """
    return _scored("confidence-increase", map, image, score, class_, channels, batch, {})


@metric
def average_gain(map: Any, image: Any, score: Score, *, class_: int = 0, channels: int = 0, batch: int = 32) -> float:
    """
    The scores are probabilities. Undefined where the image's is 1.

    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.average_gain([0.0, 1.0], [[1.0, 1.0]], score)
    0.5
    """
    return _scored("average-gain", map, image, score, class_, channels, batch, {})


@metric
def road(
    map: Any,
    image: Any,
    score: Score,
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    seed: int = 0,
    removed: Literal["strongest", "weakest", "both"] = "both",
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    `shares` of the places are removed, one after the other; `noise` is the deviation of what is added, in units of the image. Of one end alone it is the
    mean change of the score: lower is better for the strongest, higher for the weakest.

    >>> import numpy as np
    >>> map, image = np.eye(6), np.eye(6)[None]
    >>> hirescam.metrics.road(map, image, lambda batch: batch.sum((1, 2, 3))) > 0
    True
    """
    return _scored("road", map, image, score, class_, channels, batch, dict(shares=list(shares), noise=noise, seed=seed, removed=removed))


@metric
def infidelity(
    map: Any,
    image: Any,
    score: Score,
    *,
    sigma: float = 0.2,
    patch: int | None = None,
    fill: Fill = 0.0,
    samples: int = 1000,
    seed: int = 0,
    scaled: bool = False,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    What is taken off is noise of the deviation `sigma`, and the map has the image's shape and is in units of the score over the image's, as a gradient is;
    or a `patch` of so many cells along each axis, and the map has a cell for each place and is in units of the score. `scaled` sets the map's scale free.

    >>> contributions, image = [[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]]
    >>> hirescam.metrics.infidelity(contributions, image, lambda batch: batch.sum((1, 2, 3)), patch=1)
    0.0
    """
    return _scored(
        "infidelity", map, image, score, class_, channels, batch, dict(sigma=sigma, patch=patch, fill=fill, samples=samples, seed=seed, scaled=scaled)
    )


@metric
def mufidelity(
    map: Any,
    image: Any,
    score: Score,
    *,
    samples: int = 200,
    share: float = 0.2,
    grid: int = 9,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    `samples` sets of a `share` of places are filled, which are the cells of a `grid` of so many along each axis, at most. Undefined where map or score are the
    same for all sets.

    >>> round(hirescam.metrics.mufidelity([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)), share=0.5), 6)
    1.0
    """
    return _scored("mufidelity", map, image, score, class_, channels, batch, dict(samples=samples, share=share, grid=grid, fill=fill, seed=seed))


@metric
def adcc(map: Any, image: Any, score: Score, *, of_kept: Any, class_: int = 0, channels: int = 0, batch: int = 32) -> float:
    """
    `of_kept` is the map of the image multiplied by the map, for the same class. The scores are probabilities.

    >>> map = [1.0, 0.5, 0.0]
    >>> round(hirescam.metrics.adcc(map, [[1.0, 1.0, 1.0]], lambda batch: batch.mean((1, 2)), of_kept=map), 6)
    0.6
    """
    return _scored("adcc", map, image, score, class_, channels, batch, dict(of_kept=numbers(of_kept)))


@metric
def arcc(
    map: Any,
    image: Any,
    score: Score,
    *,
    of_kept: Any,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    noise: float = 0.01,
    seed: int = 0,
    class_: int = 0,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    `of_kept` is the map of the image multiplied by the map, for the same class; the other options are those of `road`. The scores are probabilities.

    >>> import numpy as np
    >>> map, image = np.eye(6), np.eye(6)[None]
    >>> 0 <= hirescam.metrics.arcc(map, image, lambda batch: batch.mean((1, 2, 3)), of_kept=map) <= 1
    True
    """
    return _scored("arcc", map, image, score, class_, channels, batch, dict(of_kept=numbers(of_kept), shares=list(shares), noise=noise, seed=seed))


def _scored(name: str, map: Any, image: Any, score: Score, column: int, channels: int, batch: int, options: dict[str, Any]) -> float:
    taken = real(image).astype(np.float32)
    axis = channels + taken.ndim if channels < 0 else channels
    if not 0 <= axis < taken.ndim or column < 0 or batch < 1:
        raise ArgumentError(f"an image {list(taken.shape)} with channels={channels}, class_={column}, batch={batch}: there is no such thing")

    def scores(images: NDArray[np.float32]) -> NDArray[np.float64]:
        made = real(score(images)).astype(np.float64)
        if made.ndim not in (1, 2):
            raise ArgumentError(f"score gave {list(made.shape)} for {len(images)} images: it gives a score for each, or a row of scores")
        return made if made.ndim == 2 else made[:, None]

    return _hirescam.scored(name, numbers(map), taken, axis, scores, column, batch, options)
