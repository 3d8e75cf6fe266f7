"""HiResCAM."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._products import ProductCAM

LOGGER = logging.getLogger("hirescam")


class HiResCAM(ProductCAM):
    """Activation times gradient. Draelos and Carin, 2020. `hirescam.from_torch(model, x).explain(x)` says what is proven of the map."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(activations * grads)

    def get_cam_image(self, *arguments: Any, **named: Any) -> NDArray[Any]:
        if named.get("eigen_smooth") or (len(arguments) > 5 and arguments[5]):
            LOGGER.warning("what is proven of HiResCAM is not of a map that is smoothed")
        return super().get_cam_image(*arguments, **named)
