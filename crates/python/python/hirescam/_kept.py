"""What was made ready, and is kept for those who ask again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The `most` things that were used last, by their keys. Several threads can ask at a time; what two of them make at once, one keeps."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self, key: Key) -> None:
        """What is kept for the key is made again by who asks next."""
        with self._lock:
            self._values.pop(key, None)

    def of(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is kept for the key; it is made where it is not."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        made = make()
        with self._lock:
            made = self._values.setdefault(key, made)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made
