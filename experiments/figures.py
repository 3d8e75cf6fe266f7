"""Figures as the paper's author draws them, of images chosen by a rule: `python experiments/figures.py [MODEL FOLDER]`.

Needs hirescam with matplotlib and Pillow. Without a network of your own it takes the repository's drawn chests.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from experiment import ROOT, Experiment, arguments
from PIL import Image

import hirescam

QUESTION = """Image, HiResCAM, Grad-CAM and their difference, with the certificate, of images that nobody chose by hand: those on which the two methods disagree most, and as many drawn by the seed.

The disagreement of two maps is Σ |HiResCAM − Grad-CAM| / (Σ |HiResCAM| + Σ |Grad-CAM|): 0 for equal maps, 1 where they share nothing. The maps are signed and of the best class; both are drawn on one scale, in units of the
score: red speaks for the class, blue against it."""


def drawn(count: int, seed: int) -> list[Image.Image]:
    """Chests that the network has not seen, drawn as those in `fixtures/scans`."""
    spec = importlib.util.spec_from_file_location("scans", ROOT / "fixtures" / "scans" / "make.py")
    scans = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scans)
    random = np.random.default_rng(10_000 + seed)
    made = []
    while len(made) < count:
        left, right, effusion = random.integers(0, 2, 3)
        if left or right or effusion:
            made.append(Image.fromarray(scans.scan(random, left, right, effusion)[0]))
    return made


def disagreement(a: np.ndarray, b: np.ndarray) -> float:
    both = np.abs(a).sum() + np.abs(b).sum()
    return float(np.abs(a - b).sum() / both) if both else 0.0


def figure(images: list, made: list[tuple], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(made), 4, figsize=(10, 2.9 * len(made)), layout="constrained", squeeze=False)
    for line, (n, hires, grad, _) in zip(axes, made):
        photo = np.asarray(images[n].convert("L"))
        a, b = np.asarray(hires.map, np.float64), np.asarray(grad.map, np.float64)
        most = max(np.abs(a).max(), np.abs(b).max(), np.abs(a - b).max()) or 1
        height, width = photo.shape
        certificate = hires.certificate
        line[0].imshow(photo, cmap="gray")
        line[0].set_title(f"image {n}: {hires.name}", fontsize=8)
        titles = (
            f"HiResCAM: {certificate.verdict}\nΣ {certificate.sum:.3g} + b {certificate.b:.3g} = score {hires.score:.3g}",
            f"Grad-CAM\nΣ {b.sum():.3g}",
            f"HiResCAM − Grad-CAM\ndisagreement {disagreement(a, b):.0%}",
        )
        for axis, map, title in zip(line[1:], (a, b, a - b), titles):
            axis.imshow(photo, cmap="gray", extent=(0, width, height, 0))
            # What is close to 0 leaves the image to be seen.
            strength = 0.85 * np.sqrt(np.abs(map) / most)
            shown = axis.imshow(map, cmap="bwr", vmin=-most, vmax=most, alpha=strength, extent=(0, width, height, 0), interpolation="nearest")
            axis.set_title(title, fontsize=8)
        figure.colorbar(shown, ax=line[1:].tolist(), shrink=0.8, label="units of the score")
        for axis in line:
            axis.set_axis_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("model", nargs="?", help="an ONNX file; the network of the drawn chests without")
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of images for it")
    parser.add_argument("--layer", help="the layer; the recommended one without")
    parser.add_argument("--images", type=int, default=100, help="how many are looked at")
    parser.add_argument("--rows", type=int, default=4, help="how many are shown of each rule")
    options = parser.parse_args()
    experiment = Experiment("figures", "HiResCAM and Grad-CAM side by side", QUESTION, options)
    if options.model:
        net = hirescam.Network(options.model)
        files = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        images = [Image.open(path) for path in files[: options.images]]
    else:
        net, images = hirescam.Network(ROOT / "fixtures" / "scans" / "findings.onnx"), drawn(options.images, options.seed)
    of = {m: net.explain(images, layer=options.layer, method=m) for m in ("hirescam", "gradcam")}
    made = []
    for n, (hires, grad) in enumerate(zip(of["hirescam"], of["gradcam"])):
        made.append((n, hires, grad, disagreement(np.asarray(hires.map, np.float64), np.asarray(grad.map, np.float64))))
    values = [row[3] for row in made]
    experiment.say(
        f"{len(made)} images at `{made[0][1].layer}`; the disagreement is {np.mean(values):.0%} on average, at least {min(values):.0%} and at most {max(values):.0%}."
    )
    largest = sorted(made, key=lambda row: (-row[3], row[0]))[: options.rows]
    chosen = sorted(np.random.default_rng(options.seed).choice(len(made), min(options.rows, len(made)), replace=False).tolist())
    for rule, words, rows in (
        ("largest", "The largest disagreements", largest),
        ("random", f"Drawn by the seed {options.seed}", [made[i] for i in chosen]),
    ):
        figure(images, rows, experiment.folder() / f"{rule}.png")
        experiment.say(f"## {words}\n\n![{words}]({experiment.name}/{rule}.png)")
    experiment.data["disagreement"] = values
    experiment.write()


if __name__ == "__main__":
    main()
