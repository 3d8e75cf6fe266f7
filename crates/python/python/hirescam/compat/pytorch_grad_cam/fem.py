"""FEM, the feature explanation method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from .base_cam import BaseCAM


class FEM(BaseCAM):
    """A channel's weight is the share of its places that lie k deviations above its mean. Fuad et al., IPTA 2020."""

    def __init__(
        self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None, k: float = 2
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)
        self.k = k

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        space = tuple(range(2, activations.ndim))
        above = activations > activations.mean(axis=space, keepdims=True) + self.k * activations.std(axis=space, keepdims=True)
        made: NDArray[Any] = (above.mean(axis=space, keepdims=True) * activations).sum(axis=1)
        return made
