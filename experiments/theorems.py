"""What is proven of HiResCAM, tried on networks with random weights: `python experiments/theorems.py`.

Needs hirescam, torch and onnxruntime; no data.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from experiment import Experiment, arguments
from torch import nn

import hirescam

QUESTION = """Draelos & Carin (2020, arXiv:2011.08891) prove of HiResCAM that it is Grad-CAM, and CAM divided by the number of places, where a network ends in
global average pooling and one fully connected layer, and that where it ends in one fully connected layer the cells of the map and the bias
add up to the class score. Do the maps that hirescam makes have these properties, in one, two and three dimensions, in float32 and float64? And
how far is the sum from the score where the theorem no longer holds?

In float32 the maps are those of explaining models in ONNX Runtime; in float64, for which ONNX Runtime has no convolutions, those that `hirescam.methods` makes of PyTorch's activation and gradient. All networks have a body of two convolutions and a ReLU, random weights, and random images. The relative error of a sum is
|s − h(0) − Σ map| / |s − h(0)|, with h(0) the head's score where the layer is 0 (for one fully connected layer, its bias); that of two maps is the
largest difference over the largest cell. Numbers are the largest of all networks."""

CHANNELS, PLACES, CLASSES = 6, 5, 4


class Net(nn.Module):
    def __init__(self, axes: int, head: nn.Module):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        self.body = nn.Sequential(conv(2, CHANNELS, 3, padding=1), nn.ReLU(), conv(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU())
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Gap(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(2)


class Attention(nn.Module):
    """Self-attention over the places, then their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(CHANNELS, CHANNELS) for _ in range(3))
        self.out = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        weights = torch.softmax(self.q(tokens) @ self.k(tokens).transpose(1, 2), 2)
        return self.out((weights @ self.v(tokens)).mean(1))


def flat(axes: int, *wide: int, bias: bool = True) -> list[nn.Module]:
    """Flatten and fully connected layers with ReLUs between them."""
    made: list[nn.Module] = [nn.Flatten()]
    sizes = [CHANNELS * PLACES**axes, *wide, CLASSES]
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        made += [nn.ReLU()] if i else []
        made.append(nn.Linear(a, b, bias=bias))
    return made


def pooled(axes: int) -> nn.Module:
    return {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[axes](PLACES)


def batch_norm(axes: int) -> nn.Module:
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes](CHANNELS)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


HEADS = {
    "GAP, 1 FC": lambda axes: nn.Sequential(Gap(), nn.Linear(CHANNELS, CLASSES)),
    "Flatten, 1 FC": lambda axes: nn.Sequential(*flat(axes)),
    "batch norm, Flatten, 1 FC": lambda axes: nn.Sequential(batch_norm(axes), *flat(axes)),
    "max pool, 1 FC": lambda axes: nn.Sequential(pooled(axes), nn.Flatten(), nn.Linear(CHANNELS, CLASSES)),
    "Flatten, 2 FC without biases": lambda axes: nn.Sequential(*flat(axes, 16, bias=False)),
    "Flatten, 2 FC": lambda axes: nn.Sequential(*flat(axes, 16)),
    "Flatten, 3 FC": lambda axes: nn.Sequential(*flat(axes, 16, 16)),
    "Flatten, 4 FC": lambda axes: nn.Sequential(*flat(axes, 16, 16, 16)),
    "Flatten, 1 FC, Sigmoid explained": lambda axes: nn.Sequential(*flat(axes), nn.Sigmoid()),
    "layer norm, Flatten, 1 FC": lambda axes: nn.Sequential(nn.Flatten(), nn.LayerNorm(CHANNELS * PLACES**axes), nn.Linear(CHANNELS * PLACES**axes, CLASSES)),
    "attention, mean, 1 FC": lambda axes: Attention(),
}


def largest(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of two maps over the largest cell of the second."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def made(model: bytes, x: np.ndarray) -> tuple[np.ndarray, float]:
    """The map and the score that an explaining model gives in ONNX Runtime, in float32."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    map, score = session.run(["map", "score"], {session.get_inputs()[0].name: x})
    return map[0].astype(np.float64), float(score[0])


def tried(axes: int, dtype: torch.dtype, head: str, seed: int) -> dict[str, float | str]:
    """One network and image: what its maps have in common, and what their sums leave over."""
    torch.manual_seed(seed)
    module = Net(axes, HEADS[head](axes)).eval()
    x = torch.randn((1, 2) + (PLACES,) * axes)
    explained = {"score": "output"} if head.endswith("explained") else {}
    target = {"layer": "body", "class_": 1, **explained}
    methods = ["hirescam", "gradcam", "xgradcam", *(["cam"] if head.startswith("GAP") else [])]
    net = hirescam.from_torch(module, x)
    verdict = net.explain(x[0].numpy(), **target).certificate.verdict
    module, x = module.to(dtype), x.to(dtype)
    with torch.no_grad():
        activation = module.body(x)
        nothing = float(module.head(torch.zeros_like(activation))[0, 1])
    a = activation.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module.head(a)[0, 1], a)
    torchs = (gradient * activation).sum(1)[0].numpy().astype(np.float64)
    if dtype == torch.float32:
        of = {}
        for method in methods:
            of[method], score = made(net.compile(method=method, **target), x.numpy())
        # The head as a network of its own, whose image is the activation.
        head_alone = hirescam.from_torch(module.head, activation)
        product, _ = made(head_alone.compile(method="gradient-x-input", class_=1, **explained), activation.numpy())
    else:
        arrays = activation.numpy(), gradient.numpy()
        of = {method: getattr(hirescam.methods, method)(*arrays)[0] for method in methods}
        with torch.no_grad():
            score = float(module(x)[0, 1])
        product = hirescam.methods.gradient_x_input(*arrays)
    explains = score - nothing
    found: dict[str, float | str] = {
        "verdict": verdict,
        "torch": largest(of["hirescam"], torchs),
        "sum": abs(explains - of["hirescam"].sum()) / abs(explains),
        "gradcam sum": abs(explains - of["gradcam"].sum()) / abs(explains),
        "xgradcam sum": abs(of["xgradcam"].sum() - of["hirescam"].sum()) / np.abs(of["hirescam"]).sum(),
        "gradcam": largest(of["gradcam"], of["hirescam"]),
        "head gradient x input": largest(product.reshape(torchs.shape), torchs),
    }
    if "cam" in of:
        found["cam"] = largest(of["cam"] / PLACES**axes, of["hirescam"])
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--networks", type=int, default=3, help="networks of each kind")
    options = parser.parse_args()
    experiment = Experiment("theorems", "The theorems, tried", QUESTION, options)
    kinds = [(axes, dtype) for axes in (1, 2, 3) for dtype in (torch.float32, torch.float64)]
    all_found: dict[str, list[dict]] = {}
    for head in HEADS:
        all_found[head] = [
            {"axes": axes, "dtype": str(dtype).removeprefix("torch."), **tried(axes, dtype, head, options.seed + i)}
            for axes, dtype in kinds
            for i in range(options.networks)
        ]

    def most(head: str, key: str, **of: object) -> float:
        rows = [row for row in all_found[head] if all(row[k] == v for k, v in of.items())]
        return max(row[key] for row in rows)

    experiment.say("## Where a network ends in GAP and one fully connected layer")
    experiment.say("HiResCAM, Grad-CAM and CAM / places are the same map:")
    rows = [[axes, dtype, most("GAP, 1 FC", "gradcam", axes=axes, dtype=dtype), most("GAP, 1 FC", "cam", axes=axes, dtype=dtype)] for axes in (1, 2, 3) for dtype in ("float32", "float64")]
    experiment.table(["dimensions", "type", "Grad-CAM − HiResCAM", "CAM / places − HiResCAM"], rows)
    experiment.say("## What the cells add up to")
    experiment.say(
        "The verdict is the certificate's; the error of the sum is that of HiResCAM, then Grad-CAM. Where the verdict is `exact`, h(0) is b, and the sum is the score up to rounding."
    )
    rows = []
    for head in HEADS:
        verdicts = sorted({row["verdict"] for row in all_found[head]})
        rows.append([head, ", ".join(f"`{v}`" for v in verdicts), *(most(head, "sum", dtype=d) for d in ("float32", "float64")), most(head, "gradcam sum", dtype="float64")])
    experiment.table(["head", "verdict", "HiResCAM, float32", "HiResCAM, float64", "Grad-CAM, float64"], rows)
    experiment.say("## What holds for every head")
    experiment.say(
        "HiResCAM is gradient × input of the head, taken as a network whose image is the activation; XGrad-CAM has the same sum, at other places (difference of the sums over Σ |HiResCAM|); "
        "and PyTorch's own gradient gives the same map."
    )
    keys = ("head gradient x input", "xgradcam sum", "torch")
    rows = [[head, *(most(head, key, dtype=d) for key in keys for d in ("float32", "float64"))] for head in HEADS]
    experiment.table(["head", *(f"{key}, {d}" for key in ("gradient × input of the head", "XGrad-CAM's sum", "PyTorch") for d in ("float32", "float64"))], rows)
    experiment.data["networks"] = all_found
    experiment.write()


if __name__ == "__main__":
    main()
