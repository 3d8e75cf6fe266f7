"""Methods as functions of arrays."""

from __future__ import annotations

import inspect

import hirescam
import numpy as np
import pytest
from hirescam import methods

RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(2, 3, 4, 5))
G = RANDOM.normal(size=(2, 3, 4, 5))


def test_there_is_a_function_for_every_method_of_one_run() -> None:
    from hirescam._hirescam import one_run

    assert methods.__all__ == sorted(methods.identifier(name) for name, *_ in one_run()) and "hirescam" in methods.__all__
    for name in methods.__all__:
        function = getattr(methods, name)
        assert function.__name__ == name and function.__doc__ and list(inspect.signature(function).parameters)[:2] == ["activation", "gradient"]


def test_formulas() -> None:
    assert np.allclose(methods.hirescam(A, G), (A * G).sum(1))
    assert np.allclose(methods.gradcam(A, G), (A * G.mean((2, 3), keepdims=True)).sum(1))
    assert np.allclose(methods.layercam(A, G), (A * np.maximum(G, 0)).sum(1))
    last = methods.hirescam(np.moveaxis(A, 1, -1), np.moveaxis(G, 1, -1), channels=-1)
    assert np.allclose(last, (A * G).sum(1)) and last.dtype == np.float64
    uniform = G[:, :, :1, :1]
    assert np.allclose(methods.hirescam(A, uniform), methods.gradcam(A, uniform))


def test_what_does_not_go_together_is_refused() -> None:
    for activation, gradient, channels in [(A, G[:, :2], 1), (A[0, 0], G[0, 0], 1), (A, G, 0), (A, G, 9), (A, G, -9), ("a", G, 1)]:
        with pytest.raises(hirescam.ArgumentError):
            methods.hirescam(activation, gradient, channels=channels)
