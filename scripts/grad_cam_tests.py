"""Runs pytorch-grad-cam's own tests on `hirescam.compat.pytorch_grad_cam`: they import it in the place of that library.

    pip install torch torchvision onnxscript opencv-python-headless psutil pytest ./crates/python
    git clone https://github.com/jacobgil/pytorch-grad-cam
    python scripts/grad_cam_tests.py pytorch-grad-cam [option of pytest …]

The tests ask for trained weights, which would have to be downloaded, and make the same network anew for each case: here weights are random, with a fixed seed,
and each network is made once (`--anew` makes it for each case, which exports it for each).
"""

import functools
import importlib
import os
import pkgutil
import sys

import pytest
import torch
import torchvision

import hirescam.compat.pytorch_grad_cam as ours

NAME = "pytorch_grad_cam"


def stand_in():
    """Our modules by the names of theirs. What we have not is not found, though that library be installed."""
    for module in [ours, *(importlib.import_module(found.name) for found in pkgutil.walk_packages(ours.__path__, f"{ours.__name__}."))]:
        sys.modules[NAME + module.__name__.removeprefix(ours.__name__)] = module


def without_download(make):
    """A network of torchvision with random weights, whatever weights are asked for."""

    def made(*args, weights=None, pretrained=None, **options):
        torch.manual_seed(0)
        return make(*args, weights=None, **options)

    return functools.wraps(make)(made)


def main():
    checkout, *options = sys.argv[1:]
    anew = "--anew" in options
    stand_in()
    for name in torchvision.models.list_models(module=torchvision.models):
        make = without_download(getattr(torchvision.models, name))
        setattr(torchvision.models, name, make if anew else functools.wraps(make)(functools.cache(make)))
    os.chdir(checkout)
    ids = ["-p", "no:cacheprovider", "-W", "ignore", "tests"]
    return pytest.main([*ids, *(option for option in options if option != "--anew")])


if __name__ == "__main__":
    sys.exit(main())
