"""Runs ONNX files, explaining models above all, in a runtime that knows nothing of hirescam.

    pip install -r scripts/runtimes/requirements.txt
    python scripts/runtimes/run.py onnxruntime JOB.json ...
    python scripts/runtimes/run.py openvino JOB.json ...

A job says what to run; paths are relative to its file:

    {"model": "explaining.onnx",
     "inputs": [{"name": "input", "type": "float32", "shape": [1, 1, 28, 28], "data": [0.0, ...]}]}

An input can also come from a file: {"name": "input", "file": "image.npy"}. The result goes to JOB.RUNTIME.json, {"version": ..., "outputs": [...]} with
outputs written as inputs are, or {"version": ..., "error": ...}. run.mjs does the same with onnxruntime-web.
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np


def onnxruntime(model: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Where a processor has no instructions for it, sums of products of 8 bits would be cut off at 16.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed)))


def openvino(model: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import openvino as ov

    # The processor's own half precision would be taken for a plain float32 network.
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(model, "CPU", exact)
    made = compiled(feed)
    # A value that is two outputs has both names; the node that gives it out has the one.
    names = [result.get_friendly_name().removesuffix("/sink_port_0") for result in compiled.get_runtime_model().get_results()]
    return {name: made[output] for name, output in zip(names, compiled.outputs)}


def version(runtime: str) -> str:
    from importlib.metadata import version

    return version(runtime)


def read(job: dict, folder: pathlib.Path) -> dict[str, np.ndarray]:
    def array(given: dict) -> np.ndarray:
        if "file" in given:
            return np.load(folder / given["file"])
        return np.array(given["data"], given["type"]).reshape(given["shape"])

    return {given["name"]: array(given) for given in job["inputs"]}


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[1] not in RUNTIMES:
        print(__doc__)
        return 2
    runtime = sys.argv[1]
    for path in map(pathlib.Path, sys.argv[2:]):
        job = json.loads(path.read_text())
        result: dict = {"version": version(runtime)}
        try:
            made = RUNTIMES[runtime](str(path.parent / job["model"]), read(job, path.parent))
            result["outputs"] = [
                {"name": name, "type": str(array.dtype), "shape": list(array.shape), "data": array.ravel().tolist()} for name, array in made.items()
            ]
        except Exception as error:  # what a runtime refuses is a result
            result["error"] = f"{type(error).__name__}: {error}"
        path.with_suffix(f".{runtime}.json").write_text(json.dumps(result))
    return 0


RUNTIMES = {"onnxruntime": onnxruntime, "openvino": openvino}

if __name__ == "__main__":
    sys.exit(main())
