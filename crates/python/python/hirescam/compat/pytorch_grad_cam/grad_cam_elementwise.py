"""Grad-CAM, place by place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._products import ProductCAM


class GradCAMElementWise(ProductCAM):
    """Activation times gradient where that is positive."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = np.maximum(grads * activations, 0)
        return made
