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
        self._made = _hirescam.Parts(network._native, network.spec(layer=self.layers, score="output"))

    @cached_property
    def _body(self) -> _hirescam.Session | None:
        return self._made.body()

    @cached_property
    def _head(self) -> _hirescam.Session:
        return self._made.head()

    @cached_property
    def _second(self) -> tuple[_hirescam.Session, str, str | None, str | None]:
        return self._made.second()

    @cached_property
    def _gradient(self) -> _hirescam.Session:
        return self._made.gradient()

    def body(self, inputs: Arrays) -> Arrays:
        """The activation and what goes around the layer; the inputs themselves where nothing is cut."""
        return self._body.run(_taken(self._body, inputs)) | dict(inputs) if self._body else inputs

    def scores(self, values: Arrays) -> NDArray[Any]:
        """The scores that follow from what the body gave."""
        made: NDArray[Any] = self._head.run(_taken(self._head, values))[self._made.scores]
        return made

    def second(
        self, values: Arrays, seed: NDArray[Any], direction: NDArray[Any]
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """What the network cut at one layer has of second derivatives along a direction, which has the activation's shape: the derivative of the gradient
        of Σ seed · score, and that of the scores. None where it is 0 for every activation, and for every direction."""
        session, along, by_activation, by_seed = self._second
        done = session.run(_taken(session, {**values, self._made.seed: _floats(seed), along: _floats(direction)}))
        return done.get(by_activation or ""), done.get(by_seed or "")

    def gradients(self, values: Arrays, seed: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The activations of the layers, and the gradients of Σ seed · score by them."""
        made = self._gradient.run(_taken(self._gradient, {**values, self._made.seed: _floats(seed)}))
        activations = [made[layer] if layer in made else values[layer] for layer in self.layers]
        return activations, [made[gradient] for gradient in self._made.gradients]


def _floats(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def _taken(session: Any, values: Arrays) -> dict[str, NDArray[Any]]:
    """What the session takes of the values."""
    return {name: values[name] for name in session.inputs}
