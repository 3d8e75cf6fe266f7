"""ARCC: coherency, complexity and ROAD in one number. Domeniconi et al., 2026."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .road import ROADCombined

LEAST = 1e-8
"""What that library adds to denominators."""


class Complexity:
    """The mean of |map|; lower is better."""

    def __call__(self, grayscale_cams: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.abs(grayscale_cams).reshape(len(grayscale_cams), -1).mean(axis=1))


class Coherency:
    """How alike the map is to that of the image multiplied by it: their correlation, from 0 to 1."""

    def __call__(
        self, input_tensor: torch.Tensor, grayscale_cams: NDArray[Any], targets: Any, model: Any, base_method: Callable[..., NDArray[Any]]
    ) -> NDArray[Any]:
        seen = input_tensor * torch.from_numpy(grayscale_cams)[:, None].to(input_tensor.device)
        mixed = base_method(input_tensor=seen, targets=targets)
        return (batch_pearson_coherency(mixed, grayscale_cams) + 1) / 2


def batch_pearson_coherency(A: NDArray[Any], B: NDArray[Any]) -> NDArray[Any]:
    """The correlation of each row's numbers."""
    a, b = (array.reshape(len(array), -1) - array.reshape(len(array), -1).mean(axis=1, keepdims=True) for array in (A, B))
    count = a.shape[1] - 1
    deviations = np.sqrt((a**2).sum(axis=1) / count) * np.sqrt((b**2).sum(axis=1) / count)
    return np.asarray((a * b).sum(axis=1) / count / (deviations + LEAST))


class ARCC:
    """The harmonic mean of coherency, one less the complexity, and twice ROAD within 0 and 1. `base_method` is the CAM that made the maps."""

    def __init__(self, base_method: Callable[..., NDArray[Any]], road_percentiles: Sequence[float] = (20, 40, 60, 80)) -> None:
        self.complexity = Complexity()
        self.coherency = Coherency()
        self.road = ROADCombined(road_percentiles)
        self.base_method = base_method

    def __call__(self, input_tensor: torch.Tensor, grayscale_cams: NDArray[Any], targets: Any, model: Any) -> NDArray[Any]:
        coherency = self.coherency(input_tensor, grayscale_cams, targets, model, self.base_method)
        road = np.clip(2 * self.road(input_tensor, grayscale_cams, targets, model), 0, 1)
        parts = (coherency, 1 - self.complexity(grayscale_cams), road)
        return np.asarray(3 / sum(1 / (part + LEAST) for part in parts))
