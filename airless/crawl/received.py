"""Which messages of other shards, and of its own, a shard has ended: a double is known, however late it comes.

Each shard numbers what it sends to another, from 0 up. Nearly all of it ends in that order, so that for each sender
one number says it all: everything below has ended. What ended before its turn is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ORIGIN = "from"
"""The key in a message's data."""

UNPARKED = "id"
"""The key in a message's data under which one that was laid aside keeps the id that it had."""

Origin = tuple[int, int]
"""Who sent a message, and its number among those from there to here."""

SEEDS = -1
"""The sender of seeds. They are numbered by their place among all shards' seeds, so each one is listed."""


class Received:
    """The messages that have ended, by sender."""

    __slots__ = ("_ahead", "_below")

    def __init__(self) -> None:
        self._below: dict[int, int] = {}
        self._ahead: dict[int, set[int]] = {}

    def has(self, origin: Origin) -> bool:
        """Whether the message has ended."""
        sender, number = origin
        return number < self._below.get(sender, 0) or number in self._ahead.get(sender, ())

    def end(self, origin: Origin) -> None:
        """The message has ended."""
        sender, number = origin
        below = self._below.get(sender, 0)
        if number != below:
            if number > below:
                self._ahead.setdefault(sender, set()).add(number)
            return
        ahead = self._ahead.get(sender, set())
        below += 1
        while below in ahead:
            ahead.remove(below)
            below += 1
        self._below[sender] = below

    def to_list(self) -> list[list[Any]]:
        """As JSON: [sender, all below this, [those ahead]]."""
        senders = sorted(self._below.keys() | self._ahead.keys())
        return [
            [sender, self._below.get(sender, 0), sorted(self._ahead.get(sender, ()))] for sender in senders
        ]

    @classmethod
    def from_list(cls, data: list[list[Any]]) -> Received:
        """The inverse of `to_list`. Raises TypeError or ValueError for anything else."""
        received = cls()
        for sender, below, ahead in data:
            received._below[int(sender)] = int(below)
            if ahead:
                received._ahead[int(sender)] = set(map(int, ahead))
        return received


def origin_of(data: Mapping[str, Any]) -> Origin | None:
    """The origin that a message's data names; None where it names none."""
    match data.get(ORIGIN):
        case [int(sender), int(number)] if sender >= SEEDS and number >= 0:
            return sender, number
    return None
