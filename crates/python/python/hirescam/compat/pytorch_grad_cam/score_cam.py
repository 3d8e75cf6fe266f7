"""Score-CAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .base_cam import BaseCAM

LEAST = 1e-8
"""What that library adds to the range of a channel."""


class ScoreCAM(BaseCAM):
    """A channel's weight is the Softmax of the scores of the image seen through it alone. Wang et al., CVPR Workshops 2020.

    `batch_size` is how many such images are run at a time.
    """

    batch_size = 16

    def __init__(self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)

    def get_cam_weights(
        self, input_tensor: torch.Tensor, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        kept = self.activations_and_grads
        whole = kept.ready.parts([kept.image_name])
        size = tuple(input_tensor.shape[2:])
        masks = torch.nn.functional.interpolate(torch.from_numpy(activations), size, mode="bilinear", align_corners=True)
        low, high = masks.amin(dim=(2, 3), keepdim=True), masks.amax(dim=(2, 3), keepdim=True)
        masks = (masks - low) / (high - low + LEAST)
        scores: list[float] = []
        for image, of_image, target in zip(input_tensor.cpu(), masks, targets):
            for start in range(0, len(of_image), self.batch_size):
                seen = image[None] * of_image[start : start + self.batch_size, None]
                made = kept.tensor(whole.scores(whole.body(kept.inputs(seen))))
                scores.extend(float(target(row)) for row in made)
        weights: NDArray[Any] = torch.tensor(scores).reshape(activations.shape[:2]).softmax(dim=-1).numpy()
        return np.asarray(weights)
