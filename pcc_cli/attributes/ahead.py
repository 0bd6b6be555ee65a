"""Work on what comes next while what came before is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], most: int) -> Generator[T, None, None]:
    """`items`, none of them None, made by a thread, up to `most` before they are asked for.

    Closed, it waits for the item that is being made.
    """
    rest = iter(items)
    pool = ThreadPoolExecutor(1)
    try:
        made = deque(pool.submit(next, rest, None) for _ in range(most))
        while (item := made.popleft().result()) is not None:
            made.append(pool.submit(next, rest, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
