"""Times `hirescam evaluate` beside Quantus: the same network, weights, images, layer and metrics, one after the other.

    cargo build --release -p hirescam-cli --features evaluate
    python benches/evaluation.py                   # about five minutes; needs torch, captum, quantus, onnx, onnxruntime, numpy and Pillow

The network is fixtures/efficientnet-lite0.onnx, in PyTorch with the same weights. A round explains so many images with Grad-CAM and measures the maps: ours
from files to the written report, in a process of its own with ONNX Runtime, whose start counts; Quantus's from ready tensors, in this process, with maps by captum. What both
measure is the area under the curve of the class's probability while places go in the order of the map (`deletion`, PixelFlipping), how far maps move with the
image (`max-sensitivity`), and what costs nothing beside (`pointing-game`, `relevance-mass`, `relevance-rank`, `sparseness`, `entropy`). Rounds alternate; a number is a median, and
in brackets stands the smallest and the largest ratio of single rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import quantus
import torch
from captum.attr import LayerGradCam
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benches" / "compare"))
import lite0  # noqa: E402

# Quantus 0.6 asks for the name that numpy took away in 2.4.
if not hasattr(np, "trapz"):
    np.trapz = np.trapezoid

NETWORK = ROOT / "fixtures" / "efficientnet-lite0.onnx"
PHOTOS = [ROOT / "fixtures" / "photos" / f"{name}.png" for name in ("coffee", "chelsea")]
SIDE, BOX, CLASS = 224, (40, 40, 180, 180), 504
QUIET = {"disable_warnings": True, "display_progressbar": False}
KINDS = {
    "curve": ["deletion"],
    "sensitivity": ["max-sensitivity"],
    "cheap": ["pointing-game", "relevance-mass", "relevance-rank", "sparseness", "entropy"],
}


def data(folder: Path, count: int) -> np.ndarray:
    """Images of the network's own size, each another cut, with a box in a table; as tensors, too."""
    rows, tensors = ["image,class,left,top,right,bottom"], []
    label = (NETWORK.with_suffix(".labels.txt")).read_text().splitlines()[CLASS]
    for i in range(count):
        photo = Image.open(PHOTOS[i % len(PHOTOS)]).convert("RGB")
        photo = photo.resize((SIDE + 4 * i, SIDE + 4 * i)).crop((2 * i, 2 * i, 2 * i + SIDE, 2 * i + SIDE))
        photo.save(folder / f"{i}.png")
        rows.append(f'{i}.png,"{label}",{",".join(map(str, BOX))}')
        tensors.append((np.asarray(photo, np.float32).transpose(2, 0, 1) - 127) / 128)
    (folder / "truth.csv").write_text("\n".join(rows) + "\n")
    return np.stack(tensors)


def ours(program: Path, folder: Path, metrics: list[str], options: argparse.Namespace) -> float:
    library = [p for p in (Path(onnxruntime.__file__).parent / "capi").glob("*onnxruntime.*") if "pybind" not in p.name]
    with tempfile.TemporaryDirectory() as out:
        command = [program, "evaluate", NETWORK, folder / "truth.csv", "--methods", "gradcam", "--metrics", ",".join(metrics), "-o", out]
        command += ["--engine", "onnxruntime", "--curve-steps", str(options.steps), "--neighbours", str(options.neighbours), "--batch", str(options.batch)]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"ORT_DYLIB_PATH": str(library[0])})
        return time.perf_counter() - start


class Theirs:
    """Grad-CAM by captum at the same layer, measured by Quantus."""

    def __init__(self, x: np.ndarray, options: argparse.Namespace) -> None:
        self.x, self.y, self.options = x, np.full(len(x), CLASS), options
        self.net = lite0.read(str(NETWORK)).eval()
        self.cam = LayerGradCam(self.net, self.net.part("/_swish_1/Clip_output_0"))
        self.s = np.zeros((len(x), 1, SIDE, SIDE), bool)
        left, top, right, bottom = BOX
        self.s[:, :, top:bottom, left:right] = True

    def explain(self, model=None, inputs=None, targets=None, **_) -> np.ndarray:
        maps = []
        for start in range(0, len(inputs), self.options.batch):
            x = torch.as_tensor(inputs[start : start + self.options.batch], dtype=torch.float32)
            map_ = self.cam.attribute(x, torch.as_tensor(targets[start : start + self.options.batch]))
            maps.append(torch.nn.functional.interpolate(map_, (SIDE, SIDE), mode="bilinear").detach().numpy())
        return np.concatenate(maps)

    def __call__(self, kind: str) -> float:
        start = time.perf_counter()
        a = self.explain(inputs=self.x, targets=self.y)
        given = {"model": self.net, "x_batch": self.x, "y_batch": self.y, "a_batch": a, "device": "cpu", "batch_size": self.options.batch}
        match kind:
            case "curve":
                step = SIDE * SIDE // self.options.steps
                quantus.PixelFlipping(features_in_step=step, perturb_baseline=0.0, return_auc_per_sample=True, **QUIET)(**given)
            case "sensitivity":
                quantus.MaxSensitivity(nr_samples=self.options.neighbours, lower_bound=0.02, **QUIET)(**given, explain_func=self.explain)
            case "cheap":
                for metric in (quantus.PointingGame, quantus.RelevanceMassAccuracy, quantus.RelevanceRankAccuracy):
                    metric(**QUIET)(**given, s_batch=self.s)
                for metric in (quantus.Sparseness, quantus.Complexity):
                    metric(**QUIET)(**given)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=224, help="of the curve")
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--batch", type=int, default=16, help="images that are scored at once, on both sides")
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "hirescam")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = Theirs(data(folder, options.images), options)
        print(f"{options.images} images, {options.rounds} rounds, {torch.get_num_threads()} threads; quantus {version('quantus')}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
        print("| metrics | ours, s | Quantus, s | ours ÷ Quantus |\n|---|---|---|---|")
        for kind, metrics in [*KINDS.items(), ("all", sum(KINDS.values(), []))]:
            rounds = []
            for number in range(options.rounds + 1):
                pair = (ours(options.program, folder, metrics, options), sum(theirs(k) for k in (KINDS if kind == "all" else [kind])))
                # The first warms both up.
                if number > 0:
                    rounds.append(pair)
            a, b = (statistics.median(times) for times in zip(*rounds))
            ratios = [own / other for own, other in rounds]
            print(f"| {', '.join(f'`{m}`' for m in metrics)} | {a:.2f} | {b:.2f} | {a / b:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |", flush=True)


if __name__ == "__main__":
    main()
