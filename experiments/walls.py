"""How much of each method's map lies where the network provably cannot see: `python experiments/walls.py`.

Needs hirescam, torch, torchvision and onnxruntime. Fashion-MNIST is asked for the small network (`--fashion`), and any photos for the large one.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from experiment import ROOT, Experiment, arguments, fashion, fashion_option
from PIL import Image
from torch import nn

import hirescam
from hirescam.metrics import dead_zone_ratio

QUESTION = """"CAM-based methods can see through walls" (Taimeskhanov et al. 2024, arXiv:2404.01964) takes the weights away by which a network sees the lower part of
the image. Whatever a map shows there, the network cannot have used. Theirs are two networks: a small one, of one convolution of 2 × 2 with 256 filters,
ReLU, max pooling and one fully connected layer without biases, whose weights of the lower 7 of 14 rows are 0; and VGG-16 without its last max pooling,
whose first fully connected layer does not read the lower 9 of 14 rows.

The number is the share of the map's length there, ‖h in the dead zone‖₂ / ‖h‖₂: of the map as it is, at the layer's places, and of the heatmap resized to
the image, where the last rows count that no living place's receptive field reaches (54 of 224 for VGG-16). The maps are signed. Numbers are means and the
largest over images.

The small network is trained here on Fashion-MNIST and not on MNIST, with the dead weights held at 0, and the large one has random weights (He et al. 2015): that a
place cannot be seen is a matter of which weights are 0, and not of training. The authors' own numbers are not repeated here."""


class Small(nn.Module):
    """28² → 14² places, of which the first `living` rows are read."""

    def __init__(self, places: int = 14, living: int = 7):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 256, 2, padding="same", bias=False), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Linear(256 * places * places, 10, bias=False)
        self.places, self.living = places, living

    def wall(self) -> None:
        """Takes away what sees the lower part."""
        with torch.no_grad():
            self.classifier.weight.view(10, 256, self.places, self.places)[:, :, self.living :] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


def small(folder: Path | None, seed: int, epochs: int) -> tuple[nn.Module, np.ndarray, float]:
    """The small network, trained with its wall; images that it has not seen, and how many of them it gets right."""
    torch.manual_seed(seed)
    images, classes = fashion(folder, "train")
    images, classes = images[:20_000, None] / np.float32(255), torch.from_numpy(classes[:20_000].astype(np.int64))
    tensor = torch.from_numpy(images)
    model = Small()
    model.wall()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(tensor)).split(128):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(tensor[chosen]), classes[chosen]).backward()
            optimiser.step()
            model.wall()
    test, truth = fashion(folder, "t10k")
    test = test[:, None] / np.float32(255)
    with torch.no_grad():
        right = (model.eval()(torch.from_numpy(test[:2000])).argmax(1).numpy() == truth[:2000]).mean()
    return model, test, float(right)


def vgg(seed: int) -> nn.Module:
    """VGG-16 without its last max pooling, whose classifier does not read the lower 9 of 14 rows."""
    from torchvision.models import vgg16

    torch.manual_seed(seed)
    whole = vgg16(weights=None)
    features = whole.features[:-1]
    first = nn.Linear(512 * 14 * 14, 256)
    with torch.no_grad():
        first.weight.view(256, 512, 14, 14)[:, :, 5:] = 0
    classifier = nn.Sequential(first, nn.ReLU(), nn.Linear(256, 10))
    parts = {"features": features, "flatten": nn.Flatten(), "classifier": classifier}
    return nn.Sequential(OrderedDict(parts)).eval()


def photos(size: int, most: int) -> np.ndarray:
    """Cuts of the repository's photos, as torchvision prepares them for VGG-16."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    made = []
    for name in ("chelsea", "coffee"):
        photo = Image.open(ROOT / "fixtures" / "photos" / f"{name}.png").convert("RGB")
        side = min(photo.size)
        for left in np.linspace(0, photo.width - side, (most + 1) // 2).astype(int):
            cut = photo.crop((int(left), 0, int(left) + side, side)).resize((size, size))
            made.append(((np.asarray(cut) / 255 - mean) / std).transpose(2, 0, 1).astype(np.float32))
    return np.stack(made[:most])


def measured(net: hirescam.Network, layer: str, images: np.ndarray, methods: list[str], rows: tuple[int, int], **options: object) -> dict[str, dict]:
    """Of each method the ratios at the layer's places, where the first `rows[0]` are alive, and in the image, where the last `rows[1]` are dead."""
    side = images.shape[-1]
    found: dict[str, dict] = {}
    for method in methods:
        places, pixels, silent, verdict = [], [], 0, "–"
        for e in net.explain(list(images), layer=layer, method=method, batch=16, **options):
            map = np.asarray(e.map, np.float64)
            verdict = e.certificate.verdict
            if not map.any():
                silent += 1
                continue
            dead = np.zeros(map.shape, bool)
            dead[rows[0] if map.shape[0] != side else side - rows[1] :] = True
            places.append(dead_zone_ratio(map, dead))
            resized = np.asarray(e.heatmap(size=(side, side), rectify=False), np.float64)
            dead = np.zeros(resized.shape, bool)
            dead[side - rows[1] :] = True
            pixels.append(dead_zone_ratio(resized, dead))
        found[method] = {"verdict": verdict, "places": places, "pixels": pixels, "silent": silent}
    return found


def main() -> None:
    parser = arguments(__doc__)
    fashion_option(parser)
    parser.add_argument("--images", type=int, default=50, help="images of the small network")
    parser.add_argument("--photos", type=int, default=4, help="photos of the large network")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    experiment = Experiment("walls", "Dead zones: seeing through walls", QUESTION, options)
    one_run = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam", "elementwise-gradcam", "eigencam", "eigengradcam"]
    several = ["ablationcam", "reciprocam", "scorecam"]

    def report(title: str, words: str, found: dict[str, dict]) -> None:
        experiment.say(f"## {title}")
        experiment.say(words)
        numbers = lambda values: [float(np.mean(values)), float(np.max(values))] if values else [float("nan")] * 2
        rows = [[f"`{m}`", *numbers(f["places"]), *numbers(f["pixels"]), f["silent"], f"`{f['verdict']}`"] for m, f in found.items()]
        experiment.table(["method", "at the layer: mean", "largest", "in the image: mean", "largest", "maps of zeros", "verdict"], rows)
        experiment.data[title] = found

    model, test, right = small(options.fashion, options.seed, options.epochs)
    images = test[: options.images]
    net = hirescam.from_torch(model, torch.from_numpy(images[:1]))
    # A living row of 2 × 2 pixels, and one more pixel of its convolution.
    found = measured(net, "features", images, one_run + several, (7, 28 - 2 * 7 - 1))
    report(
        "The small network",
        f"It gets {right:.1%} of 2,000 images right, with the upper half alone. {options.images} images; the layer is what the max pooling gives, 256 × 14 × 14, of which the lower 7 rows are dead.",
        found,
    )
    net = hirescam.from_torch(vgg(options.seed), torch.zeros(1, 3, 224, 224))
    found = measured(net, "features", photos(224, options.photos), one_run, (5, 54))
    report(
        "VGG-16 without its last pooling",
        f"Cuts of two photos, {options.photos} in all; the layer is the last ReLU before the classifier, 512 × 14 × 14, of which the lower 9 rows are dead. Methods of several runs are left out: one run of it takes seconds.",
        found,
    )
    experiment.say("## What to see")
    zero = all(max(f[name]["places"], default=0) == 0 for f in (experiment.data["The small network"], experiment.data["VGG-16 without its last pooling"]) for name in ("hirescam", "layercam", "elementwise-gradcam", "eigengradcam"))
    experiment.say(
        "Methods that multiply gradient and activation place by place (HiResCAM, LayerCAM, element-wise Grad-CAM, Eigen-Grad-CAM) are "
        + ("exactly 0 in the dead zone" if zero else "NOT 0 in the dead zone, which contradicts what is proven of them")
        + " at the layer's places, for the gradient is 0 there. In the resized heatmap a little of the last living row is spread into the rows below. "
        "Methods that average the gradient over places, or take none, show the activation there: what the network computed, and never used."
    )
    experiment.write()


if __name__ == "__main__":
    main()
