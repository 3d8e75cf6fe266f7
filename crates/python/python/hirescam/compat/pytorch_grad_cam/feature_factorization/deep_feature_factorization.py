"""Deep feature factorisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..activations_and_gradients import ActivationsAndGradients
from ..utils.image import create_labels_legend, scale_cam_image, show_factorization_on_image


def dff(activations: NDArray[Any], n_components: int = 5) -> tuple[NDArray[Any], NDArray[Any]]:
    """Concepts [channels, components], and where in the images they are [N, components, height, width]: activations [N, channels, height, width] less
    the least of each channel, as a product of non-negative matrices, by scikit-learn."""
    try:
        from sklearn.decomposition import NMF
    except ImportError as error:
        raise ImportError("activations are factorised by scikit-learn, as in pytorch-grad-cam: pip install scikit-learn") from error
    images, channels, height, width = activations.shape
    flat = np.where(np.isnan(activations), 0, activations).transpose(1, 0, 2, 3).reshape(channels, -1)
    least = flat.min(axis=1, keepdims=True)
    made = NMF(n_components=n_components, init="random", random_state=0)
    concepts = made.fit_transform(flat - least) + least
    return concepts, made.components_.reshape(n_components, images, height, width).swapaxes(0, 1)


class DeepFeatureFactorization:
    """The concepts of a layer, and where they are. Collins et al., ECCV 2018. `computation_on_concepts` is run on the concepts [components, channels]."""

    def __init__(
        self,
        model: Any,
        target_layer: Any,
        reshape_transform: Callable[[Any], Any] | None = None,
        computation_on_concepts: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.model = model
        self.computation_on_concepts = computation_on_concepts
        self.activations_and_grads = ActivationsAndGradients(model, [target_layer], reshape_transform)

    def __call__(self, input_tensor: torch.Tensor, n_components: int = 16) -> tuple[Any, ...]:
        """The concepts [channels, components], for each image the maps [components, height, width] from 0 to 1, and what was computed of the concepts."""
        self.activations_and_grads(input_tensor)
        concepts, explanations = dff(self.activations_and_grads.activations[0].numpy(), n_components)
        height, width = input_tensor.shape[2:]
        maps = [scale_cam_image(of_image, (width, height)) for of_image in explanations]
        if not self.computation_on_concepts:
            return concepts, maps
        with torch.no_grad():
            computed = self.computation_on_concepts(torch.from_numpy(np.float32(concepts).T.copy()))
        return concepts, maps, computed.cpu().numpy()

    def __enter__(self) -> DeepFeatureFactorization:
        return self

    def __exit__(self, *_: object) -> None:
        self.activations_and_grads.release()


def run_dff_on_image(
    model: Any,
    target_layer: Any,
    classifier: Any,
    img_pil: Any,
    img_tensor: torch.Tensor,
    reshape_transform: Callable[[Any], Any] | None = None,
    n_components: int = 5,
    top_k: int = 2,
) -> NDArray[np.uint8]:
    """A picture beside its concepts in colours, with the classes that `classifier` makes of each, named by `model.config.id2label`."""
    factorised = DeepFeatureFactorization(model, target_layer, reshape_transform, classifier)
    _, maps, scores = factorised(img_tensor[None], n_components)
    labels = create_labels_legend(torch.from_numpy(scores).softmax(dim=-1).numpy(), model.config.id2label, top_k)
    picture = np.array(img_pil)
    shown = show_factorization_on_image(picture / 255, maps[0], image_weight=0.3, concept_labels=labels)
    return np.hstack((picture, shown))
