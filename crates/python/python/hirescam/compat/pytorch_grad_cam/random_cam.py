"""Random weights, to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base_cam import BaseCAM


class RandomCAM(BaseCAM):
    """A channel's weight is a number from −1 to 1, of NumPy's global generator."""

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        return np.random.uniform(-1, 1, size=grads.shape[:2])
