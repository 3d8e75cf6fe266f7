"""Options in the form of data."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from ._errors import ArgumentError


def to_json(options: Mapping[str, Any]) -> str:
    """Options as JSON; that of the class is `class_` in Python."""
    named = {key.rstrip("_") if key == "class_" else key: value for key, value in options.items()}
    named = {key: _inputs(value) if key == "input" else _plain(key, value) for key, value in named.items()}
    return json.dumps(named)


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ArgumentError(f"the option {key!r} takes no {value}: it is no finite number")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        if key == "labels":
            return _labels(value)
        return {str(name): _plain(str(name), inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        return _plain(key, value.tolist())
    if isinstance(value, (list, tuple, range, set, frozenset)):
        return [_plain(key, inner) for inner in value]
    raise ArgumentError(f"the option {key!r} takes no {type(value).__name__}")


def _labels(labels: Mapping[Any, Any]) -> list[str]:
    """Labels by the numbers of their classes."""
    numbers = {int(number): str(label) for number, label in labels.items()}
    missing = next((n for n in range(len(numbers)) if n not in numbers), None)
    if missing is not None:
        raise ArgumentError(f"labels= leaves out the class {missing}")
    return [numbers[n] for n in range(len(numbers))]


def _inputs(inputs: Any) -> Any:
    """What inputs beside the image are fed: numbers, files or arrays."""
    if inputs is None:
        return None
    if not isinstance(inputs, Mapping):
        raise ArgumentError("input= takes a dictionary: an array, a number or a .npy file for each name")
    return {str(name): _input(str(name), value) for name, value in inputs.items()}


def _input(name: str, value: Any) -> Any:
    if isinstance(value, (str, os.PathLike, bool, int, float, Mapping)):
        return _plain(name, value)
    from ._images import numbers

    array = numbers(value)
    return {"shape": list(array.shape), "numbers": _plain(name, array.ravel())}
