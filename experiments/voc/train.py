"""Trains the networks of HiResCAM's author on PASCAL VOC: `python experiments/voc/train.py VOCDEVKIT --out FOLDER`.

The set-up is that of the author's public code (github.com/rachellea/pytorch-computer-vision, 2020–2021), which very probably is the paper's; the paper does not say so. Six networks: the convolutions of
VGG-16, with random or ImageNet weights, then one of three custom convolutions, Flatten, and one fully connected layer to the classes.

It expects `VOCDEVKIT/VOC2012` (or the folder itself) with JPEGImages, SegmentationClass and ImageSets/Segmentation/{train,val}.txt. With SBD (Hariharan et al. 2011), turned into palette PNGs by
`scripts/sbd_to_png.py`, `--sbd FOLDER` adds its images; images that are in both appear twice, as in the author's code. Images that are in VOC's val are left out of SBD's.

Each network is written as ONNX, with its labels, its preprocessing, and a history of its training.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

VOC = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

WIDTHS = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
"""VGG-16's convolutions (Simonyan & Zisserman 2014, arXiv:1409.1556, configuration D)."""

HEADS = ("512to256to64_1x1", "512to64_1x1", "512to512_3x3")


def body(shrunk: int, norm: bool) -> nn.Sequential:
    """VGG-16's convolutions, or the same with a `shrunk`th of the channels, or with batch normalisation behind each."""
    layers: list[nn.Module] = []
    channels = 3
    for width in WIDTHS:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        normal = [nn.BatchNorm2d(width // shrunk)] if norm else []
        layers += [nn.Conv2d(channels, width // shrunk, 3, padding=1), *normal, nn.ReLU()]
        channels = width // shrunk
    return nn.Sequential(*layers)


class Net(nn.Module):
    """`features` (VGG-16), `conv` (one of three), one fully connected layer."""

    def __init__(self, head: str, side: int, classes: int, shrunk: int = 1, norm: bool = False):
        super().__init__()
        wide, middle, small = 512 // shrunk, 256 // shrunk, max(64 // shrunk, 16)
        self.features = body(shrunk, norm)
        # As torchvision's VGG-16 begins.
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        places = side // 32
        match head:
            case "512to256to64_1x1":
                self.conv = nn.Sequential(nn.Conv2d(wide, middle, 1), nn.ReLU(), nn.Conv2d(middle, small, 1), nn.ReLU())
                out = small * places**2
            case "512to64_1x1":
                self.conv = nn.Sequential(nn.Conv2d(wide, small, 1), nn.ReLU())
                out = small * places**2
            case "512to512_3x3":
                self.conv = nn.Sequential(nn.Conv2d(wide, wide, 3, stride=3), nn.ReLU())
                out = wide * ((places - 3) // 3 + 1) ** 2
        self.fc = nn.Linear(out, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(self.features(x)).flatten(1))


class Images(torch.utils.data.Dataset):
    """Images `[3, side, side]`, and which classes their segmentation has after it was resized by nearest neighbours: a small thing can vanish. 255 is void."""

    def __init__(self, parts: list[tuple[Path, Path, list[str]]], side: int, classes: list[str]):
        self.classes = classes
        self.files = [(images / f"{name}.jpg", masks / f"{name}.png") for images, masks, names in parts for name in names]
        self.side = side
        self.kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        # Small sets are read once.
        if index not in self.kept:
            made = self.read(*self.files[index])
            if len(self.files) > 2000:
                return made
            self.kept[index] = made
        return self.kept[index]

    def read(self, image: Path, mask: Path) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(np.array(Image.open(image).convert("RGB"), np.float32).transpose(2, 0, 1) / 255)
        x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        x = nn.functional.interpolate(x[None], (self.side, self.side), mode="bicubic", align_corners=False)[0]
        ids = np.unique(np.array(Image.open(mask).resize((self.side, self.side), Image.Resampling.NEAREST)))
        y = torch.zeros(len(self.classes))
        y[[int(i) - 1 for i in ids if 1 <= i <= len(self.classes)]] = 1
        return x, y


def classes(folder: Path) -> list[str]:
    """VOC's classes, or those that ImageSets/Main has lists of, where these are others."""
    lists = (folder / "ImageSets" / "Main").glob("*_train.txt")
    found = sorted(path.stem.removesuffix("_train") for path in lists)
    return found if set(found) - set(VOC) else VOC


def names(folder: Path, split: str) -> list[str]:
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        raise SystemExit(f"{path} is missing: a folder is expected as VOC2012's devkit lays it out, with JPEGImages, SegmentationClass and ImageSets/Segmentation")
    return path.read_text().split()


def data(devkit: Path, sbd: Path | None, side: int) -> tuple[Images, Images]:
    """For learning and for choosing when to stop."""
    folder = devkit / "VOC2012" if (devkit / "VOC2012").is_dir() else devkit
    val = names(folder, "val")
    own = (folder / "JPEGImages", folder / "SegmentationClass")
    parts = [(*own, names(folder, "train"))]
    if sbd:
        there = sorted(path.stem for path in (sbd / "SegmentationClass").glob("*.png"))
        held = set(val)
        parts.append((sbd / "JPEGImages", sbd / "SegmentationClass", [name for name in there if name not in held]))
    known = classes(folder)
    return Images(parts, side, known), Images([(*own, val)], side, known)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    right = truth[order]
    if not right.any():
        return float("nan")
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right > 0].mean())


def trained(model: nn.Module, train: Images, val: Images, options: argparse.Namespace) -> list[dict]:
    """SGD, learning rate 10⁻³, momentum 0.99, weight decay 10⁻⁷, batches of 64, stopped after 15 epochs without a better validation loss; the best is kept."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    optimiser = torch.optim.SGD(model.parameters(), options.rate, momentum=options.momentum, weight_decay=1e-7)
    loss_of = nn.BCEWithLogitsLoss()
    batches = torch.utils.data.DataLoader(train, options.batch, shuffle=True)
    checks = torch.utils.data.DataLoader(val, options.batch)
    best, kept, waited, history = float("inf"), None, 0, []
    for epoch in range(options.epochs):
        began, losses = time.monotonic(), []
        model.train()
        for x, y in batches:
            optimiser.zero_grad()
            loss = loss_of(model(x.to(device)), y.to(device))
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            made = [(model(x.to(device)).cpu(), y) for x, y in checks]
        scores, truth = (torch.cat(part) for part in zip(*made))
        # As the author's code: the sum over batches of each batch's mean.
        of_val = sum(loss_of(s, y).item() for s, y in made)
        precision = [average_precision(scores[:, c].numpy(), truth[:, c].numpy()) for c in range(scores.shape[1])]
        history.append({"epoch": epoch, "train": float(np.mean(losses)), "val": of_val, "mAP": float(np.nanmean(precision)), "seconds": time.monotonic() - began})
        print(" ".join(f"{k} {v:.4g}" for k, v in history[-1].items()), flush=True)
        if of_val < best:
            best, waited = of_val, 0
            kept = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
        else:
            waited += 1
            if waited >= options.patience:
                break
    model.load_state_dict(kept)
    model.cpu().eval()
    return history


def written(model: nn.Module, name: str, labels: list[str], history: list[dict], seconds: float, options: argparse.Namespace) -> Path:
    """The network as ONNX, with what hirescam looks for beside it."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{name}.onnx"
    x = torch.zeros(1, 3, options.side, options.side)
    torch.onnx.export(model, (x,), path, input_names=["image"], output_names=["scores"], dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}}, dynamo=False)
    path.with_suffix(".labels.txt").write_text("\n".join(labels) + "\n")
    path.with_suffix(".toml").write_text(
        "# As in training, but that Pillow's bicubic filter is antialiased, and resizes before it scales.\n"
        f'resize = {{ exact = [{options.side}, {options.side}] }}\nfilter = "bicubic"\nscale = 0.00392156862745098\nmean = {MEAN}\nstd = {STD}\n'
    )
    # Last, for a network with a history is whole.
    path.with_suffix(".history.json").write_text(json.dumps({"options": asked(options), "seconds": seconds, "epochs": history}, indent=1) + "\n")
    return path


def asked(options: argparse.Namespace) -> dict:
    """What a network depends on."""
    names = ("devkit", "sbd", "side", "shrunk", "norm", "epochs", "patience", "batch", "rate", "momentum", "seed")
    return {name: str(value) if isinstance(value := getattr(options, name), Path) else value for name in names}


def is_there(path: Path, options: argparse.Namespace) -> bool:
    """Whether an earlier run has trained a network with the same options."""
    history = path.with_suffix(".history.json")
    return history.is_file() and json.loads(history.read_text())["options"] == asked(options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("devkit", type=Path, help="VOCdevkit, or the VOC2012 in it")
    made.add_argument("--sbd", type=Path, help="SBD as palette PNGs")
    made.add_argument("--out", type=Path, default=Path("out/voc"), help="where the networks go")
    made.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    made.add_argument("--init", nargs="+", choices=("random", "pretrained"), default=["random", "pretrained"])
    made.add_argument("--side", type=int, default=320)
    made.add_argument("--shrunk", type=int, default=1, help="take so many times fewer channels than VGG-16 (for trying it out; not the author's)")
    made.add_argument("--norm", action="store_true", help="batch normalisation behind each convolution of the body, with which small sets are learnt (not the author's)")
    made.add_argument("--epochs", type=int, default=100)
    made.add_argument("--patience", type=int, default=15)
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--rate", type=float, default=1e-3)
    made.add_argument("--momentum", type=float, default=0.99)
    made.add_argument("--seed", type=int, default=0)
    return made


def networks(options: argparse.Namespace) -> dict[str, Path]:
    """All networks that are asked for, trained; those that an earlier run trained with the same options are not trained again."""
    train, val = data(options.devkit, options.sbd, options.side)
    print(f"{len(train)} images to learn from, {len(val)} to stop by")
    made = {}
    for init in options.init:
        for head in options.heads:
            name = f"{head}-{init}"
            made[name] = options.out / f"{name}.onnx"
            if is_there(made[name], options):
                print(f"{name} is there")
                continue
            torch.manual_seed(options.seed)
            model = Net(head, options.side, len(train.classes), options.shrunk, options.norm)
            if init == "pretrained":
                if options.shrunk != 1 or options.norm:
                    raise SystemExit("ImageNet's weights are those of VGG-16 as it is: leave out --shrunk and --norm, or take --init random")
                from torchvision.models import VGG16_Weights, vgg16

                model.features.load_state_dict(vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features.state_dict())
            print(name)
            began = time.process_time()
            history = trained(model, train, val, options)
            written(model, name, train.classes, history, time.process_time() - began, options)
    return made


if __name__ == "__main__":
    networks(parser().parse_args())
