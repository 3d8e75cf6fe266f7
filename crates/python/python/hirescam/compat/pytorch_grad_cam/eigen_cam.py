"""EigenCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM
from .utils.svd_on_activations import get_2d_projection


class EigenCAM(BaseCAM):
    """The activation's first principal component: no class has a part in it. Muhammad and Yeasin, IJCNN 2020."""

    def __init__(self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        return get_2d_projection(activations)
