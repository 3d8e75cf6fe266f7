"""Methods of one run as plain functions, for those who have activation and gradient from elsewhere.

Each takes an activation [N, channels, places…] and the gradient of the score by it, in the same shape, and gives the raw map [N, places…] in float64:
signed, in units of the score where the method is. `channels` is the axis that counts channels. An extent of 1 in the gradient stands for the same all
along that axis. Tensors of other libraries are taken, too.

>>> import numpy as np
>>> activation = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])
>>> gradient = np.array([[[[1.0, 0.0]], [[-1.0, 0.5]]]])
>>> hirescam.methods.hirescam(activation, gradient)
array([[[-2.,  2.]]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _hirescam
from ._images import numbers

Map = Callable[..., "np.ndarray[Any, np.dtype[np.float64]]"]


def _function(name: str, title: str, formula: str, source: str) -> Map:
    def method(activation: Any, gradient: Any, *, channels: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
        return _hirescam.on_arrays(name, numbers(activation), numbers(gradient), channels)

    method.__name__ = method.__qualname__ = identifier(name)
    method.__doc__ = f"{title}: {formula}, with g = ∂s/∂A. {source}."
    return method


def identifier(name: str) -> str:
    """The name of a method as Python can write it: `gradcam++` is `gradcam_plus_plus`."""
    return name.replace("++", "_plus_plus").replace("-", "_")


_METHODS = {identifier(name): _function(name, *about) for name, *about in _hirescam.one_run()}
globals().update(_METHODS)
__all__ = sorted(_METHODS)
