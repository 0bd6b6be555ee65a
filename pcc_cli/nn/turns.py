"""Work that follows a computation in the order of its steps, and need not hold it up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Turns:
    """Calls, one after the other, each while the caller goes on; at most one is ahead of it.

    beside : False: each call is done at once, by the caller
    """

    def __init__(self, beside: bool) -> None:
        self._pool = ThreadPoolExecutor(1) if beside else None
        self._last: Future[None] | None = None

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if kind is None:
            self._finish()

    def take(self, call: Callable[[], None]) -> None:
        """Waits until the call before has ended, whose exception is raised here, then begins."""
        if self._pool is None:
            call()
            return
        self._finish()
        self._last = self._pool.submit(call)

    def _finish(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()
