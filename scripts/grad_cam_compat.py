"""Holds `hirescam.compat.pytorch_grad_cam` against pytorch-grad-cam itself, on networks of torchvision and timm with random weights.

    pip install torch torchvision timm onnxscript grad-cam==1.5.7 ./crates/python
    python scripts/grad_cam_compat.py [--methods METHOD …] [--table docs/coming-from.md] [NETWORK …]

It tells for each network and method how far the normalised maps of two images are apart at most, of `SLOW` methods those of one smaller image; where that is
more than TOLERANCE, also how far both are from that library's own in float64, and how far that library's are for images that differ by a millionth. What was found is kept in `--results`, and not found again. `--table` writes it
into a page. It ends with 1 where a call fails here alone, or where our maps are further than TOLERANCE from theirs and rounding does not explain it.
"""

import argparse
import contextlib
import copy
import io
import json
import pathlib
import statistics
import sys
import time
import warnings

import numpy as np
import pytorch_grad_cam as theirs
import timm
import torch
import torchvision

import hirescam.compat.pytorch_grad_cam as ours

TOLERANCE = 1e-4
METHODS = """GradCAM HiResCAM GradCAMElementWise GradCAMPlusPlus XGradCAM LayerCAM EigenCAM EigenGradCAM SegEigenCAM KPCA_CAM FEM RandomCAM ShapleyCAM
FinerCAM RefineCAM SESS FullGrad ScoreCAM AblationCAM GradCAM+aug_smooth GradCAM+eigen_smooth""".split()
SIZE = 96
# How many images that differ in rounding are tried.
NEAR = 6
# A run or more for each channel: of one image of this size.
SLOW = {"ScoreCAM": 64, "AblationCAM": 64}
# It takes images of no other size.
OF_ONE_SIZE = {"timm vit_tiny_patch16_224"}
OPTIONS = {"SESS": {"num_scales": 3}}
SEED = 0


def of_tokens(tensor):
    """Tokens of a square image behind a class token, as an image."""
    side = round((tensor.shape[1] - 1) ** 0.5)
    return tensor[:, 1:].reshape(len(tensor), side, side, -1).permute(0, 3, 1, 2)


def last(tensor):
    """Channels that come last, as an image."""
    return tensor.permute(0, 3, 1, 2)


# Each with its layer as that library's README chooses it, and how its activation becomes an image where it is none.
NETWORKS = {
    "resnet18": (torchvision.models.resnet18, lambda m: m.layer4[-1]),
    "resnet50": (torchvision.models.resnet50, lambda m: m.layer4[-1]),
    "resnext50_32x4d": (torchvision.models.resnext50_32x4d, lambda m: m.layer4[-1]),
    "vgg11": (torchvision.models.vgg11, lambda m: m.features[-1]),
    "alexnet": (torchvision.models.alexnet, lambda m: m.features[-2]),
    "squeezenet1_1": (torchvision.models.squeezenet1_1, lambda m: m.features[-1]),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, lambda m: m.features[-1]),
    "mobilenet_v3_small": (torchvision.models.mobilenet_v3_small, lambda m: m.features[-1]),
    "shufflenet_v2_x0_5": (torchvision.models.shufflenet_v2_x0_5, lambda m: m.conv5),
    "mnasnet0_5": (torchvision.models.mnasnet0_5, lambda m: m.layers[-1]),
    "efficientnet_b0": (torchvision.models.efficientnet_b0, lambda m: m.features[-1]),
    "regnet_y_400mf": (torchvision.models.regnet_y_400mf, lambda m: m.trunk_output),
    "densenet121": (torchvision.models.densenet121, lambda m: m.features.denseblock4),
    "swin_t": (torchvision.models.swin_t, lambda m: m.features[-1][-1].norm1, last),
    "timm resnet10t": (lambda: timm.create_model("resnet10t"), lambda m: m.layer4[-1]),
    "timm convnext_atto": (lambda: timm.create_model("convnext_atto"), lambda m: m.stages[-1]),
    "timm vit_tiny_patch16_224": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=96),
        lambda m: m.blocks[-1].norm1,
        of_tokens,
    ),
}


def maps(library, model, x, network, method):
    """The maps of a method, and of a batch of two those of different classes. FinerCAM chooses its classes itself."""
    _, layer, *reshape = network
    method, *smooth = method.split("+")
    np.random.seed(SEED)
    if method == "FullGrad":
        # Its layers are convolutions, whatever the network.
        reshape = []
    options = dict(OPTIONS.get(method, {}))
    if method == "AblationCAM" and reshape:
        options["ablation_layer"] = library.AblationLayerVit()
    # FullGrad takes layers of its own, and says so where it is given others.
    cam = getattr(library, method)(model, [] if method == "FullGrad" else [layer(model)], *reshape, **options)
    targets = [library.utils.model_targets.ClassifierOutputTarget(c) for c in (7, 281)[: len(x)]]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return cam(x, None if method == "FinerCAM" else targets, **dict.fromkeys(smooth, True))


def compare(name, methods):
    """For each method how far the maps are apart, and where that is much three numbers more; or what went wrong."""
    network = NETWORKS[name]
    torch.manual_seed(SEED)
    model = network[0]().eval()
    made = {}
    for method in methods:
        torch.manual_seed(SEED)
        size = SIZE if name in OF_ONE_SIZE else SLOW.get(method, SIZE)
        given = torch.randn(1 if method in SLOW else 2, 3, size, size)
        of, errors = {}, []
        for word, library in (("theirs", theirs), ("ours", ours)):
            try:
                of[word] = maps(library, model, given, network, method)
            except Exception as error:
                errors += [word, f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"]
        if errors:
            made[method] = errors
            continue
        made[method] = [apart(of["theirs"], of["ours"])]
        if not made[method][0] <= TOLERANCE:
            exact = maps(theirs, copy.deepcopy(model).double(), given.double(), network, method)
            near = [given * (1 + 1e-6 * torch.randn_like(given)) for _ in range(NEAR)]
            moved = [apart(of["theirs"], maps(theirs, model, x, network, method)) for x in near]
            made[method] += [apart(of["theirs"], exact), apart(of["ours"], exact), max(moved)]
    return made


def apart(a, b):
    return float(np.abs(a - b).max())


def in_words(outcome):
    if not outcome:
        return "–"
    if isinstance(outcome[0], str):
        return " and ".join(outcome[::2]) + ": error"
    return " / ".join(f"{value:.0e}" for value in outcome)


def failed(outcome):
    """Whether the difference is ours: a call that fails here alone, or maps that rounding does not explain."""
    if outcome and isinstance(outcome[0], str):
        return outcome[0] == "ours"
    if not outcome or outcome[0] <= TOLERANCE:
        return False
    _, of_theirs, of_ours, *moved = outcome
    return of_ours > 2 * max(of_theirs, *moved, TOLERANCE)


def tables(found, methods):
    """What was found as tables in Markdown, a few networks side by side."""
    lines = []
    names = list(found)
    lines += ["| method | networks | median | largest | at |", "|---|---|---|---|---|"]
    for method in methods:
        values = {name: of[method][0] for name, of in found.items() if of[method] and not isinstance(of[method][0], str)}
        if values:
            worst = max(values, key=values.get)
            lines.append(f"| `{method}` | {len(values)} | {statistics.median(values.values()):.0e} | {values[worst]:.0e} | {worst} |")
    for start in range(0, len(names), 6):
        some = names[start : start + 6]
        lines += ["", "| | " + " | ".join(some) + " |", "|---|" + "---|" * len(some)]
        lines += [f"| `{method}` | " + " | ".join(in_words(found[name][method]) for name in some) + " |" for method in methods]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--results", default="target/grad-cam-compat.json", help="the file in which what was found is kept")
    parser.add_argument("--known", action="store_true", help="compares nothing, and takes what is in --results")
    parser.add_argument("--table", metavar="PAGE", help="the page whose part between <!-- compared --> and <!-- end of compared --> is written anew")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = pathlib.Path(arguments.results)
    known = json.loads(results.read_text()) if results.exists() else {}
    names = arguments.networks or [name for name in NETWORKS if name in known or not arguments.known]
    for name in [] if arguments.known else names:
        start = time.monotonic()
        of = known.setdefault(name, {})
        made = compare(name, [method for method in arguments.methods if method not in of])
        of.update(made)
        results.write_text(json.dumps(known, indent=1))
        print(f"{name}, {time.monotonic() - start:.0f} s: " + ", ".join(f"{m} {in_words(o)}" for m, o in made.items()), flush=True)
        for method, outcome in made.items():
            if isinstance(outcome[0], str):
                print(f"  {method}, {outcome[0]}: {outcome[1]}", flush=True)
    write(known, names, arguments)
    bad = [f"{name}: {method}" for name in names for method, outcome in known[name].items() if failed(outcome)]
    print("\n" + (f"other maps than theirs: {', '.join(bad)}" if bad else f"all within {TOLERANCE}, or apart by rounding"))
    return 1 if bad else 0


def write(known, names, arguments):
    """Prints what is known of these networks, and writes it into the page."""
    found = {name: {method: known[name].get(method, []) for method in arguments.methods} for name in names}
    table = tables(found, arguments.methods)
    print("\n" + table)
    if arguments.table:
        with open(arguments.table) as page:
            before, rest = page.read().split("<!-- compared -->")
        after = rest.split("<!-- end of compared -->")[1]
        versions = f"grad-cam 1.5.7, torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}"
        with open(arguments.table, "w") as page:
            page.write(f"{before}<!-- compared -->\n\n{versions}.\n\n{table}\n\n<!-- end of compared -->{after}")


if __name__ == "__main__":
    sys.exit(main())
