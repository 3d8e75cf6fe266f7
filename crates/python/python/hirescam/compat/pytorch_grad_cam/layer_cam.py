"""LayerCAM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._products import ProductCAM


class LayerCAM(ProductCAM):
    """Activation times gradient where the gradient is positive. Jiang et al., TIP 2021."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = np.maximum(grads, 0) * activations
        return made
