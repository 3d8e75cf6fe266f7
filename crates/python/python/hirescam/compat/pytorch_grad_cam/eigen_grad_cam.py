"""EigenGradCAM."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ._products import ProjectedCAM


class EigenGradCAM(ProjectedCAM):
    """The first principal component of activation times gradient."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = grads * activations
        return made
