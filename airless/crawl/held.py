"""A frontier message in hand, and which of its requests have ended."""

from __future__ import annotations

from collections.abc import Callable

from airless.core.ports import Delivery
from airless.crawl.making import maker_like
from airless.crawl.received import Origin
from airless.crawl.request import Request


class Held:
    """A leased message of `total` requests. `done` has bit i set when the request at position i has ended.

    `origin` is its sender's number for it, if it has one. `admitted` says that what is left of it was offered, and is
    admitted here.
    """

    __slots__ = ("admitted", "delivery", "done", "id", "origin", "remaining", "shard", "total")

    def __init__(
        self,
        delivery: Delivery,
        id: str,
        shard: int,
        total: int,
        done: int = 0,
        origin: Origin | None = None,
    ) -> None:
        self.delivery = delivery
        self.id = id
        self.shard = shard
        self.total = total
        self.done = done
        self.origin = origin
        self.admitted = False
        self.remaining = total - done.bit_count()


class Entry:
    """A request in hand, with its place in the message that brought it."""

    __slots__ = ("held", "position", "request")

    def __init__(self, request: Request, held: Held, position: int) -> None:
        self.request = request
        self.held = held
        self.position = position


entry_of: Callable[[Request, Held, int], Entry] = maker_like(
    Entry(Request(""), Held(Delivery("", b"", "", ""), "", 0, 0), 0), "request", "held", "position"
)
"""An Entry: of the requests that come with a message, each is made one."""
