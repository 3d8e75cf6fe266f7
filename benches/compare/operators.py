"""Where ONNX Runtime's time goes in an explaining model, operator by operator: the network's own nodes beside those that were added.

    hirescam compile resnet18.onnx -o explaining.onnx --layer /conv1/Conv_output_0
    python benches/compare/operators.py explaining.onnx

One thread, one image of noise. Needs onnxruntime and numpy.
"""

from __future__ import annotations

import collections
import json
import pathlib
import statistics
import sys
import tempfile

import numpy as np
import onnxruntime

RUNS, WARM = 20, 5


def profile(model: str) -> list[dict]:
    """The events of `RUNS` runs, after a few to get warm."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        [image, *others] = session.get_inputs()
        if others:
            sys.exit(f"{model}: more inputs than an image: {', '.join(i.name for i in others)}")
        shape = [d if isinstance(d, int) else 1 for d in image.shape]
        tensor = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        for _ in range(RUNS + WARM):
            session.run(None, {image.name: tensor})
        return json.loads(pathlib.Path(session.end_profiling()).read_text())


def main(model: str) -> None:
    nodes = collections.defaultdict(list)
    for event in profile(model):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            added = "hirescam/" in event["name"]
            nodes[("added" if added else "own", event["args"]["op_name"], event["name"])].append(event["dur"])
    total, count = collections.Counter(), collections.Counter()
    for (whose, operator, _), times in nodes.items():
        total[whose, operator] += statistics.median(times[WARM:]) / 1000
        count[whose, operator] += 1
    whole = sum(total.values())
    for whose in ("own", "added"):
        print(f"{whose}: {sum(t for (w, _), t in total.items() if w == whose):.2f} ms of {whole:.2f} ms")
        for (w, operator), time in total.most_common():
            if w == whose and time > whole / 200:
                print(f"  {time:8.2f} ms  {count[w, operator]:4} {operator}")


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
