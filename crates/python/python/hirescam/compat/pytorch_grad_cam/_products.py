"""Methods that make something of activation and gradient at each place, and then one number of its channels."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM
from .utils.svd_on_activations import get_2d_projection


class PlacesCAM(BaseCAM):
    """What `of_places` makes [N, channels, places…], by `joined` as maps [N, places…]."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        """What is made at each place."""
        raise NotImplementedError

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        """One number of the channels of each place."""
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
        return self.joined(self.of_places(activations, grads), eigen_smooth)


class ProductCAM(PlacesCAM):
    """Added up over the channels, or with `eigen_smooth` their first principal component."""

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        return get_2d_projection(made) if eigen_smooth else made.sum(axis=1)


class ProjectedCAM(PlacesCAM):
    """The first principal component, with `eigen_smooth` and without."""

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        return get_2d_projection(made)
