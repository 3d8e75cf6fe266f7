"""Explanations of Arrow's record batches, which is what Ray Data, Spark, Daft and Dask hand to a function.

`explain` takes a batch with a column of images and gives a batch with a row for each map. The columns of the batch that come through it
unchanged are all but the images; then there are these:

| column | type | what it is |
|---|---|---|
| `id` | int64 | the number of the image's row in the batch; where the batch has a column `id`, that one comes through instead |
| `number` | int32 | the number of the map among those of its image, from 0 |
| `class` | int64 | the class's number, where the target has one |
| `label` | string | its label, where there are labels |
| `target` | string | what is explained, in words |
| `layer`, `method` | string | the target layer, the method |
| `score` | double | the score that is explained |
| `probability` | double | its probability, where the network ends in one |
| `sum` | double | Σ, the sum of the map |
| `b` | double | what makes the score of the sum |
| `residual` | double | the score less Σ + b |
| `verdict` | string | what is proven of the map |
| `map` | fixed_size_list of float | the map, raw and signed, row by row; its field's metadata has the key `shape`, as `[7, 7]` |
| `map_shape` | list of int32 | the map's shape |
| `error_kind`, `error` | string | why a row has no map; null elsewhere |

An image that fails is a row in which all but `id`, `error_kind` and `error` is null. An image for which the target picks nothing
(`above:0.5`) has no row. What is wrong with all images (the options, the column's type) is raised.

The batch's schema depends on the network and the options alone, so that all batches have the same: `schema` gives it before any is explained. Where
maps can differ in size (the file leaves the image's size open, several layers are asked for) or the method takes several runs, `map` is a list of float. The option `shape` of the spec settles
an open one, and `fixed=False` is for readers who know no lists of fixed size, as Spark.

An image is in a column of

- **binary**: the bytes of a file (PNG, JPEG …, or .npy),
- **string**: its path,
- **struct** of `bytes` and `path`, as Hugging Face's datasets have it,
- **fixed_size_list or list of numbers**, nested or not, or a tensor (`arrow.fixed_shape_tensor`): of floats a tensor in the network's own shape without
  the axis of the batch; of uint8 a photo. The shape is that of the type or the field's metadata (`shape`), else that of the network's input.

Numbers are read where they lie. Maps are written side by side, and that array becomes the column without a further copy.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import ArgumentError, Error
from ._hirescam import Explanation, Spec
from ._kept import Kept
from ._network import Explainer, Network

if TYPE_CHECKING:
    import pyarrow

__all__ = ["explain", "schema"]

KEPT = 4
"""How many explainers a process keeps ready; each holds the weights once more."""



def explain(
    batch: pyarrow.RecordBatch,
    spec: Spec | Mapping[str, Any] | Explainer | None = None,
    *,
    model: Any = None,
    image: str = "image",
    shape: Sequence[int] | None = None,
    array: str | None = None,
    prefix: str = "",
    fixed: bool = True,
) -> pyarrow.RecordBatch:
    """Explains the images of a record batch; of a table, all its batches.

    `model` is the network: a path, bytes or a `Network`; an `Explainer` in the place of `spec` has its own. In each process the network is made ready once
    for each file (by its hash) and spec. `image` names the column of images. `shape` is that of one image of numbers, and `array` says how its axes
    lie ("HWC", "CHW", "tensor"), where that is open. `prefix` goes before the names of the columns that are made. The module's documentation
    has the columns.

    >>> import hirescam.arrow, pyarrow
    >>> batch = pyarrow.RecordBatch.from_pydict({"image": ["photos/seven.png", "none.png"], "day": [1, 2]})
    >>> made = hirescam.arrow.explain(batch, hirescam.Spec(method="hirescam"), model="digits-cnn.onnx")
    >>> made["label"].to_pylist(), made["error_kind"].to_pylist()
    (['7', None], [None, 'missing-file'])
    >>> made["map"].type, made.schema.field("map").metadata
    (FixedSizeListType(fixed_size_list<item: float>[49]), {b'shape': b'[7, 7]'})
    """
    pa = _pyarrow()
    if not isinstance(batch, (pa.RecordBatch, pa.Table)):
        raise ArgumentError(f"explain() takes a record batch or a table of pyarrow, and this is a {type(batch).__module__}.{type(batch).__name__}")
    explainer = _ready(spec, model)
    made = _schema(batch.schema, explainer, image, prefix, fixed)
    parts = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
    images = [_images(pa, part, image, explainer, shape) for part in parts]
    results = explainer.explain(itertools.chain.from_iterable(images), array=array, errors="return", progress=False)
    batches = []
    for part in parts:
        rows = [(row, number, one) for row in range(part.num_rows) for number, one in enumerate(_flat(next(results)))]
        batches.append(_batch(pa, part, made, rows, image, prefix))
    # It says at its end whether inputs beside the image had rows for all.
    next(results, None)
    return pa.Table.from_batches(batches, made) if isinstance(batch, pa.Table) else batches[0]


def schema(
    schema: pyarrow.Schema,
    spec: Spec | Mapping[str, Any] | Explainer | None = None,
    *,
    model: Any = None,
    image: str = "image",
    prefix: str = "",
    fixed: bool = True,
) -> pyarrow.Schema:
    """The schema of what `explain` makes of batches that have this one. It is known from the network's graph.

    >>> import hirescam.arrow, pyarrow
    >>> has = pyarrow.schema({"image": pyarrow.binary(), "patient": pyarrow.string()})
    >>> hirescam.arrow.schema(has, model="digits-cnn.onnx").names[:4]
    ['patient', 'id', 'number', 'class']
    """
    return _schema(schema, _ready(spec, model), image, prefix, fixed)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("hirescam.arrow works on record batches of pyarrow, which is not installed: pip install 'pyarrow>=15'") from error
    if int(pyarrow.__version__.split(".")[0]) < 15:
        # Lists of fixed size of which some are null cannot be made before.
        raise ImportError(f"hirescam.arrow needs pyarrow 15 or later, and {pyarrow.__version__} is installed: pip install 'pyarrow>=15'")
    return pyarrow


_READY: Kept[tuple[str | None, str, str], Explainer] = Kept(KEPT)
_FILES: Kept[tuple[str, int, int], Network] = Kept(KEPT)


def _ready(spec: Spec | Mapping[str, Any] | Explainer | None, model: Any) -> Explainer:
    """The explainer of this process for a network and a spec."""
    if isinstance(spec, Explainer):
        if model is not None:
            raise ArgumentError("an Explainer has its network: model= goes with a Spec")
        network, spec = spec.network, spec.spec
    elif model is None:
        raise ArgumentError("which network? model= takes its path, its bytes or a Network")
    else:
        network = _network(model)
        spec = network.spec(**spec) if isinstance(spec, Mapping) else network.spec(spec)
    key = (network.path, network.sha256, spec.to_json())
    return _READY.of(key, lambda: Explainer(network, spec))


def _network(model: Any) -> Network:
    """The network; of a file, the one that is open already where the file has not changed."""
    if isinstance(model, Network):
        return model
    if not isinstance(model, (str, os.PathLike)):
        return Network(model)
    try:
        found = os.stat(model)
    except OSError:
        # It says what is wrong with it.
        return Network(model)
    return _FILES.of((os.path.abspath(model), found.st_mtime_ns, found.st_size), lambda: Network(model))


def _input_shape(explainer: Explainer) -> tuple[int | None, ...]:
    """The shape of one image as the network takes it."""
    shape: tuple[int | None, ...] = tuple(explainer.spec.shape or explainer._image.shape)
    return shape if explainer._native.takes_all_rows else shape[1:]


def _flat(made: Any) -> Iterator[Any]:
    """The maps and errors that stand for one image."""
    if isinstance(made, list):
        for one in made:
            yield from _flat(one)
    else:
        yield made


def _schema(has: Any, explainer: Explainer, image: str, prefix: str, fixed: bool) -> Any:
    pa = _pyarrow()
    if image not in has.names:
        raise ArgumentError(f"the batch has no column {image!r}: image= takes the name of one of {', '.join(map(repr, has.names))}")
    through = [field for field in has if field.name != image]
    shape = explainer._native.map_shape if fixed else None
    of_map = pa.list_(pa.float32()) if shape is None else pa.list_(pa.float32(), int(np.prod(shape)))
    types = {
        "id": pa.int64(),
        "number": pa.int32(),
        "class": pa.int64(),
        **dict.fromkeys(("label", "target", "layer", "method"), pa.string()),
        **dict.fromkeys(("score", "probability", "sum", "b", "residual"), pa.float64()),
        "verdict": pa.string(),
        "map": of_map,
        "map_shape": pa.list_(pa.int32()),
        **dict.fromkeys(("error_kind", "error"), pa.string()),
    }
    if prefix + "id" in has.names and prefix + "id" != image:
        del types["id"]
    made = [pa.field(prefix + name, kind) for name, kind in types.items()]
    if shape is not None:
        made = [f.with_metadata({"shape": json.dumps(shape)}) if f.name == prefix + "map" else f for f in made]
    double = sorted({field.name for field in through} & {field.name for field in made})
    if double:
        raise ArgumentError(
            f'the batch has a column {double[0]!r}, and so has what is made of it: prefix="cam_" tells them apart, or rename the batch\'s own'
        )
    return pa.schema(through + made, has.metadata)


def _images(pa: Any, batch: Any, name: str, explainer: Explainer, shape: Sequence[int] | None) -> list[Any]:
    """The image of each row, or the error where there is none."""
    column, field = batch.column(name), batch.schema.field(name)
    read = _reader(pa, column.type, field.metadata or {}, explainer, shape)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    images: list[Any] = []
    for row in range(len(column)):
        try:
            images.append(read(column[row]))
        except Error as error:
            images.append(error)
    return images


def _reader(pa: Any, kind: Any, metadata: Mapping[bytes, bytes], explainer: Explainer, shape: Sequence[int] | None) -> Any:
    """What makes an image of an element of a column of this type."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.BaseExtensionType):
        shape = getattr(kind, "shape", None) if shape is None else shape
        permutation = getattr(kind, "permutation", None)
        if permutation is not None and list(permutation) != sorted(permutation):
            raise ArgumentError("the tensor's axes are permuted: bring them into their order first")
        kind = kind.storage_type
    if types.is_struct(kind):
        names = {field.name: n for n, field in enumerate(kind)}
        if not names.keys() & {"bytes", "path"}:
            raise ArgumentError(f"a column of images that is a struct has the fields bytes and path, and this one has {', '.join(names)}")
        return lambda cell: _of_struct(pa, cell)
    if any(is_kind(kind) for is_kind in _kinds(types, "binary", "large_binary", "fixed_size_binary", "binary_view")):
        return lambda cell: memoryview(_there(cell).as_buffer())
    if any(is_kind(kind) for is_kind in _kinds(types, "string", "large_string", "string_view", "null")):
        return lambda cell: _there(cell).as_py()
    element = kind
    nested: list[int | None] = []
    while any(is_kind(element) for is_kind in _kinds(types, "list", "large_list", "fixed_size_list")):
        nested.append(getattr(element, "list_size", None))
        element = element.value_type
    if not nested or not (types.is_floating(element) or types.is_integer(element)):
        raise ArgumentError(f"a column of images has the type binary, string, struct of bytes and path, or list of numbers; this one has {kind}")
    if shape is None and b"shape" in metadata:
        shape = json.loads(metadata[b"shape"])
    of_type = nested if len(nested) > 1 and None not in nested else _input_shape(explainer)
    wanted: Sequence[int | None] = of_type if shape is None else shape
    return lambda cell: _of_numbers(cell, wanted)


def _kinds(types: Any, *names: str) -> list[Any]:
    """The questions after these types that this version of pyarrow can answer."""
    return [ask for name in names if (ask := getattr(types, f"is_{name}", None)) is not None]


def _there(cell: Any) -> Any:
    if not cell.is_valid:
        raise ArgumentError("the row has no image: it is null")
    return cell


def _of_struct(pa: Any, cell: Any) -> Any:
    cell = _there(cell)
    parts = {name: cell[name] for name in cell if name in ("bytes", "path")}
    if (content := parts.get("bytes")) is not None and content.is_valid:
        return memoryview(content.as_buffer())
    return _there(parts.get("path", pa.scalar(None))).as_py()


def _of_numbers(cell: Any, shape: Sequence[int | None]) -> np.ndarray[Any, Any]:
    """A view of a row's numbers."""
    values = _there(cell).values
    while hasattr(values, "flatten") and hasattr(values.type, "value_type"):
        values = values.flatten()
    if values.null_count:
        raise ArgumentError(f"{values.null_count} numbers of the image are null")
    numbers: np.ndarray[Any, Any] = values.to_numpy(zero_copy_only=True)
    free = sum(extent is None for extent in shape)
    known = int(np.prod([extent for extent in shape if extent is not None]))
    if free > 1 or (numbers.size % known if free else numbers.size != known):
        text = ", ".join("?" if extent is None else str(extent) for extent in shape)
        raise ArgumentError(f"{numbers.size} numbers are no image of the shape [{text}]: shape= says what shape the images have")
    return numbers.reshape([-1 if extent is None else extent for extent in shape])


def _batch(pa: Any, batch: Any, made: Any, rows: list[tuple[int, int, Explanation | Error]], image: str, prefix: str) -> Any:
    """The rows as a batch."""
    there = [one if isinstance(one, Explanation) else None for _, _, one in rows]
    errors = [one if isinstance(one, Error) else None for _, _, one in rows]
    values: dict[str, Any] = {
        "id": [row for row, _, _ in rows],
        "number": [None if one is None else number for (_, number, _), one in zip(rows, there)],
        "class": [one and one.class_ for one in there],
        **{name: [one and getattr(one, name) for one in there] for name in ("label", "target", "layer", "method", "score", "probability")},
        **{name: [one and getattr(one.certificate, name) for one in there] for name in ("sum", "b", "residual", "verdict")},
        "map_shape": [one and one.map.shape for one in there],
        "error_kind": [error and error.kind for error in errors],
        "error": [error and str(error) for error in errors],
    }
    through = [name for name in batch.schema.names if name != image]
    taken = [row for row, _, _ in rows]
    same = taken == list(range(batch.num_rows))
    columns = []
    for field in made:
        if field.name in through:
            column = batch.column(field.name)
            columns.append(column if same else column.take(pa.array(taken, pa.int64())))
        elif field.name == prefix + "map":
            columns.append(_maps(pa, field, there))
        else:
            columns.append(pa.array(values[field.name.removeprefix(prefix)], field.type))
    return pa.RecordBatch.from_arrays(columns, schema=made)


def _maps(pa: Any, field: Any, there: Sequence[Explanation | None]) -> Any:
    """The column of the maps. Where it is null, a list of fixed size has room all the same."""
    missing = pa.array([one is None for one in there], pa.bool_())
    if pa.types.is_fixed_size_list(field.type):
        size = field.type.list_size
        numbers = np.zeros((len(there), size), np.float32)
        for row, one in zip(numbers, there):
            if one is not None:
                row[:] = one.map.ravel()
        flat = pa.array(numbers.reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, type=field.type, mask=missing)
    maps = [np.empty(0, np.float32) if one is None else one.map.ravel() for one in there]
    ends = np.cumsum([0, *(map.size for map in maps)], dtype=np.int32)
    flat = pa.array(np.concatenate(maps) if maps else np.empty(0, np.float32))
    return pa.ListArray.from_arrays(pa.array(ends), flat, type=field.type, mask=missing)
