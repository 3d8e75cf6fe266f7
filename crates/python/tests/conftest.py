"""What the tests share. They are run on the installed package, not on the source tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hirescam
import pytest

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
if "HIRESCAM_FIXTURES" in os.environ:
    FIXTURES = Path(os.environ["HIRESCAM_FIXTURES"])


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """All paths are those of the fixtures."""
    monkeypatch.chdir(FIXTURES)


@pytest.fixture
def net() -> hirescam.Network:
    """Ten classes of digits: two convolutions, average pooling, two linear layers."""
    return hirescam.Network("digits-cnn.onnx")


@pytest.fixture(params=["tract", "onnxruntime"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each engine that is there."""
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
    yield request.param
