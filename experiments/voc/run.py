"""The author's VOC set-up, from a folder to a report: `python experiments/voc/run.py [VOCDEVKIT]`.

With PASCAL VOC 2012's devkit (and `--sbd`) it trains the author's six networks as `train.py` says, and evaluates HiResCAM and Grad-CAM on VOC's val by all overlap metrics, area and smoothness, class by
class. Without one it does the same in small: on composed scenes in the same folder layout, with a body of an eighth of VGG-16's channels and batch normalisation, a smaller image, and the
random initialisation alone. What an earlier run has trained and measured there is not made again. Needs hirescam, torch, torchvision, onnxruntime and Pillow.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import train

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "docs" / "experiments"
METHODS = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam"]
METRICS = ["overlap", "contributions", "shape"]


def scenes(work: Path, seed: int, count: int, side: int) -> Path:
    """Composed scenes as VOC's devkit has its photos."""
    out = work / "scenes"
    devkit = out / "VOCdevkit"
    # What is written last.
    if not (out / "truth.json").is_file():
        made = [sys.executable, str(ROOT / "fixtures" / "scenes" / "make.py"), "--scenes", str(count), "--size", str(side), "--seed", str(seed), "--hues", "--out", str(out)]
        subprocess.run(made, check=True)
    return devkit


def last_relu(path: Path) -> str:
    """The last ReLU of the custom convolutions, as the exporter calls it."""
    import onnx

    made = [node.output[0] for node in onnx.load(path).graph.node if node.op_type == "Relu"]
    return made[-1]


def mean(summary: dict, metric: str, method: str) -> str:
    """The mean over images and its interval, as the report has it."""
    for row in summary["cells"]:
        if (row["metric"], row["method"], row["part"]) == (metric, method, "all") and row["mean"]:
            low, high = (row["mean"]["percentile"][end] for end in ("low", "high"))
            return f"{row['mean']['mean']:.3f} ({low:.3f} to {high:.3f})"
    return "–"


def main() -> None:
    parser = train.parser()
    parser.description = __doc__.splitlines()[0]
    for action in parser._actions:
        if action.dest == "devkit":
            action.nargs, action.help = "?", "VOCdevkit, or the VOC2012 in it; composed scenes without"
    parser.add_argument("--scenes", type=int, default=1000, help="composed scenes, where no devkit is given")
    parser.add_argument("--limit", type=int, default=200, help="images that are evaluated")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    small = options.devkit is None
    if small:
        options.side, options.shrunk, options.norm, options.batch, options.epochs = 96, 8, True, 16, min(options.epochs, 8)
        options.rate, options.momentum, options.init = 3e-2, 0.9, ["random"]
        options.devkit = scenes(options.out, options.seed, options.scenes, options.side)
    page = [
        "# The author's VOC set-up" + (", in small" if small else ""),
        (
            f"The body of VGG-16, one of three custom convolutions, Flatten, and one fully connected layer: networks of HiResCAM's author (github.com/rachellea/pytorch-computer-vision), very probably the paper's; here {len(options.heads)} of the three. "
            + (
                f"Here they are tried on {options.scenes} composed scenes of six classes, each with its own hue, in VOC's folder layout, half of them to learn from, {options.side} × {options.side} (3 × 3 places, of which the 3 × 3 convolution leaves one), with an eighth of the channels, "
                f"batch normalisation behind each convolution of the body, random initialisation, at most {options.epochs} epochs, and a learning rate ({options.rate}), momentum ({options.momentum}) and batch ({options.batch}) that suit so small a set. **These are not the paper's networks, data or numbers**: `python experiments/voc/run.py VOCDEVKIT --sbd SBD` takes the real ones."
                if small
                else ""
            )
        ),
        "All classes that an image shows are explained at the last ReLU before Flatten, as the author does. Overlap is measured on the image's pixels; thresholds of `iou` and `organ-iou` are chosen for each class on one half of the images and used on the other. Intervals are bootstrapped over images.",
    ]
    data = {}
    for name, path in train.networks(options).items():
        out = options.out / f"{name}.evaluation"
        layer = last_relu(path)
        command = ["evaluate", str(path), str(options.devkit), "--split", "val", "--methods", ",".join(METHODS), "--metrics", ",".join(METRICS)]
        command += ["--layer", layer, "--limit", str(options.limit), "--sample-seed", str(options.seed), "-o", str(out)]
        subprocess.run([sys.executable, "-m", "hirescam", *command], check=True)
        summary = json.loads((out / "summary.json").read_text())
        history = json.loads(path.with_suffix(".history.json").read_text())
        best = min(history["epochs"], key=lambda epoch: epoch["val"])
        data[name] = {"history": history, "layer": layer, "cells": [row for row in summary["cells"] if row["part"] == "all"]}
        shown = ["iou", "organ-iou", "energy-pointing-game", "pointing-game", "relevance-rank", "unused-share", "completeness-residual", "area-over-threshold", "total-variation"]
        page.append(f"## {name}\n\nStopped after {len(history['epochs'])} epochs; mean average precision {best['mAP']:.3f} on val. Layer `{layer}`.")
        page.append("\n".join(["| metric | " + " | ".join(f"`{m}`" for m in METHODS) + " |", "|---" * (len(METHODS) + 1) + "|", *(f"| `{metric}` | " + " | ".join(mean(summary, metric, m) for m in METHODS) + " |" for metric in shown)]))
    trained = sum(network["history"]["seconds"] for network in data.values())
    # That of the programs that were called.
    measured = os.times().children_user + os.times().children_system
    made_with = {"python": platform.python_version(), "torch": train.torch.__version__, "hirescam": summary["manifest"]["version"], summary["manifest"]["engine"]: summary["manifest"]["engine_version"]}
    versions = ", ".join(f"{k} {v}" for k, v in made_with.items())
    page.append(f"## How to repeat it\n\n```\npython experiments/voc/run.py {'' if small else 'VOCDEVKIT '}--seed {options.seed} --limit {options.limit}{f' --scenes {options.scenes} --epochs {options.epochs}' if small else ''} --heads {' '.join(options.heads)}\n```\n\nTraining took {trained:.0f} seconds of processor time, measuring {measured:.0f}. Versions: {versions}. The whole reports, class by class, lie in `{options.out}`.")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "voc.md").write_text("\n\n".join(page) + "\n")
    (options.results / "voc.json").write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
