"""Grad-CAM++."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base_cam import BaseCAM

LEAST = 1e-6
"""What that library adds to the denominator."""


class GradCAMPlusPlus(BaseCAM):
    """A channel's weight is Σ α·max(g, 0), with α = g² / (2·g² + g³·ΣA). Chattopadhyay et al., WACV 2018, equation 19."""

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        space = tuple(range(2, activations.ndim))
        square = grads**2
        total = activations.sum(axis=space, keepdims=True)
        alpha = np.where(grads != 0, square / (2 * square + total * square * grads + LEAST), 0)
        weights: NDArray[Any] = (np.maximum(grads, 0) * alpha).sum(axis=space)
        return weights
