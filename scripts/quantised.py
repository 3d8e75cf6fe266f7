"""Explains photos with a network and with its int8 twin, and shows how alike the maps are.

    python scripts/quantised.py target/release/hirescam --work DIR

quantises fixtures/efficientnet-lite0.onnx (static, QDQ, int8 weights per channel, calibrated on the photos in fixtures/photos), writes the
table into docs/quantised.md and the picture docs/images/quantised.png. Needs numpy, onnx, onnxruntime, pillow and matplotlib.
"""

from __future__ import annotations

import argparse
import json
import logging
import pathlib
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

import cli

ROOT = pathlib.Path(__file__).parent.parent
NETWORK = ROOT / "fixtures/efficientnet-lite0.onnx"
PHOTOS = [ROOT / "fixtures/photos" / name for name in ("chelsea.png", "coffee.png")]
SIDE, SHORTER = 224, 256
# Layers before the recommended one, from late to early.
EARLIER = [f"/_blocks.{block}/Add_output_0" for block in (14, 10, 4)]


def prepared(photo: Image.Image, left: float = 0.5, top: float = 0.5) -> np.ndarray:
    """A photo as the network takes it: as fixtures/efficientnet-lite0.toml says, with the crop elsewhere for calibration."""
    scale = SHORTER / min(photo.size)
    photo = photo.resize([round(n * scale) for n in photo.size], Image.BICUBIC)
    x, y = round((photo.width - SIDE) * left), round((photo.height - SIDE) * top)
    pixels = np.asarray(photo.crop((x, y, x + SIDE, y + SIDE)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None]


class Photos(CalibrationDataReader):
    """Nine crops of each photo, and their mirror images."""

    def __init__(self, name: str):
        photos = [Image.open(p).convert("RGB") for p in PHOTOS]
        crops = [prepared(p, left, top) for p in photos for left in (0, 0.5, 1) for top in (0, 0.5, 1)]
        self.feeds = iter([{name: np.ascontiguousarray(view)} for crop in crops for view in (crop, crop[..., ::-1])])

    def get_next(self):
        return next(self.feeds, None)


def quantise(work: pathlib.Path) -> pathlib.Path:
    simple, small = work / "simple.onnx", work / "efficientnet-lite0.int8.onnx"
    quant_pre_process(NETWORK, simple)
    name = onnx.load(NETWORK).graph.input[0].name
    int8 = QuantType.QInt8
    quantize_static(simple, small, Photos(name), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=int8, weight_type=int8)
    return beside(small)


def rounded(work: pathlib.Path) -> pathlib.Path:
    """The float network with the weights of its convolutions and its linear layer rounded to int8, per channel, and nothing else."""
    model, path = onnx.load(work / "simple.onnx"), work / "efficientnet-lite0.rounded.onnx"
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.ndim in (2, 4):
            step = np.abs(weights).max(tuple(range(1, weights.ndim)), keepdims=True) / 127
            step = np.where(step > 0, step, 1)
            tensor.CopyFrom(numpy_helper.from_array((np.round(weights / step) * step).astype(np.float32), tensor.name))
    onnx.save(model, path)
    return beside(path)


def beside(path: pathlib.Path) -> pathlib.Path:
    """Puts preprocessing and labels beside a network."""
    for suffix in (".toml", ".labels.txt"):
        path.with_suffix(suffix).write_text(NETWORK.with_suffix(suffix).read_text())
    return path


def layers(binary: str, model: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in cli.call(binary, "layers", model, "--json").splitlines()]


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values.ravel())).astype(float)


def alike(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """How near the map b is to a."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return {
        "l2": np.linalg.norm(a - b) / np.linalg.norm(a),
        "cosine": (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)),
        "rank": np.corrcoef(ranks(a), ranks(b))[0, 1],
    }


def row(*cells) -> str:
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(binary: str, small: pathlib.Path, work: pathlib.Path) -> tuple[list[str], list[tuple]]:
    """The lines of the table, and the pictures for each photo: name, float, int8."""
    listed = {model: layers(binary, model) for model in (NETWORK, small)}
    best = [next(layer["layer"] for layer in listed[model] if layer["recommended"]) for model in (NETWORK, small)]
    common = {layer["layer"] for layer in listed[NETWORK]} & {layer["layer"] for layer in listed[small]}
    weights = rounded(work)
    lines = [row("photo", "layer", "float32", "int8", "l2", "cosine", "rank", "l2, weights alone"), row(*["---"] * 8)]
    pictures = []
    for photo in PHOTOS:
        for names in [best, *[[name, name] for name in EARLIER if name in common]]:
            both = [cli.explain(binary, m, photo, work / m.stem, "onnxruntime", layer=n)[0] for m, n in zip((NETWORK, small), names)]
            near = alike(*[r["array"] for r in both])
            alone = cli.explain(binary, weights, photo, work / weights.stem, "onnxruntime", layer=names[0])[0]
            near["alone"] = alike(both[0]["array"], alone["array"])["l2"]
            words = [f"{r['label']} {r['score']:.2f}, {r['verdict']}" for r in both]
            lines.append(row(photo.stem, f"`{names[0]}`", *words, *[f"{near[k]:.3f}" for k in ("l2", "cosine", "rank", "alone")]))
            if names == best:
                pictures.append((photo.stem, *[Image.open(r["overlay"]).copy() for r in both]))
    print(f"{len(common)} of {len(listed[NETWORK])} layers on every path have the same name in both files; recommended: {best}")
    return lines, pictures


def picture(pictures: list[tuple], sizes: list[float]) -> None:
    matplotlib.use("Agg")
    figure, axes = plt.subplots(len(pictures), 2, figsize=(11, 3.6 * len(pictures)), dpi=80)
    for line, (_, *images) in zip(axes, pictures):
        for axis, image, title in zip(line, images, (f"float32, {sizes[0]:.1f} MB", f"int8, {sizes[1]:.1f} MB")):
            axis.imshow(image)
            axis.set_title(title, fontsize=10)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(ROOT / "docs/images/quantised.png", metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    small = quantise(arguments.work)
    lines, pictures = table(arguments.binary, small, arguments.work)
    print("\n".join(lines))
    picture(pictures, [model.stat().st_size / 1e6 for model in (NETWORK, small)])
    page = ROOT / "docs/quantised.md"
    page.write_text(re.sub(r"(?m)(?:^\|.*\n)+", "\n".join(lines).replace("\\", "\\\\") + "\n", page.read_text(), count=1))


if __name__ == "__main__":
    main()
