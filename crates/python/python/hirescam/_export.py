"""PyTorch modules as ONNX files in memory. The user's module is run and read, and is left as it was."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import ArgumentError, UnsupportedError

if TYPE_CHECKING:
    import torch

LOGGER = logging.getLogger("hirescam")

EXPORTERS = ("torchscript", "dynamo")
"""PyTorch's exporters, in the order in which they are tried: the first takes a quarter of the time."""

ENGINES = {"float32": "auto", "float64": "tract"}
"""Which engine runs a network of each precision that modules are explained in: ONNX Runtime has no convolutions of float64."""

MOST_BYTES = 2**31 - 2**20
"""Weights that an ONNX file can hold beside the graph: protobuf allows 2 GiB."""

SCORES = "scores"
"""What the output of an exported module is called."""

LOGITS = ("logits", "out", "output", "preds", "prediction")
"""Under which key of a dictionary the scores are looked for where several could be meant."""


def import_torch() -> Any:
    """PyTorch, which is imported only when it is used."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch takes a module of PyTorch, which is not installed: pip install torch") from error
    return torch


@dataclass
class Program:
    """A module with an example of what it takes."""

    original: torch.nn.Module
    """The user's own module, without what is wrapped around it."""
    module: torch.nn.Module
    """The module that is run: the user's own, or a copy of one in another precision than is asked for."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: list[str]
    """What the tensors among them are called."""
    pick: Callable[[Any], Any]
    """Takes the scores out of what the module gives."""
    batch: int
    """The images in the example."""
    engine: str = "auto"
    """The engine that runs what is exported."""
    hooks: bool = True
    """Whether the user's hooks change what the module computes."""

    @property
    def tensors(self) -> list[Any]:
        """The tensors that the module takes."""
        torch = import_torch()
        given = [*self.args, *self.kwargs.values()]
        return [value for value in given if isinstance(value, torch.Tensor)]

    def run(self, tensors: list[Any]) -> Any:
        """The scores for other tensors in their places."""
        left = iter(tensors)
        torch = import_torch()

        def of(value: Any) -> Any:
            return next(left) if isinstance(value, torch.Tensor) else value

        args = [of(value) for value in self.args]
        kwargs = {name: of(value) for name, value in self.kwargs.items()}
        return self.pick(self.module(*args, **kwargs))

    def as_module(self) -> Any:
        """The same as a module of tensors, which has the user's as its only part."""
        torch = import_torch()
        program = self

        class Program_(torch.nn.Module):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                super().__init__()
                self.module = program.module
                self.training = False

            def forward(self, *tensors: Any) -> Any:
                return program.run(list(tensors))

        return Program_()

    def follows(self, tensor: Any) -> bool:
        """Whether a tensor has a row for each image."""
        return bool(tensor.dim() > 0 and tensor.shape[0] == self.batch)

    def repeated(self, batch: int) -> list[Any]:
        """The example with other rows: those that there are, in turn, each a little weaker than the last."""
        torch = import_torch()
        rows = [i % self.batch for i in range(batch)]

        def of(tensor: Any) -> Any:
            if not self.follows(tensor):
                return tensor
            picked = tensor[rows]
            if not picked.is_floating_point():
                return picked
            weaker = torch.linspace(1, 0.75, batch, dtype=picked.dtype, device=picked.device)
            return picked * weaker.reshape(-1, *[1] * (picked.dim() - 1))

        return [of(tensor) for tensor in self.tensors]


@dataclass
class Exported:
    """What an exporter made."""

    content: bytes
    exporter: str
    free: bool
    """Whether it takes any number of images."""
    difference: float
    """How far its scores are from the module's, as a share of the largest."""


def program(module: Any, example: Any, output: Any, precision: str) -> Program:
    """The module with its example, checked; in this precision."""
    torch = import_torch()
    module = original = _bare(torch, module)
    _has_weights(torch, module)
    args, kwargs = _inputs(torch, example)
    dtype = getattr(torch, precision)
    other = next((value.dtype for value in _stored(module) if value.is_floating_point() and value.dtype != dtype), None)
    if other is not None:
        module = _converted(torch, module, str(other).removeprefix("torch."), precision)
    device = next((value.device for value in _stored(module)), None)

    def moved(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        value = value.detach()
        return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

    args = tuple(moved(value) for value in args)
    kwargs = {name: moved(value) for name, value in kwargs.items()}
    made = Program(original, module, args, kwargs, [], lambda given: given, 1, ENGINES[precision])
    tensors = made.tensors
    if not tensors:
        raise ArgumentError("example= has no tensor: it is what the module takes, as torch.zeros(1, 3, 224, 224)")
    made.names = _names(torch, module, args, kwargs)
    image = next((tensor for tensor in tensors if tensor.dim() >= 3), tensors[0])
    made.batch = int(image.shape[0]) if image.dim() else 1
    if made.batch == 0:
        raise ArgumentError(f"example= has no image in it: its shape is {tuple(image.shape)}")
    made.pick = lambda given: picked(torch, given, output)
    return made


def _bare(torch: Any, module: Any) -> Any:
    """The module itself, of one that is compiled or spread over devices, in whichever order."""
    if not isinstance(module, torch.nn.Module):
        what = f"{type(module).__module__}.{type(module).__qualname__}"
        hint = ""
        if isinstance(module, Mapping):
            hint = ": a state dictionary has the weights alone, load it into the module"
        elif isinstance(module, type):
            hint = ": this is the class, make a module of it"
        raise ArgumentError(f"from_torch takes a torch.nn.Module, and this is a {what}{hint}")
    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while (inner := module.module if isinstance(module, parallel) else _unwrapped(module)) is not module:
        module = inner
    return module


def _unwrapped(module: Any) -> Any:
    """The module in one that wraps another; any other as it is."""
    return next((module._modules[name] for name in WRAPPED if module._modules.get(name) is not None), module)


def _stored(module: Any) -> Iterator[Any]:
    yield from module.parameters()
    yield from module.buffers()


def _has_weights(torch: Any, module: Any) -> None:
    named = [*module.named_parameters(), *module.named_buffers()]
    lazy = next((name for name, value in named if torch.nn.parameter.is_lazy(value)), None)
    if lazy is not None:
        raise ArgumentError(f"the module's {lazy!r} has no shape yet: run the module once on an image, it is lazy")
    meta = next((name for name, value in named if value.is_meta), None)
    if meta is not None:
        raise ArgumentError(
            f'the module lies on the device "meta": its {meta!r} has a shape and no numbers. Give it its weights first, as '
            'module.to_empty(device="cpu") and module.load_state_dict(weights), or module.load_state_dict(weights, assign=True)'
        )
    size = sum(value.numel() * value.element_size() for _, value in named)
    if size > MOST_BYTES:
        raise UnsupportedError(
            f"the module's weights take {size / 2**30:.1f} GiB, and an ONNX file in memory holds 2: export it to a file with "
            "torch.onnx.export(module, example, path, external_data=True) and open that with hirescam.Network(path)"
        )


def _converted(torch: Any, module: Any, given: str, precision: str) -> Any:
    """A copy in another precision than that which it is given in."""
    try:
        made = copy.deepcopy(module).to(getattr(torch, precision))
    except Exception as error:
        raise UnsupportedError(
            f"the module is in {given} and cannot be copied to {precision} ({type(error).__name__}: {error}): give module.to(torch.{precision})"
        ) from error
    if given == "float64":
        LOGGER.warning('the module is in float64: a copy in float32 is explained; precision="float64" explains it as it is, by the engine tract')
    else:
        LOGGER.info("the module is in %s: a copy in %s is explained", given, precision)
    return made


def _inputs(torch: Any, example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the module takes, by position and by name."""

    def tensor(value: Any) -> Any:
        return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value

    if isinstance(example, Mapping):
        return (), {str(name): tensor(value) for name, value in example.items()}
    if isinstance(example, (tuple, list)):
        return tuple(tensor(value) for value in example), {}
    if isinstance(example, (torch.Tensor, np.ndarray)):
        return (tensor(example),), {}
    raise ArgumentError(
        f"example= is what the module takes: a tensor, a tuple of what it takes by position, or a dictionary by name; this is a {type(example).__name__}"
    )


def _names(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """What the module itself calls its tensors."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    by_position = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [by_position[i] if i < len(by_position) else f"input_{i}" for i in range(len(args))]
    every = zip([*named, *kwargs], [*args, *kwargs.values()])
    names = [name for name, value in every if isinstance(value, torch.Tensor)]
    return names if len(set(names)) == len(names) else [f"input_{i}" for i in range(len(names))]


def picked(torch: Any, given: Any, output: Any) -> Any:
    """The scores in what a module gives: a tensor, or one of a tuple, a dictionary or a data class."""
    if callable(output):
        given = output(given)
        if not isinstance(given, torch.Tensor):
            raise ArgumentError(f"output= gives a {type(given).__name__} of what the module gives, and has to give a tensor")
        return given
    if output is None and isinstance(given, torch.Tensor):
        return given
    parts = _parts(given)
    if output is not None:
        if output not in parts:
            raise ArgumentError(f"output={output!r}: the module gives {_in_words(torch, given, parts)}")
        return picked(torch, parts[output], None)
    tensors = {key: value for key, value in parts.items() if isinstance(value, torch.Tensor)}
    floats = {key: value for key, value in tensors.items() if value.is_floating_point() and value.dim() >= 1}
    if len(floats) == 1:
        return next(iter(floats.values()))
    named = next((floats[key] for key in LOGITS if key in floats), None)
    if named is not None:
        return named
    raise ArgumentError(f"the module gives {_in_words(torch, given, parts)}: say with output= where the scores are")


def _parts(given: Any) -> dict[Any, Any]:
    """The parts of what a module gives, by how one gets at them."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        named = {name: getattr(given, name) for name in given._fields}
        return named
    if isinstance(given, (tuple, list)):
        return dict(enumerate(given))
    if hasattr(given, "__dataclass_fields__"):
        return {name: getattr(given, name) for name in given.__dataclass_fields__ if hasattr(given, name)}
    return {}


def _in_words(torch: Any, given: Any, parts: dict[Any, Any]) -> str:
    def of(value: Any) -> str:
        return f"tensor {list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__

    if isinstance(given, torch.Tensor):
        return f"a {of(given)}"
    if not parts:
        return f"a {type(given).__qualname__}"
    return f"a {type(given).__qualname__} of " + ", ".join(f"{key!r}: {of(value)}" for key, value in parts.items())


WRAPPED = ("_orig_mod", "_original_module")
"""What torch.compile and Lightning Fabric call the module that they wrap."""

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def has_hooks(module: Any) -> bool:
    """Whether any part of the module has hooks."""
    return any(part.__dict__.get(name) for part in module.modules() for name in HOOKS)


@contextlib.contextmanager
def without_hooks(module: Any, off: bool) -> Iterator[None]:
    """The module's hooks taken off meanwhile."""
    kept = []
    for part in module.modules() if off else ():
        for name in HOOKS:
            if name in part.__dict__:
                kept.append((part, name, part.__dict__[name]))
                part.__dict__[name] = OrderedDict()
    try:
        yield
    finally:
        for part, name, hooks in kept:
            part.__dict__[name] = hooks


def path_of(name: str) -> str:
    """The path of a part, without what wraps the parts around it."""
    return ".".join(step for step in name.split(".") if step not in WRAPPED)


@contextlib.contextmanager
def _uncompiled(module: Any) -> Iterator[None]:
    """The module with no part of it compiled meanwhile: exporters take none of these, and their parts' hooks are not called."""
    wrapped = [(part, name, inner, _unwrapped(inner)) for part in module.modules() for name, inner in part._modules.items() if inner is not None]
    compiled = [(part, part._compiled_call_impl) for part in module.modules() if getattr(part, "_compiled_call_impl", None) is not None]
    try:
        for part, name, _, inner in wrapped:
            part._modules[name] = inner
        for part, _ in compiled:
            part._compiled_call_impl = None
        yield
    finally:
        for part, name, inner, _ in wrapped:
            part._modules[name] = inner
        for part, call in compiled:
            part._compiled_call_impl = call


@contextlib.contextmanager
def at_rest(module: Any) -> Iterator[None]:
    """The module in evaluation mode, without gradients and uncompiled meanwhile. Afterwards it is as it was: modes, buffers, random numbers."""
    torch = import_torch()
    modes = [(part, part.training) for part in module.modules()]
    # A module may write into its buffers, and put others in their places.
    buffers = [(part, dict(part._buffers)) for part in module.modules()]
    numbers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices), _uncompiled(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module.eval()
            yield
    finally:
        for part, mode in modes:
            part.training = mode
        with torch.no_grad():
            for part, named in buffers:
                part._buffers.clear()
                part._buffers.update(named)
            for buffer, before in numbers:
                if buffer.shape != before.shape:
                    buffer.data = before
                elif not torch.equal(buffer, before):
                    buffer.copy_(before)


def export(program: Program, exporter: str, free: bool, opset: int | None) -> bytes:
    """What an exporter makes of the module; `free` for any number of images."""
    made = {"torchscript": _by_torchscript, "dynamo": _by_dynamo}[exporter]
    with _quiet(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        content = made(program, free, opset)
    fixed = next((one for one in told if "Python boolean" in str(one.message)), None)
    if fixed is not None:
        LOGGER.info(
            "%s, line %s: the module asks there what numbers it is given. What is explained is the way that it takes for the example",
            fixed.filename,
            fixed.lineno,
        )
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What exporters tell of their work goes nowhere: what matters of it is tried afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


@contextlib.contextmanager
def _unlogged(torch: Any) -> Iterator[None]:
    """PyTorch switches a log of its graphs on for every export, which goes past Python to standard output: it stays off."""
    switch = getattr(torch._C, "_jit_set_onnx_log_enabled", None)
    if switch is None:
        yield
        return
    torch._C._jit_set_onnx_log_enabled = lambda _: None
    try:
        yield
    finally:
        torch._C._jit_set_onnx_log_enabled = switch


def _by_torchscript(program: Program, free: bool, opset: int | None) -> bytes:
    torch = import_torch()
    file = io.BytesIO()
    tensors = program.repeated(2) if free and program.batch == 1 else program.tensors
    rows = {name: {0: "batch"} for name, tensor in zip(program.names, program.tensors) if program.follows(tensor)}
    with _unlogged(torch):
        torch.onnx.export(
            program.as_module(),
            tuple(tensors),
            file,
            dynamo=False,
            input_names=program.names,
            output_names=[SCORES],
            dynamic_axes={**rows, SCORES: {0: "batch"}} if free else None,
            opset_version=opset,
            # The module is in evaluation mode. Asked for that again, the exporter would fold layers into one another.
            training=torch.onnx.TrainingMode.PRESERVE,
            verbose=False,
        )
    return file.getvalue()


def _by_dynamo(program: Program, free: bool, opset: int | None) -> bytes:
    torch = import_torch()
    tensors = program.repeated(2) if free and program.batch == 1 else program.tensors
    rows = tuple({0: torch.export.Dim.AUTO} if program.follows(tensor) else None for tensor in program.tensors)
    made = torch.onnx.export(
        program.as_module(),
        tuple(tensors),
        dynamo=True,
        input_names=program.names,
        output_names=[SCORES],
        dynamic_shapes=(rows,) if free else None,
        opset_version=opset,
        # The exporter's own optimisation would fold layers into one another: constants alone are folded.
        optimize=False,
        verbose=False,
    )
    from onnxscript import optimizer

    optimizer.fold_constants_ir(made.model)
    optimizer.remove_unused_nodes(made.model)
    return bytes(made.model_proto.SerializeToString())
