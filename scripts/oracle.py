"""Compares hirescam's maps with PyTorch's autograd in float64, on full-size networks.

    python scripts/oracle.py target/release/hirescam --work DIR                      # all networks, both exporters, both engines
    python scripts/oracle.py target/release/hirescam --work DIR resnet18 vgg16 --engines tract --exporters dynamo --early 0   # some of them

Needs torch, torchvision, onnx, onnxscript, onnxruntime and numpy. DIR takes the exported files (a few hundred MB each; deleted after use unless --keep).

What is independent of hirescam here: the network runs in PyTorch, in float64, under a recorder that keeps every tensor that any torch function returns.
The layer is known by its name in the ONNX file alone, so ONNX Runtime is asked for its value there, and the recorded tensor with that shape and those numbers
is the activation A. Then g = autograd of the score with respect to A, and the map is sum over channels of g * A. The oracle is told the layer and the class
by hirescam's record, nothing else.

Passed is: the layer that hirescam picks by itself within 1e-4 of the largest cell, in the max norm. Layers further forward are judged by the l2 norm, for a ReLU
within rounding of zero may go either way in any implementation: at most 1e-2, or ten times what PyTorch's own float32 is away from its float64.
"""

from __future__ import annotations

import argparse
import copy
import pathlib
import shutil
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import onnx
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

import cli

LAST_TOLERANCE = 1e-4  # of max |map|, max norm: the project's goal for last layers on both engines
EARLY_TOLERANCE = 1e-2  # l2 norm
VANISHED = 1e-4  # a map below this share of its own terms is rounding, and is judged against the terms

IMAGE = (3, 224, 224)
NETWORKS: dict[str, tuple[tuple[int, ...], dict]] = {
    "resnet18": (IMAGE, {}),
    "vgg16": (IMAGE, {}),
    "vgg11_bn": (IMAGE, {}),
    "alexnet": (IMAGE, {}),
    "squeezenet1_1": (IMAGE, {}),
    "densenet121": (IMAGE, {}),
    "mobilenet_v2": (IMAGE, {}),
    "mobilenet_v3_large": (IMAGE, {}),
    "efficientnet_b0": (IMAGE, {}),
    "convnext_tiny": (IMAGE, {}),
    "inception_v3": ((3, 299, 299), {"aux_logits": False, "init_weights": False}),
    "googlenet": (IMAGE, {"aux_logits": False, "init_weights": False}),
    "shufflenet_v2_x1_0": (IMAGE, {}),
    "regnet_y_400mf": (IMAGE, {}),
    "mnasnet1_0": (IMAGE, {}),
    "resnext50_32x4d": (IMAGE, {}),
    "r3d_18": ((3, 8, 112, 112), {}),
}


def build(name: str, seed: int) -> nn.Module:
    """The architecture with random weights that carry a signal, and batch-norm statistics that fit them but are not trivial."""
    torch.manual_seed(seed)
    shape, options = NETWORKS[name]
    make = getattr(torchvision.models, name, None) or getattr(torchvision.models.video, name)
    net = make(weights=None, **options)
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
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules()):
        with torch.no_grad():
            net.train()(torch.randn(4, *shape))
    return net.eval()


def image(name: str, seed: int) -> torch.Tensor:
    """A picture with structure: coarse noise made smooth, and fine noise on top."""
    shape, _ = NETWORKS[name]
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, shape[0], *[max(2, s // 16) for s in shape[1:]]), generator=rng)
    mode = "bilinear" if len(shape) == 3 else "trilinear"
    return 1.5 * nn.functional.interpolate(coarse, shape[1:], mode=mode) + 0.3 * torch.randn((1, *shape), generator=rng)


def export(net: nn.Module, x: torch.Tensor, exporter: str, path: pathlib.Path) -> None:
    if exporter == "dynamo":
        shapes = ({0: torch.export.Dim("batch")},)
        two = torch.cat([x, x.flip(-1)])  # a batch of one would be taken for a constant
        torch.onnx.export(net, (two,), str(path), dynamo=True, opset_version=18, input_names=["input"], output_names=["output"], dynamic_shapes=shapes, external_data=False, verbose=False)
    else:
        axes = {"input": {0: "batch"}, "output": {0: "batch"}}
        torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=17, input_names=["input"], output_names=["output"], dynamic_axes=axes)


class Recorder(TorchFunctionMode):
    """Keeps every tensor that a torch function returns and that a gradient can be asked for."""

    def __init__(self):
        super().__init__()
        self.seen: dict[int, torch.Tensor] = {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for t in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(t, torch.Tensor) and t.requires_grad and t.ndim >= 3 and t.is_floating_point():
                self.seen.setdefault(id(t), t)
        return result


@dataclass
class Oracle:
    """One network run once in PyTorch, ready to answer for any of its tensors."""

    seen: list[torch.Tensor]
    logits: torch.Tensor

    @classmethod
    def run(cls, net: nn.Module, x: torch.Tensor) -> Oracle:
        with Recorder() as recorder:
            logits = net(x)
        return cls(list(recorder.seen.values()), logits)

    def find(self, wanted: np.ndarray) -> torch.Tensor:
        """The recorded tensor with these numbers. Of several (something that passes its input on), the first: its gradient covers the others'."""
        scale = float(np.abs(wanted).max())
        wanted = torch.from_numpy(wanted).to(self.logits.dtype)
        errors = [((t.detach() - wanted).abs().max().item(), i) for i, t in enumerate(self.seen) if t.shape == wanted.shape]
        close = [i for error, i in errors if error <= 1e-3 * scale]
        if not close:
            raise LookupError(f"no tensor in PyTorch has these numbers (shape {tuple(wanted.shape)}, the nearest is off by {min(errors, default=(float('nan'), 0))[0]:.2g})")
        best = min(error for error, i in errors)
        return self.seen[next(i for error, i in errors if error <= 2 * best + 1e-6 * scale)]

    def explain(self, activation: torch.Tensor, klass: int, channels: int, method: str) -> tuple[np.ndarray, float]:
        """The map, and the largest sum of absolute terms of any cell (what rounding is proportional to)."""
        (g,) = torch.autograd.grad(self.logits[0, klass], activation, retain_graph=True)
        if method == "gradcam":
            g = g.mean([i for i in range(1, g.ndim) if i != channels % g.ndim], keepdim=True)
        terms = (g * activation).detach()
        return terms.sum(channels)[0].numpy(), terms.abs().sum(channels).max().item()


def channel_axis(activation: tuple[int, ...], map_shape: tuple[int, ...]) -> int:
    """Channels first or last, as the map's shape shows."""
    if activation[2:] == map_shape:
        return 1
    if activation[1:-1] == map_shape:
        return -1
    raise LookupError(f"a map of shape {map_shape} does not belong to an activation of shape {activation}")


def early_layers(model: onnx.ModelProto, feed: dict, exact: Oracle, count: int) -> dict[str, np.ndarray]:
    """Tensors spread over the network, with their values: sums and concatenations, or the activations where a network has too few of those.

    Only those that PyTorch has too: an exporter spells a GELU out in sums that are no layer of anyone's.
    """

    def made_by(*ops):
        names = [n.output[0] for n in model.graph.node if n.op_type in ops]
        found = {}
        for name, value in cli.values_of(model, feed, names).items():
            if value.ndim == next(iter(feed.values())).ndim and value.dtype == np.float32 and min(value.shape[1:]) > 1:
                try:
                    exact.find(value)
                    found[name] = value
                except LookupError:
                    pass
        return found

    joints = made_by("Add", "Concat") if count else {}
    if count and len(joints) <= 3:
        joints = made_by("Relu", "MaxPool", "Clip")
    names = list(joints)
    return {name: joints[name] for name in (names[len(names) * (i + 1) // (count + 2)] for i in range(count if names else 0))}


def compare(record: dict, value: np.ndarray, exact: Oracle, single: Oracle, method: str, early: bool) -> dict:
    """One line of the table."""
    array = record["array"]
    while array.ndim > value.ndim - 2:
        array = array[0]
    channels = channel_axis(value.shape, array.shape)
    expected, terms = exact.explain(exact.find(value), record["class"], channels, method)
    rounded, _ = single.explain(single.find(value), record["class"], channels, method)
    scale = max(np.abs(expected).max(), VANISHED * terms)
    length = max(np.sqrt((expected**2).sum()), VANISHED * terms)
    line = {
        "layer": record["layer"],
        "verdict": record.get("verdict", "?"),
        "class": record["class"],
        "max": np.abs(array - expected).max() / scale,
        "l2": np.sqrt(((array - expected) ** 2).sum()) / length,
        "torch32": np.sqrt(((rounded - expected) ** 2).sum()) / length,
    }
    problems = []
    if early and line["l2"] > max(EARLY_TOLERANCE, 10 * line["torch32"]):
        problems.append("map")
    if not early and line["max"] > LAST_TOLERANCE:
        problems.append("map")
    score = exact.logits[0, record["class"]].item()
    if abs(record["score"] - score) > 1e-4 * max(1.0, exact.logits.detach().abs().max().item()):
        problems.append("score")
    if not early and record["class"] != exact.logits[0].argmax().item():
        problems.append("class")
    if method == "hirescam" and record.get("verdict") == "exact" and abs(record["sum"] + record["bias"] - score) > 1e-4 * max(abs(score), np.abs(expected).sum()):
        problems.append("sum")
    return line | {"problems": problems}


HEAD = f"{'network':20} {'exporter':11} {'engine':11} {'verdict':15} {'max':>8} {'l2':>8} {'torch32':>8}  layer"


def check(name: str, args: argparse.Namespace) -> bool:
    net, x = build(name, args.seed), image(name, args.seed + 1)
    work = args.work / name
    work.mkdir(parents=True, exist_ok=True)
    np.save(work / "image.npy", x.numpy())
    files = {}
    for exporter in args.exporters:
        files[exporter] = work / f"{name}.{exporter}.onnx"
        try:
            export(net, x, exporter, files[exporter])
        except Exception as error:  # an exporter that cannot is no fault of hirescam
            print(f"{name:20} {exporter:11} not exported: {str(error).splitlines()[0][:100]}", flush=True)
            del files[exporter]
    single = Oracle.run(net, x)
    exact = Oracle.run(copy.deepcopy(net).double(), x.double())
    fine = True
    for exporter, file in files.items():
        model = onnx.load(file)
        feed = {cli.image_input(model).name: x.numpy()}
        known = cli.values_of(model, feed, args.layer) if args.layer else early_layers(model, feed, exact, args.early)
        layers = [None, *known]
        for engine in args.engines:
            for layer in layers:
                early = layer is not None
                start = f"{name:20} {exporter:11} {engine:11}"
                try:
                    record = cli.explain(args.hirescam, file, work / "image.npy", work / "out", engine, layer, args.method)[0]
                    if record["layer"] not in known:
                        known |= cli.values_of(model, feed, [record["layer"]])
                    line = compare(record, known[record["layer"]], exact, single, args.method, early)
                except (cli.Failed, LookupError) as error:
                    print(f"{start} FAILED at {layer or 'its own layer'}: {error}", flush=True)
                    fine = False
                    continue
                fine &= not line["problems"]
                mark = f"  WRONG: {', '.join(line['problems'])}" if line["problems"] else ""
                print(f"{start} {line['verdict']:15} {line['max']:8.1e} {line['l2']:8.1e} {line['torch32']:8.1e}  {line['layer']}{' (early)' if early else ''}{mark}", flush=True)
    if not args.keep:
        shutil.rmtree(work)
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hirescam", help="the hirescam binary")
    parser.add_argument("networks", nargs="*", metavar="network", help=f"of torchvision; all by default: {' '.join(NETWORKS)}")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder for the exported files")
    listed = lambda text: text.split(",")
    parser.add_argument("--engines", type=listed, default=["tract", "onnxruntime"], help="with commas between (default tract,onnxruntime)")
    parser.add_argument("--exporters", type=listed, default=["torchscript", "dynamo"], help="with commas between (default torchscript,dynamo)")
    parser.add_argument("--method", default="hirescam", choices=["hirescam", "gradcam"])
    parser.add_argument("--layer", action="append", help="check this layer too, by its ONNX name, instead of early ones; may be given again")
    parser.add_argument("--early", type=int, default=1, help="how many layers further forward to check too (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the exported files")
    args = parser.parse_intermixed_args()
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f"unknown: {' '.join(sorted(unknown))}; there are {' '.join(NETWORKS)}")
    if unknown := set(args.exporters) - {"torchscript", "dynamo"}:
        parser.error(f"no such exporter: {' '.join(sorted(unknown))}")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print(HEAD)
    results = {name: check(name, args) for name in args.networks or NETWORKS}
    wrong = [name for name, fine in results.items() if not fine]
    print(f"{len(results) - len(wrong)} of {len(results)} networks right" + (f"; not right: {' '.join(wrong)}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
