"""What a function's process uses of its cloud, so that a crawl can say what it costs."""

from __future__ import annotations

from airless.core.clock import Clock
from airless.cost.usage import Metered, Usage


class Spending:
    """Time and requests of one invocation after the other, each told once.

    What is used after the last telling of an invocation is told in the next one, if the process has a next one.
    """

    def __init__(self, engine: Metered, clock: Clock, *, memory_mb: int, arch: str) -> None:
        self._engine = engine
        self._clock = clock
        self._memory_mb = memory_mb
        self._arch = arch
        self._told = Usage()
        self._untold = Usage()
        self._since_s: float | None = None

    def began(self, at_s: float) -> None:
        """An invocation has begun at this time, by the monotonic clock."""
        self._untold.invocations += 1
        self._since_s = at_s

    def ended(self) -> None:
        """The invocation is over: what passes until the next one is not billed."""
        self._count_time()
        self._since_s = None

    def take(self) -> Usage:
        """What was used since this was last asked."""
        self._count_time()
        now = self._engine.usage.copy()
        taken, self._untold = self._untold, Usage()
        taken.add(now.since(self._told))
        self._told = now
        return taken

    def _count_time(self) -> None:
        if self._since_s is None:
            return
        now_s = self._clock.monotonic()
        self._untold.run(now_s - self._since_s, self._memory_mb, self._arch)
        self._since_s = now_s
