"""Finer-CAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .base_cam import BaseCAM
from .grad_cam import GradCAM
from .utils.model_targets import FinerWeightedTarget

COMPARED = (1, 2, 3)
"""Which of the classes of most similar score the best one is held against."""


class FinerCAM:
    """A method of one's choice, of what sets a class apart from those with the most similar scores. Zhang et al., CVPR 2025."""

    def __init__(
        self,
        model: Any,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        base_method: Callable[..., BaseCAM] = GradCAM,
    ) -> None:
        self.base_cam = base_method(model, target_layers, reshape_transform)
        self.compute_input_gradient = self.base_cam.compute_input_gradient
        self.uses_gradients = self.base_cam.uses_gradients

    def __call__(self, *args: Any, **kwargs: Any) -> NDArray[np.float32]:
        return self.forward(*args, **kwargs)

    def forward(
        self,
        input_tensor: torch.Tensor,
        targets: Any = None,
        eigen_smooth: bool = False,
        alpha: float = 1,
        comparison_categories: Sequence[int] | None = None,
        target_idx: int | None = None,
    ) -> NDArray[np.float32]:
        """The maps [N, height, width], from 0 to 1."""
        if targets is None:
            scores = self.base_cam.activations_and_grads(input_tensor.to(self.base_cam.device)).cpu().numpy()
            compared = [c for c in comparison_categories or COMPARED if c < scores.shape[-1]]
            of_class = scores.max(axis=-1) if target_idx is None else scores[:, target_idx]
            order = np.argsort(np.abs(scores - of_class[:, None]), axis=-1)
            targets = [FinerWeightedTarget(int(row[0]), [int(row[c]) for c in compared], alpha) for row in order]
        return self.base_cam.forward(input_tensor, targets, eigen_smooth)

    def __enter__(self) -> FinerCAM:
        return self

    def __exit__(self, *_: object) -> None:
        self.base_cam.activations_and_grads.release()
