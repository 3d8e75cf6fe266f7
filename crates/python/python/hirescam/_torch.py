"""Networks that are modules of PyTorch."""

from __future__ import annotations

import logging
import math
import re
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _hirescam, _scopes
from ._errors import ArgumentError, Error, NotFoundError, UnsupportedError
from ._export import (
    ENGINES,
    EXPORTERS,
    SCORES,
    Exported,
    Program,
    at_rest,
    export,
    has_hooks,
    import_torch,
    path_of,
    program,
    without_hooks,
)
from ._hirescam import Spec
from ._network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ._types import AllOptions

LOGGER = logging.getLogger("hirescam")

CLOSE = 1e-4
"""How far the exported network's scores may be from the module's, as a share of the largest."""


class TorchNetwork(Network):
    """A module of PyTorch as a network; made by `from_torch`.

    Layers are named as the module's parts are: `layer="layer4.1"`, or `layer=model.layer4[1]`. Of a part that is called several times, the calls are
    "relu#1", "relu#2" … All else is as with `Network`.
    """

    def __init__(
        self,
        content: bytes,
        *,
        values: dict[str, str] | None = None,
        without: dict[str, str] | None = None,
        exporter: str | None = None,
        difference: float = 0.0,
        engine: str = "auto",
        labels: Any = None,
        preprocess: Any = None,
    ) -> None:
        super().__init__(content, labels=labels, preprocess=preprocess)
        if engine != "auto":
            self._spec = self._spec.replace(engine=engine)
        self.exporter = exporter
        """Which of PyTorch's exporters made it: "torchscript" or "dynamo"."""
        self.difference = difference
        """How far its scores are from the module's on the example, as a share of the largest."""
        self._values = values or {}
        self._without = without or {}
        self._paths: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def spec(self, spec: Spec | None = None, **options: Unpack[AllOptions]) -> Spec:
        """All options as one thing, with layers by the names that they have in the exported network, those of `spec` too."""
        layer: Any = options.get("layer")
        if layer is not None:
            options["layer"] = [self._path(each) for each in (layer if isinstance(layer, (list, tuple)) else [layer])]
        made = super().spec(spec, **options)
        return made.replace(layer=[self.layer(each) for each in made.layer]) if made.layer else made

    def layer(self, layer: Any, *, call: int | None = None) -> str:
        """The name that a layer has in the exported network, of a part of the module or of its path. `call` chooses one of several calls."""
        path = self._path(layer)
        if path in self._values:
            return self._values[path]
        calls = [label for label in self._values if label.startswith(f"{path}#")]
        if calls and call is not None and f"{path}#{call}" in self._values:
            return self._values[f"{path}#{call}"]
        if calls:
            raise ArgumentError(f"{path!r} is called {len(calls)} times: name one of the calls, {', '.join(calls)}")
        if path in self._without:
            near = _near(path, self._values)
            near_words = f"; near it are {', '.join(near)}" if near else ""
            raise NotFoundError(f"{path!r} {self._without[path]}{near_words}", sought="layer", name=path, near=near)
        return path

    def _path(self, layer: Any) -> str:
        """The path of a part of the module."""
        if isinstance(layer, str):
            return layer
        try:
            return self._paths[layer]
        except (KeyError, TypeError):
            what = f"{type(layer).__module__}.{type(layer).__qualname__}"
            raise ArgumentError(f"layer= takes a part of the module or its path, and this {what} is no part of it") from None

    def __reduce__(self) -> tuple[Any, ...]:
        about = {"values": self._values, "without": self._without, "exporter": self.exporter, "difference": self.difference}
        return _torch_network, (self.bytes, about, self._spec)


def _torch_network(content: bytes, about: dict[str, Any], spec: Spec) -> TorchNetwork:
    """A network that was pickled."""
    network = TorchNetwork(content, **about)
    network._spec = spec
    return network


def _near(path: str, names: dict[str, str]) -> tuple[str, ...]:
    """Layers around a part of the module: those of its own parts, then those beside it."""
    parent = path.rsplit(".", 1)[0] + "." if "." in path else ""
    inside = [name for name in names if name.startswith(f"{path}.")]
    beside = [name for name in names if name.startswith(parent) and name not in inside]
    return tuple([*inside[-2:], *beside][:4])


def from_torch(
    module: Any,
    example: Any,
    *,
    output: Any = None,
    labels: Any = None,
    preprocess: Any = None,
    exporter: str | None = None,
    opset: int | None = None,
    precision: str = "float32",
    tolerance: float = CLOSE,
) -> TorchNetwork:
    """A network of a module of PyTorch.

    `example` is what the module takes: a tensor of a batch of images, a tuple of what it takes by position, or a dictionary by name; its values do not
    matter, its shape does: other sizes of images take another network. `output` says where the scores are in what the module gives, where that is no
    tensor: the key, the number, the name of the attribute, or a function.

    The module is exported by torch.onnx, in memory, by the exporter that manages it (`exporter`: "torchscript" or "dynamo", of the operator set `opset`).
    The scores of what was exported are held against the module's own on the example, and where the batch is free on one of another batch too; they may
    differ by `tolerance`, as a share of the largest.

    It is the module in evaluation mode that is explained. The module is left as it was: its mode, its hooks, its buffers, its device and its gradients.
    Hooks that change nothing are not called while it is exported; all are once before. Of a module in another
    precision a copy in float32 is explained; `precision="float64"` explains one in float64, by the engine tract, which takes longer.

        net = hirescam.from_torch(model, torch.zeros(1, 3, 224, 224))
        e = net.explain(image, layer=model.layer4)
    """
    if exporter is not None and exporter not in EXPORTERS:
        raise ArgumentError(f"exporter={exporter!r}: it takes {' or '.join(map(repr, EXPORTERS))}")
    torch = import_torch()
    if precision not in ENGINES:
        raise ArgumentError(f"precision={precision!r}: it takes {' or '.join(map(repr, ENGINES))}")
    made = program(module, example, output, precision)
    if any(part.training for part in made.module.modules()):
        LOGGER.warning("the module is in training mode: what is explained is its evaluation mode. It is left in training mode")
    with at_rest(made.module):
        expected, calls, without = _run(torch, made)
        with without_hooks(made.module, not made.hooks):
            exported = _export(torch, made, expected, [exporter] if exporter else EXPORTERS, opset, tolerance)
    paths = {path_of(path) for path, _ in made.module.named_modules()} - {""}
    inputs = _arrays(made.names, made.tensors)
    content, values = _named(exported.content, calls, paths, inputs, Spec(engine=made.engine))
    for path in paths - {call.path for call in calls if call.value is not None}:
        without.setdefault(path, "gives nothing that is a value of the exported network")
    network = TorchNetwork(
        content,
        values=values,
        without=without,
        exporter=exported.exporter,
        difference=exported.difference,
        engine=made.engine,
        labels=labels,
        preprocess=preprocess,
    )
    for path, part in made.original.named_modules():
        network._paths[part] = path_of(path)
    return network


def _run(torch: Any, made: Program) -> tuple[NDArray[Any], list[_scopes.Call], dict[str, str]]:
    """Runs the module on its example: its scores, what its parts gave, and what those gave that gave no tensor of floats."""
    tensors = made.tensors
    try:
        whole = made.run(tensors)
    except Error:
        raise
    except Exception as error:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise ArgumentError(f"the module does not take the example of the shape {shapes}: {type(error).__name__}: {error}") from error
    if not isinstance(whole, torch.Tensor) or not whole.is_floating_point():
        raise ArgumentError(f"the module's scores are a {type(whole).__name__} and no tensor of floats: say with output= where they are")
    if not torch.isfinite(whole).all():
        raise ArgumentError("the module's scores for the example are not all finite: give another one")
    made.hooks = False
    with without_hooks(made.module, has_hooks(made.module)), _scopes.Recorder(made.module) as recorder:
        bare = made.run(tensors)
    if not torch.equal(bare, whole):
        made.hooks = has_hooks(made.module)
        with _scopes.Recorder(made.module) as recorder:
            whole = made.run(tensors)
    without = {path: f"gives a {kind} and no tensor: name one of its parts" for path, kind in recorder.kinds.items()}
    every = {path for path, _ in made.module.named_modules() if path}
    for path in every - set(recorder.counts):
        without[path] = "is not called as a module when the network runs"
    return whole.detach().cpu().numpy(), recorder.calls, without


def _export(
    torch: Any, made: Program, expected: NDArray[Any], exporters: Sequence[str], opset: int | None, tolerance: float
) -> Exported:
    """The first export whose scores are the module's: for any number of images if that can be, else for as many as the example has."""
    failures = []
    for free in (True, False):
        for exporter in exporters:
            what = exporter if free else f"{exporter}, for {made.batch} image{'s' if made.batch > 1 else ''} at a time"
            try:
                content = export(made, exporter, free, opset)
            except Exception as error:
                failures.append(f"{what}: {type(error).__name__}: {_short(error)}")
                continue
            try:
                apart = _apart(torch, made, content, made.tensors, expected)
                if free:
                    others = made.repeated(made.batch + 1)
                    apart = max(apart, _apart(torch, made, content, others, made.run(others).cpu().numpy()))
            except Exception as error:
                failures.append(f"{what}: what it made cannot be held against the module: {type(error).__name__}: {_short(error)}")
                continue
            if apart <= tolerance:
                LOGGER.info("exported by %s; its scores differ from the module's by %.1e of the largest", exporter, apart)
                return Exported(content, exporter, free, apart)
            failures.append(f"{what}: what it made gives other scores than the module, by {apart:.1e} of the largest (tolerance={tolerance})")
    raise UnsupportedError("the module cannot be exported:\n- " + "\n- ".join(failures))


def _short(error: BaseException) -> str:
    # PyTorch colours its messages for terminals.
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text if len(text) < 1500 else text[:1000] + " … " + text[-400:]


def _arrays(names: Sequence[str], tensors: Sequence[Any]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in zip(names, tensors)}


def _apart(torch: Any, made: Program, content: bytes, tensors: Sequence[Any], expected: NDArray[Any]) -> float:
    """How far the scores of what was exported are from these, as a share of the largest; infinitely far where any is no number."""
    session = _hirescam.Session(content, Spec(engine=made.engine))
    given = _arrays(made.names, tensors)
    taken = {name: array for name, array in given.items() if name in session.inputs}
    found = session.run(taken)[SCORES]
    if found.shape != expected.shape:
        raise ArgumentError(f"its scores have the shape {found.shape}, the module's {expected.shape}")
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return math.inf
    most = float(np.abs(expected).max(initial=0))
    return float(np.abs(found - expected).max(initial=0)) / (most or 1.0)


def _named(
    content: bytes, calls: list[_scopes.Call], paths: set[str], inputs: dict[str, NDArray[Any]], spec: Spec
) -> tuple[bytes, dict[str, str]]:
    """The network with the values of modules named by their paths, and what each call is called there."""
    network = _hirescam.Network.from_bytes(content)
    made = _scopes.scoped(_hirescam.values(network), paths)

    def run(names: Sequence[str]) -> dict[str, NDArray[Any]]:
        if not names:
            return {}
        session = _hirescam.Session(_hirescam.with_outputs(network, list(names)), spec)
        found = session.run({name: array for name, array in inputs.items() if name in session.inputs})
        return {name: array for name, array in found.items() if array.dtype.kind == "f"}

    known = run(_scopes.ends(made))
    _scopes.match(calls, made, known)
    further = run(_scopes.rest(calls, made, known))
    if further:
        _scopes.match(calls, made, {**known, **further})
    labels = list(_scopes.labels(calls))
    fixed = {SCORES, *inputs}
    names: dict[str, str] = {}
    # Of several modules with the same output, the outermost gives the name.
    for label, value in sorted(labels, key=lambda row: (row[0].count("."), len(row[0]))):
        if value not in fixed and label not in fixed:
            names.setdefault(value, label)
    new = set(names.values())
    for value in {value.name for value in made} & new - set(names):
        names[value] = f"{value}/value"
    content = _hirescam.renamed(network, names)
    return content, {label: names.get(value, value) for label, value in labels}
