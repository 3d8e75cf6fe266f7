"""FEM, the feature explanation method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from ._products import PlacesCAM


class FEM(PlacesCAM):
    """A channel's weight is the share of its places that lie k deviations above its mean. Fuad et al., IPTA 2020."""

    def __init__(
        self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None, k: float = 2
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)
        self.k = k

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        space = tuple(range(2, activations.ndim))
        above = activations > activations.mean(axis=space, keepdims=True) + self.k * activations.std(axis=space, keepdims=True)
        made: NDArray[Any] = above.mean(axis=space, keepdims=True) * activations
        return made

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        joined: NDArray[Any] = made.sum(axis=1)
        return joined
