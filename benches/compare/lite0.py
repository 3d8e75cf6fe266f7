"""EfficientNet-Lite0 in PyTorch with the weights of fixtures/efficientnet-lite0.onnx, so that libraries for PyTorch can run it."""

from __future__ import annotations

import torch
from torch import nn


class Plain(nn.Module):
    """A network as a list of (module, names of what it reads, name of what it makes)."""

    def __init__(self, steps: list[tuple[nn.Module, list[str], str]]):
        super().__init__()
        self.steps = [(reads, makes) for _, reads, makes in steps]
        self.parts = nn.ModuleList([module for module, _, _ in steps])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {"input": x}
        for module, (reads, makes) in zip(self.parts, self.steps):
            values[makes] = module(*[values[name] for name in reads])
        return values[makes]

    def part(self, makes: str) -> nn.Module:
        """The module that makes a value of the ONNX file."""
        return next(module for module, (_, made) in zip(self.parts, self.steps) if made == makes)


class Add(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


def read(path: str) -> Plain:
    """The network in an ONNX file that has no operators but EfficientNet-Lite0's."""
    import onnx  # only to make the module: a saved one is loaded without it
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    stored |= {n.output[0]: torch.from_numpy(numpy_helper.to_array(n.attribute[0].t).copy()) for n in graph.node if n.op_type == "Constant"}
    steps = []
    for node in graph.node:
        if node.op_type == "Constant":
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        steps.append((module(node.op_type, attributes, [stored.get(name) for name in node.input]), [n for n in node.input if n not in stored], node.output[0]))
    return Plain(steps).eval()


def module(operator: str, attributes: dict, stored: list[torch.Tensor | None]) -> nn.Module:
    match operator:
        case "Conv":
            weight, bias = stored[1], stored[2]
            top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
            even = (top, left) == (bottom, right)
            groups = attributes.get("group", 1)
            conv = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), tuple(attributes.get("strides", [1, 1])), (top, left) if even else 0, groups=groups)
            conv.weight.data, conv.bias.data = weight, bias
            return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)
        case "Clip":
            return nn.Hardtanh(float(stored[1]), float(stored[2]))
        case "Add":
            return Add()
        case "GlobalAveragePool":
            return nn.AdaptiveAvgPool2d(1)
        case "Reshape":
            return nn.Flatten()
        case "Gemm":
            linear = nn.Linear(stored[1].shape[1], stored[1].shape[0])
            linear.weight.data, linear.bias.data = stored[1], stored[2]
            return linear
    raise NotImplementedError(operator)
