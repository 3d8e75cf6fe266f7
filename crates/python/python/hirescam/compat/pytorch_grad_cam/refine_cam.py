"""RefineCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .base_cam import BaseCAM
from .grad_cam_plusplus import GradCAMPlusPlus
from .utils.image import scale_cam_image


class RefineCAM:
    """The product of the maps of several layers, by a method of one's choice. Domeniconi et al., 2026."""

    def __init__(
        self,
        model: Any,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        base_method: Callable[..., BaseCAM] = GradCAMPlusPlus,
        **kwargs: Any,
    ) -> None:
        self.base_cam_per_layer = [base_method(model, [layer], reshape_transform, **kwargs) for layer in target_layers]

    def __call__(self, *args: Any, **kwargs: Any) -> NDArray[np.float32]:
        return self.forward(*args, **kwargs)

    def forward(self, input_tensor: torch.Tensor, targets: Any = None, eigen_smooth: bool = False) -> NDArray[np.float32]:
        """The maps [N, height, width], from 0 to 1."""
        # That library hands eigen_smooth on in the place of aug_smooth.
        made = [cam(input_tensor, targets, eigen_smooth) for cam in self.base_cam_per_layer]
        return scale_cam_image(np.prod(made, axis=0))
