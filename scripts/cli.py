"""Calls the `hirescam` binary and ONNX Runtime for the scripts beside this file. Nothing here computes a map."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import numpy as np
import onnx
import onnxruntime as ort


class Failed(Exception):
    """hirescam ended with an error; the text is the end of what it wrote to stderr."""


def call(binary: str, *arguments) -> str:
    # The library of the package that these scripts use.
    found = [str(path) for path in pathlib.Path(ort.__file__).parent.glob("capi/*onnxruntime.*") if "pybind" not in path.name]
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, env={"ORT_DYLIB_PATH": found[0]} | os.environ if found else None)
    if done.returncode:
        said = " / ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise Failed(f"exit code {done.returncode}: {said[-400:] or 'nothing on stderr'}")
    return done.stdout


def asked(layer: str | None, target: str | None) -> list[str]:
    """The options for a layer and a target, where they are named."""
    return [word for option, value in (("--layer", layer), ("--target", target)) if value for word in (option, value)]


def explain(binary: str, model, image, out, engine: str, layer: str | None = None, method: str = "hirescam", target: str | None = None) -> list[dict]:
    """`hirescam explain … --json`: one record for each image and class, the map already loaded (key "array")."""
    pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    wanted = asked(layer, target)
    text = call(binary, "explain", model, image, *wanted, "--method", method, "--engine", engine, "--json", "--overwrite", "--out", out)
    records = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not records:
        raise Failed("no record on stdout")
    for record in records:
        record["array"] = np.load(record["map"]).astype(np.float64)
    return records


def session(model: onnx.ModelProto | str | pathlib.Path, optimise: bool = True) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def values_of(model: onnx.ModelProto, feed: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """The values of any tensors of the graph, made outputs for the purpose."""
    known = {o.name for o in model.graph.output}
    added = [n for n in dict.fromkeys(names) if n not in known]
    count = len(model.graph.output)
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in added)
    try:
        return dict(zip(names, session(model, optimise=False).run(names, feed)))
    finally:
        del model.graph.output[count:]


def image_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The graph input that no initialiser fills."""
    filled = {t.name for t in model.graph.initializer}
    return next(i for i in model.graph.input if i.name not in filled)
