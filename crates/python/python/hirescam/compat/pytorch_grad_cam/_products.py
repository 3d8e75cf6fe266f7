"""Methods whose maps are products of activation and gradient at each place."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM
from .utils.svd_on_activations import get_2d_projection


class ProductCAM(BaseCAM):
    """The products are added up over the channels, or with `eigen_smooth` their first principal component is taken."""

    def product(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        """What is added up."""
        raise NotImplementedError

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        made = self.product(activations, grads)
        return get_2d_projection(made) if eigen_smooth else made.sum(axis=1)
