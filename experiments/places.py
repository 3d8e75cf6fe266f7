"""Which method finds the evidence that is known to have decided: `python experiments/places.py`.

Needs hirescam, torch and onnxruntime, and Fashion-MNIST (`--fashion`). Trains three small networks; some minutes on one core.
"""

from __future__ import annotations

import numpy as np
import torch
from experiment import Experiment, arguments, fashion, fashion_option
from torch import nn

import hirescam
from hirescam.metrics import pointing_game, unused_share

QUESTION = """A scene is a field of 56 × 56 with one to four things of Fashion-MNIST in its quarters. Its label depends on a thing *and its place*: "a bag in the upper half", "a bag in the
lower half", "a trouser on the left", "a trouser on the right", each by itself. Everything else in the scene, and a bag or trouser in the wrong
half, says nothing for the label. So it is known where the evidence lies.

Three networks see the same scenes, with the same body of three convolutions (14 × 14 places at the end), and differ in their head: GAP and one fully connected layer, Flatten and one, Flatten and two.
Explained is each label that a scene has and the network finds (probability above 0.5), at the last ReLU of the body.

- *on the thing*: the share of positive attention that lies on the things that the label speaks of, at the layer's places.
- *points at it*: whether the strongest place of the heatmap lies on it, in pixels of the scene, without a tolerance.
- *in the wrong half*: the share of positive attention on bags or trousers that are in the other half, of scenes that have one.
- *unused*: the share of positive attention at places that did not raise the score, by the certificate's own contributions (HiResCAM at the layer).
- *empty*: how many maps are 0 everywhere when they are rectified.

Numbers are means over labels of scenes that the network has not seen; the interval is the middle 95 % of 2,000 bootstrap samples over scenes."""

SIDE, QUARTER = 56, 28
BAG, TROUSER = 8, 1
LABELS = ["a bag in the upper half", "a bag in the lower half", "a trouser on the left", "a trouser on the right"]
WANTED = [(BAG, 0, None), (BAG, 1, None), (TROUSER, None, 0), (TROUSER, None, 1)]
"""Of each label the thing, and the row and the column of quarters in which it counts."""


def scenes(images: np.ndarray, classes: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[list]]:
    """Scenes `[N, 1, 56, 56]` within 0 and 1, their labels `[N, 4]`, and of each the things with row and column of their quarter and mask."""
    random = np.random.default_rng(seed)
    of_class = [np.flatnonzero(classes == c) for c in range(10)]
    others = [c for c in range(10) if c not in (BAG, TROUSER)]
    fields, labels, things = np.zeros((count, 1, SIDE, SIDE), np.float32), np.zeros((count, 4), np.float32), []
    for n in range(count):
        quarters = random.permutation(4)[: random.integers(1, 5)]
        held = []
        for q in quarters:
            row, column = divmod(int(q), 2)
            kind = int(random.choice([BAG, TROUSER, int(random.choice(others))], p=[0.35, 0.35, 0.3]))
            image = images[random.choice(of_class[kind])] / np.float32(255)
            mask = np.zeros((SIDE, SIDE), bool)
            where = np.s_[row * QUARTER : (row + 1) * QUARTER, column * QUARTER : (column + 1) * QUARTER]
            fields[n, 0][where] = image
            mask[where] = image > 0.1
            held.append((kind, row, column, mask))
            for label, (wanted, of_row, of_column) in enumerate(WANTED):
                if kind == wanted and of_row in (None, row) and of_column in (None, column):
                    labels[n, label] = 1
        things.append(held)
    return fields, labels, things


def body() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


HEADS = {
    "GAP, 1 FC": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4)),
    "Flatten, 1 FC": lambda: nn.Sequential(nn.Flatten(), nn.Linear(32 * 14 * 14, 4)),
    "Flatten, 2 FC": lambda: nn.Sequential(nn.Flatten(), nn.Linear(32 * 14 * 14, 64), nn.ReLU(), nn.Linear(64, 4)),
}

METHODS = ["hirescam", "gradcam", "gradcam++", "xgradcam", "layercam", "eigencam", "ablationcam"]


class Net(nn.Module):
    def __init__(self, head: nn.Module):
        super().__init__()
        self.body, self.head = body(), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def trained(head: str, fields: np.ndarray, labels: np.ndarray, seed: int, epochs: int) -> nn.Module:
    torch.manual_seed(seed)
    model, x, y = Net(HEADS[head]()), torch.from_numpy(fields), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(x[chosen]), y[chosen]).backward()
            optimiser.step()
    return model.eval()


def share_on(map: np.ndarray, mask: np.ndarray) -> float:
    """The share of positive attention on a mask of pixels: a place counts with the part of its pixels that the mask covers."""
    rows, columns = map.shape
    part = mask.reshape(rows, SIDE // rows, columns, SIDE // columns).mean((1, 3))
    positive = np.maximum(map, 0)
    return float((positive * part).sum() / positive.sum())


def interval(values: list[float], scene_of: list[int], seed: int) -> tuple[float, float, float]:
    """The mean, and the middle 95 % of bootstrap samples of scenes."""
    if not values:
        return (float("nan"),) * 3
    random = np.random.default_rng(seed)
    of_scene: dict[int, list[float]] = {}
    for scene, value in zip(scene_of, values):
        of_scene.setdefault(scene, []).append(value)
    sums = np.array([sum(v) for v in of_scene.values()])
    counts = np.array([len(v) for v in of_scene.values()])
    drawn = random.integers(0, len(sums), (2000, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return float(np.mean(values)), *np.percentile(means, [2.5, 97.5]).tolist()


KEYS = ("on the thing", "points at it", "in the wrong half", "unused")


def measured(model: nn.Module, fields: np.ndarray, labels: np.ndarray, things: list[list]) -> dict:
    """Of each method the values of each key, with the scenes that they are of."""
    net = hirescam.from_torch(model, torch.from_numpy(fields[:1]))
    with torch.no_grad():
        logits = model(torch.from_numpy(fields)).numpy()
    found = {m: {"empty": 0, "maps": 0, "verdict": "", **{k: ([], []) for k in KEYS}} for m in METHODS}
    for label, (kind, of_row, of_column) in enumerate(WANTED):
        chosen = [n for n in range(len(fields)) if labels[n, label] and logits[n, label] > 0]
        made = {m: net.explain([fields[n] for n in chosen], layer="body", class_=label, method=m) for m in METHODS}
        for i, n in enumerate(chosen):
            meant, wrong = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
            for thing, row, column, mask in things[n]:
                if thing != kind:
                    continue
                counts = of_row in (None, row) and of_column in (None, column)
                (meant if counts else wrong)[mask] = True
            hires = np.asarray(made["hirescam"][i].map, np.float64)
            for m in METHODS:
                e, into = made[m][i], found[m]
                map = np.asarray(e.map, np.float64)
                into["maps"] += 1
                into["verdict"] = e.certificate.verdict
                if not (map > 0).any():
                    into["empty"] += 1
                    continue
                heatmap = np.asarray(e.heatmap(size=(SIDE, SIDE), rectify=True), np.float64)
                values = {"on the thing": share_on(map, meant), "unused": unused_share(map, hires)}
                if heatmap.max() > heatmap.min():
                    values["points at it"] = float(pointing_game(heatmap, meant, tolerance=0))
                if wrong.any():
                    values["in the wrong half"] = share_on(map, wrong)
                for key, value in values.items():
                    into[key][0].append(value)
                    into[key][1].append(n)
    return found


def picture(model: nn.Module, fields: np.ndarray, labels: np.ndarray, things: list[list], path, seed: int, rows: int = 4) -> None:
    """Scenes drawn by the seed among those with a thing in the wrong half: the scene, HiResCAM and Grad-CAM, signed, on one scale."""
    import matplotlib.pyplot as plt

    random, net = np.random.default_rng(seed), hirescam.from_torch(model, torch.from_numpy(fields[:1]))
    with torch.no_grad():
        logits = model(torch.from_numpy(fields)).numpy()
    both = [(n, label) for n in range(len(fields)) for label in range(4) if labels[n, label] and logits[n, label] > 0]
    twice = [(n, label) for n, label in both if sum(kind == WANTED[label][0] for kind, *_ in things[n]) > 1]
    drawn = [twice[i] for i in random.permutation(len(twice))[:rows]]
    figure, axes = plt.subplots(rows, 3, figsize=(7, 2.4 * rows), layout="constrained")
    for (n, label), line in zip(drawn, axes, strict=False):
        maps = [np.asarray(net.explain(fields[n], layer="body", class_=label, method=m).map) for m in ("hirescam", "gradcam")]
        line[0].imshow(fields[n, 0], cmap="gray")
        line[0].set_title(LABELS[label], fontsize=9)
        for axis, map, name in zip(line[1:], maps, ("HiResCAM", "Grad-CAM")):
            most = np.abs(map).max() or 1
            axis.imshow(fields[n, 0], cmap="gray", extent=(0, SIDE, SIDE, 0))
            axis.imshow(map, cmap="bwr", vmin=-most, vmax=most, alpha=0.85 * np.sqrt(np.abs(map) / most), extent=(0, SIDE, SIDE, 0), interpolation="nearest")
            axis.set_title(f"{name}, ±{most:.2g}", fontsize=9)
        for axis in line:
            axis.set_axis_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = arguments(__doc__)
    fashion_option(parser)
    parser.add_argument("--train", type=int, default=12_000, help="scenes to learn from")
    parser.add_argument("--test", type=int, default=400, help="scenes that are explained")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    experiment = Experiment("places", "Known evidence: a thing and its place", QUESTION, options)
    fields, labels, _ = scenes(*fashion(options.fashion, "train"), options.train, options.seed)
    test, truth, things = scenes(*fashion(options.fashion, "t10k"), options.test, options.seed + 1)
    for head in HEADS:
        model = trained(head, fields, labels, options.seed, options.epochs)
        with torch.no_grad():
            right = ((model(torch.from_numpy(test)).numpy() > 0) == truth).mean(0)
        found = measured(model, test, truth, things)
        experiment.say(f"## {head}")
        experiment.say(
            f"Right on {', '.join(f'{r:.0%} ({label})' for r, label in zip(right, LABELS))} of {options.test} scenes; "
            f"{found['hirescam']['maps']} labels explained; HiResCAM's verdict is `{found['hirescam']['verdict']}`."
        )
        rows = []
        for m in METHODS:
            cells = []
            for key in KEYS:
                mean, low, high = interval(*found[m][key], options.seed)
                cells.append("–" if np.isnan(mean) else f"{mean:.1%} ({low:.1%} to {high:.1%})")
            rows.append([f"`{m}`", *cells, f"{found[m]['empty']} of {found[m]['maps']}"])
        experiment.table(["method", *KEYS, "empty"], rows)
        name = head.lower().replace(", ", "-").replace(" ", "")
        picture(model, test, truth, things, experiment.folder() / f"{name}.png", options.seed)
        experiment.say(f"![Scenes drawn by the seed, HiResCAM and Grad-CAM]({experiment.name}/{name}.png)")
        experiment.data[head] = {"right": right, "methods": {m: {k: v if k not in KEYS else v[0] for k, v in f.items()} for m, f in found.items()}}
    experiment.say(
        "The pictures are four labels drawn by the seed among those whose scene has the thing twice or more; red speaks for the label, blue against it, each map on its own scale."
    )
    experiment.write()


if __name__ == "__main__":
    main()
