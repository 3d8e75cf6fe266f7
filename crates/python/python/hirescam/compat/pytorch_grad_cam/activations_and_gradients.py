"""Activations and gradients of a module's layers, by the exported network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..._errors import ArgumentError, UnsupportedError
from ..._export import HOOKS
from ..._kept import Kept
from ..._parts import Parts
from ..._torch import TorchNetwork, from_torch

KEPT = 3
"""How many exports of a module are kept: one for each shape of image."""

SAMPLED = 8
"""Numbers of each stored tensor that are looked at beside its sum, which numbers that changed places leave as it is."""


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


class Exports:
    """What was exported of a module as it is."""

    def __init__(self) -> None:
        self.state: Any = None
        self.kept: Kept[Any, Ready] = Kept(KEPT)


EXPORTS: weakref.WeakKeyDictionary[torch.nn.Module, Exports] = weakref.WeakKeyDictionary()
"""What was exported of each module that is still there, so that not every CAM object has to do it again."""


def ready(model: torch.nn.Module, image: torch.Tensor) -> Ready:
    """The module exported for images of this shape; anew where it is not what it was."""
    if EXPORTS.setdefault(model, Exports()).state != _state(model):
        EXPORTS[model] = Exports()
    exports = EXPORTS[model]

    def make() -> Ready:
        made = Ready(from_torch(model, image, output=_tensor))
        # A module can note down something of its own when it runs, as it does for an export.
        exports.state = _state(model)
        return made

    key = (tuple(image.shape[1:]), image.dtype)
    made = exports.kept.of(key, make)
    fixed = made.network.image.shape[0]
    return made if fixed in (None, len(image)) else exports.kept.of((*key, len(image)), make)


def _tensor(given: Any) -> torch.Tensor:
    """What a module gives, which has to be a tensor here."""
    if isinstance(given, torch.Tensor):
        return given
    raise UnsupportedError(
        f"the model gives a {type(given).__name__}: wrap it in a module that gives the tensor of scores alone, or use hirescam.from_torch with output="
    )


def _state(model: torch.nn.Module) -> tuple[Any, ...]:
    """What tells whether a module is the same as before: its parts, their plain attributes and hooks, and where and what its weights are."""
    parts = [(id(part), *_plain(part.__dict__)) for part in model.modules()]
    return parts, [_sum(tensor) for tensor in (*model.parameters(), *model.buffers())]


PLAIN = (bool, int, float, str)


def _plain(attributes: dict[str, Any]) -> Iterator[Any]:
    for name, value in attributes.items():
        if name in HOOKS:
            yield from (id(hook) for hook in value.values())
        elif name != "training" and (isinstance(value, PLAIN) or (isinstance(value, tuple) and all(isinstance(v, PLAIN) for v in value))):
            yield value


def _sum(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Where a tensor lies, the sum of its numbers' bits, and some of them."""
    if torch.nn.parameter.is_lazy(tensor) or tensor.is_meta:
        # It has no numbers: the export says what to do about it.
        return ()
    flat = tensor.detach().reshape(-1)
    words = flat.view({4: torch.int32, 8: torch.int64}.get(flat.element_size(), torch.uint8))
    if words.device.type == "cpu":
        # A hundred times as fast as PyTorch's own sum of integers.
        total = int(np.add.reduce(words.numpy(), dtype=words.numpy().dtype))
    else:
        total = int(words.sum(dtype=torch.int64))
    some = words[:: max(1, len(words) // SAMPLED)][:SAMPLED].tolist()
    version = None if tensor.is_inference() else tensor._version
    return tensor.data_ptr(), version, tuple(tensor.shape), tensor.stride(), total, some


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
            self.activations = [self.shown(self.values[layer]) for layer in self.parts.layers if layer in self.values]
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
        activations, gradients = self.differentiated(loss)
        self.activations = [self.shown(array) for array in activations]
        self.gradients = [self.shown(array) for array in gradients]

    def differentiated(self, loss: Callable[[torch.Tensor], torch.Tensor]) -> tuple[list[Any], list[Any]]:
        """What the layers give, and the gradients of a function of the scores there, as the network has them."""
        with torch.enable_grad():
            scores = self.tensor(self._scores).requires_grad_()
            seed = torch.autograd.grad(loss(scores), scores)[0]
        return self.parts.gradients(self.values, seed.cpu().numpy())

    def second(self, layer: Any, loss: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor | None:
        """The Hessian of a function of the scores by a layer's activation, times that activation; None where it is 0."""
        parts = self.ready.parts([self.name(layer)])
        values = self.values if parts is self.parts else parts.body(self.inputs(self._x))
        activation = values[parts.layers[0]]
        with torch.enable_grad():
            scores = self.tensor(self._scores).requires_grad_()
            seed = torch.autograd.grad(loss(scores), scores, create_graph=True)[0]
            # Along the activation the gradient changes at the layer, and the seed changes with the scores.
            of_head, scores_along = parts.second(values, seed.detach().cpu().numpy(), activation)
            seed_along = None
            if scores_along is not None and seed.requires_grad:
                seed_along = torch.autograd.grad(seed, scores, self.tensor(scores_along), allow_unused=True)[0]
        made = [] if of_head is None else [of_head]
        if seed_along is not None:
            made += parts.gradients(values, seed_along.cpu().numpy())[1]
        return self.shown(np.sum(made, axis=0)) if made else None

    def shown(self, array: Any) -> torch.Tensor:
        """An array of a layer as `reshape_transform` lays it out."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if self.reshape_transform is None else self.reshape_transform(tensor).contiguous()

    def clear(self) -> None:
        """Forgets what was kept."""
        self.activations, self.gradients = [], []

    def release(self) -> None:
        """As `clear`: there are no hooks to be taken off."""
        self.clear()
