"""What all methods have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..._errors import ArgumentError
from .activations_and_gradients import ActivationsAndGradients
from .utils.image import scale_cam_image
from .utils.model_targets import ClassifierOutputTarget
from .utils.svd_on_activations import get_2d_projection

Target = Callable[[torch.Tensor], torch.Tensor]


class Augmented:
    """The image mirrored or not, and brighter or darker."""

    def __init__(self, mirrored: bool, factor: float) -> None:
        self.mirrored, self.factor = mirrored, factor

    def augment_image(self, image: torch.Tensor) -> torch.Tensor:
        """The changed image."""
        image = image.flip(-1) if self.mirrored else image
        return image if self.factor == 1 else image * self.factor

    def deaugment_mask(self, mask: torch.Tensor) -> torch.Tensor:
        """A map of the changed image, as it lies on the image itself."""
        return mask.flip(-1) if self.mirrored else mask


class BaseCAM:
    """A method: what is made of a layer's activation and gradient.

    As in pytorch-grad-cam, a method of one's own overrides `get_cam_weights` (weights [N, channels]) or `get_cam_image` (maps [N, height, width]).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        target_layers: Sequence[torch.nn.Module],
        reshape_transform: Callable[[Any], Any] | None = None,
        compute_input_gradient: bool = False,
        uses_gradients: bool = True,
        tta_transforms: Iterable[Any] | None = None,
        detach: bool = True,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise ArgumentError(f"model= takes a torch.nn.Module, and this is a {type(model).__name__}")
        self.model = model
        self.target_layers = list(target_layers)
        self.device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
        self.reshape_transform = reshape_transform
        self.compute_input_gradient = compute_input_gradient
        self.uses_gradients = uses_gradients
        flips = [Augmented(mirrored, factor) for mirrored in (False, True) for factor in (0.9, 1, 1.1)]
        self.tta_transforms = flips if tta_transforms is None else tta_transforms
        self.detach = detach
        self.outputs: Any = None
        self.activations_and_grads = ActivationsAndGradients(model, self.target_layers, reshape_transform, detach)

    def get_cam_weights(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: NDArray[Any], grads: NDArray[Any]
    ) -> NDArray[Any]:
        """The weights of the channels."""
        raise NotImplementedError("a method has get_cam_weights, or get_cam_image")

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        """The maps: the channels by their weights, added up."""
        if activations.ndim not in (4, 5):
            raise ArgumentError(
                f"the layer gives {list(activations.shape)}: an activation is [N, channels, height, width], or has a depth too; reshape_transform= makes one"
            )
        weights = self.get_cam_weights(input_tensor, target_layer, targets, activations, grads)
        weighted = weights.reshape(*weights.shape, *[1] * (activations.ndim - 2)) * activations
        return get_2d_projection(weighted) if eigen_smooth else weighted.sum(axis=1)

    def explained(self, outputs: torch.Tensor, targets: Sequence[Target] | None) -> list[Target]:
        """A target for each image: the best class where none is given."""
        if targets is None:
            best = np.argmax(outputs.detach().cpu().numpy(), axis=-1)
            return [ClassifierOutputTarget(category) for category in best]
        targets = list(targets)
        if len(targets) != len(outputs):
            raise ArgumentError(f"targets= has {len(targets)}, and there are {len(outputs)} images: each image takes one, [target] * len(input_tensor)")
        return targets

    def forward(self, input_tensor: torch.Tensor, targets: Sequence[Target] | None, eigen_smooth: bool = False) -> NDArray[np.float32]:
        """The maps of a batch."""
        input_tensor = input_tensor.to(self.device)
        self.outputs = self.activations_and_grads(input_tensor)
        targets = self.explained(self.outputs, targets)
        if self.uses_gradients:
            self.activations_and_grads.backward(lambda scores: summed(targets, scores))
        return self.aggregate_multi_layers(self.compute_cam_per_layer(input_tensor, targets, eigen_smooth))

    def get_target_width_height(self, input_tensor: torch.Tensor) -> tuple[int, ...]:
        """The image's extents, the last one first."""
        if input_tensor.dim() not in (4, 5):
            raise ArgumentError(f"an image is [N, channels, height, width], or has a depth too; this is {list(input_tensor.shape)}")
        return tuple(int(n) for n in reversed(input_tensor.shape[2:]))

    def compute_cam_per_layer(self, input_tensor: torch.Tensor, targets: Any, eigen_smooth: bool) -> list[NDArray[Any]]:
        """For each layer the maps, rectified, from 0 to 1, of the image's size."""
        kept = self.activations_and_grads
        if not kept.activations:
            kept.backward(lambda scores: scores.sum() * 0)
        size = self.get_target_width_height(input_tensor)
        made = []
        for i, layer in enumerate(self.target_layers):
            activation = kept.activations[i].numpy()
            gradient = kept.gradients[i].numpy() if kept.gradients else None
            cam = self.get_cam_image(input_tensor, layer, targets, activation, gradient, eigen_smooth)  # type: ignore[arg-type]
            made.append(scale_cam_image(np.maximum(cam, 0), size)[:, None, :])
        return made

    def aggregate_multi_layers(self, cam_per_target_layer: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """The mean over the layers, from 0 to 1."""
        joined = np.maximum(np.concatenate(cam_per_target_layer, axis=1), 0)
        return scale_cam_image(np.mean(joined, axis=1))

    def forward_augmentation_smoothing(
        self, input_tensor: torch.Tensor, targets: Sequence[Target] | None, eigen_smooth: bool = False
    ) -> NDArray[np.float32]:
        """The mean over changed images."""
        cams = []
        for transform in self.tta_transforms:
            cam = self.forward(transform.augment_image(input_tensor), targets, eigen_smooth)
            cams.append(transform.deaugment_mask(torch.from_numpy(cam[:, None])).numpy()[:, 0])
        mean: NDArray[np.float32] = np.mean(np.asarray(cams, np.float32), axis=0)
        return mean

    def __call__(
        self,
        input_tensor: torch.Tensor,
        targets: Sequence[Target] | None = None,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
    ) -> NDArray[np.float32]:
        """The maps [N, height, width], from 0 to 1; afterwards `outputs` are the model's."""
        if aug_smooth is True:
            return self.forward_augmentation_smoothing(input_tensor, targets, eigen_smooth)
        return self.forward(input_tensor, targets, eigen_smooth)

    def __enter__(self) -> BaseCAM:
        return self

    def __exit__(self, *_: object) -> None:
        self.activations_and_grads.release()


def summed(targets: Sequence[Target], scores: torch.Tensor) -> torch.Tensor:
    """The targets of all images, added up."""
    total: torch.Tensor = sum(target(of_image) for target, of_image in zip(targets, scores))
    return total
