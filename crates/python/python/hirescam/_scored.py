"""Metrics that change the image and look at what becomes of the score. They are part of `hirescam.metrics`, which says what they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _hirescam
from ._errors import ArgumentError, Error, NotFoundError
from ._images import numbers
from ._metric import metric, real
from ._network import Explainer, Network

Scorer = Callable[[NDArray[np.float32]], Any] | Network | Explainer
Fill = float | Literal["mean"] | tuple[Literal["blur"], int, float] | tuple[Literal["imputed"], float, int]


@metric
def deletion(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.deletion([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    3.75
    """
    return _scored("deletion", map, image, scorer, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def insertion(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = ("blur", 11, 5.0),
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.insertion([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)), fill=0.0)
    6.25
    """
    return _scored("insertion", map, image, scorer, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def aopc_morf(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.aopc_morf([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    6.0
    """
    return _scored("aopc-morf", map, image, scorer, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def aopc_lerf(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    steps: int = 224,
    share: float = 1.0,
    patch: int = 1,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    Places are filled in `steps` steps, at most, up to `share` of them; a place is a `patch` of so many cells along each axis. `seed` orders places where the
    map has the same value.

    >>> hirescam.metrics.aopc_lerf([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)))
    4.0
    """
    return _scored("aopc-lerf", map, image, scorer, class_, channels, batch, dict(steps=steps, share=share, patch=patch, fill=fill, seed=seed))


@metric
def average_drop(map: Any, image: Any, scorer: Scorer, *, class_: int | str | None = None, channels: int = 0, batch: int = 32) -> float:
    """
    The scores are probabilities. Undefined where the image's is 0.

    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.average_drop([1.0, 0.0], [[1.0, 1.0]], score)
    0.5
    """
    return _scored("average-drop", map, image, scorer, class_, channels, batch, {})


@metric
def confidence_increase(map: Any, image: Any, scorer: Scorer, *, class_: int | str | None = None, channels: int = 0, batch: int = 32) -> float:
    """
    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.confidence_increase([0.0, 1.0], [[1.0, 1.0]], score)
    1.0
    """
    return _scored("confidence-increase", map, image, scorer, class_, channels, batch, {})


@metric
def average_gain(map: Any, image: Any, scorer: Scorer, *, class_: int | str | None = None, channels: int = 0, batch: int = 32) -> float:
    """
    The scores are probabilities. Undefined where the image's is 1.

    >>> def score(batch):
    ...     return 0.5 - 0.25 * batch[:, 0, 0] + 0.25 * batch[:, 0, 1]
    >>> hirescam.metrics.average_gain([0.0, 1.0], [[1.0, 1.0]], score)
    0.5
    """
    return _scored("average-gain", map, image, scorer, class_, channels, batch, {})


@metric
def road(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    seed: int = 0,
    removed: Literal["strongest", "weakest", "both"] = "both",
    class_: int | str | None = None,
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
    return _scored("road", map, image, scorer, class_, channels, batch, dict(shares=list(shares), noise=noise, seed=seed, removed=removed))


@metric
def infidelity(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    sigma: float = 0.2,
    patch: int | None = None,
    fill: Fill = 0.0,
    samples: int = 1000,
    seed: int = 0,
    scaled: bool = False,
    class_: int | str | None = None,
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
        "infidelity", map, image, scorer, class_, channels, batch, dict(sigma=sigma, patch=patch, fill=fill, samples=samples, seed=seed, scaled=scaled)
    )


@metric
def mufidelity(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    samples: int = 200,
    share: float = 0.2,
    grid: int = 9,
    fill: Fill = 0.0,
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    `samples` sets of a `share` of places are filled, which are the cells of a `grid` of so many along each axis, at most. Undefined where map or score are the
    same for all sets.

    >>> round(hirescam.metrics.mufidelity([[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]], lambda batch: batch.sum((1, 2, 3)), share=0.5), 6)
    1.0
    """
    return _scored("mufidelity", map, image, scorer, class_, channels, batch, dict(samples=samples, share=share, grid=grid, fill=fill, seed=seed))


@metric
def adcc(map: Any, image: Any, scorer: Scorer, *, of_kept: Any, class_: int | str | None = None, channels: int = 0, batch: int = 32) -> float:
    """
    `of_kept` is the map of the image multiplied by the map, for the same class. The scores are probabilities.

    >>> map = [1.0, 0.5, 0.0]
    >>> round(hirescam.metrics.adcc(map, [[1.0, 1.0, 1.0]], lambda batch: batch.mean((1, 2)), of_kept=map), 6)
    0.6
    """
    return _scored("adcc", map, image, scorer, class_, channels, batch, dict(of_kept=numbers(of_kept)))


@metric
def arcc(
    map: Any,
    image: Any,
    scorer: Scorer,
    *,
    of_kept: Any,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    noise: float = 0.01,
    seed: int = 0,
    class_: int | str | None = None,
    channels: int = 0,
    batch: int = 32,
) -> float:
    """
    `of_kept` is the map of the image multiplied by the map, for the same class; the other options are those of `road`. The scores are probabilities.

    >>> import numpy as np
    >>> map, image = np.eye(6), np.eye(6)[None]
    >>> 0 <= hirescam.metrics.arcc(map, image, lambda batch: batch.mean((1, 2, 3)), of_kept=map, noise=0.0) <= 1
    True
    """
    return _scored("arcc", map, image, scorer, class_, channels, batch, dict(of_kept=numbers(of_kept), shares=list(shares), noise=noise, seed=seed))


PROBABILITIES = frozenset({"average-drop", "confidence-increase", "average-gain", "adcc", "arcc"})
"""The metrics whose scores are probabilities."""


class Request:
    """A metric of a map, for `measure`: its name, the map, and the options of the metric's function."""

    def __init__(self, metric: str, map: Any, *, class_: int | str | None = None, **options: Any) -> None:
        self.metric, self.map, self.class_ = metric.replace("_", "-"), map, class_
        function = globals().get(metric.replace("-", "_")) if self.metric in _SCORED else None
        if function is None:
            raise NotFoundError(f"no metric {metric!r} scores images: there are {', '.join(_SCORED)}", sought="metric", name=metric)
        known = {name: p.default for name, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY and name not in _SHARED}
        unknown = next((name for name in options if name not in known), None)
        if unknown is not None:
            raise NotFoundError(f"{metric} has no option {unknown!r}: it has {', '.join(known) or 'none'}", sought="option", name=unknown)
        self.options = {**known, **options}
        missing = next((name for name, value in self.options.items() if value is inspect.Parameter.empty), None)
        if missing is not None:
            raise ArgumentError(f"{metric} needs {missing}=")


class Measured(NamedTuple):
    """What came of requests."""

    values: list[Any]
    """The metrics' values in the order of the requests; the exception in the place of one that has none."""
    images: int
    """How many images were scored."""


def measure(image: Any, requests: Iterable[Request], scorer: Scorer, *, channels: int = 0, batch: int = 32) -> Measured:
    """Several metrics of one image, of any maps and classes: each changed image is scored once, whoever asks for it.

    >>> from hirescam.metrics import Request
    >>> map, image = [[4.0, 3.0, 2.0, 1.0]], [[[4.0, 3.0, 2.0, 1.0]]]
    >>> asked = [Request("deletion", map), Request("aopc_morf", map)]
    >>> hirescam.metrics.measure(image, asked, lambda batch: batch.sum((1, 2, 3)))
    Measured(values=[3.75, 6.0], images=5)
    """
    taken, asked = real(image).astype(np.float32), list(requests)
    axis = channels + taken.ndim if channels < 0 else channels
    if not 0 <= axis < taken.ndim or batch < 1:
        raise ArgumentError(f"an image {list(taken.shape)} with channels={channels}, batch={batch}: there is no such thing")
    columns: Sequence[int | str]
    if isinstance(scorer, (Network, Explainer)):
        scores, columns = _of_network(scorer, taken, asked)
    else:
        scores, columns = _of_function(scorer), [0 if one.class_ is None else one.class_ for one in asked]
    wrong = next((column for column in columns if not isinstance(column, (int, np.integer)) or column < 0), None)
    if wrong is not None:
        raise ArgumentError(f"class_={wrong!r}: it is the number of a column of what the scorer gives")
    rows = [(one.metric, numbers(one.map), int(column), {**one.options, **_arrays(one.options)}) for one, column in zip(asked, columns)]
    return Measured(*_hirescam.scored(rows, taken, axis, scores, batch))


def _arrays(options: dict[str, Any]) -> dict[str, Any]:
    """Options in the form in which they are read."""
    made: dict[str, Any] = {"of_kept": numbers(options["of_kept"])} if "of_kept" in options else {}
    return {**made, "shares": list(options["shares"])} if "shares" in options else made


def _of_function(scorer: Callable[[NDArray[np.float32]], Any]) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    def scores(images: NDArray[np.float32]) -> NDArray[np.float64]:
        made = real(scorer(images)).astype(np.float64)
        if made.ndim not in (1, 2):
            raise ArgumentError(f"the scorer gave {list(made.shape)} for {len(images)} images: it gives a score for each, or a row of scores")
        return made if made.ndim == 2 else made[:, None]

    return scores


def _of_network(
    scorer: Network | Explainer, image: NDArray[np.float32], asked: Sequence[Request]
) -> tuple[Callable[[NDArray[np.float32]], NDArray[np.float64]], list[int]]:
    """Scores and probabilities by a network, and which of them each request reads: of its class, else of what the explainer explains, else of the image's best."""
    ready: dict[int | str | None, Explainer] = {}
    columns = []
    for one in asked:
        if one.class_ not in ready:
            ready[one.class_] = _fixed(scorer, image, one.class_)
        columns.append(2 * list(ready).index(one.class_) + (one.metric in PROBABILITIES))
    read = set(columns)

    def scores(images: NDArray[np.float32]) -> NDArray[np.float64]:
        made = []
        for number, explainer in enumerate(ready.values()):
            explained = explainer.explain(images, progress=False)
            probabilities = [e.probability for e in explained]
            if 2 * number + 1 in read and None in probabilities:
                raise ArgumentError("the network gives no probabilities, which this metric reads: score= says what makes them of its output")
            made += [[e.score for e in explained], [0.0 if p is None else p for p in probabilities]]
        return np.array(made, np.float64).T

    return scores, columns


def _fixed(scorer: Network | Explainer, image: NDArray[np.float32], class_: int | str | None) -> Explainer:
    """What explains the same class of all images."""
    spec = scorer.spec if isinstance(scorer, Explainer) else scorer.spec()
    network = scorer.network if isinstance(scorer, Explainer) else scorer
    if class_ is None and (spec.class_ or spec.target):
        return scorer if isinstance(scorer, Explainer) else network.explainer()
    spec = spec.replace(top=1)
    if class_ is None:
        best = network.explainer(spec=spec).explain(image[None], progress=False)
        class_ = (best[0] if isinstance(best, list) else best).class_
    return network.explainer(spec=spec.replace(class_=class_))


def _scored(
    name: str, map: Any, image: Any, scorer: Scorer, class_: int | str | None, channels: int, batch: int, options: dict[str, Any]
) -> float:
    [value] = measure(image, [Request(name, map, class_=class_, **options)], scorer, channels=channels, batch=batch).values
    if isinstance(value, Error):
        raise value
    return float(value)


_SHARED = ("class_", "channels", "batch")
_SCORED = [name.replace("_", "-") for name, one in list(globals().items()) if "scorer" in getattr(one, "__annotations__", {}) and not name.startswith("_") and name != "measure"]
