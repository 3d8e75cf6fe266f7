"""Pictures and tables in the forms that Python's other libraries have. They are imported only here, and only when used."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._hirescam import Explanation


def table(rows: list[dict[str, Any]]) -> Any:
    """Records as a data frame if pandas is there, else as they are."""
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def pillow(pixels: np.ndarray[Any, Any]) -> Any:
    """Pixels as a Pillow image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "overlay() gives a Pillow image, and Pillow is not installed: pip install pillow. Without it, pixels() gives the same as an array, png() as bytes"
        ) from error
    return Image.fromarray(pixels)


def plot(e: Explanation, ax: Any, signed: bool, colorbar: bool) -> Any:
    """Draws a map into axes."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plot() draws with matplotlib, which is not installed: pip install matplotlib") from error
    ax = pyplot.subplots()[1] if ax is None else ax
    heatmap = e.heatmap(rectify=not signed)
    most = float(np.abs(heatmap).max()) or 1.0
    photo, view = e.photo, e.view
    look: dict[str, Any] = {"cmap": "coolwarm" if signed else "inferno", "vmin": -most if signed else 0.0, "vmax": most}
    if photo is not None and view is not None:
        ax.imshow(photo.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
        left, top, width, height = view
        # Pixels' centres are at whole numbers.
        look["extent"] = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
        look["alpha"] = np.abs(heatmap) / most
        look["interpolation"] = "bilinear"
    drawn = ax.imshow(heatmap, **look)
    if photo is not None:
        ax.set_xlim(-0.5, photo.shape[1] - 0.5)
        ax.set_ylim(photo.shape[0] - 0.5, -0.5)
    if colorbar:
        ax.figure.colorbar(drawn, ax=ax, label=e.unit)
    ax.set_title(f"{e.name} · {e.certificate.verdict}")
    ax.set_axis_off()
    return ax


def html(e: Explanation) -> str:
    """An explanation as it shows itself in a notebook: picture, class, verdict in words."""
    words = "".join(f"<li>{escape(line)}</li>" for line in e.certificate.words)
    title = f"<b>{escape(e.name)}</b> score {e.score:.4g}, {escape(e.method)} at {escape(e.layer)}: <b>{escape(e.certificate.verdict)}</b>"
    return f'<figure style="margin:0;max-width:60em">{_picture(e)}<figcaption>{title}<ul>{words}</ul></figcaption></figure>'


def gallery(many: Iterable[Any]) -> str:
    """Several explanations side by side."""
    cells = []
    for one in many:
        if isinstance(one, list):
            cells.append(gallery(one))
        elif isinstance(one, BaseException):
            cells.append(f"<figure>{escape(str(one))}</figure>")
        else:
            title = f"{escape(one.name)} {one.score:.4g}, {escape(one.certificate.verdict)}"
            cells.append(f'<figure style="margin:0.3em">{_picture(one, 240)}<figcaption>{title}</figcaption></figure>')
    return f'<div style="display:flex;flex-wrap:wrap">{"".join(cells)}</div>'


def _picture(e: Explanation, width: int | None = None) -> str:
    """The overlay as an image of HTML; the map alone where there is no photo, and nothing where the map is no picture."""
    from ._errors import ArgumentError

    try:
        heatmap = e.heatmap()
        ground = None
        if e.photo is None:
            # The map alone, on white.
            scale = max(1, 224 // max(heatmap.shape))
            ground = np.full((heatmap.shape[0] * scale, heatmap.shape[1] * scale, 3), 255, np.uint8)
        png = e.png(ground, layout="plain") if width else e.png(ground)
    except ArgumentError as error:
        return f"<p>{escape(str(error))}</p>"
    size = f' width="{width}"' if width else ""
    return f'<img{size} style="max-width:100%" alt="{escape(e.name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
