"""A bound on how many do something at once; who comes first is served first."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """So many may be taken; `take` waits in line for one to be given back.

    Beside asyncio's semaphore it can be taken without a coroutine, which the hot path saves.
    """

    __slots__ = ("free", "number", "waiting")

    def __init__(self, number: int) -> None:
        self.free = self.number = number
        self.waiting: deque[asyncio.Future[None]] = deque()

    @property
    def wanted(self) -> bool:
        """One is taken, or somebody waits for one."""
        return self.free < self.number or bool(self.waiting)

    async def take(self) -> None:
        if self.free > 0:
            self.free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # The slot came in the same moment.
                self.give()
            raise

    def give(self) -> None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
