"""What is explained: functions of one image's scores. Any function of them will do that PyTorch can differentiate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def _of_class(scores: torch.Tensor, category: int) -> torch.Tensor:
    return scores[category] if scores.dim() == 1 else scores[:, category]


class ClassifierOutputTarget:
    """The score of a class."""

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return _of_class(model_output, self.category)


class ClassifierOutputSoftmaxTarget(ClassifierOutputTarget):
    """The probability of a class, by a Softmax of the scores."""

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return _of_class(model_output.softmax(dim=-1), self.category)


class ClassifierOutputReST(ClassifierOutputTarget):
    """The score of a class and the logarithm of its probability. Cai, 2025."""

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return _of_class(model_output + model_output.log_softmax(dim=-1), self.category)


class BinaryClassifierOutputTarget:
    """The only score: as it is for class 1, else its negative."""

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return model_output if self.category == 1 else -model_output


class SoftmaxOutputTarget:
    """All probabilities."""

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return model_output.softmax(dim=-1)


class RawScoresOutputTarget:
    """The scores as they are."""

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return model_output


class SemanticSegmentationTarget:
    """The scores [classes, height, width] of a class, added up over the pixels of a mask."""

    def __init__(self, category: int, mask: Any) -> None:
        self.category = category
        self.mask = torch.as_tensor(mask)

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        return (model_output[self.category] * self.mask.to(model_output.device)).sum()


class FinerWeightedTarget:
    """How far the score of a class is above those of others, weighted by their probabilities. Zhang et al., Finer-CAM, 2025."""

    def __init__(self, main_category: int, comparison_categories: Sequence[int], alpha: float) -> None:
        self.main_category = main_category
        self.comparison_categories = comparison_categories
        self.alpha = alpha

    def __call__(self, model_output: torch.Tensor) -> torch.Tensor:
        others = list(self.comparison_categories)
        weights = model_output.softmax(dim=-1)[..., others]
        above = model_output[..., [self.main_category]] - self.alpha * model_output[..., others]
        return (weights * above).sum(dim=-1) / (weights.sum(dim=-1) + LEAST)


LEAST = 1e-9
"""What that library adds to the denominator."""


class FasterRCNNBoxScoreTarget:
    """For each box how well the detections have it: overlap and score of the one that overlaps most, where that is enough and its label the same."""

    def __init__(self, labels: Sequence[Any], bounding_boxes: Sequence[Any], iou_threshold: float = 0.5) -> None:
        self.labels = labels
        self.bounding_boxes = bounding_boxes
        self.iou_threshold = iou_threshold

    def __call__(self, model_outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        boxes = model_outputs["boxes"]
        total = boxes.new_zeros(1)
        for box, label in zip(self.bounding_boxes, self.labels):
            if not len(boxes):
                break
            overlaps = _overlaps(torch.as_tensor(np.asarray(box)).to(boxes), boxes)
            best = overlaps.argmax()
            if overlaps[best] > self.iou_threshold and model_outputs["labels"][best] == label:
                total = total + overlaps[best] + model_outputs["scores"][best]
        return total


def _overlaps(box: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """The intersection of a box with each of others, as a share of their union."""
    sides = (torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])).clamp(min=0)
    shared = sides.prod(dim=1)
    return shared / (_area(box) + _area(boxes) - shared)


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
