"""Grad-CAM."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM


class GradCAM(BaseCAM):
    """A channel's weight is its gradient's mean over all places. Selvaraju et al., ICCV 2017."""

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        weights: NDArray[Any] = grads.mean(axis=tuple(range(2, grads.ndim)))
        return weights
