"""FullGrad."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .base_cam import BaseCAM, summed
from .utils.find_layers import find_layer_predicate_recursive
from .utils.image import scale_accross_batch_and_channels, scale_cam_image
from .utils.svd_on_activations import get_2d_projection

LOGGER = logging.getLogger("hirescam")


class FullGrad(BaseCAM):
    """The gradient's share of the image and of every bias. Srinivas and Fleuret, NeurIPS 2019. It works at all layers with a bias: `target_layers` is not used."""

    def __init__(self, model: Any, target_layers: Sequence[Any], reshape_transform: Callable[[Any], Any] | None = None) -> None:
        if len(target_layers) > 0:
            LOGGER.info("FullGrad takes all layers with a bias: target_layers= is not used")
        kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d)
        layers = find_layer_predicate_recursive(model, lambda part: type(part) in kinds and part.bias is not None)
        super().__init__(model, layers, reshape_transform, compute_input_gradient=True)
        self.bias_data = [self.get_bias_data(layer).cpu().numpy() for layer in layers]

    def get_bias_data(self, layer: Any) -> torch.Tensor:
        """What the layer adds to each channel."""
        bias: torch.Tensor = layer.bias.data
        if isinstance(layer, torch.nn.BatchNorm2d):
            bias = bias - layer.running_mean * layer.weight.data / torch.sqrt(layer.running_var + layer.eps)
        return bias

    def forward(self, input_tensor: torch.Tensor, targets: Any, eigen_smooth: bool = False) -> NDArray[np.float32]:
        kept = self.activations_and_grads
        input_tensor = input_tensor.to(self.device)
        self.outputs = kept(input_tensor)
        kept.parts = kept.ready.parts([kept.image_name, *(kept.name(layer) for layer in self.target_layers)])
        kept.values = kept.parts.body(kept.inputs(input_tensor))
        targets = self.explained(self.outputs, targets)
        _, (self.of_image, *of_layers) = kept.differentiated(lambda scores: summed(targets, scores))
        kept.gradients = [kept.shown(gradient) for gradient in of_layers]
        return self.aggregate_multi_layers(self.compute_cam_per_layer(input_tensor, targets, eigen_smooth))

    def compute_cam_per_layer(self, input_tensor: torch.Tensor, targets: Any, eigen_smooth: bool) -> Any:
        size = self.get_target_width_height(input_tensor)
        shares = [scale_accross_batch_and_channels(np.abs(self.of_image * input_tensor.cpu().numpy()), size)]
        for bias, gradient in zip(self.bias_data, self.activations_and_grads.gradients):
            share = scale_accross_batch_and_channels(np.abs(bias[None, :, None, None] * gradient.numpy()), size)
            shares.append(share.sum(axis=1, keepdims=True))
        joined = np.concatenate(shares, axis=1)
        if not eigen_smooth:
            return joined.sum(axis=1, keepdims=True)
        # Of so many channels the component is taken at an eighth of the size.
        small = scale_accross_batch_and_channels(joined, tuple(side // 8 for side in size))
        return scale_accross_batch_and_channels(get_2d_projection(small)[:, None], size)

    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> NDArray[np.float32]:
        return scale_cam_image(np.sum(cam_per_target_layer, axis=1))
