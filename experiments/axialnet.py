"""AxialNet in small, with the mask loss on and off: `python experiments/axialnet.py`.

Needs hirescam, torch and onnxruntime; the volumes are made by the script.
"""

from __future__ import annotations

import numpy as np
import torch
from experiment import Experiment, arguments
from torch import nn
from torch.nn import functional as F

import hirescam
from hirescam.metrics import organ_iou

QUESTION = """AxialNet (Draelos & Carin 2021, arXiv:2111.12215) sees a volume slice by slice: one convolutional body and one fully connected layer for every slice, and the mean of
the slices' scores. HiResCAM of its last convolution is then the weights times the activation, found in the forward pass alone, over the number S of slices; and the author's *mask loss* trains on
it: attention (without 1/S) in cells where an abnormality is not allowed to be is punished by softplus.

Here a volume has 8 slices of 3 × 48 × 48, and two organs: a lung on the left and a heart on the right, in the middle slices. Abnormality 0 is a bright spot in the lung, abnormality 1 one in the heart. In nine
of ten volumes for learning, something outside of both organs goes with abnormality 0 (a bright bar in a corner), so that a network can be right for the wrong reason; in the volumes that are measured it
comes and goes at random.

The network is AxialNet's in small: convolutions to 16 channels on 6 × 6 places a slice. The loss is binary cross entropy + λ · mean softplus(attention where it is not allowed), λ = 1/3, by Adam
with a learning rate of 2·10⁻³ (the author's SGD with a momentum of 0.99 does not get so small a network off the ground in a few epochs). OrganIoU is the author's: of the cells above a threshold the share that is allowed; the threshold, of the
author's 53, is the best on one half of the volumes and is used on the other. The author's code counts a perfect map as 0; both readings are given."""

SLICES, SIDE, GRID, CHANNELS, CLASSES = 8, 48, 6, 16, 2


class AxialNet(nn.Module):
    """[N, S, 3, 48, 48] to the scores [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, CHANNELS, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.fc = nn.Conv2d(CHANNELS, CLASSES, GRID)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(x.flatten(0, 1))).reshape(-1, SLICES, CLASSES).mean(1)

    def attention(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The scores, and W ⊙ A summed over the channels: [N, classes, S, 6, 6], without 1/S."""
        a = self.body(x.flatten(0, 1))
        scores = self.fc(a).reshape(-1, SLICES, CLASSES).mean(1)
        attention = torch.einsum("nfhw,mfhw->nmhw", a, self.fc.weight)
        return scores, attention.reshape(-1, SLICES, CLASSES, GRID, GRID).transpose(1, 2)


def volumes(count: int, tied: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Volumes, labels `[N, 2]`, and which cells each label may use, `[N, 2, S, 6, 6]`. The bar goes with label 0 in a share `tied` of them."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    organs = [((rows - 24) / 16) ** 2 + ((columns - column) / 8) ** 2 <= 1 for column in (14, 34)]
    inside = slice(2, 6)
    x = random.normal(0, 0.15, (count, SLICES, 1, SIDE, SIDE)).astype(np.float32)
    labels = random.integers(0, 2, (count, CLASSES)).astype(np.float32)
    allowed = np.zeros((count, CLASSES, SLICES, GRID, GRID), bool)
    shrunk = [organ.reshape(GRID, 8, GRID, 8).any((1, 3)) for organ in organs]
    for n in range(count):
        for organ, shade in zip(organs, (-0.4, 0.3)):
            x[n, inside, 0][:, organ] += shade
        for label, organ in enumerate(organs):
            if labels[n, label]:
                places = np.argwhere(organ)
                row, column = places[random.integers(len(places))]
                spot = (rows - row) ** 2 + (columns - column) ** 2 <= 6
                s = random.integers(2, 6)
                x[n, s, 0][spot & organ] += 1.2
                allowed[n, label, inside] = shrunk[label]
        bar = labels[n, 0] if random.random() < tied else random.integers(0, 2)
        if bar:
            x[n, random.integers(0, SLICES), 0, 2:5, 38:46] += 1.5
    return np.repeat(x, 3, 2), labels, allowed


def trained(data: tuple, weight: float, seed: int, epochs: int) -> AxialNet:
    torch.manual_seed(seed)
    model = AxialNet()
    x, y, allowed = (torch.from_numpy(part) for part in data)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=1e-7)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(16):
            optimiser.zero_grad()
            scores, attention = model.attention(x[chosen])
            loss = F.binary_cross_entropy_with_logits(scores, y[chosen])
            if weight:
                loss = loss + weight * F.softplus(attention[~allowed[chosen]]).mean()
            loss.backward()
            optimiser.step()
    return model.eval()


def measured(model: AxialNet, data: tuple, seed: int) -> dict:
    x, y, allowed = data
    with torch.no_grad():
        scores, attention = (part.numpy() for part in model.attention(torch.from_numpy(x)))
    net = hirescam.from_torch(model, torch.from_numpy(x[:1]))
    identity, sums, maps = 0.0, 0.0, {}
    bias = model.fc.bias.detach().numpy()
    for label in range(CLASSES):
        chosen = [n for n in range(len(x)) if y[n, label]]
        for n, e in zip(chosen, net.explain([x[n] for n in chosen], layer="body", class_=label)):
            map = np.asarray(e.map, np.float64)
            forward = attention[n, label] / SLICES
            identity = max(identity, np.abs(map - forward).max() / np.abs(forward).max())
            sums = max(sums, abs(map.sum() + bias[label] - e.score) / max(abs(e.score), 1))
            maps[n, label] = map
    half = set(np.random.default_rng(seed).permutation(len(x))[: len(x) // 2].tolist())
    thresholds = hirescam.metrics.THRESHOLDS
    found = {"accuracy": ((scores > 0) == (y > 0)).mean(0), "identity": identity, "sum": sums, "verdict": e.certificate.verdict}
    for key, perfect in (("counts", 1), ("is zero", 0)):
        values = []
        for label in range(CLASSES):
            tables = {n: [organ(map, allowed[n, label], t, perfect) for t in thresholds] for (n, l), map in maps.items() if l == label}
            chosen = [row for n, row in tables.items() if n in half]
            best = int(np.argmax(np.mean(chosen, 0)))
            values += [row[best] for n, row in tables.items() if n not in half]
        found[key] = float(np.mean(values))
    positive = [np.maximum(map, 0) for map in maps.values()]
    found["allowed"] = float(np.mean([p[allowed[key]].sum() / p.sum() for p, key in zip(positive, maps) if p.sum()]))
    return found


def organ(map: np.ndarray, allowed: np.ndarray, threshold: float, perfect: int) -> float:
    """OrganIoU; 0 of a map that shows nothing, as in the author's code."""
    try:
        return organ_iou(map, allowed, threshold=threshold, perfect=perfect)
    except hirescam.Error:
        return 0.0


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--train", type=int, default=800, help="volumes to learn from")
    parser.add_argument("--test", type=int, default=200, help="volumes that are measured")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="networks of each kind, with seeds of their own")
    options = parser.parse_args()
    experiment = Experiment("axialnet", "AxialNet in small, and the mask loss", QUESTION, options)
    rows = []
    for weight, name in ((0.0, "off"), (1 / 3, "on, λ = 1/3")):
        for repeat in range(options.repeats):
            seed = options.seed + repeat
            data, test = volumes(options.train, 0.9, seed), volumes(options.test, 0.0, 1000 + seed)
            found = measured(trained(data, weight, seed, options.epochs), test, seed)
            experiment.data.setdefault(name, []).append(found)
            rows.append([name, seed, *found["accuracy"], found["counts"], found["is zero"], found["allowed"], found["identity"], found["sum"]])
    every = [found for found in experiment.data["off"] + experiment.data["on, λ = 1/3"]]
    experiment.say("## The forward-only identity")
    experiment.say(
        f"W ⊙ A / S, which takes no gradient, and HiResCAM differ by at most {max(f['identity'] for f in every):.1e} of the largest cell; Σ map + bias and the score by at most "
        f"{max(f['sum'] for f in every):.1e} of the score. The certificate's verdict is {', '.join(sorted({'`' + f['verdict'] + '`' for f in every}))}."
    )
    experiment.say("## The mask loss")
    experiment.table(
        ["mask loss", "seed", "right: 0", "right: 1", "OrganIoU", "OrganIoU, perfect is 0", "positive attention allowed", "identity", "sum"], rows
    )
    mean = {name: np.mean([f["counts"] for f in experiment.data[name]]) for name in experiment.data}
    off, on = mean["off"], mean["on, λ = 1/3"]
    experiment.say(f"OrganIoU goes from {off:.3f} to {on:.3f} with the mask loss ({(on - off) / off:+.0%}), means over {options.repeats} networks each.")
    experiment.write()


if __name__ == "__main__":
    main()
