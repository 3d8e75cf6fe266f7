"""XGrad-CAM."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM

LEAST = 1e-7
"""What that library adds to the denominator."""


class XGradCAM(BaseCAM):
    """A channel's weight is its gradient's mean, the places weighted by the activation. Fu et al., BMVC 2020."""

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        space = tuple(range(2, activations.ndim))
        total = activations.sum(axis=space, keepdims=True)
        weights: NDArray[Any] = (grads * activations / (total + LEAST)).sum(axis=space)
        return weights
