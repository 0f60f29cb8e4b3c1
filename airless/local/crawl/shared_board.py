"""The board of levels that the processes of a crawl share."""

from __future__ import annotations

import math
import time
from multiprocessing.context import SpawnContext

# What one process has sent to another, the other takes in within this time.
_SETTLED_S = 0.4


class SharedBoard:
    """Each process's least depth, in shared memory. A rise counts once it has stood for a moment."""

    def __init__(self, context: SpawnContext, processes: int, index: int = 0) -> None:
        self._depths = context.Array("d", [math.inf] * processes)
        self._index = index
        self._deepest = 0.0
        self._risen_at: float | None = None

    def of(self, index: int) -> SharedBoard:
        """The same board, for the process of that number."""
        board = object.__new__(SharedBoard)
        board._depths, board._index = self._depths, index
        board._deepest, board._risen_at = 0.0, None
        return board

    def tell(self, depth: float) -> None:
        self._depths[self._index] = depth

    def deepest(self) -> float:
        least = min(self._depths[:])
        if least <= self._deepest:
            self._deepest, self._risen_at = least, None
        elif self._risen_at is None:
            self._risen_at = time.monotonic()
        elif time.monotonic() - self._risen_at >= _SETTLED_S:
            self._deepest, self._risen_at = least, None
        return self._deepest
