"""Images in and pictures out. OpenCV is not needed: what that library does with it is done here by the same definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...._errors import ArgumentError

COLORMAP_JET = 2
"""OpenCV's number for its map Jet."""


def preprocess_image(
    img: NDArray[Any], mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)
) -> torch.Tensor:
    """A picture [height, width, channels] as a batch of one: uint8 over 255, less the mean, over the deviation."""
    img = np.asarray(img)
    img = img[:, :, None] if img.ndim == 2 else img
    tensor = torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))
    if tensor.dtype == torch.uint8:
        tensor = tensor.to(torch.get_default_dtype()) / 255
    of = [torch.as_tensor(values, dtype=tensor.dtype).reshape(-1, 1, 1) for values in (mean, std)]
    return ((tensor - of[0]) / of[1])[None]


def deprocess_image(img: NDArray[Any]) -> NDArray[np.uint8]:
    """An array of any range as a picture: its mean is grey, ten deviations are the whole range."""
    img = np.asarray(img)
    img = (img - np.mean(img)) / (np.std(img) + 1e-5)
    return np.asarray(np.clip(img * 0.1 + 0.5, 0, 1) * 255).astype(np.uint8)


def show_cam_on_image(
    img: NDArray[Any],
    mask: NDArray[Any],
    use_rgb: bool = False,
    colormap: int = COLORMAP_JET,
    image_weight: float = 0.5,
) -> NDArray[np.uint8]:
    """A map [height, width] from 0 to 1, in colours over a picture of floats from 0 to 1. Colours are BGR, or RGB with `use_rgb`."""
    if np.max(img) > 1:
        raise ArgumentError("img= takes a picture of floats from 0 to 1, as np.float32(img) / 255")
    if not 0 <= image_weight <= 1:
        raise ArgumentError(f"image_weight={image_weight}: it is from 0 to 1")
    colours: NDArray[np.uint8] = _colours(colormap)[(255 * np.asarray(mask)).astype(np.uint8)]
    heatmap = (colours if use_rgb else colours[..., ::-1]).astype(np.float32) / 255
    if heatmap.shape != np.shape(img):
        raise ArgumentError(f"img= has the shape {np.shape(img)}, and the map's picture has {heatmap.shape}: give both one size")
    cam = (1 - image_weight) * heatmap + image_weight * img
    made: NDArray[np.uint8] = (255 * (cam / np.max(cam))).astype(np.uint8)
    return made


def _colours(colormap: int) -> NDArray[np.uint8]:
    """A colour map of OpenCV as 256 colours, RGB."""
    if colormap == COLORMAP_JET:
        return JET
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"the colour map {colormap} is OpenCV's: pip install opencv-python-headless, or leave colormap= as it is") from error
    made: NDArray[np.uint8] = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], colormap)[:, 0, ::-1]
    return made


def _jet() -> NDArray[np.uint8]:
    """Jet as OpenCV has it: each channel climbs and falls by 4 levels a step, blue, green and red one after the other."""
    i = np.arange(256)
    red = np.minimum(4 * (i - 96) + 2, 4 * (255 - i) + 128)
    green = np.minimum(4 * (i - 32), 4 * (223 - i))
    blue = np.minimum(4 * i + 128, 4 * (159 - i) + 2)
    blue[159] = 1
    made: NDArray[np.uint8] = np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)
    return made


JET = _jet()


def scale_cam_image(cam: Any, target_size: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Each map of a batch from 0 to 1, and of another size where one is given, (width, height) or (width, height, depth)."""
    made = []
    for img in np.asarray(cam):
        img = img - np.min(img)
        img = img / (1e-7 + np.max(img))
        made.append(img if target_size is None else resized(np.asarray(img, np.float32), tuple(target_size)[::-1]))
    return np.asarray(made, np.float32)


def resized(img: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """A map of another size: linear between the centres of cells, as OpenCV does it; a volume by SciPy's splines, as in that library."""
    if img.ndim > 2:
        try:
            from scipy.ndimage import zoom
        except ImportError as error:
            raise ImportError("maps of volumes are resized by SciPy, as in pytorch-grad-cam: pip install scipy") from error
        volume: NDArray[np.float32] = zoom(img, [to / of for of, to in zip(img.shape, size)])
        return volume
    for axis, to in enumerate(size):
        img = _along(img, axis, to)
    return img


def _along(img: NDArray[np.float32], axis: int, to: int) -> NDArray[np.float32]:
    of = img.shape[axis]
    if to == of:
        return img
    at = np.clip((np.arange(to) + 0.5) * (of / to) - 0.5, 0, of - 1)
    low = np.minimum(at.astype(np.int64), max(of - 2, 0))
    share = (at - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    made: NDArray[np.float32] = img.take(low, axis) * (1 - share) + img.take(np.minimum(low + 1, of - 1), axis) * share
    return made


def scale_accross_batch_and_channels(tensor: NDArray[Any], target_size: Sequence[int]) -> NDArray[np.float32]:
    """Each channel of each image from 0 to 1, of another size (width, height)."""
    made = scale_cam_image(tensor.reshape(-1, *tensor.shape[2:]), target_size)
    return made.reshape(*tensor.shape[:2], *made.shape[1:])


def create_labels_legend(concept_scores: NDArray[Any], labels: Mapping[int, str] | Sequence[str], top_k: int = 2) -> list[str]:
    """For each concept its best classes with their scores [concepts, classes]; of a class with synonyms the first three."""
    made = []
    for scores in concept_scores:
        best = np.argsort(scores)[::-1][:top_k]
        made.append("\n".join(f"{','.join(labels[int(c)].split(',')[:3])}:{scores[c]:.2f}" for c in best))
    return made


def show_factorization_on_image(
    img: NDArray[Any],
    explanations: NDArray[Any],
    colors: Sequence[Any] | None = None,
    image_weight: float = 0.5,
    concept_labels: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Concepts [components, height, width] in colours over a picture of floats from 0 to 1, RGB: at each place the strongest. With labels their legend
    beside it."""
    if colors is None or concept_labels is not None:
        try:
            import matplotlib
        except ImportError as error:
            raise ImportError("colours of concepts and their legend are matplotlib's: pip install matplotlib") from error
    count = len(explanations)
    if colors is None:
        colors = [matplotlib.colormaps["gist_rainbow"](i / count) for i in range(count)]
    bright = np.array([np.asarray(color[:3]) / (np.max(color[:3]) or 1) for color in colors])
    strongest = np.argmax(explanations, axis=0)
    mask = bright[strongest] * np.max(explanations, axis=0)[..., None]
    made: NDArray[np.uint8] = (255 * (img * image_weight + mask * (1 - image_weight))).astype(np.uint8)
    return made if concept_labels is None else np.hstack((made, _legend(made.shape[:2], colors, concept_labels)))


def _legend(size: tuple[int, int], colors: Sequence[Any], labels: Sequence[str]) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    # Half a pixel more, so that rounding takes none away.
    height, width = size
    figure = Figure(figsize=((width + 0.5) / 100, (height + 0.5) / 100), dpi=100)
    lines = [Line2D([0], [0], color=color, linewidth=5 * height / 256) for color in colors[: len(labels)]]
    figure.legend(lines, labels, loc="center", fontsize=14 * height / 256 / max(1, len(labels) / 6), fancybox=True, shadow=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[:height, :width, :3]
