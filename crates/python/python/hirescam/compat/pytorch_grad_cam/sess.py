"""SESS: enhanced by scaling and sliding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..._errors import ArgumentError
from .base_cam import BaseCAM
from .grad_cam import GradCAM
from .utils.image import resized, scale_cam_image
from .utils.model_targets import ClassifierOutputTarget

BLUR, SIGMA = 11, 5.0
"""The size of the filter that smooths the map, and its deviation."""


class SESS:
    """A method of one's choice on windows of the image at several sizes, each weighted by its score. Tursun et al., ICIP 2022.

    The shorter side takes each of `scales`, or `num_scales` sizes from the window's on, each larger by `scale_step_ratio` windows. A window of `window_size`
    (the shorter side) moves by `step_size` (a window). The `pre_filter_ratio` of windows with the lowest scores is left out. Maps are joined by their mean over
    the windows where they are above `theta`, or with `pool="max"` by their maximum. A score is a probability, or with `use_softmax_scores=False` the score
    itself, where it is positive. `batch_size` is how many windows are run at a time.
    """

    def __init__(
        self,
        model: Any,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        base_method: Callable[..., BaseCAM] = GradCAM,
        scales: Sequence[int] | None = None,
        num_scales: int = 12,
        scale_step_ratio: float = 2.0 / 7.0,
        window_size: int | None = None,
        step_size: int | None = None,
        pre_filter_ratio: float = 0.0,
        theta: float = 0.0,
        pool: str = "mean",
        smooth: bool = True,
        use_softmax_scores: bool = True,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> None:
        if pool not in ("mean", "max"):
            raise ArgumentError(f'pool={pool!r}: it takes "mean" or "max"')
        if not 0 <= pre_filter_ratio < 1:
            raise ArgumentError(f"pre_filter_ratio={pre_filter_ratio}: it is from 0 to below 1")
        if num_scales < 1:
            raise ArgumentError(f"num_scales={num_scales}: there is at least one")
        self.base_cam = base_method(model, target_layers, reshape_transform, **kwargs)
        self.model, self.device = self.base_cam.model, self.base_cam.device
        self.scales, self.num_scales, self.scale_step_ratio = scales, num_scales, scale_step_ratio
        self.window_size, self.step_size = window_size, step_size
        self.pre_filter_ratio, self.theta, self.pool = pre_filter_ratio, theta, pool
        self.smooth, self.use_softmax_scores, self.batch_size = smooth, use_softmax_scores, batch_size

    def __call__(self, *args: Any, **kwargs: Any) -> NDArray[np.float32]:
        return self.forward(*args, **kwargs)

    def forward(self, input_tensor: torch.Tensor, targets: Any = None, eigen_smooth: bool = False) -> NDArray[np.float32]:
        """The maps [N, height, width], from 0 to 1."""
        input_tensor = input_tensor.detach().to(self.device)
        targets = [None] * len(input_tensor) if targets is None else list(targets)
        if len(targets) != len(input_tensor):
            raise ArgumentError(f"targets= has {len(targets)}, and there are {len(input_tensor)} images: each image takes one")
        return scale_cam_image([self.forward_single_image(image[None], target, eigen_smooth) for image, target in zip(input_tensor, targets)])

    def forward_single_image(self, input_tensor: torch.Tensor, target: Any, eigen_smooth: bool = False) -> NDArray[np.float32]:
        """The map of one image."""
        height, width = input_tensor.shape[-2:]
        window = min(height, width) if self.window_size is None else self.window_size
        patches, places = self.collect_patches(input_tensor, window, window if self.step_size is None else self.step_size)
        target = self.get_target(input_tensor) if target is None else target
        scores = self.get_scores(patches, target)
        order = np.argsort(scores)[int(len(scores) * self.pre_filter_ratio) :]
        most = scores[order[-1]]
        total, count = np.zeros((2, height, width), np.float32)
        for start in range(0, len(order), self.batch_size):
            some = order[start : start + self.batch_size]
            maps = self.base_cam(torch.cat([patches[i] for i in some]), [target] * len(some), eigen_smooth=eigen_smooth)
            for i, cam in zip(some, maps):
                pasted = self.paste_cam(cam * (scores[i] / most if most > 0 else 1), places[i], (height, width))
                if self.pool == "max":
                    total = np.maximum(total, pasted)
                else:
                    total += np.where(pasted > self.theta, pasted, 0)
                    count += pasted > self.theta
        made: NDArray[np.float32] = total if self.pool == "max" else total / np.where(count > 0, count, 1)
        return _blurred(made) if self.smooth else made

    def get_scales(self, window_size: int) -> list[int]:
        """What the shorter side of the image is resized to."""
        step = round(window_size * self.scale_step_ratio)
        return [window_size + step * i for i in range(self.num_scales)] if self.scales is None else list(self.scales)

    def collect_patches(
        self, input_tensor: torch.Tensor, window_size: int, step_size: int
    ) -> tuple[list[torch.Tensor], list[tuple[int, int, int, int]]]:
        """The windows of all sizes of the image, and where each lies: left, top, width and height of the resized image."""
        patches, places = [], []
        height, width = input_tensor.shape[-2:]
        for scale in self.get_scales(window_size):
            if scale < window_size:
                raise ArgumentError(f"scales= has {scale}, and a window takes {window_size}")
            size = [scale if side == min(height, width) else scale * side // min(height, width) for side in (height, width)]
            scaled = input_tensor
            if size != [height, width]:
                scaled = torch.nn.functional.interpolate(input_tensor, size, mode="bilinear", antialias=True)
            for top in window_starts(size[0], step_size, window_size):
                for left in window_starts(size[1], step_size, window_size):
                    patches.append(scaled[:, :, top : top + window_size, left : left + window_size])
                    places.append((left, top, size[1], size[0]))
        return patches, places

    def get_target(self, input_tensor: torch.Tensor) -> ClassifierOutputTarget:
        """The best class of the image."""
        return ClassifierOutputTarget(int(self.base_cam.activations_and_grads(input_tensor)[0].argmax()))

    def get_scores(self, patches: Sequence[torch.Tensor], target: Any) -> NDArray[Any]:
        """The score of each window, 0 where it is negative."""
        made = []
        for start in range(0, len(patches), self.batch_size):
            scores = self.base_cam.activations_and_grads(torch.cat(list(patches[start : start + self.batch_size])))
            made.append(target(scores.softmax(dim=-1) if self.use_softmax_scores else scores).cpu().numpy())
        return np.asarray(np.maximum(np.concatenate(made), 0))

    def paste_cam(self, cam: NDArray[Any], coordinates: tuple[int, int, int, int], target_size: tuple[int, int]) -> NDArray[np.float32]:
        """A window's map where it lies in the image [height, width]."""
        left, top, width, height = coordinates
        whole = np.zeros((height, width), np.float32)
        whole[top : top + cam.shape[0], left : left + cam.shape[1]] = cam
        return resized(whole, target_size)

    def __enter__(self) -> SESS:
        return self

    def __exit__(self, *_: object) -> None:
        self.base_cam.activations_and_grads.release()


def window_starts(length: int, step_size: int, window_size: int) -> list[int]:
    """Where windows start along a side. One that would reach beyond it ends with it."""
    last = max(length - window_size, 0)
    return sorted({min(start, last) for start in range(0, length, step_size)})


def _blurred(cam: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smoothed by a Gaussian, the image being mirrored at its borders."""
    at = np.arange(BLUR) - BLUR // 2
    weights = np.exp(-(at**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(BLUR // 2, BLUR // 2) if axis == a else (0, 0) for a in (0, 1)]
        wide = np.pad(cam, pad, mode="reflect")
        views = [wide.take(range(i, i + cam.shape[axis]), axis) for i in range(BLUR)]
        cam = np.tensordot(weights, views, axes=1).astype(np.float32)
    return cam
