"""Bad input is an exception with a sentence that helps, in Python's terms."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import hirescam
import numpy as np
import pytest

SEVEN = "photos/seven.png"


def raised(kind: type[hirescam.Error], call: object) -> hirescam.Error:
    with pytest.raises(kind) as found:
        call()  # type: ignore[operator]
    text = str(found.value)
    assert len(text) > 15 and "--" not in text and "panicked" not in text and "unwrap" not in text, text
    assert isinstance(found.value, hirescam.Error)
    return found.value


def test_networks_that_are_none(tmp_path: Path) -> None:
    missing = raised(hirescam.MissingFileError, lambda: hirescam.Network("no/such.onnx"))
    assert missing.path == "no/such.onnx" and isinstance(missing, (FileNotFoundError, OSError))
    raised(hirescam.FileError, lambda: hirescam.Network(tmp_path))
    raised(hirescam.ModelError, lambda: hirescam.Network(SEVEN))
    raised(hirescam.ModelError, lambda: hirescam.Network(b""))
    raised(hirescam.ModelError, lambda: hirescam.Network(b"nonsense"))
    raised(hirescam.ArgumentError, lambda: hirescam.Network(None))
    raised(hirescam.ArgumentError, lambda: hirescam.Network(["digits-cnn.onnx"]))
    raised(hirescam.ArgumentError, lambda: hirescam.Network(open("digits-cnn.onnx", "rb").close()))


def test_names_that_are_none(net: hirescam.Network) -> None:
    layer = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, layer="/conv_layers/conv_layers.8/Relu_output_0"))
    assert (layer.sought, layer.layer) == ("layer", "/conv_layers/conv_layers.8/Relu_output_0") and "/conv_layers/conv_layers.7/Relu_output_0" in layer.near
    method = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, method="hirescan"))
    assert method.sought == "method" and "hirescam" in method.near
    option = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, layr="/conv_layers/conv_layers.7/Relu_output_0"))
    assert (option.sought, option.name) == ("option", "layr") and "layer" in option.near
    label = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, class_="seven"))
    assert label.sought == "class"
    raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, class_=10))
    preset = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, preprocess="imagenett"))
    assert "imagenet" in preset.near
    raised(hirescam.EngineError, lambda: net.explain(SEVEN, engine="tensorrt"))


def test_values_that_are_none(net: hirescam.Network) -> None:
    for options in [{"top": "many"}, {"top": -1}, {"shape": "x"}, {"layer": 3.5}, {"seed": -1}, {"grid": "14"}, {"threads": 10**6}]:
        error = raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, **options))
        assert next(iter(options)) in str(error), error
    for options in [{"percentile": float("nan")}, {"target": [float("inf")]}, {"input": {"age": np.array([np.nan])}}]:
        assert "finite number" in str(raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, **options)))
    raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, layer=object()))
    raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, top=2, class_=3))


@pytest.mark.parametrize(
    "image",
    [
        "no/such.png",
        ".",
        "digits-cnn.toml",
        "digits-cnn.onnx",
        b"",
        b"\x89PNG\r\n\x1a\n",
        None,
        3,
        3.5,
        {},
        object(),
        np.float32(3),
        np.zeros((0, 3), np.uint8),
        np.zeros((5, 5, 5), np.uint8),
        np.zeros((1, 1, 27, 28), np.float32),
        np.zeros((28,), np.float32),
        np.full((1, 1, 28, 28), np.nan, np.float32),
        np.full((1, 1, 28, 28), np.inf, np.float32),
        np.zeros((1, 1, 28, 28), np.complex64),
        np.array([["a"]]),
        np.array([[None]], object),
        np.zeros((28, 28, 3), np.float32),
        io.StringIO("text"),
        [[SEVEN]],
    ],
    ids=lambda image: repr(image)[:40],
)
def test_images_that_are_none(net: hirescam.Network, image: object) -> None:
    raised(hirescam.Error, lambda: net.explain(image))


def test_files_that_are_closed_or_open_as_text(net: hirescam.Network) -> None:
    with open(SEVEN, "rb") as file:
        assert net.explain(file).class_ == 7
    closed = raised(hirescam.ArgumentError, lambda: net.explain(file))
    assert "closed" in str(closed)
    raised(hirescam.ArgumentError, lambda: hirescam.Network(file))
    with open("digits-cnn.toml", encoding="utf-8") as text:
        raised(hirescam.ArgumentError, lambda: hirescam.Network(text))
    with open("digits-cnn.onnx", "rb") as file:
        assert hirescam.Network(file).sha256 == net.sha256


def test_what_comes_before_an_iterator_breaks_off_is_explained(net: hirescam.Network) -> None:
    for count in (1, net.explainer()._native.together, net.explainer()._native.together + 1):

        def images() -> Iterator[str]:
            yield from [SEVEN] * count
            raise KeyError("the source broke off")

        made = []
        with pytest.raises(KeyError, match="broke off"):
            for e in net.explain(images()):
                made.append(e.class_)
        assert made == [7] * count


def test_arguments_of_other_calls(net: hirescam.Network) -> None:
    e = net.explain(SEVEN)
    for size in [3, (-1, 3), (2.5, 3), (1, 2, 3), "28"]:
        assert "height" in str(raised(hirescam.ArgumentError, lambda: e.heatmap(size=size)))
    raised(hirescam.PictureError, lambda: e.heatmap(size=(0, 3)))
    raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, spec={"top": 3}))
    raised(hirescam.MissingFileError, lambda: net.explain(SEVEN, labels="no/such.txt"))
    assert "class_=" in str(raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, target="cat")))
    assert "class_" in raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, clas=3)).near
    raised(hirescam.ArgumentError, lambda: net.check(None))
    assert "Network.layers()" in str(raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, layer="zzzzzzzzzzzzzzzz")))
    assert "whole number" in str(raised(hirescam.ArgumentError, lambda: net.explain(SEVEN, threads=-1)))
    with pytest.raises(TypeError, match="e.record"):
        pickle.dumps(e)


def test_remedies_are_pythons(net: hirescam.Network) -> None:
    without = hirescam.Network(net.bytes)
    assert "preprocess=" in str(raised(hirescam.Error, lambda: without.explain(SEVEN)))
    assert "labels=" in str(raised(hirescam.LabelsError, lambda: without.explain(SEVEN, class_="seven")))


def test_errors_can_be_sent_and_told_apart(net: hirescam.Network) -> None:
    error = raised(hirescam.NotFoundError, lambda: net.explain(SEVEN, layer="/conv_layers/conv_layers.8/Relu_output_0"))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.near, again.sought) == (type(error), str(error), error.near, error.sought)
    kinds = {name: getattr(hirescam, name) for name in hirescam.__all__ if name.endswith("Error")}
    assert len({kind.kind for kind in kinds.values()}) == len(kinds) and all(issubclass(k, hirescam.Error) for k in kinds.values())
