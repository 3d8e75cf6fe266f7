"""EigenCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from ._products import ProjectedCAM


class EigenCAM(ProjectedCAM):
    """The activation's first principal component: no class has a part in it. Muhammad and Yeasin, IJCNN 2020."""

    def __init__(self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        return activations
