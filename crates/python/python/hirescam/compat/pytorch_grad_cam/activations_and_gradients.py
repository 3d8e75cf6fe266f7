"""Activations and gradients of a module's layers, by the exported network."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..._errors import ArgumentError, UnsupportedError
from ..._parts import Parts
from ..._torch import TorchNetwork, from_torch

KEPT = 3
"""How many exports of a module are kept: one for each shape of image."""

SAMPLED = 8
"""Numbers of each stored tensor that tell whether the module has changed."""


class Ready:
    """A module exported for images of one shape, with what was made ready of it."""

    def __init__(self, network: TorchNetwork) -> None:
        self.network = network
        self._parts: dict[tuple[str, ...], Parts] = {}

    def parts(self, layers: Sequence[str]) -> Parts:
        """The network cut at layers."""
        key = tuple(layers)
        if key not in self._parts:
            self._parts[key] = Parts(self.network, layers)
        return self._parts[key]


READY: weakref.WeakKeyDictionary[torch.nn.Module, OrderedDict[Any, Ready]] = weakref.WeakKeyDictionary()
"""What was exported of each module that is still there, so that not every CAM object has to do it again."""


def ready(model: torch.nn.Module, image: torch.Tensor) -> Ready:
    """The module exported for images of this shape; anew where its weights are others than they were."""
    kept = READY.setdefault(model, OrderedDict())
    state = _state(model)
    shape, batch = tuple(image.shape[1:]), int(image.shape[0])
    for key in ((shape, image.dtype, None), (shape, image.dtype, batch)):
        if key in kept and kept[key].state == state:  # type: ignore[attr-defined]
            kept.move_to_end(key)
            return kept[key]
    made = Ready(from_torch(model, image, output=_tensor))
    made.state = state  # type: ignore[attr-defined]
    free = made.network.image.shape[0] is None
    kept[shape, image.dtype, None if free else batch] = made
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return made


def _tensor(given: Any) -> torch.Tensor:
    """What a module gives, which has to be a tensor here."""
    if isinstance(given, torch.Tensor):
        return given
    raise UnsupportedError(
        f"the model gives a {type(given).__name__}: wrap it in a module that gives the tensor of scores alone, or use hirescam.from_torch with output="
    )


def _state(model: torch.nn.Module) -> tuple[Any, ...]:
    """What tells whether a module is the same as before: its parts, and where and what its weights are."""
    parts = tuple(id(part) for part in model.modules())
    stored = []
    for tensor in (*model.parameters(), *model.buffers()):
        flat = tensor.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // SAMPLED)][:SAMPLED].tolist() if tensor.device.type == "cpu" else ()
        stored.append((tensor.data_ptr(), tensor._version, tuple(tensor.shape), tuple(some)))
    return parts, tuple(stored)


class ActivationsAndGradients:
    """Runs a module's exported network, and keeps what its layers give and the gradients there."""

    def __init__(
        self,
        model: torch.nn.Module,
        target_layers: Sequence[Any],
        reshape_transform: Callable[[Any], Any] | None = None,
        detach: bool = True,
    ) -> None:
        self.model = model
        self.target_layers = list(target_layers)
        self.reshape_transform = reshape_transform
        self.detach = detach
        self.activations: list[torch.Tensor] = []
        self.gradients: list[torch.Tensor] = []
        inside = {id(part) for part in model.modules()}
        for layer in self.target_layers:
            if not isinstance(layer, torch.nn.Module):
                raise ArgumentError(f"target_layers= takes modules, as [model.layer4[-1]], and there is a {type(layer).__name__}")
            if id(layer) not in inside:
                raise ArgumentError(f"target_layers= has a {type(layer).__name__} that is no part of the model")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The scores; meanwhile what the layers give is kept in `activations`."""
        self.clear()
        self.ready = ready(self.model, x)
        self.parts = self.ready.parts([self.name(layer) for layer in self.target_layers]) if self.target_layers else self.ready.parts([self.image_name])
        self._x = x
        self.values = self.parts.body(self.inputs(x))
        self._scores = self.parts.scores(self.values)
        if self.parts.layers[0] in self.values:
            self.raw = [self.values[layer] for layer in self.parts.layers if layer in self.values]
            self.activations = [self._shown(raw) for raw in self.raw]
        return self.tensor(self._scores)

    @property
    def image_name(self) -> str:
        """The input that carries the image."""
        return self.ready.network.image.name

    def name(self, layer: Any) -> str:
        """A layer's name in the network; of a module that is called several times it is the first call, as in that library."""
        return self.ready.network.layer(layer, call=1)

    def inputs(self, x: torch.Tensor) -> dict[str, Any]:
        """The image as the network takes it."""
        return {self.image_name: np.ascontiguousarray(x.detach().cpu().float().numpy() if x.dtype != torch.float64 else x.detach().cpu().numpy())}

    def tensor(self, array: Any) -> torch.Tensor:
        """An array on the image's device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._x.device)

    def backward(self, loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Keeps the gradients of a function of the scores in `gradients`."""
        scores = torch.from_numpy(self._scores).requires_grad_()
        seed = torch.autograd.grad(loss(scores), scores)[0]
        activations, gradients = self.parts.gradients(self.values, seed.numpy())
        self.raw = activations
        self.activations = [self._shown(array) for array in activations]
        self.gradients = [self._shown(array) for array in gradients]

    def _shown(self, array: Any) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if self.reshape_transform is None else self.reshape_transform(tensor).contiguous()

    def clear(self) -> None:
        """Forgets what was kept."""
        self.activations, self.gradients = [], []

    def release(self) -> None:
        """As `clear`: there are no hooks to be taken off."""
        self.clear()
