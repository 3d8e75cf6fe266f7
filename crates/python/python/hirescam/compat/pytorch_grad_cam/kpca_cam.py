"""KPCA-CAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from .eigen_cam import EigenCAM
from .utils.svd_on_activations import get_2d_projection_kernel


class KPCA_CAM(EigenCAM):
    """The activation's first principal component under a kernel. Karmani et al., 2024."""

    def __init__(
        self,
        model: Any,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        kernel: str = "sigmoid",
        gamma: float | None = None,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform)
        self.kernel = kernel
        self.gamma = gamma

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        return get_2d_projection_kernel(made, self.kernel, self.gamma)
