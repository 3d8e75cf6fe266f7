"""What was made ready is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hirescam._kept import Kept


def test_what_was_used_last_is_kept() -> None:
    kept: Kept[str, str] = Kept(2)
    made: list[str] = []

    def of(key: str) -> str:
        return kept.of(key, lambda: made.append(key) or key.upper())  # type: ignore[func-returns-value]

    assert [of(key) for key in "abacab"] == list("ABACAB")
    # When c came, b had gone longest without being asked for; b then took the place of c.
    assert made == ["a", "b", "c", "b"]


def test_what_two_threads_make_at_once_one_keeps() -> None:
    kept: Kept[int, object] = Kept(1)
    both = threading.Barrier(2)

    def make() -> object:
        both.wait(timeout=30)
        return object()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: kept.of(0, make), range(2))
    assert first is second


def test_what_fails_is_not_kept() -> None:
    kept: Kept[int, int] = Kept(1)
    with pytest.raises(ZeroDivisionError):
        kept.of(0, lambda: 1 // 0)
    assert kept.of(0, lambda: 7) == 7
