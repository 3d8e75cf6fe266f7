"""Holds `hirescam.compat.pytorch_grad_cam` against pytorch-grad-cam itself, on networks of torchvision and timm with random weights.

    pip install torch torchvision timm grad-cam==1.5.7 ./crates/python
    python scripts/grad_cam_compat.py [--size 96] [NETWORK …]

It prints, for each network, how far the normalised maps of each method are apart at most, and ends with 1 where that is more than TOLERANCE.
"""

import argparse
import sys
import warnings

import numpy as np
import pytorch_grad_cam as theirs
import timm
import torch
import torchvision

import hirescam.compat.pytorch_grad_cam as ours

TOLERANCE = 1e-4
METHODS = ["GradCAM", "HiResCAM", "GradCAMElementWise", "GradCAMPlusPlus", "XGradCAM", "LayerCAM", "EigenGradCAM"]
SEED = 0
# For other sizes the slower exporter alone exports their adaptive pooling.
OWN_SIZE = {"vgg11": 224, "alexnet": 224}


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
    "timm resnet10t": (lambda: timm.create_model("resnet10t"), lambda m: m.layer4[-1]),
    "timm convnext_atto": (lambda: timm.create_model("convnext_atto"), lambda m: m.stages[-1]),
    "timm vit_tiny_patch16_224": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=96),
        lambda m: m.blocks[-1].norm1,
        of_tokens,
    ),
}


def compare(name, size):
    """The largest difference of each method's maps on a batch of two."""
    make, layer, *reshape = NETWORKS[name]
    torch.manual_seed(SEED)
    model = make().eval()
    size = OWN_SIZE.get(name, size)
    x = torch.randn(2, 3, size, size)
    apart = {}
    for method in METHODS:
        maps = []
        for library in (theirs, ours):
            targets = [library.utils.model_targets.ClassifierOutputTarget(c) for c in (7, 281)]
            cam = getattr(library, method)(model, [layer(model)], *reshape)
            maps.append(cam(input_tensor=x, targets=targets))
        apart[method] = float(np.abs(maps[0] - maps[1]).max())
    return apart


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--size", type=int, default=96)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| network | " + " | ".join(METHODS) + " |\n|---|" + "---|" * len(METHODS))
    worst = 0.0
    for name in arguments.networks or NETWORKS:
        apart = compare(name, arguments.size)
        worst = max(worst, *apart.values())
        print(f"| {name} | " + " | ".join(f"{value:.0e}" for value in apart.values()) + " |", flush=True)
    print(f"\nat most {worst:.1e}; allowed are {TOLERANCE}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
