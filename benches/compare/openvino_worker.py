"""Times calls of one network in OpenVINO for `compare.py`: what `worker.rs` does, with the same arguments, lines and answers.

- `inference`: the network as it is, from tensor to its outputs. An explaining model gives the maps among them.
- `explain reciprocam top:1 LAYER`: the network with the branch that OpenVINO XAI inserts, from tensor to the raw map of the best class.
- `save PATH`: writes the maps of the last call.
"""

from __future__ import annotations

import json
import logging
import pathlib
import sys
import time
from collections.abc import Callable

import numpy as np
import openvino as ov
import openvino_xai as xai

logging.getLogger("openvino_xai").setLevel(logging.WARNING)
file, input_name, tensor, _, threads, _ = sys.argv[1:]
image = np.load(tensor)


def ready(call: str) -> Callable[[], tuple[np.ndarray, np.ndarray | None]]:
    """From the image to the network's first output and the maps, where there are any."""
    model = ov.Core().read_model(file)
    model.reshape({input_name: image.shape})
    match call.split(" "):
        case ["inference"]:
            made = "map"
        case ["explain", "reciprocam", "top:1", layer]:
            made = "saliency_map"
            # OpenVINO XAI asks for the node, an ONNX file names what it gives.
            node = next(n.get_friendly_name() for n in model.get_ordered_ops() if any(layer in o.get_names() for o in n.outputs()))
            method, task = xai.Method.RECIPROCAM, xai.Task.CLASSIFICATION
            model = xai.insert_xai(model, task, method, target_layer=node, embed_scaling=False, prepare_model=False)
        case _:
            raise ValueError(f"what is {call!r}?")
    # The processor's own half precision would be taken for a plain float32 network.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(model, "CPU", settings)
    at = next((i for i, output in enumerate(compiled.outputs) if made in output.get_names()), None)

    def run() -> tuple[np.ndarray, np.ndarray | None]:
        outputs = compiled({input_name: image})
        maps = None if at is None else outputs[at]
        # The branch gives the maps of all classes.
        return outputs[0], maps[:, outputs[0].argmax(1)] if made == "saliency_map" else maps

    return run


def peak() -> int:
    said = pathlib.Path("/proc/self/status")
    lines = said.read_text().splitlines() if said.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


calls: dict[str, Callable] = {}
maps = None
for line in map(str.strip, sys.stdin):
    answer = {"prepared": 0, "took": 0}
    if line.startswith("save "):
        np.save(line.removeprefix("save "), maps)
    else:
        start = time.perf_counter_ns()
        if line not in calls:
            calls[line] = ready(line)
        answer["prepared"] = time.perf_counter_ns() - start
        start = time.perf_counter_ns()
        _, maps = calls[line]()
        answer["took"] = time.perf_counter_ns() - start
    print(json.dumps(answer | {"peak": peak()}), flush=True)
