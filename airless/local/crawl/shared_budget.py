"""A page budget that the processes of a crawl share."""

from __future__ import annotations

from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized


class SharedBudget:
    """A counter in shared memory, with a lock: no two processes take the same page."""

    def __init__(self, context: SpawnContext, pages: int) -> None:
        self._left: Synchronized[int] = context.Value("q", pages)

    @property
    def spent(self) -> bool:
        return self._left.value <= 0

    def take(self) -> bool:
        with self._left.get_lock():
            if self._left.value <= 0:
                return False
            self._left.value -= 1
            return True

    def give_back(self) -> None:
        with self._left.get_lock():
            self._left.value += 1
