"""What an image is: rules, so that nothing has to be guessed.

- A path is a file: a photo (PNG, JPEG, WebP, TIFF, BMP, GIF) or a tensor (.npy). Bytes are those of such a file.
- A Pillow image is a photo; its EXIF orientation is applied, as that of a file is.
- An array of uint8 or uint16 is a photo where its last axis has 1, 3 or 4 channels (HWC) or it has two axes (HW); with one axis more in front, several.
- An open file is read, as its bytes.
- Any other array is a tensor in the network's own shape: with the axis of the batch each row is an image, and there are as many results; without it
  (CHW for a network of NCHW) it is one image.
  Its numbers are copied once, whichever way they lie in memory.
- Where this leaves it open, `array=` says how an array is to be read: "HW", "HWC", "CHW", with "N" in front for several, or "tensor".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._errors import ArgumentError
from ._hirescam import Image

PHOTOS = ("HW", "HWC", "CHW", "NHW", "NHWC", "NCHW")
CHANNELS = (1, 3, 4)


def is_array(image: Any) -> bool:
    """Whether it has numbers of its own, in whichever library."""
    return any(hasattr(image, name) for name in ("__array__", "__dlpack__", "__array_interface__"))


def is_pillow(image: Any) -> bool:
    """Whether it is an image of Pillow's, which is not imported for that."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def numbers(array: Any) -> np.ndarray[Any, Any]:
    """The array as NumPy's, without a copy where its library gives one away."""
    if hasattr(array, "detach") and hasattr(array, "cpu"):
        # PyTorch hands out neither what has a gradient nor what lies on another device.
        array = array.detach().cpu()
    try:
        made = array if isinstance(array, np.ndarray) else _exchanged(array)
    except Exception as error:
        what = f"{type(array).__module__}.{type(array).__name__}"
        raise ArgumentError(f"the {what} cannot be read as an array: {error}") from error
    return made if made.dtype.isnative else made.astype(made.dtype.newbyteorder("="))


def _exchanged(array: Any) -> np.ndarray[Any, Any]:
    if hasattr(array, "__dlpack__"):
        try:
            return np.from_dlpack(array)
        except (BufferError, RuntimeError, TypeError, ValueError):
            if not hasattr(array, "__array__"):
                raise
    return np.asarray(array)


class Taker:
    """Takes images for a network whose input has this shape and such elements."""

    def __init__(self, shape: Sequence[int | None], elements: str, array: str | None) -> None:
        if array is not None and array != "tensor" and array.upper() not in PHOTOS:
            ways = ", ".join(f'"{way}"' for way in (*PHOTOS, "tensor"))
            raise ArgumentError(f"array={array!r}: it takes {ways}")
        self.shape, self.axes, self.elements = tuple(shape), len(shape), elements
        self.array = array if array in (None, "tensor") else array.upper()

    def take(self, image: Any) -> tuple[list[Image], bool]:
        """The image, and whether it is several ones: rows of a tensor count, and are one `Image` all together."""
        if isinstance(image, (str, os.PathLike)):
            return [Image.file(os.fspath(image))], False
        if hasattr(image, "read"):
            image = content(image)
        if isinstance(image, (bytes, bytearray, memoryview)):
            return [Image.bytes(bytes(image))], False
        if is_pillow(image):
            return [Image.pixels(_of_pillow(image))], False
        if not is_array(image):
            raise ArgumentError(
                f"an image is a path, bytes, a Pillow image or an array, and this is a {type(image).__name__}"
            )
        pixels = numbers(image)
        if pixels.ndim == 0 or pixels.size == 0:
            raise ArgumentError(f"an array of the shape {pixels.shape} is no image")
        way = self._way(pixels)
        if way != "tensor":
            return _photos(pixels, way)
        many = pixels.ndim != self.axes - 1
        if self.array is None and pixels.shape[-1] in CHANNELS and not self._fits(pixels.shape):
            raise ArgumentError(
                f"an array of {pixels.dtype} is a tensor in the network's own shape {list(self.shape)}, and this one is {list(pixels.shape)}: as a "
                'photo it needs levels of uint8 (0 to 255), which floats from 0 to 1 become by (255 * x).round().astype("uint8")'
            )
        return [Image.tensor(pixels if many else pixels[None])], many

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor is of the network's shape, as far as that is known; its rows count, or it is one of them."""
        wanted = self.shape[1:]
        own = shape[1:] if len(shape) == self.axes else shape
        return len(own) == len(wanted) and all(w is None or w == n for w, n in zip(wanted, own))

    def _way(self, pixels: np.ndarray[Any, Any]) -> str:
        """How an array is to be read."""
        if self.array is not None:
            return self.array
        if pixels.dtype not in (np.uint8, np.uint16):
            return "tensor"
        if "int" in self.elements and pixels.ndim in (self.axes, self.axes - 1):
            raise ArgumentError(
                f"the network takes {self.elements}, so that an array of {pixels.dtype} {pixels.shape} may be a photo or a tensor: say "
                'array="HWC" (or another order of its axes) or array="tensor"'
            )
        last = pixels.shape[-1] in CHANNELS
        way = {2: "HW", 3: "HWC" if last else None, 4: "NHWC" if last else None}.get(pixels.ndim)
        if way is None:
            raise ArgumentError(
                f"an array of {pixels.dtype} is a photo [height, width] or [height, width, 1, 3 or 4 channels], and this one is {pixels.shape}: "
                'say how its axes lie (array="CHW", "NCHW", "NHW"), or that it is array="tensor"'
            )
        return way


def _photos(pixels: np.ndarray[Any, Any], way: str) -> tuple[list[Image], bool]:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ArgumentError(
            f'array="{way}": a photo has levels of uint8 (0 to 255) or uint16, and this array is of {pixels.dtype}. Floats from 0 to 1 become '
            'levels by (255 * x).round().astype("uint8")'
        )
    if pixels.ndim != len(way):
        raise ArgumentError(f'array="{way}" has {len(way)} axes, and this array {pixels.ndim}: {pixels.shape}')
    if "C" in way:
        pixels = np.moveaxis(pixels, way.index("C"), -1)
    else:
        pixels = pixels[..., None]
    if pixels.shape[-1] not in CHANNELS:
        raise ArgumentError(f'array="{way}": a photo has 1, 3 or 4 channels, and this array {pixels.shape[-1]}')
    many = "N" in way
    return [Image.pixels(photo) for photo in (pixels if many else pixels[None])], many


def _of_pillow(image: Any) -> np.ndarray[Any, Any]:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode in ("I", "F"):
        raise ArgumentError(
            f"a Pillow image of the mode {image.mode} has no levels that are known: give its array as a tensor, or as uint8"
        )
    return np.asarray(image.convert("RGB"))


def content(file: Any) -> bytes:
    """The bytes of an open file."""
    try:
        read = file.read()
    except Exception as error:
        raise ArgumentError(f"the file cannot be read: {error}") from error
    if not isinstance(read, (bytes, bytearray)):
        raise ArgumentError('the file is open as text: open(path, "rb") reads bytes')
    return bytes(read)


def photo(image: Any) -> Image:
    """What is to be drawn on."""
    if isinstance(image, Image):
        return image
    images, many = Taker((), "float32", None).take(image)
    if many or len(images) != 1:
        raise ArgumentError("image= takes one photo: a path, bytes, a Pillow image or an array of uint8")
    return images[0]

