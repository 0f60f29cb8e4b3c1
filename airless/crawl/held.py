"""A frontier message in hand, and which of its requests have ended."""

from __future__ import annotations

from airless.core.ports import Delivery
from airless.crawl.request import Request


class Held:
    """A leased message of `total` requests. `done` has bit i set when the request at position i has ended."""

    __slots__ = ("delivery", "done", "id", "remaining", "shard", "total")

    def __init__(self, delivery: Delivery, id: str, shard: int, total: int, done: int = 0) -> None:
        self.delivery = delivery
        self.id = id
        self.shard = shard
        self.total = total
        self.done = done
        self.remaining = total - done.bit_count()

    def end(self, position: int) -> bool:
        """Mark one request as ended; True when it was the last."""
        bit = 1 << position
        if self.done & bit:
            raise AssertionError(f"position {position} of message {self.id} ended twice")
        self.done |= bit
        self.remaining -= 1
        return self.remaining == 0


class Entry:
    """A request in hand, with its place in the message that brought it."""

    __slots__ = ("held", "position", "request")

    def __init__(self, request: Request, held: Held, position: int) -> None:
        self.request = request
        self.held = held
        self.position = position
