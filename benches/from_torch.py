"""Times HiResCAM of a module of PyTorch: pytorch-grad-cam, `hirescam.compat.pytorch_grad_cam` and hirescam.from_torch; all from a ready tensor, in turn.

    pip install torch torchvision grad-cam==1.5.7 ./crates/python
    python benches/from_torch.py [--networks resnet18 …] [--rounds 9]

It prints a row for each network: medians, the ratios of times measured one after the other (their median, and the middle half), what the export takes with all that
is made ready for the first image, and after how many images of one class that has paid.
"""

import argparse
import statistics
import time
import warnings

import pytorch_grad_cam
import torch
import torchvision
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import hirescam
import hirescam.compat.pytorch_grad_cam as compat

CLASSES = 20
NETWORKS = {
    "resnet18": lambda model: model.layer4[-1],
    "resnet50": lambda model: model.layer4[-1],
    "mobilenet_v2": lambda model: model.features[-1],
    "densenet121": lambda model: model.features.denseblock4,
}


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name, rounds):
    """The times of each call, and what it takes until the first map is there."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)().eval()
    layer = NETWORKS[name](model)
    x = torch.randn(1, 3, 224, 224)
    start = time.perf_counter()
    network = hirescam.from_torch(model, x)
    one = network.explainer(layer=layer, class_=7)
    export = time.perf_counter() - start
    many = network.explainer(layer=layer, class_=list(range(CLASSES)))
    theirs, mine = (library.HiResCAM(model, [layer]) for library in (pytorch_grad_cam, compat))
    targets = [ClassifierOutputTarget(c) for c in range(CLASSES)]
    several = x.repeat(CLASSES, 1, 1, 1)
    calls = {
        "theirs": lambda: theirs(x, targets[7:8]),
        "ours": lambda: one.explain(x),
        "compat": lambda: mine(x, targets[7:8]),
        "theirs, many": lambda: theirs(several, targets),
        "ours, many": lambda: many.explain(x),
    }
    for call in [*calls.values()] * 2:
        call()
    times = {what: [] for what in calls}
    for _ in range(rounds):
        for what, call in calls.items():
            # Threads of the last call fall asleep.
            time.sleep(0.05)
            times[what].append(timed(call))
    return times, export


def ratio(above, below):
    ratios = sorted(a / b for a, b in zip(above, below))
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.1f} ({low:.1f}–{high:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    many = f"{CLASSES} classes"
    print(f"| network | theirs, ms | ours, ms | × | compat, ms | × | theirs, {many}, ms | ours, {many}, ms | × | export, s | paid after |")
    print("|---|" + "---|" * 10)
    for name in arguments.networks:
        times, export = measure(name, arguments.rounds)
        ms = {what: f"{1000 * statistics.median(values):.0f}" for what, values in times.items()}
        saved = statistics.median(times["theirs"]) - statistics.median(times["ours"])
        paid = f"{export / saved:.0f} images" if saved > 0 else "never"
        cells = [name, ms["theirs"], ms["ours"], ratio(times["theirs"], times["ours"]), ms["compat"], ratio(times["theirs"], times["compat"])]
        cells += [ms["theirs, many"], ms["ours, many"], ratio(times["theirs, many"], times["ours, many"]), f"{export:.1f}", paid]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
