"""What metrics share: their records, their documentation, what an array of numbers is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from numpy.typing import NDArray

from ._errors import ArgumentError
from ._hirescam import Metrics
from ._images import numbers

METRICS: list[dict[str, str]] = Metrics.rows()
"""A record for each metric: name, what, formula, range, better (higher, lower, neither), needs, blind (what it cannot show), source. `pandas.DataFrame`
takes it as it is."""

_F = TypeVar("_F", bound=Callable[..., Any])
_BY_NAME = {row["name"].replace("-", "_"): row for row in METRICS}


def metric(function: _F) -> _F:
    """A metric, documented by its record, and then by what stands in the function: its arguments and an example."""
    row = _BY_NAME[function.__name__]
    needs = "" if row["needs"] == "nothing" else f"Needs beside the map: {row['needs']}.\n"
    function.__doc__ = (
        f"{row['what']}\n\nFormula: {row['formula']}.\nRange: {row['range']}; better: {row['better']}.\n{needs}"
        f"Cannot show: {row['blind']}.\nSource: {row['source']}.\n\n{inspect.cleandoc(function.__doc__ or '')}"
    )
    return function


def real(array: Any) -> NDArray[Any]:
    """An array of real numbers."""
    made = numbers(array)
    if made.dtype.kind not in "biuf":
        raise ArgumentError(f"an array of {made.dtype}: it takes real numbers")
    return made
