"""What becomes of the score where an image is changed by its map."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...._export import at_rest

Perturbation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Changes an image [channels, height, width] by a map [height, width]."""


class PerturbationConfidenceMetric:
    """The target of the changed image less that of the image itself. The module is run by PyTorch, in evaluation mode, and left as it was."""

    def __init__(self, perturbation: Perturbation) -> None:
        self.perturbation = perturbation

    def __call__(
        self,
        input_tensor: torch.Tensor,
        cams: NDArray[Any],
        targets: Sequence[Callable[[torch.Tensor], torch.Tensor]],
        model: Any,
        return_visualization: bool = False,
        return_diff: bool = True,
    ) -> Any:
        """A number for each image, and with `return_visualization` the changed images too; without `return_diff` the target of the changed image alone."""
        changed = [self.perturbation(image.cpu(), torch.from_numpy(np.ascontiguousarray(cam))) for image, cam in zip(input_tensor, cams)]
        images = torch.stack(changed).to(input_tensor.device)

        def scores(of: torch.Tensor) -> NDArray[np.float32]:
            return np.array([float(target(row)) for target, row in zip(targets, model(of))], np.float32)

        with at_rest(model) if isinstance(model, torch.nn.Module) else contextlib.nullcontext(), torch.no_grad():
            made = self.of_scores(scores(images) - scores(input_tensor)) if return_diff else self.of_scores(scores(images))
        return (made, images) if return_visualization else made

    def of_scores(self, change: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is made of the change of each score."""
        return change


class RemoveMostRelevantFirst:
    """Takes the places out whose map is not below a percentile, and has `imputer` fill them; with "auto" those below Otsu's threshold, as in that library."""

    def __init__(self, percentile: float | str, imputer: Perturbation) -> None:
        self.percentile = percentile
        self.imputer = imputer

    def __call__(self, input_tensor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        cells = mask.cpu().numpy()
        if self.percentile == "auto":
            levels = (cells * 255).astype(np.uint8)
            kept = np.where(levels > _otsu(levels), 255, 0)
        else:
            kept = cells < np.percentile(cells, float(self.percentile))
        return self.imputer(input_tensor, torch.from_numpy(kept.astype(np.float32)).to(mask.device))


class RemoveLeastRelevantFirst(RemoveMostRelevantFirst):
    """The same of one less the map."""

    def __call__(self, input_tensor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return super().__call__(input_tensor, 1 - mask)


def _otsu(levels: NDArray[np.uint8]) -> int:
    """The level that parts the levels such that the means of both parts are as far apart as can be. Otsu 1979."""
    share = np.bincount(levels.ravel(), minlength=256) / levels.size
    below = np.cumsum(share)
    moment = np.cumsum(share * np.arange(256))
    both = below * (1 - below)
    apart = np.zeros(256)
    np.divide((moment[-1] * below - moment) ** 2, both, out=apart, where=both > np.finfo(np.float32).eps)
    return int(apart.argmax())


class AveragerAcrossThresholds:
    """The mean of a metric over percentiles."""

    def __init__(self, imputer: Callable[[float], Any], percentiles: Sequence[float] = (10, 20, 30, 40, 50, 60, 70, 80, 90)) -> None:
        self.imputer = imputer
        self.percentiles = percentiles

    def __call__(self, input_tensor: torch.Tensor, cams: NDArray[Any], targets: Any, model: Any) -> NDArray[np.float32]:
        made = [self.imputer(percentile)(input_tensor, cams, targets, model) for percentile in self.percentiles]
        return np.asarray(np.mean(np.array(made, np.float32), axis=0))
