"""Which value of an exported network is which module's."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = 256
"""Numbers of each value that are compared."""

CLOSE = 1e-3
"""How far they may be apart, as a share of the largest."""

MOST_VALUES = 512
"""Values that are looked at beside those that a module's operations end with."""


class Made(NamedTuple):
    """A value of the network."""

    name: str
    scope: str | None
    """The path of the innermost module whose operation made it; none where the exporter did not say."""


@dataclass
class Call:
    """A call of a module."""

    path: str
    number: int
    """Which of the module's calls it is, from 1."""
    shape: tuple[int, ...]
    samples: NDArray[Any]
    value: str | None = None
    """The value that it gives, once that is found."""


class Recorder:
    """Notes what each part of a module gives, while the module runs."""

    def __init__(self, module: Any) -> None:
        self.calls: list[Call] = []
        self.kinds: dict[str, str] = {}
        """What modules give that give no tensor of floats."""
        self.counts: dict[str, int] = {}
        self._handles = []
        for path, part in module.named_modules():
            if path and hasattr(part, "register_forward_hook"):
                try:
                    self._handles.append(part.register_forward_hook(self._hook(path)))
                except RuntimeError:
                    # A part that is compiled takes no hooks: it has no name then.
                    continue

    def _hook(self, path: str) -> Callable[[Any, Any, Any], None]:
        def note(module: Any, given: Any, made: Any) -> None:
            self.counts[path] = self.counts.get(path, 0) + 1
            if hasattr(made, "is_floating_point") and made.is_floating_point():
                self.calls.append(Call(path, self.counts[path], tuple(made.shape), sampled(made)))
            else:
                self.kinds[path] = type(made).__name__

        return note

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def sampled(tensor: Any) -> NDArray[Any]:
    """Some numbers of a tensor, of PyTorch or NumPy, spread over all of it."""
    flat = tensor.reshape(-1)
    places = np.unique(np.linspace(0, max(len(flat) - 1, 0), SAMPLES).astype(np.int64))
    places = places[: len(flat)]
    if hasattr(flat, "detach"):
        return np.asarray(flat.detach()[places].cpu().double().numpy())
    return np.asarray(flat[places], np.float64)


def alike(call: Call, value: NDArray[Any]) -> bool:
    """Whether a value of the network is what the call gave."""
    if tuple(value.shape) != call.shape:
        return False
    found = sampled(value)
    most = np.abs(call.samples).max(initial=0)
    return bool(np.abs(found - call.samples).max(initial=0) <= CLOSE * most)


def scoped(rows: Sequence[tuple[str, str, str | None]], paths: set[str]) -> list[Made]:
    """The values with the modules that they are made in, of value, node and what the exporter wrote."""
    return [Made(value, _written(scopes, paths) if scopes else _named(node, paths)) for value, node, scopes in rows]


def _written(scopes: str, paths: set[str]) -> str | None:
    """The innermost module in what the newer exporter writes: a list of paths, an operation at last."""
    try:
        every = ast.literal_eval(scopes)
    except (ValueError, SyntaxError):
        return None
    every = [path.removeprefix("module").removeprefix(".") for path in every[:-1] if path.startswith("module")]
    # A second call of a module may have a number behind it.
    every = [path if path in paths else re.sub(r"@\d+$", "", path) for path in every]
    return next((path for path in reversed(every) if path in paths), None)


def _named(node: str, paths: set[str]) -> str | None:
    """The innermost module in the name of a node, as the older exporter writes it: /module/layer4/layer4.1/relu_1/Relu."""
    steps = node.strip("/").split("/")
    if steps[0] != "module":
        return None
    at = ""
    for step in steps[1:-1]:
        for name in (step, re.sub(r"_\d+$", "", step)):
            # A module in a list has the list's name before its own.
            last = at.rsplit(".", 1)[-1]
            tails = [name, name.removeprefix(at + "."), name.removeprefix(last + ".")]
            deeper = next((path for tail in tails if (path := f"{at}.{tail}".lstrip(".")) in paths and path != at), None)
            if deeper is not None:
                at = deeper
                break
        else:
            return at or None
    return at or None


def ends(made: Sequence[Made]) -> list[str]:
    """The last value of each run of operations of one module."""
    following = [*made[1:], Made("", "")]
    return [value.name for value, after in zip(made, following) if value.scope and value.scope != after.scope]


def match(calls: Sequence[Call], made: Sequence[Made], values: dict[str, NDArray[Any]]) -> None:
    """Finds for each call the value that it gives: by its numbers, and of several alike by where they are made."""
    order = [value for value in made if value.name in values]
    for call in calls:
        if call.value is not None:
            continue
        same = [value for value in order if alike(call, values[value.name])]
        inside = [value for value in same if value.scope is not None and f"{value.scope}.".startswith(f"{call.path}.")]
        if inside:
            call.value = inside[-1].name
        elif same and np.ptp(call.samples) > 0:
            # A module that hands on what it is given: what is the same everywhere in space, as all zeros, tells nothing.
            call.value = same[0].name


def rest(calls: Sequence[Call], made: Sequence[Made], known: dict[str, NDArray[Any]]) -> list[str]:
    """Values that may be those of the calls without one."""
    open_ = {call.path for call in calls if call.value is None}

    def near(scope: str | None) -> bool:
        return scope is None or any(f"{path}.".startswith(f"{scope}.") or f"{scope}.".startswith(f"{path}.") for path in open_)

    return [value.name for value in made if value.name not in known and near(value.scope)][-MOST_VALUES:] if open_ else []


def labels(calls: Sequence[Call]) -> Iterator[tuple[str, str]]:
    """What calls are named, with their values: the path, and of several calls of one module its number behind it."""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.path] = max(counts.get(call.path, 0), call.number)
    for call in calls:
        if call.value is not None:
            yield (call.path if counts[call.path] == 1 else f"{call.path}#{call.number}"), call.value
