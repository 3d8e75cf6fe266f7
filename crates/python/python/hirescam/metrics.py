"""How good is a map? Metrics of arrays as plain functions, each with its formula, its source and what it cannot show.

>>> import numpy as np
>>> map = np.array([[0.5, -1.0, 0.0], [3.0, 0.5, 0.0]])
>>> object = np.array([[True, False, False], [True, False, False]])
>>> hirescam.metrics.pointing_game(map, object, tolerance=1)
1.0
>>> hirescam.metrics.energy_pointing_game(map, object)
0.875

Maps are raw and signed, of any number of axes, of NumPy or any other library of tensors: an explanation's `e.map`, or a map from anywhere. What stands
beside a map has its shape: nothing is resized here. Sums are in float64.

A truth is a mask of the map's shape (true and false, or 1 and 0), or for maps of two axes a box or several, in cells of the map:
`(left, top, right, bottom)`, whole numbers from 0, with right and bottom the first beyond the box. Cells that are `void` count for neither side.

Where a metric has no value (a map of zeros, an object without cells), `UndefinedError` says why; it is never a number that stands for nothing. No number
says that a map is right. `METRICS` has a record for each metric.

Metrics that change the image take it as the network does, preprocessed and without an axis of the batch, a map with a cell for each of its places, and
`scorer`: a `Network` or an `Explainer`, of which `class_` says the class (else it is what the explainer explains, else the class that is best for the
image as it is), or a function that is given a batch of changed images `[N, …]` in float32, `batch` of them at a time, and gives a score for each, or a row
of scores, of which `class_` says the column. `channels` is the image's axis that counts channels; what is 0 in it is the mean colour where preprocessing
takes that off. `fill` is with what places are filled: a number, "mean" (of the channel), ("blur", size, sigma) or ("imputed", noise, seed).

>>> from PIL import Image
>>> image = np.asarray(Image.open("photos/seven.png").convert("L"), np.float32)[None] / 255
>>> net = hirescam.Network("digits-cnn.onnx")
>>> map = net.explain(image).heatmap(size=(28, 28))
>>> hirescam.metrics.deletion(map, image, scorer=net, steps=28) < hirescam.metrics.deletion(-map, image, scorer=net, steps=28)
True
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._errors import ArgumentError
from ._hirescam import Metrics, PointingGame
from ._images import numbers
from ._metric import METRICS, metric, real
from ._scored import (
    Measured,
    Request,
    adcc,
    aopc_lerf,
    aopc_morf,
    arcc,
    average_drop,
    average_gain,
    confidence_increase,
    deletion,
    infidelity,
    insertion,
    measure,
    mufidelity,
    road,
)

__all__ = [
    "METRICS",
    "Measured",
    "PointingGame",
    "Request",
    "THRESHOLDS",
    "adcc",
    "aopc_lerf",
    "aopc_morf",
    "arcc",
    "area_over_threshold",
    "average_drop",
    "average_gain",
    "best_threshold",
    "coherency",
    "completeness_error",
    "completeness_residual",
    "complexity",
    "confidence_increase",
    "dead_zone_ratio",
    "deletion",
    "energy_pointing_game",
    "entropy",
    "idle_share",
    "infidelity",
    "insertion",
    "iou",
    "ious",
    "is_difficult",
    "mask_of_boxes",
    "max_sensitivity",
    "measure",
    "mprt",
    "mufidelity",
    "neighbours",
    "organ_iou",
    "point",
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "road",
    "sparseness",
    "total_variation",
    "unused_share",
]

THRESHOLDS: tuple[float, ...] = tuple(Metrics.thresholds())
"""The thresholds that the author of HiResCAM chooses from: 0.004, 0.008, 0.012, 0.016, then 0.02, 0.04 … 0.98."""


@metric
def completeness_residual(map: Any, score: float, bias: float) -> float:
    """
    >>> hirescam.metrics.completeness_residual([[1.0, -0.5], [2.0, 0.0]], score=4.0, bias=1.0)
    0.5
    """
    return Metrics.completeness_residual(numbers(map), score, bias)


@metric
def completeness_error(map: Any, score: float, bias: float) -> float:
    """
    Undefined where score and bias are the same.

    >>> hirescam.metrics.completeness_error([[1.0, -0.5], [2.0, 0.0]], score=3.0, bias=1.0)
    0.25
    """
    return Metrics.completeness_error(numbers(map), score, bias)


@metric
def unused_share(map: Any, contributions: Any) -> float:
    """
    Undefined for a map without positive cells.

    >>> hirescam.metrics.unused_share([[3.0, 1.0]], contributions=[[0.5, -0.5]])
    0.25
    """
    return Metrics.unused_share(numbers(map), numbers(contributions))


@metric
def idle_share(map: Any, contributions: Any, *, tolerance: float = 0.0) -> float:
    """
    `tolerance` is in units of the score and stands for rounding: 0 for a gradient that is 0, about 1e-6 times the score for differences of scores in
    float32. Undefined for a map of zeros.

    >>> hirescam.metrics.idle_share([[3.0, -1.0]], contributions=[[0.5, 0.0]])
    0.25
    """
    return Metrics.idle_share(numbers(map), numbers(contributions), tolerance)


@metric
def dead_zone_ratio(map: Any, dead: Any) -> float:
    """
    `dead` is a mask, or boxes, of the places that the score cannot depend on. Undefined for a map of zeros.

    >>> hirescam.metrics.dead_zone_ratio([[3.0, 4.0]], dead=[[True, False]])
    0.6
    """
    return Metrics.dead_zone_ratio(numbers(map), _truth(map, dead))


def point(map: Any) -> tuple[int, ...]:
    """The strongest place of a map: the indices of its largest value, of equal ones the first. Undefined where it is the same everywhere.

    >>> hirescam.metrics.point([[0.0, 1.0], [3.0, 2.0]])
    (1, 0)
    """
    return tuple(Metrics.point(numbers(map)))


@metric
def pointing_game(map: Any, object: Any, *, tolerance: float = 15.0) -> float:
    """
    `object` is a mask or boxes. The usual tolerance is 15 pixels of the image as the data set has it, so the map is resized to that first; 0 asks for the
    object itself. Undefined for a map that is the same everywhere, and for an object without cells.

    >>> hirescam.metrics.pointing_game([[0.0, 1.0], [3.0, 2.0]], (1, 0, 2, 2), tolerance=0)
    0.0
    >>> hirescam.metrics.pointing_game([[0.0, 1.0], [3.0, 2.0]], (1, 0, 2, 2), tolerance=1.5)
    1.0
    """
    return float(Metrics.pointing_game(numbers(map), _truth(map, object), tolerance))


def is_difficult(area: float, image_area: float, other_classes: int) -> bool:
    """Whether an image counts to the *difficult* subset of the pointing game for a class: its boxes, of the summed `area`, cover less than a quarter of the image,
    and there is another class beside it. Zhang et al. 2018, arXiv:1608.00507.

    >>> hirescam.metrics.is_difficult(area=24, image_area=100, other_classes=1)
    True
    """
    return Metrics.is_difficult(area, image_area, other_classes)


@metric
def energy_pointing_game(map: Any, object: Any, *, void: Any = None) -> float:
    """
    `object` and `void` are masks or boxes. Undefined for a map without positive cells, and for an object without cells.

    >>> hirescam.metrics.energy_pointing_game([[3.0, 1.0], [-5.0, 0.0]], (0, 0, 1, 2))
    0.75
    """
    return Metrics.energy_pointing_game(numbers(map), _truth(map, object), _void(map, void))


@metric
def relevance_mass(map: Any, object: Any, *, void: Any = None) -> float:
    """
    `object` and `void` are masks or boxes. Undefined for a map of zeros, and for an object without cells.

    >>> hirescam.metrics.relevance_mass([[3.0, 1.0], [-5.0, 1.0]], (0, 0, 1, 2))
    0.8
    """
    return Metrics.relevance_mass(numbers(map), _truth(map, object), _void(map, void))


@metric
def relevance_rank(map: Any, object: Any, *, void: Any = None) -> float:
    """
    `object` and `void` are masks or boxes. Places with the same value that do not all fit count with the share of them that does. Undefined for an object
    without cells.

    >>> hirescam.metrics.relevance_rank([[3.0, 4.0], [-5.0, 1.0]], (0, 0, 1, 2))
    0.5
    """
    return Metrics.relevance_rank(numbers(map), _truth(map, object), _void(map, void))


@metric
def iou(map: Any, object: Any, *, threshold: float, void: Any = None) -> float:
    """
    `object` and `void` are masks or boxes; the threshold lies within 0 and 1. Undefined for an object without cells.

    >>> hirescam.metrics.iou([[4.0, 3.0], [0.0, 1.0]], (0, 0, 1, 2), threshold=0.5)
    0.3333333333333333
    """
    return Metrics.iou(numbers(map), _truth(map, object), _void(map, void), threshold)


def ious(map: Any, object: Any, *, void: Any = None) -> list[float]:
    """`iou` at each of `THRESHOLDS`.

    >>> values = hirescam.metrics.ious([[4.0, 3.0], [0.0, 1.0]], (0, 0, 1, 2))
    >>> len(values), max(values)
    (53, 0.5)
    """
    return Metrics.ious(numbers(map), _truth(map, object), _void(map, void))


def best_threshold(rows: Iterable[Sequence[float]]) -> float:
    """Which of `THRESHOLDS` has the highest mean over images; of equal ones the lowest. Each row is what `ious` gives for an image, of other images than
    those that are measured.

    >>> hirescam.metrics.best_threshold([hirescam.metrics.ious([[4.0, 3.0], [0.0, 1.0]], (0, 0, 1, 2))])
    0.76
    """
    return THRESHOLDS[Metrics.best_threshold([[float(value) for value in row] for row in rows])]


@metric
def organ_iou(map: Any, allowed: Any, *, threshold: float, perfect: Literal[0, 1] = 1, void: Any = None) -> float:
    """
    `allowed` and `void` are masks or boxes; the threshold lies within 0 and 1. `perfect` is what a map gets of which nothing lies beyond what is allowed: 1
    by the formula, 0 in the author's code. 0 where no place is above the threshold.

    >>> hirescam.metrics.organ_iou([[4.0, 3.0], [0.0, 1.0]], (0, 0, 1, 2), threshold=0.5)
    0.5
    """
    return Metrics.organ_iou(numbers(map), _truth(map, allowed), _void(map, void), threshold, perfect)


@metric
def area_over_threshold(map: Any, *, threshold: float) -> float:
    """
    The threshold lies within 0 and 1. 0 where no cell is positive.

    >>> hirescam.metrics.area_over_threshold([[4.0, 3.0], [0.0, 1.0]], threshold=0.5)
    0.5
    """
    return Metrics.area_over_threshold(numbers(map), threshold)


@metric
def total_variation(map: Any) -> float:
    """
    Undefined for a map of zeros or of a single cell.

    >>> hirescam.metrics.total_variation([[0.0, 1.0], [1.0, 0.0]])
    1.0
    """
    return Metrics.total_variation(numbers(map))


@metric
def sparseness(map: Any) -> float:
    """
    Undefined for a map of zeros.

    >>> hirescam.metrics.sparseness([[0.0, 0.0], [-3.0, 0.0]])
    0.75
    """
    return Metrics.sparseness(numbers(map))


@metric
def entropy(map: Any) -> float:
    """
    Undefined for a map of zeros.

    >>> hirescam.metrics.entropy([[0.0, 0.0], [-3.0, 0.0]])
    0.0
    """
    return Metrics.entropy(numbers(map))


@metric
def complexity(map: Any) -> float:
    """
    >>> hirescam.metrics.complexity([[0.0, 1.0], [0.5, 0.5]])
    0.5
    """
    return Metrics.complexity(numbers(map))


@metric
def coherency(map: Any, of_kept: Any) -> float:
    """
    Undefined where one of the maps is the same everywhere.

    >>> round(hirescam.metrics.coherency([[0.0, 1.0], [0.5, 0.5]], of_kept=[[0.0, 2.0], [1.0, 1.0]]), 12)
    1.0
    """
    return Metrics.coherency(numbers(map), numbers(of_kept))


@metric
def max_sensitivity(map: Any, of_neighbours: Iterable[Any], *, relative: bool = True) -> float:
    """
    `of_neighbours` are the maps of images close to the image, for the same class; `neighbours` draws such images. Undefined for a map of zeros where it is
    relative.

    >>> hirescam.metrics.max_sensitivity([3.0, 4.0], [[3.0, 5.0], [3.0, 4.0]])
    0.2
    """
    return Metrics.max_sensitivity(numbers(map), [numbers(other) for other in of_neighbours], relative)


def neighbours(image: Any, *, radius: float = 0.02, samples: int = 10, seed: int = 0) -> NDArray[np.float32]:
    """Images close to an image, for `max_sensitivity`: each value moved by a random amount within ± `radius`, uniformly. They are float32, one more axis in
    front. A seed gives the same images everywhere.

    >>> import numpy as np
    >>> images = hirescam.metrics.neighbours(np.zeros((3, 8, 8)), samples=2)
    >>> images.shape, bool(abs(images).max() <= 0.02)
    ((2, 3, 8, 8), True)
    """
    if samples < 1 or seed < 0 or not np.isfinite(radius):
        raise ArgumentError(f"samples={samples}, radius={radius}, seed={seed}: it takes at least one sample, a number, and a seed of at least 0")
    return np.stack(Metrics.neighbours(real(image).astype(np.float32), radius, samples, seed))


@metric
def mprt(map: Any, randomised: Iterable[Any], *, attention: Literal["positive", "absolute"] | None = None) -> list[float | None]:
    """
    `randomised` are the maps of the networks with random weights, and there is a value for each: none for a map that is the same everywhere. `attention`
    says what is correlated: the values, what is positive of them, or their sizes. Undefined where the map itself is the same everywhere.

    >>> hirescam.metrics.mprt([1.0, -2.0, 3.0], [[2.0, 0.0, 9.0], [-1.0, 2.0, -3.0], [0.0, 0.0, 0.0]])
    [1.0, -1.0, None]
    """
    return Metrics.mprt(numbers(map), [numbers(other) for other in randomised], attention)


def mask_of_boxes(shape: Sequence[int], boxes: Any) -> NDArray[np.bool_]:
    """A mask `[height, width]` that is true within boxes `(left, top, right, bottom)`, one or several: whole numbers from 0, with right and bottom the first
    beyond the box. What lies beyond the mask is cut off.

    >>> hirescam.metrics.mask_of_boxes((2, 3), (1, 0, 5, 1))
    array([[False,  True,  True],
           [False, False, False]])
    """
    each = real(boxes)
    if len(shape) != 2 or each.shape[-1:] != (4,) or each.ndim > 2:
        raise ArgumentError(
            f"boxes {list(each.shape)} in a map {list(shape)}: a box is (left, top, right, bottom) in a map of two axes; else a truth is a mask of the map's shape"
        )
    each = each.reshape(-1, 4)
    if not (np.isfinite(each).all() and np.array_equal(each, np.floor(each))):
        raise ArgumentError("a box has numbers that are not whole: it is in cells of the map, from 0, right and bottom the first beyond it")
    if (each[:, :2] > each[:, 2:]).any():
        raise ArgumentError("a box ends before it begins: it is (left, top, right, bottom)")
    mask = np.zeros(tuple(shape), np.bool_)
    # What lies beyond the mask may be more than an index can be.
    for left, top, right, bottom in np.clip(each.astype(np.float64), 0, max(shape)).astype(np.int64).tolist():
        mask[top:bottom, left:right] = True
    return mask


def _truth(map: Any, truth: Any) -> NDArray[Any]:
    """A mask, from itself or from boxes: what has the map's shape, or holds truth values, is a mask."""
    shape, made = numbers(map).shape, numbers(truth)
    if made.dtype == np.bool_ or made.shape == shape:
        return made
    return mask_of_boxes(shape, made)


def _void(map: Any, void: Any) -> NDArray[Any] | None:
    return None if void is None else _truth(map, void)
