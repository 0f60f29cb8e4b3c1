"""Requests under way, of all the crawlers that share a process: no more than there are places for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Places:
    """So many places. While somebody waits for one, who has his fair share of them gets no more."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._crawlers = 0
        self._waiting: dict[Place, None] = {}

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
            fair = max(1, self.most // max(1, self._crawlers))
            free = min(free, fair - place.taken)
        return max(0, free)

    def _leave(self, place: Place) -> None:
        self._crawlers -= 1
        self._waiting.pop(place, None)

    def _wake(self) -> None:
        """Have those who wait try again, who waited longest first; who gets too little waits anew."""
        for place in list(self._waiting):
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
        """How many of those wanted it may take; it is woken later for the rest."""
        room = self.places._room(self)
        if room < wanted:
            self.places._waiting.setdefault(self)
        return min(room, wanted)

    def take(self, number: int) -> None:
        self.taken += number
        self.places.taken += number

    def give_back(self, number: int) -> None:
        self.taken -= number
        self.places.taken -= number
        if self.places._waiting:
            self.places._wake()

    def leave(self) -> None:
        """Give back what is left, and want no more."""
        self.places._leave(self)
        self.give_back(self.taken)
