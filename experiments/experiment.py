"""What all experiments share: options, how a result is written down, and where Fashion-MNIST comes from."""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "experiments"


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@dataclass
class Experiment:
    """One experiment: its page in docs/experiments is written by `write`."""

    name: str
    title: str
    question: str
    options: argparse.Namespace
    data: dict[str, Any] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.process_time)

    def say(self, text: str) -> None:
        """A paragraph or a table of the page, shown as it is made."""
        print(text, end="\n\n", flush=True)
        self.parts.append(text)

    def table(self, head: list[str], rows: list[list[Any]]) -> None:
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        self.say("\n".join(lines + ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in rows]))

    def folder(self) -> Path:
        """Where pictures of the page go."""
        folder = self.options.out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self) -> None:
        seconds = time.process_time() - self.began
        changed = {k: v for k, v in vars(self.options).items() if v is not None and k not in ("out", "fashion")}
        words = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in changed.items())
        versions = {"python": platform.python_version(), **{p: version(p) for p in ("hirescam", "numpy", "onnxruntime", "torch")}}
        page = [
            f"# {self.title}",
            self.question,
            *self.parts,
            "## How to repeat it",
            f"```\npython experiments/{self.name}.py {words}\n```",
            f"It took {seconds:.0f} seconds of processor time. Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".",
        ]
        self.options.out.mkdir(parents=True, exist_ok=True)
        (self.options.out / f"{self.name}.md").write_text("\n\n".join(page) + "\n")
        made = {"experiment": self.name, "options": changed, "versions": versions, **self.data}
        (self.options.out / f"{self.name}.json").write_text(json.dumps(made, indent=1, default=plain) + "\n")


def plain(value: Any) -> Any:
    """What JSON lacks, as it has it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def shown(cell: Any) -> str:
    if isinstance(cell, (float, np.floating)):
        return "–" if np.isnan(cell) else "0" if cell == 0 else f"{cell:.1e}" if abs(cell) < 1e-3 else f"{cell:.3f}"
    return str(cell)


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that all experiments have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of everything that is random")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the page, its data and pictures go")
    return parser


def fashion_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fashion",
        type=Path,
        help="a folder with Fashion-MNIST's four idx files; else Debian's package dataset-fashion-mnist, else torchvision fetches them",
    )


DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def fashion(folder: Path | None, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747, MIT): images `[N, 28, 28]` of 8 bits, and their classes."""
    if folder is None and DEBIAN.is_dir():
        folder = DEBIAN
    if folder is None:
        from torchvision.datasets import FashionMNIST

        kept = Path.home() / ".cache" / "hirescam"
        FashionMNIST(kept, download=True)
        folder = kept / "FashionMNIST" / "raw"
    return tuple(idx(folder, f"{part}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))


def idx(folder: Path, name: str) -> np.ndarray:
    """An array of MNIST's idx format: two zeros, the type, the number of axes, the extents, the values."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if not found:
        raise SystemExit(f"{folder} has no {name}, nor {name}.gz: Fashion-MNIST's files are asked for")
    content = found[0].read_bytes()
    if found[0].suffix == ".gz":
        content = gzip.decompress(content)
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
