"""Layers of transformers as images: [N, channels, height, width]."""

from __future__ import annotations

import torch


def vit_reshape_transform(tensor: torch.Tensor, height: int = 14, width: int = 14) -> torch.Tensor:
    """Tokens [N, 1 + height·width, channels], without the first."""
    return swinT_reshape_transform(tensor[:, 1:], height, width)


def swinT_reshape_transform(tensor: torch.Tensor, height: int = 7, width: int = 7) -> torch.Tensor:
    """Tokens [N, height·width, channels]."""
    return tensor.reshape(len(tensor), height, width, tensor.shape[-1]).permute(0, 3, 1, 2)


def fasterrcnn_reshape_transform(x: dict[str, torch.Tensor]) -> torch.Tensor:
    """The levels of a pyramid, each as large as the smallest."""
    size = x["pool"].shape[-2:]
    levels = [torch.nn.functional.interpolate(level.abs(), size, mode="bilinear") for level in x.values()]
    return torch.cat(levels, dim=1)
