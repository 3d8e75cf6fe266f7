"""A bar that shows how far long work is, if tqdm is there."""

from __future__ import annotations

from typing import Any

LONG = 5.0
"""Seconds after which work is long."""


class Bar:
    """A bar over images; over the passes of each where there is one image. True shows it at once, None after a while, False never."""

    def __init__(self, progress: bool | None, images: int | None) -> None:
        self.bar: Any = None
        self.one = images == 1
        if progress is False or (progress is None and images == 1 and False):
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        unit = "pass" if self.one else "image"
        delay = 0 if progress else LONG
        self.bar = tqdm(total=None if self.one else images, unit=unit, delay=delay, leave=False, disable=None if progress is None else False)

    def passes(self, sample: int, done: int, of: int) -> None:
        """So many passes of all are done with an image."""
        if self.bar is not None and self.one:
            self.bar.total = of
            self.bar.update(done - self.bar.n)

    def images(self, count: int) -> None:
        """So many images more are done."""
        if self.bar is not None and not self.one:
            self.bar.update(count)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
