"""Level by level: with a limit on depth, a page must be met on its shortest path, or its links are cut off.

Without a limit nothing waits for this. With one, a request starts when no request nearer to the seeds waits
or is under way, in any process of the crawl.
"""

from __future__ import annotations

import math
from typing import Protocol


class Board(Protocol):
    """Where the processes of a crawl tell each other how far they are."""

    def tell(self, depth: float) -> None:
        """The least depth at which this process has work; infinite where it has none."""
        ...

    def deepest(self) -> float:
        """The depth up to which requests may start."""
        ...


class OwnBoard:
    """The board of a crawl that has one process."""

    def __init__(self) -> None:
        self._depth = math.inf

    def tell(self, depth: float) -> None:
        self._depth = depth

    def deepest(self) -> float:
        return self._depth


class Levels:
    """How many requests wait or are under way at each depth, in this process."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._waiting: dict[int, int] = {}

    def deepest(self) -> float:
        return self._board.deepest()

    def enter(self, depth: int, number: int = 1) -> None:
        self._waiting[depth] = self._waiting.get(depth, 0) + number
        self._board.tell(min(self._waiting))

    def leave(self, depth: int) -> None:
        left = self._waiting.get(depth, 0) - 1
        if left > 0:
            self._waiting[depth] = left
            return
        self._waiting.pop(depth, None)
        self._board.tell(min(self._waiting, default=math.inf))
