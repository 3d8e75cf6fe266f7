"""What is asked of a network beside explanations."""

from __future__ import annotations

import io
import json
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


def test_check(net: hirescam.Network) -> None:
    rows = records(net.check([SEVEN, "photos/three.png"], check={"randomise": False, "places": 4}))
    assert {"hirescam", "gradcam"} <= {row["method"] for row in rows}
    hirescams = [row for row in rows if row["method"] == "hirescam" and row["recommended"]]
    assert hirescams[0]["verdict"] == "locally-linear" and hirescams[0]["residual"] < 1e-3


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


def test_the_report_is_text_page_and_data(net: hirescam.Network, tmp_path: Path) -> None:
    report = net.report([SEVEN], check={"randomise": False, "places": 4, "methods": ["gradcam"]})
    for name, what in [("r.html", report.html), ("r.json", report.record), ("r.txt", report.text)]:
        report.save(tmp_path / name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert (json.loads(text) if name.endswith("json") else text) == what
    assert "1 images" in repr(report) and "<pre>" in report._repr_html_()
    alone = records(net.check())
    assert [row["layer"] for row in alone if row["recommended"]] and "method" not in alone[0]


def test_tables_are_data_frames_where_pandas_is_there(net: hirescam.Network) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    for table in [net.layers(), net.compare(SEVEN, ["hirescam"]), net.check()]:
        assert isinstance(table, pandas.DataFrame) and len(table) > 0
