"""What is asked of a network beside explanations."""

from __future__ import annotations

import io
from pathlib import Path

import hirescam
import numpy as np
import pytest

SEVEN = "photos/seven.png"


def records(table: object) -> list[dict]:
    """A table, whether pandas is there or not."""
    return table.to_dict("records") if hasattr(table, "to_dict") else list(table)


def test_networks_come_from_paths_bytes_and_messages(net: hirescam.Network) -> None:
    class Message:
        """As onnx.ModelProto has it."""

        def SerializeToString(self) -> bytes:
            return net.bytes

    for model in [Path("digits-cnn.onnx"), net.bytes, bytearray(net.bytes), memoryview(net.bytes), Message()]:
        made = hirescam.Network(model)
        assert made.sha256 == net.sha256 and made.image == ("input", "float32", (1, 1, 28, 28))
    assert hirescam.Network(net.bytes).path is None and net.path == "digits-cnn.onnx"


def test_layers(net: hirescam.Network) -> None:
    rows = records(net.layers())
    assert [row["layer"] for row in rows if row["recommended"]] == ["/conv_layers/conv_layers.7/Relu_output_0"]
    assert {row["verdict"] for row in rows} <= {"exact", "locally-linear", "gradient-only", None}
    assert len(records(net.layers(all=True))) >= len(rows)


def test_compare(net: hirescam.Network) -> None:
    rows = records(net.compare(SEVEN, ["hirescam", "eigencam"]))
    assert [(row["method"], row["verdict"]) for row in rows] == [("hirescam", "locally-linear"), ("eigencam", "unproven")]
    with pytest.raises(hirescam.NotFoundError):
        net.compare(SEVEN, ["gradcamm"])


def test_compiled_networks_run_elsewhere(net: hirescam.Network) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    made = net.compile(class_=7, heatmap=(14, 14))
    session = onnxruntime.InferenceSession(made)
    image = np.zeros((1, 1, 28, 28), np.float32)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: image})))
    e = net.explain(image[0], class_=7, engine="onnxruntime")
    assert np.allclose(next(v for k, v in outputs.items() if k.endswith("map"))[0], e.map, atol=1e-5)
    assert any(v.shape[-2:] == (14, 14) for k, v in outputs.items() if k.endswith("heatmap"))
    assert hirescam.strip(made) == net.bytes == hirescam.strip(hirescam.Network(made))
    with pytest.raises(hirescam.ArgumentError, match="no explaining model"):
        hirescam.strip(net)
    with pytest.raises(hirescam.Error):
        net.compile(method="rise")


def test_the_network_is_left_as_it_is(net: hirescam.Network) -> None:
    before = Path("digits-cnn.onnx").read_bytes()
    net.explain(SEVEN)
    assert net.bytes == before == Path("digits-cnn.onnx").read_bytes()
    assert "digits-cnn.onnx" in repr(net) and io.BytesIO(net.bytes).getbuffer().nbytes == len(before)
