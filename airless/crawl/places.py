"""Requests under way, of all the crawlers that share a process: no more than there are places for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Places:
    """So many places. While somebody waits for one, who has his fair share of them gets no more.

    Who gives one back is about to take the next: only who has less than his share is handed it before.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._crawlers = 0
        self._waiting: dict[Place, None] = {}
        self._to_wake: asyncio.Handle | None = None

    @property
    def full(self) -> bool:
        return self.taken >= self.most

    def join(self, wake: Callable[[], None]) -> Place:
        """A crawler's part in them; `wake` is called when it may take again what it didn't get."""
        self._crawlers += 1
        return Place(self, wake)

    def _room(self, place: Place) -> int:
        free = self.most - self.taken
        if len(self._waiting) > (place in self._waiting):
            free = min(free, self._fair - place.taken)
        return max(0, free)

    @property
    def _fair(self) -> int:
        return max(1, self.most // max(1, self._crawlers))

    def _leave(self, place: Place) -> None:
        self._crawlers -= 1
        self._waiting.pop(place, None)

    def _given_back(self, giver: Place) -> None:
        """Have those who wait and have less than their share try again now, all of them if something is left then."""
        fair = self._fair
        self._wake([place for place in self._waiting if place.taken < fair and place is not giver])
        if self._waiting and self._to_wake is None and not self.full:
            self._to_wake = asyncio.get_running_loop().call_soon(self._wake_all)

    def _wake_all(self) -> None:
        self._to_wake = None
        self._wake(list(self._waiting))

    def _wake(self, places: Sequence[Place]) -> None:
        """Have them try again, who waited longest first; who gets too little waits anew."""
        for place in places:
            if self.full:
                return
            if place in self._waiting:
                del self._waiting[place]
                place.wake()


@dataclass(eq=False, slots=True)
class Place:
    """One crawler's part of the places: how many it has `taken`."""

    places: Places
    wake: Callable[[], None]
    taken: int = 0

    def room(self, wanted: int) -> int:
        """How many of those wanted it may take now."""
        return min(self.places._room(self), wanted)

    def wait(self) -> None:
        """Be woken when it may take more."""
        self.places._waiting.setdefault(self)

    def take(self, number: int) -> None:
        self.taken += number
        self.places.taken += number

    def give_back(self, number: int) -> None:
        self.taken -= number
        self.places.taken -= number
        if self.places._waiting:
            self.places._given_back(self)

    def leave(self) -> None:
        """Give back what is left, and want no more."""
        self.places._leave(self)
        self.give_back(self.taken)
