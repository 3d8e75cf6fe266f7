"""Ablation-CAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .ablation_layer import AblationLayer
from .base_cam import BaseCAM


class AblationCAM(BaseCAM):
    """A channel's weight is the share of the score that is lost without it. Desai and Ramaswamy, WACV 2020.

    Only the head is run for it; the model is not changed meanwhile. `batch_size` is how many channels are tried at a time.
    """

    def __init__(
        self,
        model: Any,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        ablation_layer: Any = None,
        batch_size: int = 32,
        ratio_channels_to_ablate: float = 1.0,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)
        self.batch_size = batch_size
        self.ablation_layer = AblationLayer() if ablation_layer is None else ablation_layer
        self.ratio_channels_to_ablate = ratio_channels_to_ablate

    def get_cam_weights(
        self, input_tensor: torch.Tensor, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        kept = self.activations_and_grads
        name = kept.name(target_layer)
        parts = kept.ready.parts([name])
        values = dict(parts.body(kept.inputs(input_tensor)))
        raw, images = torch.from_numpy(values.pop(name)), len(input_tensor)
        scores = kept.tensor(parts.scores({**values, name: raw.numpy()}))
        original = np.array([float(target(row)) for target, row in zip(targets, scores)], np.float32)
        weights = np.repeat(original[:, None], activations.shape[1], axis=1)
        for i, target in enumerate(targets):
            channels = np.array(self.ablation_layer.activations_to_be_ablated(activations[i], self.ratio_channels_to_ablate))
            made: list[float] = []
            for start in range(0, len(channels), self.batch_size):
                count = min(self.batch_size, len(channels) - start)
                self.ablation_layer.indices = channels[start : start + count]
                self.ablation_layer.set_next_batch(input_batch_index=i, activations=raw, num_channels_to_ablate=count)
                ablated = np.ascontiguousarray(self.ablation_layer(None).numpy())
                around = {key: np.repeat(v[i : i + 1], count, axis=0) if len(v) == images else v for key, v in values.items()}
                made += [float(target(row)) for row in kept.tensor(parts.scores({**around, name: ablated}))]
            weights[i, channels] = made
        return np.asarray((original[:, None] - weights) / original[:, None])
