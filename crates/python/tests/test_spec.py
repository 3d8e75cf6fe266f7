"""All options are keywords, by the command line's names, and are one thing that goes everywhere."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import get_type_hints

import hirescam
import numpy as np
import pytest


def test_the_types_have_the_options_that_there_are() -> None:
    from hirescam import _types

    options = set(hirescam.Spec().options())
    hints = get_type_hints(_types.AllOptions)
    assert {name.rstrip("_") if name == "class_" else name for name in hints} == options
    assert set(get_type_hints(_types.Picture)) <= options


def test_a_spec_goes_through_toml_json_records_and_pickles(tmp_path: Path) -> None:
    spec = hirescam.Spec(
        layer=["a", "b,c"],
        class_=[3, "tench, Tinca tinca"],
        method="smoothgrad",
        samples=3,
        engine="tract",
        threads=2,
        signed=True,
        shape=(1, 3, 8, 8),
        grid=(14, 7),
        labels=["cat", "dog"],
        preprocess={"scale": 2.0},
        input={"age": 40, "sex": np.array([[1.0, 0.5]]), "tissue": Path("t.npy")},
    )
    assert (spec.layer, spec.class_, spec.samples, spec.threads) == (["a", "b,c"], ["3", "tench, Tinca tinca"], 3, 2)
    (tmp_path / "spec.toml").write_text(spec.to_toml())
    (tmp_path / "spec.json").write_text(spec.to_json())
    for again in [
        hirescam.Spec.from_toml(spec.to_toml()),
        hirescam.Spec.from_json(spec.to_json()),
        hirescam.Spec.from_record({"spec": spec.to_dict()}),
        hirescam.Spec.open(tmp_path / "spec.toml"),
        hirescam.Spec.open(str(tmp_path / "spec.json")),
        hirescam.Spec(**spec.to_dict()),
        pickle.loads(pickle.dumps(spec)),
        copy.deepcopy(spec),
    ]:
        assert again == spec
    assert json.loads(spec.to_json()) == spec.to_dict()
    assert spec != hirescam.Spec() and eval(repr(hirescam.Spec(top=2, class_=None)), {"Spec": hirescam.Spec}).top == 2
    assert "class_" in dir(spec) and not hasattr(spec, "layr")


def test_values_in_the_forms_that_python_has(net: hirescam.Network) -> None:
    same = [{"class_": 7}, {"class_": "7"}, {"class_": np.int64(7)}, {"class_": [7]}, {"class_": np.array([7])}, {"target": 7}, {"target": "class:7"}]
    classes = [net.explain("photos/seven.png", **options) for options in same]
    assert [getattr(e, "class_", 7) for e in classes] == [7] * len(same)
    named = hirescam.Network("digits-cnn.onnx", labels={n: f"digit {n}" for n in range(10)})
    assert named.explain("photos/seven.png", class_="digit 3").label == "digit 3" and named.labels[3] == "digit 3"
    with pytest.raises(hirescam.ArgumentError, match="class 1"):
        hirescam.Network("digits-cnn.onnx", labels={0: "a", 2: "b"})


def test_options_of_the_network_of_a_spec_and_of_a_call(net: hirescam.Network) -> None:
    spec = hirescam.Spec(method="gradcam", top=3)
    assert net.spec(spec, class_=1).method == "gradcam" and net.spec(spec, class_=1).top is None
    own = hirescam.Network("digits-cnn.onnx", preprocess={"channels": "gray"}, labels=list("abcdefghij"))
    assert own.spec(spec).labels == list("abcdefghij") and own.spec(spec, labels=None).labels is None
    assert own.preprocess["channels"] == "gray" and net.preprocess["mean"] == [0.1307] and net.labels[7] == "7"


def test_explainers_are_pickled_by_path_and_hash(net: hirescam.Network, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(net.bytes)
    explainer = hirescam.Network(path, preprocess=net.preprocess).explainer(top=2)
    sent = pickle.dumps(explainer)
    assert len(sent) < len(net.bytes)
    again = pickle.loads(sent)
    wanted = [e.map for e in explainer.explain("photos/seven.png")]
    assert all(np.array_equal(e.map, map) for e, map in zip(again.explain("photos/seven.png"), wanted))
    path.write_bytes(net.compile())
    with pytest.raises(hirescam.ModelError, match="another one"):
        pickle.loads(sent)
    of_bytes = hirescam.Network(net.bytes, preprocess=net.preprocess).explainer()
    assert pickle.loads(pickle.dumps(of_bytes)).explain("photos/seven.png").class_ == 7
