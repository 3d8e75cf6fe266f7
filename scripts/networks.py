"""Full-size networks with random weights, images for them, and their way to ONNX, for the scripts beside this file."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

import torch
import torchvision
from torch import nn


@dataclass(frozen=True)
class Network:
    shape: tuple[int, ...] = (3, 224, 224)
    small: tuple[int, ...] | None = None  # a shape that is enough for a quick check; None where the network takes one size only
    options: dict = field(default_factory=dict)


PLAIN = Network(small=(3, 96, 96))
NO_AUXILIARY = {"aux_logits": False, "init_weights": False}
NETWORKS: dict[str, Network] = {
    "resnet18": PLAIN,
    "vgg16": Network(),
    "vgg11_bn": Network(),
    "alexnet": Network(),
    "squeezenet1_1": PLAIN,
    "densenet121": PLAIN,
    "inception_v3": Network((3, 299, 299), (3, 139, 139), NO_AUXILIARY),
    "googlenet": Network(small=(3, 96, 96), options=NO_AUXILIARY),
    "mobilenet_v2": PLAIN,
    "mobilenet_v3_large": PLAIN,
    "efficientnet_b0": PLAIN,
    "regnet_y_400mf": PLAIN,
    "resnext50_32x4d": PLAIN,
    "convnext_tiny": PLAIN,
    "shufflenet_v2_x1_0": PLAIN,
    "mnasnet1_0": PLAIN,
    "swin_t": Network(),
    "vit_b_16": Network(),
    "r3d_18": Network((3, 8, 112, 112), (3, 4, 64, 64)),
    "cnn_1d": Network((2, 1024), (2, 256)),
}


class Residual1d(nn.Module):
    def __init__(self, into: int, out: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(into, out, 7, stride=2, padding=3), nn.BatchNorm1d(out), nn.ReLU(), nn.Conv1d(out, out, 7, padding=3), nn.BatchNorm1d(out)
        )
        self.skip = nn.Conv1d(into, out, 1, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.branch(x) + self.skip(x))


def cnn_1d() -> nn.Module:
    """A network for series, as in electrocardiography: a stem and three residual blocks."""
    stem = [nn.Conv1d(2, 32, 15, stride=2, padding=7), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(3, 2, 1)]
    blocks = [Residual1d(32, 64), Residual1d(64, 128), Residual1d(128, 256)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(256, 10))


def shape(name: str, quick: bool) -> tuple[int, ...]:
    network = NETWORKS[name]
    return network.small if quick and network.small else network.shape


def build(name: str, seed: int, size: tuple[int, ...]) -> nn.Module:
    """The architecture with random weights that carry a signal, and batch-norm statistics that fit them but are not trivial."""
    torch.manual_seed(seed)
    if name == "cnn_1d":
        net = cnn_1d()
    else:
        make = getattr(torchvision.models, name, None) or getattr(torchvision.models.video, name)
        net = make(weights=None, **NETWORKS[name].options)
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
            if module.bias is not None:
                nn.init.normal_(module.bias, 0.0, 0.1)
        elif isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0.0, 0.2)
            if hasattr(module, "momentum"):
                module.momentum = None  # the plain mean of what the calibration below shows
        if hasattr(module, "inplace"):
            module.inplace = False
        if hasattr(module, "layer_scale"):
            nn.init.uniform_(module.layer_scale, 0.3, 1.0)
        if hasattr(module, "class_token"):
            nn.init.normal_(module.class_token)
    # Batch norm learns from a few images; nothing else is as in training, for dropped branches would spoil the statistics.
    norms = [module for module in net.eval().modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if norms:
        for norm in norms:
            norm.train()
        with torch.no_grad():
            net(torch.cat([image(seed + i, size) for i in range(2, 6)]))
        for norm in norms:
            norm.running_var.clamp_(min=QUIET)
    return net.eval()


def image(seed: int, size: tuple[int, ...]) -> torch.Tensor:
    """A picture (series, volume) with structure: coarse noise made smooth, and fine noise on top."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, size[0], *[max(2, s // 16) for s in size[1:]]), generator=rng)
    mode = {2: "linear", 3: "bilinear", 4: "trilinear"}[len(size)]
    return 1.5 * nn.functional.interpolate(coarse, size[1:], mode=mode) + 0.3 * torch.randn((1, *size), generator=rng)


QUIET = 1e-2  # a channel that hardly varied would be blown up, and its rounding errors with it
OPSETS = {"torchscript": 17, "dynamo": 18}


def export(net: nn.Module, x: torch.Tensor, exporter: str, opset: int, path: pathlib.Path) -> bool:
    """Writes the network with a free batch where the exporter manages that; whether it did."""
    torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no operator for it
    common = {"opset_version": opset, "input_names": ["input"], "output_names": ["output"]}
    if exporter == "torchscript":
        axes = {"input": {0: "batch"}, "output": {0: "batch"}}
        torch.onnx.export(net, (x,), str(path), dynamo=False, dynamic_axes=axes, **common)
        return True
    common |= {"dynamo": True, "external_data": False, "verbose": False}
    try:
        two = torch.cat([x, x.flip(-1)])  # a batch of one would be taken for a constant
        torch.onnx.export(net, (two,), str(path), dynamic_shapes=({0: torch.export.Dim("batch")},), **common)
        return True
    except Exception:  # each of the exporter's ways to say that it has baked the batch in
        torch.onnx.export(net, (x,), str(path), **common)
        return False
