"""Where ONNX Runtime is in this environment."""

from __future__ import annotations

from importlib.util import find_spec

from . import _hirescam


def look() -> None:
    """Tells the engine where the package onnxruntime is. It is not imported: its library is loaded when an engine is asked for."""
    spec = find_spec("onnxruntime")
    folders = spec.submodule_search_locations if spec else None
    _hirescam.found_onnxruntime(folders[0] if folders else None)
