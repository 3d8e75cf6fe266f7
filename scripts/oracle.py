"""Compares hirescam's maps with PyTorch's autograd in float64, on full-size networks.

    python scripts/oracle.py target/release/hirescam --work DIR                                  # all networks, both exporters, both engines
    python scripts/oracle.py target/release/hirescam --work DIR --layers all --table docs/networks.md
    python scripts/oracle.py target/release/hirescam --work DIR --quick                          # small images, three layers of each network
    python scripts/oracle.py target/release/hirescam --work DIR resnet18 vgg16 --engines tract --exporter dynamo

Needs torch, torchvision, onnx, onnxscript, onnxruntime and numpy. DIR takes the exported files (a few hundred MB each; deleted after use unless --keep).

What is independent of hirescam here: the network runs in PyTorch, in float64, under a recorder that keeps every tensor that any torch function returns.
The layer is known by its name in the ONNX file alone, so ONNX Runtime is asked for its value there, and the recorded tensor with those numbers, its axes
perhaps in another order, is the activation A. Then g = autograd of the score with respect to A, and the map is the sum over channels of g * A. A layer whose
numbers no recorded tensor has, because the exporter spelt a function out, is left out and counted. Hirescam tells the oracle which layers there are and which
class it took, nothing else.

Passed is: the layer that hirescam recommends within 1e-4 of the largest cell, in the max norm; and it has to lie in the image, as PyTorch shows: where one
half of the image is changed, the activation changes most in that half of the map. Other layers are judged by the l2 norm, for a ReLU within
rounding of zero may go either way in any implementation: at most 1e-2, or three times what PyTorch's own float32 is away from its float64, on the image
and on the image changed by a millionth.
"""

from __future__ import annotations

import argparse
import collections
import copy
import itertools
import json
import math
import pathlib
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torch.overrides import TorchFunctionMode

import cli
from networks import NETWORKS, OPSETS, build, export, image, shape

LAST_TOLERANCE = 1e-4  # of max |map|, max norm: the project's goal for last layers on both engines
EARLY_TOLERANCE = 1e-2  # l2 norm
SHAKEN = [0.0, 1e-6, 1e-6, 1e-6]  # relative noise on the image of each float32 run that says how much rounding can do
VANISHED = 1e-4  # a map below this share of its own terms is rounding, and is judged against the terms
SAME = 1e-3  # two tensors are the same layer if they differ by less than this share of the largest value
SAMPLED = 64  # values compared first, to tell most tensors apart


class Recorder(TorchFunctionMode):
    """Keeps every tensor that a torch function returns and that a gradient can be asked for."""

    def __init__(self):
        super().__init__()
        self.seen: dict[int, torch.Tensor] = {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        # In place, a function would overwrite what was recorded of the one before it.
        result = function(*args, **{name: False if name == "inplace" else value for name, value in (kwargs or {}).items()})
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
    def run(cls, net: torch.nn.Module, x: torch.Tensor) -> Oracle:
        with Recorder() as recorder:
            logits = net(x)
        return cls(list(recorder.seen.values()), logits)

    def find(self, wanted: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
        """The recorded tensors with these numbers: which, and the order of axes that makes them so.

        Mostly one. Several where a function has passed its input on; their gradients may differ if the first is used elsewhere too.
        """
        scale = float(np.abs(wanted).max())
        places = np.unravel_index(np.linspace(0, wanted.size - 1, SAMPLED).astype(int), wanted.shape)
        wanted = torch.from_numpy(wanted).to(self.logits.dtype)
        turns = list(itertools.permutations(range(1, wanted.ndim)))

        def matches(orders: list[tuple[int, ...]]):
            for i, tensor in enumerate(self.seen):
                for order in orders if sorted(tensor.shape) == sorted(wanted.shape) else []:
                    turned = tensor.detach().permute(0, *order)
                    if turned.shape == wanted.shape and (turned[places] - wanted[places]).abs().max() <= SAME * scale:
                        if (error := (turned - wanted).abs().max().item()) <= SAME * scale:
                            yield error, i, (0, *order)

        found = list(matches(turns[:1])) or list(matches(turns[1:]))
        best = min((error for error, *_ in found), default=0.0)
        return [(i, order) for error, i, order in found if error <= 2 * best + 1e-6 * scale]

    def change(self, other: Oracle, i: int, order: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
        """How far each place of a tensor moves where another image is shown, as a map of this shape."""
        moved = (other.seen[i] - self.seen[i]).detach().permute(order)
        return laid_out(moved.square().sum(channel_axis(moved.shape, shape))[0].numpy(), shape)

    def gradients(self, which: set[int], klass: int) -> dict[int, torch.Tensor]:
        """The gradient of a class score with respect to each of these tensors, in one sweep."""
        which = sorted(which)
        if not which:
            return {}
        grads = torch.autograd.grad(self.logits[0, klass], [self.seen[i] for i in which], retain_graph=True, allow_unused=True)
        return {i: torch.zeros_like(self.seen[i]) if g is None else g for i, g in zip(which, grads)}


def explain(activation: torch.Tensor, g: torch.Tensor, channels: int, method: str) -> tuple[np.ndarray, float]:
    """The map, and the largest sum of absolute terms of any cell (what rounding is proportional to)."""
    if method == "gradcam":
        g = g.mean([i for i in range(1, g.ndim) if i != channels % g.ndim], keepdim=True)
    terms = (g * activation).detach()
    return terms.sum(channels)[0].numpy(), terms.abs().sum(channels).max().item()


def laid_out(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A row of tokens as the map has them: the last ones as rows and columns. Those before them are no places."""
    return cells if cells.ndim == len(shape) else cells[-math.prod(shape) :].reshape(shape)


def channel_axis(activation: tuple[int, ...], map_shape: tuple[int, ...]) -> int:
    """Channels first or last, as the map's shape shows."""
    if len(activation) == 3 and len(map_shape) == 2:
        return -1 if 0 <= activation[1] - math.prod(map_shape) < 10 else 1
    if activation[2:] == map_shape:
        return 1
    if activation[1:-1] == map_shape:
        return -1
    raise LookupError(f"a map of shape {map_shape} does not belong to an activation of shape {activation}")


Pair = tuple[torch.Tensor, torch.Tensor]  # an activation and its gradient


@dataclass
class Layer:
    """A layer as the oracle knows it: each tensor that it may be, in float64, and what rounding makes of it."""

    name: str
    recommended: bool
    answers: list[tuple[Pair, list[Pair]]]
    places: list[tuple[int, tuple[int, ...]]]  # which of the recorded tensors, and the order of their axes


def prepare(layers: list[dict], values: dict[str, np.ndarray], exact: Oracle, rounded: Iterable[Oracle], klass: int) -> list[Layer]:
    """The layers that PyTorch has too."""
    found = {layer["layer"]: exact.find(values[layer["layer"]]) for layer in layers}
    which = {i for places in found.values() for i, _ in places}

    def pairs(oracle: Oracle) -> dict[int, Pair]:
        return {i: (oracle.seen[i].detach(), g) for i, g in oracle.gradients(which, klass).items()}

    truth, others = pairs(exact), [pairs(oracle) for oracle in rounded]
    turn = lambda pair, order: (pair[0].permute(order), pair[1].permute(order))
    answers = lambda places: [(turn(truth[i], order), [turn(other[i], order) for other in others]) for i, order in places]
    return [
        Layer(name, layer["recommended"], answers(found[name]), found[name]) for layer in layers if found[name := layer["layer"]]
    ]


def compare(record: dict, layer: Layer, exact: Oracle, method: str) -> dict:
    """One line of the report: the errors against the tensor of PyTorch that fits best."""
    array = record["array"]
    lines = []
    for truth, rounded in layer.answers:
        channels = channel_axis(truth[0].shape, array.shape)
        cells = lambda pair: laid_out(explain(*pair, channels, method)[0], array.shape)
        expected, terms = cells(truth), explain(*truth, channels, method)[1]
        off = [cells(pair) - expected for pair in rounded]
        scale = max(np.abs(expected).max(), VANISHED * terms)
        length = max(np.sqrt((expected**2).sum()), VANISHED * terms)
        line = {
            "verdict": record.get("verdict", "?"),
            "max": np.abs(array - expected).max() / scale,
            "l2": np.sqrt(((array - expected) ** 2).sum()) / length,
            "torch32": max(np.sqrt((d**2).sum()) for d in off) / length,
            "size": np.abs(expected).sum(),
        }
        lines.append(line)
    line = min(lines, key=lambda line: line["l2"])
    fits = line["max"] <= LAST_TOLERANCE if layer.recommended else line["l2"] <= max(EARLY_TOLERANCE, 3 * line["torch32"])
    score = exact.logits[0, record["class"]].item()
    largest = exact.logits.detach().abs().max().item()
    checks = {
        "map": fits,
        "score": abs(record["score"] - score) <= 1e-4 * max(1.0, largest),
        "class": record["class"] == exact.logits[0].argmax().item(),
        "sum": method != "hirescam"
        or line["verdict"] != "exact"
        or abs(record["sum"] + (record["other_tokens"] or 0) + record["bias"] - score) <= 1e-4 * max(abs(score), line["size"]),
    }
    return line | {"problems": [name for name, fine in checks.items() if not fine]}


Half = tuple[int, bool]  # an axis of space, and whether it is the last half


def halves(net: torch.nn.Module, x: torch.Tensor, noise: torch.Generator) -> dict[Half, Oracle]:
    """The network run on the image with one half of it changed, for each half along each axis of space."""
    runs = {}
    for axis, n in enumerate(x.shape[2:]):
        for last in (False, True):
            changed = x.clone()
            part = changed.narrow(2 + axis, n - n // 2 if last else 0, n // 2)
            part += torch.randn(part.shape, generator=noise)
            runs[axis, last] = Oracle.run(net, changed)
    return runs


def lies_in_image(layer: Layer, exact: Oracle, changed: dict[Half, Oracle], shape: tuple[int, ...]) -> bool:
    """Whether a layer changes most in that half of its map in which the image is changed."""

    def follows(place: tuple[int, tuple[int, ...]], axis: int, last: bool) -> bool:
        change = np.moveaxis(exact.change(changed[axis, last], *place, shape), axis, 0)
        n = len(change) // 2
        begin, end = change[:n].sum(), change[len(change) - n :].sum()
        return bool(end > begin if last else begin > end)

    axes = {axis for axis, _ in changed}
    return len(axes) == len(shape) and any(all(follows(place, *where) for where in changed) for place in layer.places)


@dataclass
class Row:
    """What is found of one exported network, on the way to a line of the table."""

    network: str
    exporter: str
    opset: int
    listed: int = 0
    tried: int = 0
    verdict: str = ""
    worst: dict[tuple[str, bool], float] = field(default_factory=dict)  # (engine, recommended) -> error
    failed: dict[str, str] = field(default_factory=dict)  # engine -> why
    missing: set[str] = field(default_factory=set)
    wrong: int = 0
    note: str = ""

    def text(self) -> str:
        def cell(engine: str, recommended: bool) -> str:
            if (engine, recommended) in self.worst:
                return f"{self.worst[engine, recommended]:.0e}"
            return "fails" if engine in self.failed else ""

        errors = [cell(engine, recommended) for engine in ("tract", "onnxruntime") for recommended in (True, False)]
        notes = [*sorted(f"no {op}" for op in self.missing), *[f"{e}: {why}" for e, why in self.failed.items()], self.note]
        notes = "; ".join(n for n in notes if n).replace("|", "\\|")
        cells = [self.network, self.exporter, self.opset, f"{self.tried} of {self.listed}", self.verdict, *errors, notes]
        return "| " + " | ".join(map(str, cells)) + " |"


def chosen(layers: list[dict], args: argparse.Namespace) -> list[dict]:
    """The layers to try, of those that can be explained."""
    usable = [layer for layer in layers if not layer["error"]]
    if args.layer:
        return [layer for layer in usable if layer["layer"] in args.layer]
    last = [layer for layer in usable if layer["recommended"]]
    if args.layers == "last":
        return last
    if args.most and len(usable) > args.most:
        places = np.linspace(0, len(usable) - 1, args.most).astype(int)
        usable = [layer for i, layer in enumerate(usable) if i in places or layer["recommended"]]
    return usable


HEAD = f"{'network':20} {'exporter':11} {'engine':11} {'verdict':15} {'max':>8} {'l2':>8} {'torch32':>8} {'seconds':>7}  layer"
MISSING = re.compile(r"(?:derivative rule for|does not know) (\w+)")


def check_file(row: Row, file: pathlib.Path, image_file: pathlib.Path, exact: Oracle, net: torch.nn.Module, args: argparse.Namespace) -> None:
    """Every layer of one exported network on every engine."""
    start = f"{row.network:20} {row.exporter:11}"
    try:
        layers = [json.loads(line) for line in cli.call(args.hirescam, "layers", file, "--json").splitlines()]
    except cli.Failed as error:
        print(f"{start} FAILED to list layers: {error}", flush=True)
        row.note, row.wrong = f"no layers: {error}", row.wrong + 1
        return
    row.listed = len(layers)
    for layer in layers:
        row.missing |= set(MISSING.findall(layer["error"] or ""))
        row.verdict = layer["verdict"] if layer["recommended"] else row.verdict
    model = onnx.load(file)
    feed = {cli.image_input(model).name: np.load(image_file)}
    wanted = chosen(layers, args)
    values = cli.values_of(model, feed, [layer["layer"] for layer in wanted])
    del model
    klass = exact.logits[0].argmax().item()
    x, noise = torch.from_numpy(np.load(image_file)), torch.Generator().manual_seed(args.seed)
    rounded = (Oracle.run(net, x * (1 + share * torch.randn(x.shape, generator=noise))) for share in SHAKEN)
    known = prepare(wanted, values, exact, rounded, klass)
    row.tried = len(known)
    changed = halves(copy.deepcopy(net).double(), x.double(), noise) if any(layer.recommended for layer in known) else {}
    if strangers := {layer["layer"] for layer in wanted} - {layer.name for layer in known}:
        print(f"{start} not in PyTorch: {' '.join(sorted(strangers))}", flush=True)
    for engine, layer in itertools.product(args.engines, known):
        began = time.monotonic()
        try:
            records = cli.explain(args.hirescam, file, image_file, file.parent / "out", engine, layer.name, args.method)
            if len(records) != 1:
                raise LookupError(f"{len(records)} explanations of one image and one class")
            line = compare(records[0], layer, exact, args.method)
            if layer.recommended and not lies_in_image(layer, exact, changed, records[0]["array"].shape):
                line["problems"].append("it does not lie in the image")
        except (cli.Failed, LookupError) as error:
            print(f"{start} {engine:11} FAILED at {layer.name}: {error}", flush=True)
            row.failed.setdefault(engine, str(error)[:120])
            row.wrong += 1
            continue
        error = line["max"] if layer.recommended else line["l2"]
        key = engine, layer.recommended
        row.worst[key] = max(row.worst.get(key, 0.0), error)
        row.wrong += bool(line["problems"])
        mark = f"  WRONG: {', '.join(line['problems'])}" if line["problems"] else ""
        numbers = f"{line['max']:8.1e} {line['l2']:8.1e} {line['torch32']:8.1e} {time.monotonic() - began:7.1f}"
        print(f"{start} {engine:11} {line['verdict']:15} {numbers}  {layer.name}{' (recommended)' if layer.recommended else ''}{mark}", flush=True)


def check(name: str, args: argparse.Namespace) -> list[Row]:
    size = shape(name, args.quick)
    net, x = build(name, args.seed, size), image(args.seed + 1, size)
    work = args.work / name
    work.mkdir(parents=True, exist_ok=True)
    image_file = work / "image.npy"
    np.save(image_file, x.numpy())
    rows, exact = [], None
    for exporter in ["torchscript", "dynamo"] if args.exporter == "both" else [args.exporter]:
        row = Row(name, exporter, args.opset or OPSETS[exporter])
        rows.append(row)
        file = work / f"{name}.{exporter}.onnx"
        try:
            if not export(net, x, exporter, row.opset, file):
                row.note = "batch fixed by the exporter"
        except Exception as error:  # an exporter that cannot is no fault of hirescam
            row.note = f"not exported: {str(error).splitlines()[0][:100]}"
            print(f"{name:20} {exporter:11} {row.note}", flush=True)
            continue
        if args.dry_run:
            operators = collections.Counter(n.op_type for n in onnx.load(file).graph.node)
            print(f"{name:20} {exporter:11} {file.stat().st_size >> 20} MB: {dict(operators.most_common())}", flush=True)
            continue
        exact = exact or Oracle.run(copy.deepcopy(net).double(), x.double())
        check_file(row, file, image_file, exact, net, args)
        if not args.keep:
            file.unlink()
    if not args.keep:
        shutil.rmtree(work)
    return rows


PAGE = """\
# Networks

Made by `scripts/oracle.py hirescam --work DIR --layers all --most 10 --table docs/networks.md` with torch {torch}, torchvision {torchvision}
and onnxruntime {onnxruntime}: HiResCAM's maps at the layers that `hirescam layers` lists, against PyTorch's autograd in float64. The networks
have random weights that carry a signal.

- **layers**: tried, of those listed. Layers whose numbers no tensor of PyTorch has cannot be judged.
- **recommended**: the verdict at the layer taken when none is named. For each engine, the first number is the error of the map there, max norm,
  relative to the largest cell; it has to be below {last:.0e}. And the layer has to lie in the image: where one half of that is changed, it changes
  most in that half of the map. The second is the worst error at the other layers, l2 norm; it has to be below
  {early:.0e}, or three times what rounding does to PyTorch's own.

| network | exporter | opset | layers | recommended | tract, there | elsewhere | onnxruntime, there | elsewhere | missing, notes |
|---|---|---|---|---|---|---|---|---|---|
"""


def write_table(path: pathlib.Path, rows: list[Row]) -> None:
    """Puts the rows into the page; rows of other networks stay."""
    key = lambda line: tuple(cell.strip() for cell in line.split("|")[1:3])
    old = path.read_text().splitlines() if path.exists() else []
    lines = {key(line): line for line in old if line.startswith("| ") and key(line)[0] in NETWORKS}
    lines |= {(row.network, row.exporter): row.text() for row in rows}
    order = sorted(lines, key=lambda k: (list(NETWORKS).index(k[0]), ["torchscript", "dynamo"].index(k[1])))
    page = PAGE.format(
        torch=torch.__version__, torchvision=torchvision.__version__, onnxruntime=onnxruntime.__version__, last=LAST_TOLERANCE, early=EARLY_TOLERANCE
    )
    path.write_text(page + "\n".join(lines[k] for k in order) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hirescam", help="the hirescam binary")
    parser.add_argument("networks", nargs="*", metavar="network", help=f"which; all by default: {' '.join(NETWORKS)}")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a folder for the exported files")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["tract", "onnxruntime"], help="with commas between (default tract,onnxruntime)")
    parser.add_argument("--exporter", choices=["torchscript", "dynamo", "both"], default="both")
    parser.add_argument("--opset", type=int, help=f"the operator set to export to (default {OPSETS})")
    parser.add_argument("--layers", choices=["all", "last"], help="every layer that hirescam lists (default with --quick), or the recommended one (default)")
    parser.add_argument("--most", type=int, help="no more than so many layers of a network, spread over it (default with --quick: 3)")
    parser.add_argument("--layer", action="append", help="this layer, by its ONNX name; may be given again")
    parser.add_argument("--method", default="hirescam", choices=["hirescam", "gradcam"])
    parser.add_argument("--quick", action="store_true", help="small images where the network takes them, and three layers at most")
    parser.add_argument("--table", type=pathlib.Path, help="a Markdown page to put the results into, such as docs/networks.md")
    parser.add_argument("--dry-run", action="store_true", help="export only, and count operators")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the exported files")
    args = parser.parse_intermixed_args()
    args.layers = args.layers or ("all" if args.quick else "last")
    args.most = args.most or (3 if args.quick else None)
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f"unknown: {' '.join(sorted(unknown))}; there are {' '.join(NETWORKS)}")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print(HEAD)
    results: list[Row] = []
    for name in args.networks or NETWORKS:
        results += check(name, args)
        if args.table and not args.dry_run:
            write_table(args.table, results)
    wrong = [f"{row.network} ({row.exporter})" for row in results if row.wrong]
    print(f"{len(results) - len(wrong)} of {len(results)} exported networks right" + (f"; not right: {', '.join(wrong)}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
