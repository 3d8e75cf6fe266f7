"""First principal components of activations, over the places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import ArgumentError


def _each(activation_batch: NDArray[Any], component: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[np.float32]:
    """A component for each image, of its places' channels less their mean."""
    made = []
    for activations in np.where(np.isnan(activation_batch), activation_batch.dtype.type(0), activation_batch):
        places = activations.reshape(activations.shape[0], -1).T
        made.append(component(places - places.mean(axis=0)).reshape(activations.shape[1:]))
    return np.asarray(made, np.float32)


def _principal(places: NDArray[Any]) -> NDArray[Any]:
    made: NDArray[Any] = places @ np.linalg.svd(places, full_matrices=False)[2][0]
    return made


def get_2d_projection(activation_batch: NDArray[Any]) -> NDArray[np.float32]:
    """The first principal component of [N, channels, height, width], as [N, height, width]. Its sign is the decomposition's."""
    return _each(activation_batch, _principal)


def get_2d_projection_with_sign_correction(activation_batch: NDArray[Any]) -> NDArray[np.float32]:
    """The same with the sign that makes its strongest place positive."""

    def component(places: NDArray[Any]) -> NDArray[Any]:
        made = _principal(places)
        return -made if abs(made.min()) > abs(made.max()) else made

    return _each(activation_batch, component)


def get_2d_projection_kernel(activation_batch: NDArray[Any], kernel: str = "sigmoid", gamma: float | None = None) -> NDArray[np.float32]:
    """The first principal component under a kernel: "linear", "poly", "rbf", "sigmoid" or "cosine", with scikit-learn's constants."""
    if kernel not in KERNELS:
        raise ArgumentError(f"kernel={kernel!r}: it takes {', '.join(KERNELS)}")

    def component(places: NDArray[Any]) -> NDArray[Any]:
        products = KERNELS[kernel](places, 1 / places.shape[1] if gamma is None else gamma).astype(np.float64)
        mean = products.mean(axis=0)
        values, vectors = np.linalg.eigh(products - mean - mean[:, None] + mean.mean())
        vector = vectors[:, -1]
        # Of the two signs, the one that makes the strongest entry positive.
        made: NDArray[Any] = vector * np.sign(vector[np.abs(vector).argmax()]) * np.sqrt(max(values[-1], 0))
        return made

    return _each(activation_batch, component)


def _rbf(x: NDArray[Any], gamma: float) -> NDArray[Any]:
    square = (x * x).sum(axis=1)
    made: NDArray[Any] = np.exp(-gamma * np.maximum(square[:, None] + square - 2 * x @ x.T, 0))
    return made


def _cosine(x: NDArray[Any], gamma: float) -> NDArray[Any]:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.where(length == 0, 1, length)
    made: NDArray[Any] = unit @ unit.T
    return made


KERNELS: dict[str, Callable[[NDArray[Any], float], NDArray[Any]]] = {
    "linear": lambda x, gamma: x @ x.T,
    "poly": lambda x, gamma: (gamma * x @ x.T + 1) ** 3,
    "rbf": _rbf,
    "sigmoid": lambda x, gamma: np.tanh(gamma * x @ x.T + 1),
    "cosine": _cosine,
}
