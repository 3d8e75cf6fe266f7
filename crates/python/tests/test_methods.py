"""Methods as functions of arrays. Run as a program, it writes their types anew, into hirescam/methods.pyi."""

from __future__ import annotations

import inspect
from pathlib import Path

import hirescam
import numpy as np
import pytest
from hirescam import methods

RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(2, 3, 4, 5))
G = RANDOM.normal(size=(2, 3, 4, 5))


def types() -> str:
    """What stands in methods.pyi: type checkers and editors do not run what makes the functions."""
    functions = "".join(
        f'''
def {name}(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """{getattr(methods, name).__doc__}"""
'''
        for name in methods.__all__
    )
    listed = "".join(f"    {name!r},\n" for name in methods.__all__).replace("'", '"')
    return f'''# Made by crates/python/tests/test_methods.py.
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
{listed}]

def identifier(name: str) -> str:
    """{methods.identifier.__doc__}"""
{functions}'''


def test_types_are_those_of_the_functions() -> None:
    written = Path(methods.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert written == types(), "python crates/python/tests/test_methods.py writes it anew"


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


if __name__ == "__main__":
    package = Path(__file__).resolve().parents[1] / "python" / "hirescam"
    (package / "methods.pyi").write_text(types(), encoding="utf-8")
