"""Record batches of Arrow in and out."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import hirescam
import hirescam.arrow
import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

SEVEN, THREE = "photos/seven.png", "photos/three.png"
MODEL = "digits-cnn.onnx"


def batch(images: Any, kind: Any = None, **columns: Any) -> Any:
    images = images if isinstance(images, pa.Array) else pa.array(images, kind)
    return pa.RecordBatch.from_pydict({"image": images, **columns})


def digits() -> np.ndarray[Any, Any]:
    """Two images as the network takes them."""
    pixels = [np.load(io.BytesIO(_npy(path))) for path in (SEVEN, THREE)]
    return np.stack(pixels)


def _npy(path: str) -> bytes:
    photo = hirescam.Network(MODEL).explain(path).photo
    assert photo is not None
    made = io.BytesIO()
    np.save(made, ((photo[None, ..., 0] / 255 - 0.1307) / 0.3081).astype(np.float32))
    return made.getvalue()


def numbers(made: Any) -> np.ndarray[Any, Any]:
    return made["map"].values.to_numpy().reshape(len(made), 7, 7)


def test_a_row_is_what_the_image_gives_by_itself(net: hirescam.Network) -> None:
    made = hirescam.arrow.explain(batch([SEVEN, THREE], name=["a", "b"]), hirescam.Spec(method="gradcam"), model=MODEL)
    assert made.num_rows == 2 and made["name"].to_pylist() == ["a", "b"] and "image" not in made.schema.names
    for row, path in zip(made.to_pylist(), [SEVEN, THREE]):
        e = net.explain(path, method="gradcam")
        assert (row["class"], row["label"], row["score"], row["verdict"]) == (e.class_, e.label, e.score, e.certificate.verdict)
        assert (row["sum"], row["b"], row["residual"]) == (e.certificate.sum, e.certificate.b, e.certificate.residual)
        assert (row["layer"], row["method"], row["target"]) == (e.layer, "gradcam", e.target)
        assert row["map_shape"] == [7, 7] and np.array_equal(row["map"], e.map.ravel()) and row["error"] is None


def test_files_bytes_and_tensors_are_the_same_images() -> None:
    content = [Path(path).read_bytes() for path in (SEVEN, THREE)]
    tensors = digits()
    flat = pa.array(tensors.reshape(-1))
    fixed = pa.FixedSizeListArray.from_arrays(flat, 28 * 28)
    nested = pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(flat, 28), 28), 1)
    wanted = numbers(hirescam.arrow.explain(batch([SEVEN, THREE]), model=MODEL))
    columns = [
        batch(content, pa.binary()),
        batch(content, pa.large_binary()),
        batch([SEVEN, THREE], pa.large_string()),
        batch(pa.array([SEVEN, THREE]).dictionary_encode()),
        batch([{"bytes": content[0], "path": None}, {"bytes": None, "path": THREE}]),
        batch(fixed),
        batch(nested),
        batch(pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [1, 28, 28]), fixed)),
        batch(list(tensors.reshape(2, -1)), pa.list_(pa.float32())),
        batch(pa.concat_arrays([fixed, fixed])).slice(2),
    ]
    for column in columns:
        made = hirescam.arrow.explain(column, model=MODEL)
        assert made["error"].null_count == 2, made["error"]
        np.testing.assert_allclose(numbers(made), wanted, atol=1e-4 * np.abs(wanted).max(), err_msg=str(column.schema))


def test_pixels_are_photos(net: hirescam.Network) -> None:
    photo = net.explain(SEVEN).photo[..., 0]
    levels = pa.FixedSizeListArray.from_arrays(pa.array(photo.reshape(-1)), photo.size)
    made = hirescam.arrow.explain(batch(levels), model=MODEL, shape=photo.shape, array="HW")
    assert np.array_equal(numbers(made)[0], net.explain(photo).map)


def test_what_fails_is_a_row() -> None:
    images = [SEVEN, "none.png", None, "images/truncated.png", THREE]
    made = hirescam.arrow.explain(batch(images, name=list("abcde")), model=MODEL)
    assert made["name"].to_pylist() == list("abcde") and made["id"].to_pylist() == [0, 1, 2, 3, 4]
    kinds = made["error_kind"].to_pylist()
    assert kinds[0] is kinds[4] is None and kinds[1:3] == ["missing-file", "argument"] and kinds[3] is not None
    assert made["class"].to_pylist() == [7, None, None, None, 3] and made["map"].null_count == 3
    assert "none.png" in made["error"][1].as_py() and "null" in made["error"][2].as_py()
    made.validate(full=True)


def test_a_column_of_nothing_is_rows_without_maps() -> None:
    made = hirescam.arrow.explain(batch([None, None]), model=MODEL)
    assert made["error_kind"].to_pylist() == ["argument"] * 2 and made["map"].null_count == 2


def test_nan_and_null_numbers_fail_by_themselves() -> None:
    tensors = [list(tensor.ravel()) for tensor in digits()]
    bad = [[np.nan, *tensors[0][1:]], [None, *tensors[0][1:]], tensors[0][:-1]]
    made = hirescam.arrow.explain(batch([*tensors, *bad], pa.list_(pa.float32())), model=MODEL)
    assert made["error_kind"].to_pylist() == [None, None, "not-finite", "argument", "argument"]


def test_several_maps_of_an_image_are_rows() -> None:
    made = hirescam.arrow.explain(batch([SEVEN, "none.png", THREE], name=["a", "b", "c"]), {"top": 3}, model=MODEL)
    assert made["name"].to_pylist() == ["a"] * 3 + ["b"] + ["c"] * 3
    assert made["id"].to_pylist() == [0] * 3 + [1] + [2] * 3
    assert made["number"].to_pylist() == [0, 1, 2, None, 0, 1, 2]
    assert made["class"][0].as_py() == 7


def test_an_older_pyarrow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pa, "__version__", "14.0.2")
    with pytest.raises(ImportError, match="pyarrow 15 or later, and 14.0.2"):
        hirescam.arrow.explain(batch([SEVEN]), model=MODEL)


def test_the_schema_is_known_without_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hirescam.Explainer, "explain", None)
    has = pa.schema({"image": pa.binary()})
    for spec, fixed in [({"target": "above:1000"}, True), ({"class_": [1, 2], "method": "layercam"}, True), ({"method": "rise", "samples": 10**7}, False)]:
        kind = hirescam.arrow.schema(has, spec, model=MODEL).field("map").type
        assert pa.types.is_fixed_size_list(kind) == fixed and pa.types.is_list(kind) != fixed
        assert not fixed or kind.list_size == 49


def test_the_schema_is_known_before(net: hirescam.Network) -> None:
    for spec in ({}, {"top": 2}, {"layer": ["/conv_layers/conv_layers.7/Relu_output_0", "/conv_layers/conv_layers.8/MaxPool_output_0"]}):
        for images in ([SEVEN], ["none.png"], []):
            given = batch(images, pa.string(), name=pa.array(["x"] * len(images), pa.string()))
            made = hirescam.arrow.explain(given, spec, model=MODEL)
            assert made.schema.equals(hirescam.arrow.schema(given.schema, spec, model=MODEL), check_metadata=True)
            made.validate(full=True)
    assert pa.types.is_list(made.schema.field("map").type), "layers of two sizes"


def test_lists_of_any_size_are_had_for_the_asking() -> None:
    made = hirescam.arrow.explain(batch([SEVEN, "none.png"]), model=MODEL, fixed=False)
    assert pa.types.is_list(made["map"].type) and made["map"].null_count == 1
    assert np.array_equal(made["map"][0].as_py(), numbers(hirescam.arrow.explain(batch([SEVEN]), model=MODEL))[0].ravel())


def test_columns_of_the_same_name_are_told_apart() -> None:
    given = batch([SEVEN], id=["mine"], label=["truth"])
    with pytest.raises(hirescam.ArgumentError, match="prefix="):
        hirescam.arrow.explain(given, model=MODEL)
    made = hirescam.arrow.explain(given, model=MODEL, prefix="cam_")
    assert (made["id"][0].as_py(), made["label"][0].as_py(), made["cam_label"][0].as_py(), made["cam_id"][0].as_py()) == ("mine", "truth", "7", 0)
    assert hirescam.arrow.explain(batch([SEVEN], id=["mine"]), model=MODEL)["id"].to_pylist() == ["mine"]


def test_a_table_gives_a_table(net: hirescam.Network) -> None:
    table = pa.Table.from_batches([batch([SEVEN]), batch([THREE])])
    made = hirescam.arrow.explain(table, model=net)
    assert isinstance(made, pa.Table) and made["label"].to_pylist() == ["7", "3"]
    assert hirescam.arrow.explain(table.slice(0, 0), model=net).schema == made.schema


def test_a_network_is_made_ready_once_for_each_spec(net: hirescam.Network) -> None:
    ready = [hirescam.arrow._ready(spec, model) for model in (MODEL, net, pickle.loads(pickle.dumps(net))) for spec in (None, {}, {"top": 2})]
    assert len({id(one) for one in ready}) == 2


def test_an_explainer_carries_its_network(net: hirescam.Network) -> None:
    explainer = pickle.loads(pickle.dumps(net.explainer(class_=3)))
    assert hirescam.arrow.explain(batch([SEVEN]), explainer)["class"].to_pylist() == [3]
    with pytest.raises(hirescam.ArgumentError, match="has its network"):
        hirescam.arrow.explain(batch([SEVEN]), explainer, model=MODEL)


@pytest.mark.parametrize(
    "images, options, said",
    [
        ([1.5], {}, "has the type"),
        ([SEVEN], {"image": "photo"}, "no column 'photo'"),
        ([SEVEN], {"model": None}, "which network"),
        ([SEVEN], {"model": "none.onnx"}, "none.onnx"),
        ([{"png": b""}], {}, "bytes and path"),
        ([SEVEN], {"spec": {"layer": "none"}}, "none"),
    ],
)
def test_what_is_wrong_with_all_is_raised(images: Any, options: Any, said: str) -> None:
    with pytest.raises(hirescam.Error, match=said):
        hirescam.arrow.explain(batch(images), **{"model": MODEL, **options})


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(hirescam.ArgumentError, match="record batch"):
        hirescam.arrow.explain({"image": [SEVEN]}, model=MODEL)


def test_numbers_are_read_where_they_lie(net: hirescam.Network) -> None:
    flat = digits().reshape(-1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat), 28 * 28)
    images = hirescam.arrow._images(pa, batch(column), "image", net.explainer(), None)
    assert all(np.shares_memory(image, flat) for image in images)


def test_inputs_beside_the_images_have_their_rows_over_all_batches() -> None:
    golden = json.loads(Path("inputs/golden.json").read_text())["patient.onnx"]
    shapes = {name: of["shape"][1:] for name, of in golden["inputs"].items()}
    rng = np.random.default_rng(0)
    images = rng.random((7, *shapes.pop("image"))).astype(np.float32)
    beside = {**{name: rng.random((8, *shapes[name])) for name in ("age", "dose")}, "sex": rng.integers(0, 2, (8, *shapes["sex"]))}
    spec = {"image_input": "image", "layer": golden["layer"], "target": "class:1", "input": beside}
    net = hirescam.Network("inputs/patient.onnx")
    cells = [None if i == 3 else images[i - (i > 3)].ravel().tolist() for i in range(8)]
    batches = [pa.RecordBatch.from_pydict({"image": pa.array(part, pa.list_(pa.float32()))}) for part in (cells[:5], cells[5:])]
    made = hirescam.arrow.explain(pa.Table.from_batches(batches), spec, model=net)
    own = [{name: rows[i : i + 1] for name, rows in beside.items()} for i in range(8)]
    explain = [net.explain(images[i - (i > 3)], **{**spec, "input": own[i]}).score for i in range(8) if i != 3]
    assert made["error_kind"].to_pylist() == [None] * 3 + ["argument"] + [None] * 4
    assert [score for score in made["score"].to_pylist() if score is not None] == pytest.approx(explain)
    with pytest.raises(hirescam.ArgumentError, match="8 rows"):
        hirescam.arrow.explain(batches[0], spec, model=net)


def test_an_open_size_is_settled_by_the_spec() -> None:
    has = pa.schema({"image": pa.list_(pa.float32())})
    assert pa.types.is_list(hirescam.arrow.schema(has, model="kinds/free.onnx").field("map").type)
    spec = hirescam.Spec(shape=(1, 3, 14, 18))
    image = np.random.default_rng(0).random((3, 14, 18), np.float32)
    made = hirescam.arrow.explain(batch([image.ravel(), image.ravel()[1:]], pa.list_(pa.float32())), spec, model="kinds/free.onnx")
    assert made["error_kind"].to_pylist() == [None, "argument"]
    assert made["map"].type.list_size == int(np.prod(made["map_shape"][0].as_py()))
    assert np.array_equal(made["map"][0].as_py(), hirescam.Network("kinds/free.onnx").explain(image, spec=spec).map.ravel())
