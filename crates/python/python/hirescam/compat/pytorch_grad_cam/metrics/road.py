"""ROAD: remove and debias. Rong et al., ICML 2022."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .... import _hirescam
from ...._errors import UnsupportedError
from .perturbation_confidence import (
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)

PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


class NoisyLinearImputer:
    """Fills places with the weighted mean of the eight around them, all at once, and noise of PyTorch's global generator."""

    def __init__(self, noise: float = 0.01, weighting: Any = None) -> None:
        if weighting is not None:
            raise UnsupportedError("weighting=: the eight places around weigh 1/6 along the axes and 1/12 across, as in the paper; that library uses no others, either")
        self.noise = noise

    def __call__(self, img: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The image [channels, height, width] with the places filled where the mask [height, width] is 0."""
        missing = np.asarray(mask.cpu().numpy() == 0)
        image = np.ascontiguousarray(img.cpu().numpy(), np.float32)
        # Where nothing is left, any colour would do: that library's solver gives 0, which is the mean of images in the networks' units.
        filled = torch.from_numpy(np.zeros_like(image) if missing.all() else _hirescam.imputed(image, missing))
        filled[:, torch.from_numpy(missing)] += self.noise * torch.randn(len(filled), int(missing.sum()))
        return filled.to(img)


class ROADMostRelevantFirst(PerturbationConfidenceMetric):
    """The change of the target where the most relevant places are filled; lower is better."""

    def __init__(self, percentile: float | str = 80) -> None:
        super().__init__(RemoveMostRelevantFirst(percentile, NoisyLinearImputer()))


class ROADLeastRelevantFirst(PerturbationConfidenceMetric):
    """The change of the target where the least relevant places are filled; higher is better."""

    def __init__(self, percentile: float | str = 20) -> None:
        super().__init__(RemoveLeastRelevantFirst(percentile, NoisyLinearImputer()))


class ROADMostRelevantFirstAverage(AveragerAcrossThresholds):
    """The mean over percentiles."""

    def __init__(self, percentiles: Sequence[float] = PERCENTILES) -> None:
        super().__init__(ROADMostRelevantFirst, percentiles)


class ROADLeastRelevantFirstAverage(AveragerAcrossThresholds):
    """The mean over percentiles."""

    def __init__(self, percentiles: Sequence[float] = PERCENTILES) -> None:
        super().__init__(ROADLeastRelevantFirst, percentiles)


class ROADCombined:
    """Half of what the least relevant places do better than the most relevant; higher is better. See `hirescam.metrics.road` on what it cannot show."""

    def __init__(self, percentiles: Sequence[float] = PERCENTILES) -> None:
        self.percentiles = percentiles
        self.morf_averager = ROADMostRelevantFirstAverage(percentiles)
        self.lerf_averager = ROADLeastRelevantFirstAverage(percentiles)

    def __call__(self, input_tensor: torch.Tensor, cams: NDArray[Any], targets: Any, model: Any) -> NDArray[np.float32]:
        of = input_tensor, cams, targets, model
        return np.asarray((self.lerf_averager(*of) - self.morf_averager(*of)) / 2)
