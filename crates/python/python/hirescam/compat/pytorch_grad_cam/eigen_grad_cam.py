"""EigenGradCAM."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM
from .utils.svd_on_activations import get_2d_projection


class EigenGradCAM(BaseCAM):
    """The first principal component of activation times gradient."""

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        return get_2d_projection(grads * activations)
