"""Networks, and explainers that are made of them."""

from __future__ import annotations

import builtins
import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from . import _display, _hirescam
from ._errors import ArgumentError, Error, ModelError
from ._hirescam import Explanation, Image, Spec
from ._images import Taker, content, is_array, is_pillow, numbers
from ._kept import Kept
from ._progress import Bar

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import AllOptions, Common, Path

LOGGER = logging.getLogger("hirescam")

KEPT = 2
"""How many explainers a network keeps ready for `explain`; each holds the weights once more."""


class Explanations(list[Any]):
    """A list of explanations, which shows itself in a notebook: the maps of one image, or what came of several images.

    >>> net = hirescam.Network("digits-cnn.onnx")
    >>> [e.class_ for e in net.explain("photos/seven.png", top=3)][0]
    7
    """

    def _repr_html_(self) -> str:
        return _display.gallery(self)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(Explanation, name):
            raise AttributeError(f"this is a list of {len(self)} explanations: take one of them, as [0].{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class ImageInput(NamedTuple):
    """The input of a network that carries the image."""

    name: str
    """Its name."""
    dtype: str
    """Its elements, as NumPy calls them where it has them."""
    shape: tuple[int | None, ...]
    """Its extents; None for those that the file leaves open."""


class Network:
    """A network: an ONNX file, with what lies beside it.

    `model` is its path, the bytes of the file, an open file, or an `onnx.ModelProto`. `labels` (a list, or a file) and `preprocess` (a preset's name, a file, or a
    dictionary of steps) stand for what lies with the file or in it; they are the options of these names, for everything that is asked of the network.

    >>> net = hirescam.Network("digits-cnn.onnx")
    >>> net
    <hirescam.Network 'digits-cnn.onnx': input input float32 [1, 1, 28, 28]>
    """

    def __init__(self, model: Any, *, labels: Any = None, preprocess: Any = None) -> None:
        if hasattr(model, "SerializeToString"):
            model = model.SerializeToString()
        elif hasattr(model, "read"):
            model = content(model)
        if isinstance(model, (bytes, bytearray, memoryview)):
            self._native = _hirescam.Network.from_bytes(bytes(model))
        elif isinstance(model, (str, os.PathLike)):
            self._native = _hirescam.Network.open(os.fspath(model))
        else:
            raise ArgumentError(
                f"a network is the path of an ONNX file, its bytes or an onnx.ModelProto, and this is a {type(model).__name__}"
            )
        said = {"labels": labels, "preprocess": preprocess}
        self._spec = Spec(**{key: value for key, value in said.items() if value is not None})
        self._ready: Kept[str, _hirescam.Explainer] = Kept(KEPT)

    @property
    def path(self) -> str | None:
        """The file; None for a network of bytes."""
        path = self._native.path
        return None if path is None else os.fspath(path)

    @property
    def sha256(self) -> str:
        """The file's SHA-256, in hexadecimal."""
        return self._native.sha256

    @property
    def bytes(self) -> builtins.bytes:
        """The file's bytes, without weights in files of their own."""
        return self._native.bytes

    @property
    def image(self) -> ImageInput:
        """The input that carries the image.

        >>> hirescam.Network("digits-cnn.onnx").image.shape
        (1, 1, 28, 28)
        """
        return self._image(self._spec)

    def _image(self, spec: Spec) -> ImageInput:
        name, dtype, shape = self._native.image(spec)
        return ImageInput(name, dtype, tuple(shape))

    @property
    def labels(self) -> list[str] | None:
        """The class labels: those that were given, else those that lie with the file."""
        given = self._spec.labels
        return given if isinstance(given, list) else self._native.labels()

    @property
    def preprocess(self) -> Any:
        """How photos are prepared: what was given, else the steps that lie with the file. None where nothing says it."""
        found = None if self._spec.preprocess is not None else self._native.preprocess()
        return self._spec.preprocess if found is None else found[0]

    def spec(self, spec: Spec | None = None, **options: Unpack[AllOptions]) -> Spec:
        """All options as one thing: those of the network, then those of `spec`, then these.

        >>> hirescam.Network("digits-cnn.onnx", preprocess="imagenet").spec(top=2)
        Spec(top=2, preprocess='imagenet')
        """
        if spec is None:
            return self._spec.replace(**options)
        if not isinstance(spec, Spec):
            raise ArgumentError(f"spec= takes a hirescam.Spec, and this is a {type(spec).__name__}")
        own = {key: value for key in ("labels", "preprocess") if getattr(spec, key) is None and (value := getattr(self._spec, key))}
        return spec.replace(**{**own, **options})

    def explainer(self, *, spec: Spec | None = None, **options: Unpack[AllOptions]) -> Explainer:
        """The network made ready to explain any number of images with these options.

        >>> explainer = hirescam.Network("digits-cnn.onnx").explainer(method="gradcam", class_=7)
        >>> explainer.explain("photos/seven.png").method
        'gradcam'
        """
        return Explainer(self, self.spec(spec, **options))

    @overload
    def explain(
        self,
        image: Path | builtins.bytes | bytearray | memoryview,
        *,
        layer: str = ...,
        method: str = ...,
        class_: int | str = ...,
        target: int = ...,
        top: Literal[1] = ...,
        progress: bool | None = None,
        input: Mapping[str, Any] = ...,
        **options: Unpack[Common],
    ) -> Explanation: ...

    @overload
    def explain(
        self,
        image: Iterator[Any],
        *,
        spec: Spec | None = None,
        array: str | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: bool | None = None,
        **options: Unpack[AllOptions],
    ) -> Iterator[Any]: ...

    @overload
    def explain(
        self,
        image: Any,
        *,
        spec: Spec | None = None,
        array: str | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: bool | None = None,
        **options: Unpack[AllOptions],
    ) -> Any: ...

    def explain(
        self,
        image: Any,
        *,
        spec: Spec | None = None,
        array: str | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: bool | None = None,
        **options: Any,
    ) -> Any:
        """Explains an image, a list of images or an iterator of them.

        An image is a path, bytes, a Pillow image or an array: one of uint8 is a photo [height, width, channels], one of floats is a tensor in the
        network's own shape, ready to be fed. `array` says how an array is to be read where that is open: "HWC", "CHW", "NHWC" …, or "tensor".

        One image gives an `Explanation`; options that ask for several maps (`top` above 1, several classes, methods or layers, a target such as
        `above:0.5`) make that a list of them: the best class first, of each class one method after the other, of each method the layers. A list of images and a tensor with a batch give a list of what each
        gives; an iterator gives an iterator, which reads no more than it needs.

        With `errors="return"` the exception stands in the place of what failed; with `"raise"` the first one is raised, and its `image`
        says which it was. `progress` shows a bar, if tqdm is there: True always, None where it takes longer than a few seconds.

        The network is made ready for the options of the last few calls; `explainer` says when, and holds it for as long as one likes.

        >>> net = hirescam.Network("digits-cnn.onnx")
        >>> net.explain("photos/seven.png", class_=7, layer="/conv_layers/conv_layers.7/Relu_output_0").score > 0
        True
        >>> len(net.explain(["photos/seven.png", "photos/three.png"]))
        2
        """
        explainer = self._kept(self.spec(spec, **options))
        return explainer.explain(image, array=array, errors=errors, progress=progress)

    def _kept(self, spec: Spec) -> Explainer:
        """The explainer for a spec: it is made ready where it is none of the last ones."""
        return Explainer(self, spec, self._ready.of(spec.to_json(), lambda: Explainer(self, spec)._native))

    def layers(self, *, all: bool = False, spec: Spec | None = None, **options: Unpack[AllOptions]) -> Any:
        """The layers that can be explained at, from the image to the score, with what is proven there: a data frame if pandas is there, else a list of records.

        Those on every path from the image to the score; with `all` every one.

        >>> len(hirescam.Network("digits-cnn.onnx").layers()) > 5
        True
        """
        rows, note = self._native.layers(self.spec(spec, **options), all)
        _said(note)
        return _display.table(rows)

    def compare(
        self,
        image: Any,
        methods: str | Iterable[str] | None = None,
        *,
        spec: Spec | None = None,
        array: str | None = None,
        progress: bool | None = None,
        **options: Unpack[AllOptions],
    ) -> Any:
        """Several methods on one image, with their numbers: a data frame if pandas is there, else a list of records.

        All are made for the class that HiResCAM explains. What the numbers are is said in the documentation of records.

        >>> table = hirescam.Network("digits-cnn.onnx").compare("photos/seven.png", ["hirescam", "gradcam"])
        >>> len(table)
        2
        """
        spec = self.spec(spec, **options)
        if methods is not None:
            spec = spec.replace(compare={"methods": [methods] if isinstance(methods, str) else list(methods)})
        images, _ = self._taker(spec, array).take(image)
        if len(images) != 1:
            raise ArgumentError("methods are compared on one image")
        with Bar(progress, 1) as bar:
            return _display.table(self._native.compare(spec, images[0], bar.passes)["methods"])

    def check(
        self,
        images: Any = (),
        *,
        spec: Spec | None = None,
        array: str | None = None,
        progress: bool | None = None,
        **options: Unpack[AllOptions],
    ) -> Any:
        """How far maps can be trusted on this network, and how they fare on some images: a row for each method at each layer, as a data frame if
        pandas is there, else as a list of records.

        Without images it is what is proven of the layers. `report` has all that was found.

        >>> table = hirescam.Network("digits-cnn.onnx").check(["photos/seven.png"], check={"randomise": False, "places": 4, "methods": ["gradcam"]})
        >>> len(table) >= 2
        True
        """
        return self.report(images, spec=spec, array=array, progress=progress, **options).table()

    def report(
        self,
        images: Any = (),
        *,
        spec: Spec | None = None,
        array: str | None = None,
        progress: bool | None = None,
        **options: Unpack[AllOptions],
    ) -> Report:
        """The faithfulness report: all that `check` finds, as data, as text and as a page.

        >>> report = hirescam.Network("digits-cnn.onnx").report()
        >>> report.record["model_sha256"] == hirescam.Network("digits-cnn.onnx").sha256
        True
        """
        spec = self.spec(spec, **options)
        taker = self._taker(spec, array)
        if not _is_one(images) and not isinstance(images, Iterable):
            raise _no_image(images)
        taken = [taker.take(image)[0] for image in ([images] if _is_one(images) else images)]
        with Bar(progress, 1) as bar:
            return Report(*self._native.check(spec, [image for of_one in taken for image in of_one], bar.passes))

    def compile(self, *, heatmap: Any = None, spec: Spec | None = None, **options: Unpack[AllOptions]) -> builtins.bytes:
        """The explaining model: the bytes of the same ONNX file with map, class, score and b as more outputs.

        `heatmap` adds one more output for display: (height, width), or "image" for the size of the image.

        >>> net = hirescam.Network("digits-cnn.onnx")
        >>> hirescam.strip(net.compile()) == net.bytes
        True
        """
        size = heatmap if heatmap is None or isinstance(heatmap, str) else "x".join(str(int(side)) for side in heatmap)
        made, words = self._native.compile(self.spec(spec, **options), size)
        for line in words:
            _said(line)
        return made

    def _taker(self, spec: Spec, array: str | None) -> Taker:
        image = self._image(spec)
        return Taker(image.shape, image.dtype, array)

    def __repr__(self) -> str:
        image = self.image
        of = f"{len(self.bytes)} bytes" if self.path is None else repr(self.path)
        return f"<hirescam.Network {of}: input {image.name} {image.dtype} {list(image.shape)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _network, (self.path, self.sha256, None if self.path else self.bytes, self._spec)


class Explainer:
    """A network made ready to explain any number of images; made by `Network.explainer`.

    It can be used from several threads at a time, and goes on in forked processes. Each run takes all cores unless `threads` says otherwise; with `threads=1`
    the calls of several threads are computed side by side, on the processor. It is pickled by the network's
    path and the hash of its file: where it is unpickled, that file is read, and has to be the same.

    >>> import pickle
    >>> explainer = hirescam.Network("digits-cnn.onnx").explainer(top=2)
    >>> pickle.loads(pickle.dumps(explainer)).spec == explainer.spec
    True
    """

    def __init__(self, network: Network, spec: Spec, _ready: _hirescam.Explainer | None = None) -> None:
        self.network = network
        self._image = network._image(spec)
        if _ready is None:
            _ready, note = network._native.explainer(spec)
            _said(note)
        self._native = _ready

    @property
    def spec(self) -> Spec:
        """The options, with the engine that runs the network."""
        return self._native.spec

    def explain(
        self,
        image: Any,
        *,
        array: str | None = None,
        input: Mapping[str, Any] | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: bool | None = None,
    ) -> Any:
        """Explains an image, a list of images or an iterator of them; see `Network.explain`.

        `input` is what other inputs of the network are fed with these images, in the place of what the options say: a dictionary of arrays and numbers. Of
        an array with several rows, one goes with each image, in the order of all that are given; there have to be as many. An image that fails has its row, too.

        >>> explainer = hirescam.Network("digits-cnn.onnx").explainer()
        >>> [e.class_ for e in explainer.explain(iter(["photos/seven.png"]))]
        [7]
        """
        if errors not in ("raise", "return"):
            raise ArgumentError(f'errors={errors!r}: it takes "raise" or "return"')
        taker = Taker(self._image.shape, self._image.dtype, array)
        beside = _hirescam.Inputs({name: numbers(value if is_array(value) else np.asarray(value)) for name, value in (input or {}).items()})
        if _is_one(image):
            with Bar(progress if self._native.together == 1 else False, 1) as bar:
                [made] = self._stream([image], taker, beside, "return", bar)
            if (error := _failed(made)) is not None:
                error.image = None
                if errors == "raise" or error is made:
                    raise error
            return made
        if isinstance(image, Sequence):
            with Bar(progress, len(image)) as bar:
                return Explanations(self._stream(image, taker, beside, errors, bar))
        if isinstance(image, Iterable) and not isinstance(image, (Mapping, Set)):
            return self._watched(image, taker, beside, errors, progress)
        raise _no_image(image)

    def _watched(self, images: Iterable[Any], taker: Taker, beside: _hirescam.Inputs, errors: str, progress: bool | None) -> Iterator[Any]:
        with Bar(progress, None) as bar:
            yield from self._stream(images, taker, beside, errors, bar)

    def _stream(self, images: Iterable[Any], taker: Taker, beside: _hirescam.Inputs, errors: str, bar: Bar) -> Iterator[Any]:
        """What came of images, a few of them at a time. An error among the images is what came of one."""
        number, seen = 0, 0
        for part in _parts(images, self._native.together):
            taken = [_taken(taker, image) for image in part]
            native = [one for of_image in taken for one in ([None] if isinstance(of_image, Error) else of_image[0])]
            results, seen = self._native.explain(native, beside, seen, bar.passes)
            found = iter(results)
            bar.images(len(part))
            for of_image in taken:
                made = self._result(of_image, found)
                error = _failed(made)
                if error is not None:
                    error.image = number
                    if errors == "raise":
                        raise error
                number += 1
                yield made
        self._native.served(beside, seen)

    def _result(self, taken: tuple[list[Image], bool] | Error, made: Iterator[Any]) -> Any:
        """What stands for one image: its samples' results, in a list where it is several."""
        if isinstance(taken, Error):
            next(made)
            return taken
        images, many = taken
        of_images = list(itertools.islice(made, len(images)))
        if len(of_images) == 1 and isinstance(of_images[0], Error):
            return of_images[0]
        samples = [sample for of_image in of_images for sample in ([of_image] if isinstance(of_image, Error) else of_image)]
        results = [self._maps(sample) for sample in samples]
        if many and not self._native.takes_all_rows:
            return Explanations(results)
        return results[0] if len(results) == 1 else Explanations(results)

    def _maps(self, sample: Any) -> Any:
        """What stands for one sample: its map, or a list where the options can ask for several."""
        if isinstance(sample, Error):
            return sample
        return sample[0] if self._native.makes_one_map else Explanations(sample)

    def __repr__(self) -> str:
        return f"<hirescam.Explainer of {self.network!r}: {self.spec!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Explainer, (self.network, self.spec)


class Report:
    """How far maps can be trusted on a network: what is proven, what is measured on images, what is left when the weights are randomised.

    >>> report = hirescam.Network("digits-cnn.onnx").report()
    >>> report.text.splitlines()[0]
    'digits-cnn.onnx'
    """

    def __init__(self, record: dict[str, Any], text: str, html: str) -> None:
        self.record, self.text, self.html = record, text, html

    def table(self) -> Any:
        """A row for each method at each layer; without images, one for each layer. A data frame if pandas is there, else a list of records.

        >>> len(hirescam.Network("digits-cnn.onnx").report().table()) > 0
        True
        """
        rows = []
        for layer in self.record["layers"]:
            about = {"layer": layer["name"], **{key: layer[key] for key in ("recommended", "verdict", "bypass", "uniform", "error")}}
            for method in layer["methods"] or [{}]:
                numbers = {key: value["mean"] if isinstance(value, dict) else value for key, value in method.items() if key != "images"}
                rows.append({**about, **numbers, "error": about["error"] or numbers.get("error")})
        return _display.table(rows)

    def save(self, path: Path) -> None:
        """Writes the page where `path` ends in .html, the data where it ends in .json, else the text."""
        ending = os.path.splitext(path)[1].lower()
        text = self.html if ending in (".html", ".htm") else json.dumps(self.record) + "\n" if ending == ".json" else self.text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"

    def __repr__(self) -> str:
        layers, images = len(self.record["layers"]), len(self.record["images"])
        return f"<hirescam.Report of {self.record['model']!r}: {layers} layers, {images} images>"


def strip(model: Any) -> bytes:
    """The network without the map that was added to it: its own file, byte for byte. `model` is an explaining model, as a path, bytes or `Network`.

    >>> net = hirescam.Network("digits-cnn.onnx")
    >>> hirescam.strip(net.compile(method="layercam")) == net.bytes
    True
    """
    network = model if isinstance(model, Network) else Network(model)
    bare = network._native.strip()
    if bare is None:
        raise ArgumentError("this is no explaining model: nothing can be taken off")
    return bare


def _network(path: str | None, sha256: str, content: bytes | None, spec: Spec) -> Network:
    """A network that was pickled."""
    network = Network(content if path is None else path)
    if network.sha256 != sha256:
        raise ModelError(f"{path}: the file is another one than that of the network that was pickled", path=path)
    network._spec = spec
    return network


def _is_one(image: Any) -> bool:
    """Whether it is one image, and no list of them."""
    known = isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(image, "read")
    return known or is_pillow(image) or is_array(image)


def _no_image(image: Any) -> ArgumentError:
    return ArgumentError(
        f"an image is a path, bytes, a Pillow image or an array, or it is a list or an iterator of these; this is a {type(image).__name__}"
    )


def _parts(images: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """The images, so many at a time. Where the iterator breaks off, those before that come first."""
    part: list[Any] = []
    try:
        for image in images:
            part.append(image)
            if len(part) == most:
                yield part
                part = []
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


def _taken(taker: Taker, image: Any) -> tuple[list[Image], bool] | Error:
    """The image as it is taken, or why it is none."""
    if isinstance(image, Error):
        return image
    try:
        return taker.take(image)
    except Error as error:
        return error


def _failed(made: Any) -> Error | None:
    """The first error in what came of an image."""
    if isinstance(made, list):
        return next((error for one in made if (error := _failed(one)) is not None), None)
    return made if isinstance(made, Error) else None


def _said(note: str | None) -> None:
    if note:
        LOGGER.info(note)
