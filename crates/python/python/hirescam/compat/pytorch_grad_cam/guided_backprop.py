"""Guided backpropagation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..._export import at_rest


class GuidedBackpropReLUModel:
    """The gradient at the image where each ReLU hands on only what is positive of it. Springenberg et al., ICLR 2015 workshop.

    It is no derivative of the network, and hardly hangs on its weights (Adebayo et al., NeurIPS 2018). PyTorch makes it, of the module itself, in
    evaluation mode; the module is left as it was.
    """

    def __init__(self, model: torch.nn.Module, device: Any = None) -> None:
        self.model = model if device is None else model.to(device)
        self.device = next(model.parameters()).device if device is None else torch.device(device)

    def forward(self, input_img: torch.Tensor) -> torch.Tensor:
        """The scores."""
        scores: torch.Tensor = self.model(input_img)
        return scores

    def __call__(self, input_img: torch.Tensor, target_category: int | None = None) -> NDArray[np.float32]:
        """The gradient of a class's score at the first image, [height, width, channels]; of the best class where none is given."""
        image = input_img.detach().to(self.device)
        relus = [part for part in self.model.modules() if isinstance(part, torch.nn.ReLU)]
        with at_rest(self.model), torch.enable_grad():
            image.requires_grad_()
            hooks = [relu.register_forward_hook(_guide) for relu in relus]
            try:
                scores = self.forward(image)
            finally:
                for hook in hooks:
                    hook.remove()
            category = int(scores.argmax()) if target_category is None else target_category
            gradient = torch.autograd.grad(scores[0, category], image)[0]
        made: NDArray[np.float32] = gradient[0].permute(1, 2, 0).cpu().numpy()
        return made


def _guide(part: Any, args: Any, output: torch.Tensor) -> None:
    if output.requires_grad:
        output.register_hook(lambda gradient: gradient.clamp(min=0))
