"""Times HiResCAM of a module of PyTorch: pytorch-grad-cam, and hirescam.from_torch; both from a ready tensor, in turn.

    pip install torch torchvision grad-cam==1.5.7 ./crates/python
    python benches/from_torch.py [--network resnet18] [--rounds 9]

It prints medians and their ratios for one class and for twenty, what the export takes, and after how many images that has paid.
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

CLASSES = 20


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = getattr(torchvision.models, arguments.network)().eval()
    x = torch.randn(1, 3, 224, 224)
    start = time.perf_counter()
    network = hirescam.from_torch(model, x)
    one = network.explainer(layer=model.layer4[-1], class_=7)
    export = time.perf_counter() - start
    many = network.explainer(layer=model.layer4[-1], class_=list(range(CLASSES)))
    cam = pytorch_grad_cam.HiResCAM(model, [model.layer4[-1]])
    targets = [ClassifierOutputTarget(c) for c in range(CLASSES)]
    several = x.repeat(CLASSES, 1, 1, 1)
    calls = {
        "theirs, 1 class": lambda: cam(x, targets[7:8]),
        "ours, 1 class": lambda: one.explain(x),
        f"theirs, {CLASSES} classes": lambda: cam(several, targets),
        f"ours, {CLASSES} classes": lambda: many.explain(x),
    }
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    for _ in range(arguments.rounds):
        for name, call in calls.items():
            time.sleep(0.05)
            times[name].append(timed(call))
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        print(f"{name}: {1000 * value:.1f} ms")
    of_one = median["theirs, 1 class"] / median["ours, 1 class"]
    of_many = median[f"theirs, {CLASSES} classes"] / median[f"ours, {CLASSES} classes"]
    saved = median["theirs, 1 class"] - median["ours, 1 class"]
    print(f"one class: {of_one:.1f} times as fast; {CLASSES} classes: {of_many:.1f} times")
    print(f"export and preparation: {export:.1f} s, paid after {export / saved:.0f} images of one class")


if __name__ == "__main__":
    main()
