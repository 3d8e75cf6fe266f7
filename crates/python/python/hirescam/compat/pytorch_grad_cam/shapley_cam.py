"""ShapleyCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base_cam import BaseCAM, summed


class ShapleyCAM(BaseCAM):
    """A channel's weight is the mean of g − H·A / 2 over all places, H being the second derivatives. Cai, 2025.

    Where the head is piecewise linear and the target a score, H is 0 and the map that of `GradCAM`.
    """

    def __init__(self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(model, target_layers, reshape_transform, compute_input_gradient=True)

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        second = self.activations_and_grads.second(target_layer, lambda scores: summed(targets, scores))
        weights = grads if second is None else grads - second.numpy() / 2
        return np.asarray(weights.mean(axis=tuple(range(2, weights.ndim))))
