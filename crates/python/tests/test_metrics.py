"""Metrics as functions: closed forms, other people's numbers, and what is refused."""

from __future__ import annotations

import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import hirescam
import numpy as np
import pytest
from hirescam import metrics

GOLDEN = "metrics/arrays.json"


def golden(part: str) -> Any:
    read: dict[str, Any] = json.loads(Path(GOLDEN).read_text(encoding="utf-8"))
    return read[part]


def array(of: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.array(of["data"]).reshape(of["shape"])


def close(a: object, b: object) -> bool:
    return bool(np.allclose(np.array(a, float), np.array(b, float), rtol=1e-12, atol=1e-12))


def test_there_is_a_function_for_every_metric() -> None:
    for row in metrics.METRICS:
        name = row["name"].replace("-", "_")
        function = getattr(metrics, name)
        assert name in metrics.__all__ and next(iter(inspect.signature(function).parameters)) == "map"
        assert all(row[key] in function.__doc__ for key in ("what", "formula", "range", "better", "blind", "source")) and ">>>" in function.__doc__
    assert all(set(row) == {"name", "what", "formula", "range", "better", "needs", "blind", "source"} for row in metrics.METRICS)


def test_places_are_found_as_by_others() -> None:
    assert tuple(golden("thresholds")) == metrics.THRESHOLDS
    for case in golden("located"):
        map, mask = array(case["map"]), array(case["mask"])
        assert metrics.pointing_game(map, mask, tolerance=1) == case["pointing_quantus"]
        for tolerance, hit in case["pointing_torchray"].items():
            assert metrics.pointing_game(map, mask, tolerance=int(tolerance)) == hit
        assert close(metrics.energy_pointing_game(map, mask), case["energy"])
        assert close(metrics.relevance_mass(map, mask), case["mass"])
        assert close(metrics.relevance_rank(map, mask), case["rank"])
        assert close(metrics.ious(map, mask), case["iou"])
        for i, threshold in enumerate(metrics.THRESHOLDS):
            assert close(metrics.iou(map, mask, threshold=threshold), case["iou"][i])
            assert close(metrics.organ_iou(map, mask, threshold=threshold), case["organ_iou"][i])
            assert close(metrics.organ_iou(map, mask, threshold=threshold, perfect=0), case["organ_iou_as_coded"][i])
            assert close(metrics.area_over_threshold(map, threshold=threshold), case["area"][i])


def test_maps_are_measured_as_by_others() -> None:
    for case in golden("alone"):
        map = array(case["map"])
        assert close(metrics.sparseness(map), case["sparseness"])
        assert close(metrics.entropy(map), case["entropy"])
        assert close(metrics.total_variation(map), case["total_variation"])
    for case in golden("paired"):
        map, other = array(case["map"]), array(case["other"])
        assert close(metrics.coherency(map, other), case["coherency"])
        assert close(metrics.mprt(map, [other]), [case["spearman"]])
        assert close(metrics.mprt(map, [other], attention="absolute"), [case["spearman_absolute"]])
        assert close(metrics.unused_share(map, other), case["unused"])
        assert close(metrics.idle_share(map, other, tolerance=0.2), case["idle"])
        assert close(metrics.dead_zone_ratio(map, other <= 0), case["dead"])
        assert close(metrics.completeness_residual(map, 1.25, 0.5), case["residual"])
        assert close(metrics.max_sensitivity(map, [other], relative=False), case["distance"])
        assert close(metrics.max_sensitivity(map, [other]), case["relative"])


def test_values_are_floats_whatever_holds_the_map() -> None:
    map, mask = np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([[1, 0], [1, 0]])
    wanted = metrics.relevance_mass(map, mask)
    others: list[Any] = [map.astype(np.float16), map.astype(np.int8), map.astype(">f8"), np.asfortranarray(map), map.tolist(), map[::-1][::-1]]
    for other in others:
        value = metrics.relevance_mass(other, mask.astype(bool))
        assert value == wanted == 4 / 6 and type(value) is float
    assert type(metrics.pointing_game(map, mask)) is float
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(map, requires_grad=True)
    assert metrics.relevance_mass(tensor, torch.tensor(mask, dtype=torch.bool)) == wanted


def test_an_explanation_is_measured(net: hirescam.Network) -> None:
    e = net.explain("photos/seven.png")
    assert e.certificate.b is not None or not e.certificate.b_is_known
    residual = metrics.completeness_residual(e.map, e.score, e.certificate.b or 0.0)
    assert np.isclose(residual, abs(e.score - (e.certificate.b or 0.0) - float(e.map.astype(float).sum())))
    assert 0 <= metrics.energy_pointing_game(e.heatmap(), (4, 4, 24, 24)) <= 1


def test_boxes_are_masks() -> None:
    map = np.arange(12.0).reshape(3, 4)
    mask = np.zeros((3, 4), bool)
    mask[1:3, 2:4] = True
    for box in [(2, 1, 4, 3), [(2, 1, 4, 2), (2, 2, 9, 9)], np.array([2.0, 1.0, 4.0, 3.0])]:
        assert np.array_equal(metrics.mask_of_boxes((3, 4), box), mask)
        assert metrics.relevance_mass(map, box) == metrics.relevance_mass(map, mask)
    assert np.array_equal(metrics.mask_of_boxes((3, 4), (-5, -5, 1, 1)), map == 0)
    # A map of four columns and as many masks' rows as boxes: what has the map's shape is a mask.
    assert metrics.relevance_mass(map, mask.astype(int)) == metrics.relevance_mass(map, mask)
    for wrong in [(2, 1, 4), (2.5, 1, 4, 3), "box", [[[0, 0, 1, 1]]], (0, 0, np.nan, 1), 1j * map, None, 255 * mask]:
        with pytest.raises(hirescam.ArgumentError):
            metrics.relevance_mass(map, wrong)
    with pytest.raises(hirescam.ArgumentError):
        metrics.relevance_mass(np.ones((2, 3, 4)), (0, 0, 1, 1))


def test_what_is_void_counts_for_neither_side() -> None:
    map, object, void = [[4.0, 2.0, 2.0]], [[1, 0, 0]], [[0, 0, 1]]
    assert metrics.energy_pointing_game(map, object) == 0.5
    assert close(metrics.energy_pointing_game(map, object, void=void), 4 / 6)
    assert metrics.relevance_rank(map, object, void=[[0, 1, 1]]) == 1.0
    assert metrics.iou(map, object, threshold=0.0, void=[(1, 0, 3, 1)]) == 1.0


def test_what_has_no_value_is_an_error_that_says_why() -> None:
    zeros, some = np.zeros((2, 2)), np.array([[1, 0], [0, 0]])
    calls: list[Any] = [
        lambda: metrics.pointing_game(zeros, some),
        lambda: metrics.point(zeros),
        lambda: metrics.pointing_game(some, zeros),
        lambda: metrics.energy_pointing_game(-some, some),
        lambda: metrics.relevance_mass(zeros, some),
        lambda: metrics.relevance_rank(some, zeros),
        lambda: metrics.iou(some, (1, 1, 1, 1), threshold=0.5),
        lambda: metrics.unused_share(-some, some),
        lambda: metrics.idle_share(zeros, some),
        lambda: metrics.dead_zone_ratio(zeros, some),
        lambda: metrics.completeness_error(some, 2.0, 2.0),
        lambda: metrics.total_variation(zeros),
        lambda: metrics.sparseness(zeros),
        lambda: metrics.entropy(zeros),
        lambda: metrics.coherency(some, zeros),
        lambda: metrics.max_sensitivity(zeros, [some]),
        lambda: metrics.mprt(zeros, [some]),
    ]
    for call in calls:
        with pytest.raises(hirescam.UndefinedError, match="not defined here: ") as found:
            call()
        assert isinstance(found.value, (hirescam.Error, ArithmeticError)) and not isinstance(found.value, ValueError)
        assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)


def test_what_does_not_fit_is_refused() -> None:
    map, mask = np.ones((2, 3)), np.ones((2, 3), bool)
    calls: list[Any] = [
        lambda: metrics.relevance_mass(map, mask.T),
        lambda: metrics.relevance_mass(map, mask, void=mask.T),
        lambda: metrics.relevance_mass("map", mask),
        lambda: metrics.relevance_mass(map.astype(complex), mask),
        lambda: metrics.sparseness(np.zeros((0, 3))),
        lambda: metrics.iou(map, mask, threshold=1.5),
        lambda: metrics.iou(map, mask, threshold=float("nan")),
        lambda: metrics.pointing_game(map, mask, tolerance=float("nan")),
        lambda: metrics.organ_iou(map, mask, threshold=0.5, perfect=2),  # type: ignore[arg-type]
        lambda: metrics.mprt(np.arange(3), [np.arange(3)], attention="both"),  # type: ignore[arg-type]
        lambda: metrics.idle_share(map, map, tolerance=-1),
        lambda: metrics.coherency(map, map.T),
        lambda: metrics.complexity(2 * map),
        lambda: metrics.max_sensitivity(map, []),
        lambda: metrics.best_threshold([]),
        lambda: metrics.best_threshold([[0.5]]),
        lambda: metrics.neighbours(map, samples=0),
        lambda: metrics.neighbours(map, seed=-1),
    ]
    for call in calls:
        with pytest.raises(hirescam.ArgumentError):
            call()
    with pytest.raises(hirescam.NotFiniteError, match=r"\[1, 2\]"):
        metrics.sparseness([[1, 2, 3], [4, 5, float("nan")]])


def test_neighbours_are_close_and_drawn_by_the_seed() -> None:
    image = np.linspace(0, 1, 48).reshape(3, 4, 4)
    images = metrics.neighbours(image, radius=0.25, samples=3, seed=1)
    assert images.shape == (3, 3, 4, 4) and images.dtype == np.float32
    assert 0.2 < np.abs(images - image).max() <= 0.25 + 1e-6
    assert np.array_equal(images, metrics.neighbours(image, radius=0.25, samples=3, seed=1))
    assert not np.array_equal(images[0], images[1]) and not np.array_equal(images, metrics.neighbours(image, radius=0.25, samples=3))


# ---------------------------------------------------------------- scores of changed images


def ratio(shape: tuple[int, ...], start: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
    """Multiples of the golden ratio, as in metrics/changed.py."""
    values = ((np.arange(np.prod(shape)) + start) * 0.618033988749895) % 1.0
    return ((values * 2 - 1) * scale).reshape(shape)


class Network:
    """s = Σ w x + (Σ v x)² / 2 and its sigmoid, as in metrics/changed.py."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.w, self.v = ratio(shape, 1000, 0.2).ravel(), ratio(shape, 5000, 0.1).ravel()
        self.batches: list[int] = []

    def __call__(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert images.dtype == np.float32
        self.batches.append(len(images))
        x = images.reshape(len(images), -1).astype(float)
        s = x @ self.w + (x @ self.v) ** 2 / 2
        return np.stack([s, 1 / (1 + np.exp(-s))], 1)


def test_changed_images_are_scored_as_by_others() -> None:
    read = json.loads(Path("metrics/changed.json").read_text(encoding="utf-8"))
    case = read["curves"]
    shape = tuple(case["shape"])
    image, map, net = ratio(shape, 0).astype(np.float32), ratio(shape[1:], case["map"]), Network(shape)

    def near(a: float, b: float) -> bool:
        return bool(np.isclose(a, b, rtol=1e-6, atol=1e-9))

    assert near(metrics.deletion(map, image, net, class_=1, steps=12), case["deletion"])
    assert net.batches == [13]
    assert near(metrics.insertion(map, image, net, class_=1, steps=12, batch=5), case["insertion"])
    assert net.batches[1:] == [5, 5, 3]
    for metric, name in [(metrics.aopc_morf, "aopc-morf"), (metrics.aopc_lerf, "aopc-lerf")]:
        assert near(metric(map, image, net, class_=1, steps=12, patch=2), case[name])
        assert near(metric(map, image, net, class_=1, steps=6, patch=2, share=0.5), case[name + "-half"])
    case = read["channels"]
    shape = tuple(case["shape"])
    image, map, net = ratio(shape, 0).astype(np.float32), ratio(shape[1:], case["map"]), Network(shape)
    heat, of_kept = (map + 1) / 2, ratio(shape[1:], case["of_kept"]) + map
    for kept, name in [(metrics.average_drop, "drop"), (metrics.average_gain, "gain"), (metrics.confidence_increase, "increase")]:
        assert near(kept(heat, image, net, class_=1), case[name]), name
    assert near(metrics.adcc(heat, image, net, of_kept=of_kept, class_=1), case["adcc"])
    road: dict[str, Any] = {"shares": (0.2, 0.4, 0.6, 0.8), "noise": 0.0, "class_": 1}
    assert near(metrics.road(map, image, net, removed="strongest", **road), case["road-strongest"])
    assert near(metrics.road(map, image, net, removed="weakest", **road), case["road-weakest"])
    assert near(metrics.road(map, image, net, **road), case["road"])
    assert near(metrics.arcc(heat, image, net, of_kept=of_kept, noise=0.0, class_=1), case["arcc"])
    # Channels last is the same image.
    assert near(metrics.road(map, np.moveaxis(image, 0, -1), lambda batch: net(np.moveaxis(batch, -1, 1)), channels=-1, **road), case["road"])


def test_contributions_to_a_linear_score_foretell_it() -> None:
    w, image = ratio((2, 6, 6), 3), np.round(ratio((2, 6, 6), 40), 2)
    contributions = (w * image).sum(0)

    def score(batch: np.ndarray[Any, Any]) -> Any:
        return (batch * w).sum((1, 2, 3))

    assert metrics.infidelity(contributions, image, score, patch=2, samples=30) < 1e-10
    assert metrics.infidelity(2 * contributions, image, score, patch=2, samples=30, scaled=True) < 1e-10
    assert metrics.infidelity(2 * contributions, image, score, patch=2, samples=30) > 1e-3
    assert metrics.infidelity(w, image, score, samples=30) < 1e-10
    assert np.isclose(metrics.mufidelity(contributions, image, score, grid=3, samples=30), 1.0)
    fills: list[Any] = [0.5, "mean", ("blur", 3, 1.0), ("imputed", 0.0, 1)]
    assert len({metrics.deletion(contributions, image, score, share=0.5, fill=fill) for fill in fills}) == 4


def test_what_the_scores_raise_goes_on_as_it_is() -> None:
    image, map = np.ones((1, 4, 4)), np.eye(4)

    def broken(batch: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        metrics.deletion(map, image, broken)

    def total(batch: np.ndarray[Any, Any]) -> Any:
        return batch.sum((1, 2, 3))

    calls: list[Any] = [
        lambda: metrics.deletion(map, image, lambda batch: batch),
        lambda: metrics.deletion(map, image, lambda batch: None),
        lambda: metrics.deletion(map, image, lambda batch: [0.5]),
        lambda: metrics.deletion(map, image, total, class_=1),
        lambda: metrics.deletion(map, image, total, class_=-1),
        lambda: metrics.deletion(map, image, total, channels=3),
        lambda: metrics.deletion(map, image, total, batch=0),
        lambda: metrics.deletion(map, image, total, steps=0),
        lambda: metrics.deletion(map, image, total, steps=-1),
        lambda: metrics.deletion(map, image, total, steps="many"),  # type: ignore[arg-type]
        lambda: metrics.deletion(map, image, total, fill="blurred"),  # type: ignore[arg-type]
        lambda: metrics.deletion(map, image, total, fill=("blur", 4, 1.0)),
        lambda: metrics.deletion(map[1:], image, total),
        lambda: metrics.road(map, image, total, removed="none"),  # type: ignore[arg-type]
        lambda: metrics.average_drop(-map, image, total),
    ]
    for call in calls:
        with pytest.raises(hirescam.ArgumentError):
            call()
    with pytest.raises(hirescam.UndefinedError):
        metrics.average_drop(map, image, total)
    not_finite: list[Any] = [
        lambda: metrics.deletion(map, image, lambda batch: np.full(len(batch), np.nan)),
        lambda: metrics.deletion(map, image * np.nan, total),
    ]
    for wrong in not_finite:
        with pytest.raises(hirescam.NotFiniteError):
            wrong()


def test_defaults_are_those_of_the_library() -> None:
    def plain(value: Any) -> Any:
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

    library = hirescam._hirescam.metric_defaults()
    for name, options in library.items():
        known = {key: plain(p.default) for key, p in inspect.signature(getattr(metrics, name)).parameters.items()}
        for part in options if isinstance(options, list) else [options]:
            assert {key: known[key] for key in part} == part, name
    changed = [row["name"].replace("-", "_") for row in metrics.METRICS if "scorer" in inspect.signature(getattr(metrics, row["name"].replace("-", "_"))).parameters]
    without = {"average_drop", "confidence_increase", "average_gain", "adcc"}
    assert len(changed) == 12 and set(changed) - without <= set(library)


def test_metrics_share_changed_images() -> None:
    shape = (2, 6, 6)
    image, net = ratio(shape, 0).astype(np.float32), Network(shape)
    maps = [ratio(shape[1:], start) for start in (7, 11)]
    asked = [metrics.Request(name, map, class_=class_, **options) for map in maps for name, class_, options in [
        ("deletion", 0, {"steps": 9}), ("aopc-morf", 1, {"steps": 9}), ("road", 1, {"shares": (0.2, 0.5)}), ("infidelity", 0, {"patch": 2, "samples": 5}),
    ]]
    made = metrics.measure(image, asked, net, batch=7)
    assert sum(net.batches) == made.images < sum(map(len, [range(10)] * 4)) + 2 * (5 + 4) and max(net.batches) == 7
    alone = [getattr(metrics, one.metric.replace("-", "_"))(one.map, image, net, class_=one.class_, **{k: v for k, v in one.options.items()}) for one in asked]
    assert made.values == pytest.approx(alone)
    flat = metrics.measure(image, [metrics.Request("mufidelity", np.zeros((6, 6))), asked[0]], net)
    assert isinstance(flat.values[0], hirescam.UndefinedError) and flat.values[1] == pytest.approx(alone[0])
    with pytest.raises(hirescam.NotFoundError, match="sparseness"):
        metrics.Request("sparseness", maps[0])
    with pytest.raises(hirescam.NotFoundError, match="step"):
        metrics.Request("deletion", maps[0], step=3)
    with pytest.raises(hirescam.ArgumentError, match="of_kept="):
        metrics.Request("adcc", maps[0])


def test_a_network_scores_by_itself(net: hirescam.Network) -> None:
    image = np.random.default_rng(0).random((1, 28, 28)).astype(np.float32)
    best = net.explain(image).class_
    map = net.explain(image).heatmap(size=(28, 28))

    def of(class_: int, probability: bool = False) -> Any:
        explainer = net.explainer(class_=class_)
        return lambda batch: [e.probability if probability else e.score for e in explainer.explain(batch)]

    for class_ in (None, 3):
        wanted = metrics.deletion(map, image, of(best if class_ is None else class_), steps=7)
        assert metrics.deletion(map, image, scorer=net, class_=class_, steps=7) == wanted
        assert metrics.deletion(map, image, scorer=net.explainer(), class_=class_, steps=7) == wanted
    assert metrics.deletion(map, image, scorer=net.explainer(class_=3), steps=7) == metrics.deletion(map, image, of(3), steps=7)
    assert metrics.deletion(map, image, scorer=net.explainer(target="contrast:3,5"), steps=7) != metrics.deletion(map, image, of(3), steps=7)
    if net.explain(image).probability is None:
        with pytest.raises(hirescam.ArgumentError, match="no probabilities"):
            metrics.average_drop(np.abs(map), image, scorer=net)
    lite = hirescam.Network("efficientnet-lite0.onnx")
    shape = lite.image.shape[1:]
    seen, heat = np.random.default_rng(1).random(shape).astype(np.float32), np.random.default_rng(2).random([n for n in shape if n != 3])
    e = lite.explain(seen)
    if e.probability is not None:
        kept = lite.explain(seen * (heat[..., None] if shape[-1] == 3 else heat[None]).astype(np.float32), class_=e.class_)
        drop = metrics.average_drop(heat, seen, scorer=lite, channels=list(shape).index(3))
        assert drop == pytest.approx(max(0.0, e.probability - kept.probability) / e.probability, rel=1e-3)


def test_the_pointing_game_is_counted_by_class() -> None:
    game = metrics.PointingGame(2)
    assert game.accuracy is None and game.accuracies == [None, None]
    for class_, hit in [(1, 1.0), (1, 0.0), (1, True), (1, np.bool_(True))]:
        game.count(class_, hit)
    assert game.accuracies == [None, 0.75] and game.accuracy == 0.75
    with pytest.raises(hirescam.ArgumentError, match="no class 2"):
        game.count(2, True)
    assert [metrics.is_difficult(area, 100, others) for area, others in [(24, 1), (25, 1), (24, 0)]] == [True, False, False]


def test_boxes_beyond_what_an_index_can_be_end_with_the_map() -> None:
    assert metrics.mask_of_boxes((2, 3), (1, -1e300, 1e300, 2.0**70)).tolist() == [[False, True, True]] * 2
    assert not metrics.mask_of_boxes((2, 3), (1, 1, 1, 2)).any()
    for box in [(2, 0, 1, 1), (0, 1, 2, 0)]:
        with pytest.raises(hirescam.ArgumentError, match="ends before it begins"):
            metrics.mask_of_boxes((2, 3), box)
