"""How many pages may still be fetched: exact, also where several processes draw on it."""

from __future__ import annotations

from typing import Protocol


class Budget(Protocol):
    """Taken before a fetch starts, given back when it brought no page."""

    def take(self) -> bool: ...

    def give_back(self) -> None: ...

    @property
    def spent(self) -> bool:
        """Nothing is left at this moment; what is given back may change that."""
        ...


class Unlimited:
    spent = False

    def take(self) -> bool:
        return True

    def give_back(self) -> None:
        return


class PageBudget:
    """A number of pages, for one process."""

    def __init__(self, pages: int) -> None:
        self._left = pages

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def take(self) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        self._left += 1
