"""The options as types. What each does is said by `hirescam explain --help`; a test holds the names to those of `Spec`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, Union

Path = Union[str, "os.PathLike[str]"]


class Common(TypedDict, total=False):
    """What is explained and how, but for what can ask for several maps. All may be left out."""

    output: str | None
    """An output of the network, or any tensor of floats inside it."""
    score: Literal["logits", "output"]
    """What the score is: the logits before a final Softmax or Sigmoid, or the output as it is."""
    class_axis: int | None
    """The axis of the output that counts classes, where that is open."""
    activation: Literal["softmax", "sigmoid", "none"] | None
    """What makes a probability of a score."""
    channel_axis: int | None
    """The axis of the layer that counts channels, where the graph does not tell it."""
    image_channels: int | None
    """The axis of the image that counts channels, where the graph does not tell it."""
    image_input: str | None
    """The input that carries the image, where it is not the first that could."""
    grid: str | Sequence[int] | None
    """How the layer's tokens lie in the image, as (14, 14)."""
    shape: Sequence[int] | None
    """The shape of the image where the file leaves it open, as (1, 3, 224, 224)."""
    memory: int
    """Mebibytes that the network's values may take."""
    labels: Path | Sequence[str] | Mapping[int, str] | None
    """Class labels: a list, or a file."""
    preprocess: Path | Mapping[str, Any] | None
    """How photos are prepared: a preset's name, a file or the steps."""
    engine: str
    """"onnxruntime", "tract" or "auto"."""
    threads: int
    """Threads of the engine; 0 lets it choose."""
    device: str
    """Where the engine computes: "cpu", "cuda", "cuda:1"."""
    onnxruntime: Path | None
    """ONNX Runtime's library, where it is not found by itself."""
    batch: int
    """Methods of several runs: how many changed images or activations are run at once."""
    seed: int
    """The seed of what is random."""
    samples: int | None
    """smoothgrad: noisy images; rise: masks."""
    noise: float
    """smoothgrad: the noise's deviation, as a share of the image's range."""
    base: str
    """smoothgrad: the method whose maps are averaged."""
    steps: int | None
    """integrated-gradients: the steps of the integral."""
    tolerance: float | None
    """integrated-gradients: the share of the difference of scores that may be missing."""
    baseline: float
    """integrated-gradients, occlusion: the number that stands for nothing."""
    stride: int | None
    """occlusion: the sides of the grid's cells in pixels."""
    window: int | None
    """occlusion: the sides of the window in pixels."""
    cells: int
    """rise: the cells of a mask along each axis."""
    keep: float
    """rise: the share of cells that a mask keeps."""
    signed: bool
    """Pictures show negative evidence too."""
    opacity: float
    """How much of the photo the strongest colours cover, from 0 to 1."""
    colormap: str | None
    """The colour map, by matplotlib's name."""
    clip: float | None
    """Colours end at this percentile of the cells that are not 0."""
    sharp: bool
    """Pictures show the map's cells as they are, without blending one into the next."""
    font: Path | None
    """A font for labels that the bundled ones cannot write."""
    side: int | None
    """The longer side of the photo in the picture, in pixels."""
    layout: Literal["figure", "beside", "plain"]
    """What a picture consists of."""
    scale: Literal["shared", "own", "both"]
    """Which scales the colours of maps side by side have."""
    fuse: Literal["mean", "max"] | None
    """How the maps of several layers become one more, in what the command line writes."""
    compare: Mapping[str, Any]
    """What `compare` does: `methods`."""
    check: Mapping[str, Any]
    """What `check` does: `methods`, `all_layers`, `sample`, `places`, `randomise`, `pictures`."""


class Options(Common, total=False):
    """What is explained and how, but for what inputs beside the image are fed. All may be left out."""

    layer: str | Sequence[str] | None
    """The target layer, by the name of its tensor; several for the maps of all of them from one run."""
    method: str | Sequence[str]
    """The method: "hirescam", "gradcam", "scorecam" …; several for the maps of all of them, from one run where that is enough."""
    class_: int | str | Sequence[int | str] | None
    """A class, by number (from 0) or label, or several."""
    top: int | None
    """The K best classes of each image."""
    target: int | str | Sequence[int | str] | None
    """What is explained, in one word, as "contrast:cat,dog"; a number or a list stands for classes."""


class AllOptions(Options, total=False):
    """What is explained and how. All may be left out."""

    input: Mapping[str, Any] | None
    """What inputs beside the image are fed."""


class Picture(TypedDict, total=False):
    """How pictures look."""

    signed: bool
    opacity: float
    colormap: str | None
    clip: float | None
    sharp: bool
    font: Path | None
    side: int | None
    layout: Literal["figure", "beside", "plain"]
