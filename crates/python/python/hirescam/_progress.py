"""A bar that shows how far long work is, if tqdm is there."""

from __future__ import annotations

import sys
import time
from typing import Any

LONG = 5.0
"""Seconds after which work is long."""


class Bar:
    """A bar over images; over the passes of one where it is one image.

    True shows it at once, None where work turns out to be long and somebody looks, False never.
    """

    def __init__(self, progress: bool | None, images: int | None) -> None:
        self.one = images == 1
        self.of = None if self.one else images
        self.done = 0
        self.bar: Any = None
        self.wanted = progress is not False
        self.start = time.monotonic() if progress is None else float("-inf")

    def passes(self, sample: int, done: int, of: int) -> None:
        """So many passes of all are done with an image."""
        if self.one:
            self.of = of
            self._show(done)

    def images(self, count: int) -> None:
        """So many images more are done."""
        if not self.one:
            self._show(self.done + count)

    def _show(self, done: int) -> None:
        self.done = done
        if self.bar is None and self.wanted and time.monotonic() - self.start > LONG:
            self.bar = self._made()
            self.wanted = self.bar is not None
        if self.bar is not None:
            self.bar.total = self.of
            self.bar.update(done - self.bar.n)

    def _made(self) -> Any:
        seen = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
        if not seen and self.start > 0:
            return None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
        return tqdm(total=self.of, unit="pass" if self.one else "image", leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
