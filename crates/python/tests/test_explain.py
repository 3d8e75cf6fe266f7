"""What images may be, and what comes of them."""

from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hirescam
import numpy as np
import pytest

SEVEN = "photos/seven.png"
THREE = "photos/three.png"
NETWORK = "efficientnet-lite0.onnx"


def pixels(path: str) -> np.ndarray:
    with pytest.importorskip("PIL.Image").open(path) as image:
        return np.asarray(image)


def tensor() -> np.ndarray:
    """The seven as the network takes it."""
    levels = pixels(SEVEN).astype(np.float64)
    levels = levels if levels.ndim == 2 else levels[..., 0]
    return ((levels / 255 - 0.1307) / 0.3081).astype(np.float32)[None]


def test_a_photo_is_the_same_in_all_its_forms(net: hirescam.Network, engine: str) -> None:
    explainer = net.explainer(engine=engine)
    with pytest.importorskip("PIL.Image").open(SEVEN) as opened:
        image = opened.copy()
    grey = pixels(SEVEN)
    grey = grey if grey.ndim == 2 else grey[..., 0]
    colours = np.repeat(grey[..., None], 3, axis=-1)
    forms = [
        SEVEN,
        Path(SEVEN),
        Path(SEVEN).read_bytes(),
        bytearray(Path(SEVEN).read_bytes()),
        image,
        grey,
        grey[..., None],
        colours,
        np.dstack([colours, np.full_like(grey, 7)]),
        np.asfortranarray(colours),
        colours[::-1][::-1],
    ]
    made = [explainer.explain(form) for form in forms]
    assert made[0].class_ == 7 and made[0].label == "7"
    for e in made[1:]:
        assert np.array_equal(e.map, made[0].map) and e.score == made[0].score


def test_a_tensor_has_the_networks_own_shape(net: hirescam.Network, engine: str) -> None:
    explainer = net.explainer(engine=engine)
    of_photo, image = explainer.explain(SEVEN), tensor()
    one = explainer.explain(image)
    assert isinstance(one, hirescam.Explanation) and np.array_equal(one.map, of_photo.map)
    for batch in [image[None], np.stack([image, image, image])]:
        many = explainer.explain(batch)
        assert isinstance(many, hirescam.Explanations) and len(many) == len(batch)
        assert all(np.array_equal(e.map, of_photo.map) for e in many)
    # Float64 is rounded to what the network takes; other orders in memory are the same array.
    for same in [image.astype(np.float64), np.asfortranarray(image), image[:, ::-1, ::-1][:, ::-1, ::-1], image.astype(">f4")]:
        assert np.allclose(explainer.explain(same).map, of_photo.map, atol=1e-5)


def test_arrays_of_other_libraries_are_taken(net: hirescam.Network) -> None:
    class Exchanged:
        """An array that only hands itself out by DLPack."""

        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __dlpack__(self, **how: object) -> object:
            return self.array.__dlpack__(**how)

        def __dlpack_device__(self) -> object:
            return self.array.__dlpack_device__()

    class Converted:
        """An array that only hands itself out by NumPy's own protocol."""

        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return self.array

    explainer, image = net.explainer(), tensor()
    wanted = explainer.explain(image).map
    for kind in [Exchanged, Converted]:
        assert np.array_equal(explainer.explain(kind(image)).map, wanted)


def test_pytorchs_tensors_are_taken(net: hirescam.Network) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    explainer, image = net.explainer(), torch.from_numpy(tensor())
    wanted = explainer.explain(image).map
    assert np.array_equal(explainer.explain(image.requires_grad_()).map, wanted)
    assert np.array_equal(explainer.explain(image[None].to(memory_format=torch.channels_last))[0].map, wanted)


def test_what_an_array_is_can_be_said(net: hirescam.Network) -> None:
    explainer = net.explainer()
    grey = pixels(SEVEN)
    grey = grey if grey.ndim == 2 else grey[..., 0]
    wanted = explainer.explain(SEVEN).map
    colours = np.repeat(grey[None], 3, axis=0)
    assert np.array_equal(explainer.explain(colours, array="CHW").map, wanted)
    assert np.array_equal(explainer.explain(colours[None], array="nchw")[0].map, wanted)
    assert np.array_equal(explainer.explain(grey[None], array="NHW")[0].map, wanted)
    assert np.array_equal(explainer.explain(np.stack([grey] * 2)[..., None])[1].map, wanted)
    for array in [colours, colours[None]]:
        with pytest.raises(hirescam.ArgumentError, match='array="CHW"'):
            explainer.explain(array)
    with pytest.raises(hirescam.ArgumentError, match="floats|Floats"):
        explainer.explain(grey / 255, array="HW")
    # Levels of 8 bits that are said to be a tensor are fed as they are.
    levels = explainer.explain(grey[None], array="tensor")
    assert np.array_equal(levels.map, explainer.explain(grey[None].astype(np.float32)).map)


def test_lists_give_lists_and_iterators_iterators(net: hirescam.Network, engine: str) -> None:
    explainer = net.explainer(engine=engine)
    alone = [explainer.explain(path) for path in (SEVEN, THREE)]
    together = explainer.explain([SEVEN, THREE] * 20)
    assert isinstance(together, list) and len(together) == 40
    for made, e in zip(together, alone * 20):
        assert np.array_equal(made.map, e.map) and made.image == e.image
    assert explainer.explain([]) == []

    read = 0

    def images() -> object:
        nonlocal read
        while True:
            read += 1
            yield SEVEN if read % 2 else THREE

    stream = explainer.explain(images())
    assert read == 0
    assert [next(stream).class_ for _ in range(4)] == [7, 3, 7, 3]
    assert read <= 64


def test_a_failed_image_is_its_own_result(net: hirescam.Network) -> None:
    explainer = net.explainer()
    images = [SEVEN, "no/such.png", THREE, np.zeros((2, 2, 2), np.uint8), b"nonsense"]
    made = explainer.explain(images, errors="return")
    assert [type(one) for one in made] == [
        hirescam.Explanation,
        hirescam.MissingFileError,
        hirescam.Explanation,
        hirescam.ArgumentError,
        hirescam.FileError,
    ]
    assert [one.image for one in made if isinstance(one, hirescam.Error)] == [1, 3, 4]
    with pytest.raises(hirescam.MissingFileError) as raised:
        explainer.explain(images)
    assert raised.value.image == 1
    stream, seen = explainer.explain(iter(images)), []
    with pytest.raises(FileNotFoundError):
        seen.extend(stream)
    with pytest.raises(ValueError, match="return"):
        explainer.explain(images, errors="ignore")


def test_several_maps_are_a_list(net: hirescam.Network) -> None:
    for options, count in [({"top": 3}, 3), ({"class_": [7, 1]}, 2), ({"layer": ["/conv_layers/conv_layers.1/Relu_output_0", "/conv_layers/conv_layers.7/Relu_output_0"]}, 2), ({"target": "all"}, 10)]:
        made = net.explain(SEVEN, **options)
        assert isinstance(made, list) and len(made) == count, options
    assert [e.class_ for e in net.explain(SEVEN, target="above:5")] == [7]
    assert isinstance(net.explain(SEVEN, target="contrast:7,1"), hirescam.Explanation)
    assert net.explain(SEVEN, target=1).class_ == net.explain(SEVEN, class_="1").class_ == 1
    with pytest.raises(AttributeError, match=r"take one of them"):
        net.explain(SEVEN, top=2).map


def test_the_map_is_no_copy_and_its_numbers_are_those_of_the_certificate(net: hirescam.Network, engine: str) -> None:
    e = net.explain(SEVEN, engine=engine)
    assert e.map.dtype == np.float32 and not e.map.flags.writeable and not e.map.flags.owndata
    assert e.map.__array_interface__["data"] == e.map.__array_interface__["data"]
    c = e.certificate
    assert c.verdict == "locally-linear" and c.adds_up and c.bypass is None and not c.uniform
    assert "MaxPool" in c.reason
    assert c.sum == pytest.approx(e.map.astype(np.float64).sum())
    assert e.score == pytest.approx(c.sum + c.b, rel=1e-5) and abs(c.residual) < 1e-4 * abs(e.score)
    assert c.words[0].startswith("locally-linear") and str(c) == "\n".join(c.words)
    map = e.map
    del e
    assert np.isfinite(map).all()


def test_heatmaps_are_made_step_by_step(net: hirescam.Network) -> None:
    e = net.explain(SEVEN, class_=1)
    assert np.array_equal(e.heatmap(), e.map)
    assert np.array_equal(e.heatmap(rectify=True), np.maximum(e.map, 0))
    assert np.abs(e.heatmap(normalize="symmetric")).max() == 1
    assert e.heatmap(size=(28, 21)).shape == (28, 21)
    assert e.heatmap(rectify=True, normalize="max", size=(28, 28)).max() <= 1
    with pytest.raises(hirescam.PictureError, match="rectify"):
        e.heatmap(normalize="max")
    with pytest.raises(hirescam.ArgumentError, match="min-max"):
        e.heatmap(normalize="minmax")


def test_pictures(net: hirescam.Network) -> None:
    pillow = pytest.importorskip("PIL.Image")
    e = net.explain(SEVEN)
    assert e.overlay(layout="plain").size == (28, 28)
    assert np.array_equal(np.asarray(pillow.open(io.BytesIO(e.png(signed=True)))), e.pixels(signed=True))
    assert not np.array_equal(e.pixels(), e.pixels(signed=True))
    html = e._repr_html_()
    assert "class 7" in html or "<b>7</b>" in html
    assert "locally-linear" in html and "data:image/png;base64," in html
    of_tensor = net.explain(tensor())
    with pytest.raises(hirescam.ArgumentError, match="photo to draw on"):
        of_tensor.overlay()
    assert of_tensor.overlay(SEVEN, layout="plain").size == (28, 28)
    assert "data:image/png" in of_tensor._repr_html_()
    assert net.explain([SEVEN, THREE])._repr_html_().count("data:image/png") == 2
    with pytest.raises(hirescam.NotFoundError, match="opacity"):
        e.overlay(opacty=0.5)


def test_what_is_saved_is_what_the_command_line_writes(net: hirescam.Network, tmp_path: Path) -> None:
    e = net.explain(SEVEN)
    e.save(tmp_path / "seven")
    assert np.array_equal(np.load(tmp_path / "seven.npy"), e.map)
    assert (tmp_path / "seven.png").read_bytes() == e.png()
    assert hirescam.Spec.open(tmp_path / "seven.json") == hirescam.Spec.from_record(e.record)
    e.save(tmp_path / "map.npy")
    e.save(str(tmp_path / "map.png"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.npy", "map.png", "seven.json", "seven.npy", "seven.png"]
    net.explain(tensor()).save(tmp_path / "tensor")
    assert not (tmp_path / "tensor.png").exists() and (tmp_path / "tensor.npy").exists()


def test_a_record_makes_the_map_again(net: hirescam.Network) -> None:
    e = net.explain(SEVEN, method="layercam", class_=3)
    record = e.record
    assert record["method"] == "layercam" and record["class"] == 3 and record["image"] == SEVEN
    assert record["model_sha256"] == net.sha256 and record["score"] == e.score
    again = net.explain(SEVEN, spec=hirescam.Spec.from_record(record))
    assert np.array_equal(again.map, e.map)


@pytest.mark.parametrize("file", ["patient.onnx", "pair.onnx"])
def test_further_inputs_go_with_their_images(file: str, engine: str) -> None:
    golden = json.loads(Path("inputs/golden.json").read_text())[file]
    arrays = {name: np.array(of["data"]).reshape(of["shape"]) for name, of in golden["inputs"].items()}
    image = "after" if file.startswith("pair") else "image"
    images, beside = arrays.pop(image).astype(np.float32), arrays
    network = hirescam.Network(f"inputs/{file}")
    options = {"image_input": image, "layer": golden["layer"], "target": "class:1", "engine": engine}
    of_options = network.explain(images, input=beside, **options)
    of_call = network.explainer(input={name: 0 for name in beside}, **options).explain(images, input=beside)
    one_by_one = network.explain([row[None] for row in images], input=beside, **options)
    wanted = golden["score"]["data"] if isinstance(golden["score"], dict) else golden["score"]
    for made in (of_options, of_call, [e for of_one in one_by_one for e in of_one]):
        assert np.allclose([e.score for e in made], wanted, rtol=1e-4)
    with pytest.raises(hirescam.ArgumentError, match="input="):
        network.explain(images, **options)


def patient() -> tuple[hirescam.Network, dict[str, Any], np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """A network that takes an age beside the image, its options, images and what goes with each: all of them different."""
    golden = json.loads(Path("inputs/golden.json").read_text())["patient.onnx"]
    arrays = {name: np.array(of["data"]).reshape(of["shape"]) for name, of in golden["inputs"].items()}
    options = {"image_input": "image", "layer": golden["layer"], "target": "class:1", "engine": "tract"}
    count, rng = 25, np.random.default_rng(0)
    images = rng.random((count, *arrays.pop("image").shape[1:])).astype(np.float32)
    beside = {"age": rng.random((count, 1)), "dose": rng.random((count, 3)), "sex": rng.integers(0, 2, (count, *arrays["sex"].shape[1:]))}
    return hirescam.Network("inputs/patient.onnx"), options, images, beside


@pytest.mark.parametrize("of_call", [False, True])
def test_rows_of_further_inputs_are_counted_over_all_images_of_a_call(of_call: bool, tmp_path: Path) -> None:
    network, options, images, beside = patient()
    given = {} if of_call else {"input": beside}
    own = {"input": beside} if of_call else {}
    wanted = [network.explain(image, input={name: row[i : i + 1] for name, row in beside.items()}, **options).score for i, image in enumerate(images)]
    explainer = network.explainer(**given, **options)
    assert len(images) > 2 * explainer._native.together

    def scores(made: Any) -> list[float]:
        flat = [one for of_image in made for one in (of_image if isinstance(of_image, list) else [of_image])]
        return [float("nan") if isinstance(one, hirescam.Error) else one.score for one in flat]

    # As one tensor, as a list, as tensors of several rows, and from a generator.
    several = [*np.split(images[:20], 5), *images[20:]]
    for all_of_them in (images, list(images), several):
        assert scores(explainer.explain(all_of_them, **own)) == pytest.approx(wanted)
    assert scores(explainer.explain(iter(several), **own)) == pytest.approx(wanted)
    with ThreadPoolExecutor(3) as threads:
        for made in threads.map(lambda all_of_them: explainer.explain(all_of_them, **own), [several, list(images), images]):
            assert scores(made) == pytest.approx(wanted)

    # What fails has its row: what is no image, what cannot be read, and what does not fit.
    (tmp_path / "none.npy").write_bytes(b"none")
    failing = list(images)
    failing[1], failing[2], failing[13] = object(), tmp_path / "none.npy", images[0, :, 1:]
    made = scores(explainer.explain(failing, errors="return", **own))
    assert np.isnan([made[i] for i in (1, 2, 13)]).all()
    left = [i for i in range(len(images)) if i not in (1, 2, 13)]
    assert [made[i] for i in left] == pytest.approx([wanted[i] for i in left])

    # There are as many rows as images.
    for other in (images[:20], list(images[:20]), images[0], [*images, images[0]]):
        with pytest.raises(hirescam.ArgumentError, match="25 rows"):
            explainer.explain(other, **own)
    with pytest.raises(hirescam.ArgumentError, match="25 rows"):
        list(explainer.explain(iter(images[:20]), **own))


def test_a_number_fills_an_input_of_a_call() -> None:
    network, options, images, beside = patient()
    ones = {name: np.ones_like(rows[:1]) for name, rows in beside.items()}
    explainer = network.explainer(**options)
    assert explainer.explain(images[0], input=dict.fromkeys(beside, 1)).score == explainer.explain(images[0], input=ones).score


@pytest.mark.parametrize("name", ["alpha.png", "gray.png", "palette.png", "sixteen.png", "cmyk.jpg", "orientation_6.jpg", "photo.tif"])
def test_pillow_images_are_what_their_files_are(name: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    explainer = hirescam.Network("efficientnet-lite0.onnx").explainer(engine="tract")
    path = f"images/{name}"
    of_file = explainer.explain(path)
    with pillow.open(path) as image:
        of_image = explainer.explain(image)
    assert of_image.photo.shape == of_file.photo.shape
    # Decoders of JPEG round otherwise; what is read without loss is the same.
    if name.endswith(".jpg"):
        assert np.abs(of_image.photo.astype(int) - of_file.photo).max() <= 6
    else:
        assert np.array_equal(of_image.map, of_file.map)


def test_levels_of_sixteen_bits_are_kept() -> None:
    levels = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28)
    steps = {"channels": "gray", "max": 1023, "scale": 1 / 255}
    made = hirescam.Network("digits-cnn.onnx", preprocess=steps).explain(levels)
    wanted = hirescam.Network("digits-cnn.onnx").explain((levels / np.float32(1023))[None].astype(np.float32))
    assert made.score == pytest.approx(wanted.score, rel=1e-5)


def test_a_photo_and_its_map_lie_over_each_other(engine: str) -> None:
    e = hirescam.Network("efficientnet-lite0.onnx").explain("photos/chelsea.png", engine=engine)
    assert (e.label, e.certificate.verdict, e.certificate.b_is_known) == ("tiger cat", "exact", True)
    assert e.certificate.adds_up and abs(e.certificate.residual) < 1e-3
    left, top, width, height = e.view
    assert 0 <= left and left + width <= e.photo.shape[1] and 0 <= top and top + height <= e.photo.shape[0]
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    pyplot.switch_backend("agg")
    axes = e.plot()
    assert len(axes.images) == 2 and "tiger cat" in axes.get_title()
    assert e.plot(axes, signed=True, colorbar=False) is axes
    of_tensor = hirescam.Network("digits-cnn.onnx").explain(tensor()).plot()
    assert len(of_tensor.images) == 1
    pyplot.close("all")


def test_what_is_not_installed_is_named(net: hirescam.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    e = net.explain(SEVEN)
    for name in ("PIL", "PIL.Image", "matplotlib", "matplotlib.pyplot", "pandas", "tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pillow"):
        e.overlay()
    with pytest.raises(ImportError, match="pip install matplotlib"):
        e.plot()
    assert isinstance(net.layers(), list) and isinstance(net.layers()[0], dict)
    assert "data:image/png" in e._repr_html_() and e.pixels().shape[-1] == 3
    assert net.explain([SEVEN], progress=True)[0].class_ == 7
