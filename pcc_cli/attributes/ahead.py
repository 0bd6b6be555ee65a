"""Work on what comes next while what came before is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], most: int) -> Iterator[T]:
    """`items`, none of them None, made by a thread, up to `most` before they are asked for."""
    rest = iter(items)
    pool = ThreadPoolExecutor(1)
    try:
        made = deque(pool.submit(next, rest, None) for _ in range(most))
        while (item := made.popleft().result()) is not None:
            made.append(pool.submit(next, rest, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
