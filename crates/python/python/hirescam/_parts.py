"""A network in parts, for those who make their own of activations and gradients."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _hirescam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ._network import Network

    Arrays = Mapping[str, NDArray[Any]]


class Parts:
    """A network cut at a layer; with several layers it stays whole.

    What `body` gives is what `scores` and `gradients` take: the activation, and what goes around the layer. The scores are the network's output as it
    is. Each part is made ready when it is first used.
    """

    def __init__(self, network: Network, layers: Sequence[str]) -> None:
        self.layers = list(layers)
        self._spec = network.spec(layer=self.layers, score="output")
        self._made = _hirescam.parts(network._native, self._spec)
        self.image: str = self._made["image"]
        """The input that carries the image."""

    @cached_property
    def _body(self) -> Any:
        return self._made["body"] and _hirescam.Session(self._made["body"], self._spec)

    @cached_property
    def _head(self) -> Any:
        return _hirescam.Session(self._made["head"], self._spec)

    @cached_property
    def _gradient(self) -> Any:
        return _hirescam.Session(self._made["gradient"], self._spec)

    def body(self, inputs: Arrays) -> Arrays:
        """The activation and what goes around the layer; the inputs themselves where nothing is cut."""
        return self._body.run(_taken(self._body, inputs)) | dict(inputs) if self._body else inputs

    def scores(self, values: Arrays) -> NDArray[Any]:
        """The scores that follow from what the body gave."""
        made: NDArray[Any] = self._head.run(_taken(self._head, values))[self._made["scores"]]
        return made

    def gradients(self, values: Arrays, seed: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The activations of the layers, and the gradients of Σ seed · score by them."""
        name = self._made["seed"]
        seed = np.ascontiguousarray(seed, np.float64 if seed.dtype == np.float64 else np.float32)
        made = self._gradient.run({**_taken(self._gradient, {**values, name: seed})})
        activations = [made[layer] if layer in made else values[layer] for layer in self.layers]
        return activations, [made[gradient] for gradient in self._made["gradients"]]


def _taken(session: Any, values: Arrays) -> dict[str, NDArray[Any]]:
    """What the session takes of the values."""
    return {name: values[name] for name in session.inputs}
