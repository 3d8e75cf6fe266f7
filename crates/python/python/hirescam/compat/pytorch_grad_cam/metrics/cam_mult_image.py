"""What becomes of the score of an image multiplied by its map."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .perturbation_confidence import PerturbationConfidenceMetric


def multiply_tensor_with_cam(input_tensor: torch.Tensor, cam: torch.Tensor) -> torch.Tensor:
    """The image times the map."""
    return input_tensor * cam


class CamMultImageConfidenceChange(PerturbationConfidenceMetric):
    """By how much the target rises."""

    def __init__(self) -> None:
        super().__init__(multiply_tensor_with_cam)


class DropInConfidence(CamMultImageConfidenceChange):
    """By how much the target falls, 0 where it rises. `hirescam.metrics.average_drop` is the published one, a share of the score."""

    def of_scores(self, change: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.maximum(-change, np.float32(0))


class IncreaseInConfidence(CamMultImageConfidenceChange):
    """1 where the target rises, else 0."""

    def of_scores(self, change: NDArray[np.float32]) -> NDArray[np.float32]:
        return (change > 0).astype(np.float32)
