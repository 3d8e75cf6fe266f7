"""How a layer's channels are taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..._errors import UnsupportedError
from .utils.svd_on_activations import get_2d_projection

FAR = 1e7
"""How far below the least a channel is set where the layer has negative numbers, so that 0 would not be nothing."""


class AblationLayer:
    """Sets one channel after the other of [channels, height, width] to 0, or where the least number is not 0 to one far below it."""

    indices: NDArray[np.int32]
    activations: torch.Tensor

    def objectiveness_mask_from_svd(self, activations: NDArray[Any], threshold: float = 0.01) -> NDArray[np.bool_]:
        """The places whose first principal component is above a share of the strongest."""
        projection = np.abs(get_2d_projection(activations[None])[0])
        projection = projection - projection.min()
        return np.asarray(projection / projection.max() > threshold)

    def activations_to_be_ablated(self, activations: NDArray[Any], ratio_channels_to_ablate: float = 1.0) -> NDArray[np.int32]:
        """The channels that are taken out: all, or those that lie most and least within the places that matter."""
        if ratio_channels_to_ablate == 1.0:
            self.indices = np.arange(len(activations), dtype=np.int32)
            return self.indices
        mask = self.objectiveness_mask_from_svd(activations)
        scores = []
        for channel in np.abs(activations):
            level = channel - channel.min()
            level = level / np.max(level)
            scores.append((mask * level).sum() / level.sum())
        order = np.argsort(np.asarray(scores, np.float32))
        count = int(len(order) * ratio_channels_to_ablate)
        self.indices = np.array([*order[::-1][:count], *order[:count]], np.int32)
        return self.indices

    def set_next_batch(self, input_batch_index: int, activations: torch.Tensor, num_channels_to_ablate: int) -> None:
        """Takes so many copies of an image's activation."""
        one = activations[input_batch_index]
        self.activations = one.repeat(num_channels_to_ablate, *[1] * one.dim())

    def __call__(self, x: Any = None) -> torch.Tensor:
        """The copies, each without its channel. A number far below the least of all copies goes further below with each."""
        return self._without(self.activations)

    def _without(self, output: torch.Tensor) -> torch.Tensor:
        # The least of all copies is looked up once: what is set is the least afterwards.
        least = float(output.min())
        for row, channel in enumerate(self.indices[: len(output)]):
            if least != 0:
                least = float(np.float32(least) - np.float32(FAR))
            output[row, int(channel)] = least
        return output


class AblationLayerVit(AblationLayer):
    """The same for tokens [places, channels]."""

    def __call__(self, x: Any = None) -> torch.Tensor:
        return self._without(self.activations.transpose(1, -1)).transpose(1, -1)


class AblationLayerFasterRCNN(AblationLayer):
    """The levels of a detector's pyramid: not here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedError(
            "AblationLayerFasterRCNN is not here: what a detector gives is no tensor of scores that could be exported. Use pytorch_grad_cam for it, or "
            "explain a module of your own that gives one tensor of the detector's scores"
        )
