"""What a shard keeps besides where its engine's commits go in steps (`airless.core.steps`).

Who loses a commit there has written his segments by then, and must have written none of the winner's: no name is given
twice, and the state lists those that count. And whoever loads a state publishes its last messages once more, so that a
shard has to know a double of a message, however late it comes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from airless.crawl.failed import Failed
from airless.crawl.received import Origin, Received


class InSteps:
    """The names of a shard's segments of items, what it has received, how much it has sent to each, what failed."""

    __slots__ = ("failed", "items", "received", "sent_to")

    def __init__(self) -> None:
        self.items: list[str] = []
        self.received = Received()
        self.sent_to: dict[int, int] = {}
        self.failed = Failed()

    @staticmethod
    def mark() -> str:
        """What makes a segment's name nobody else's."""
        return f"-{secrets.token_hex(4)}"

    def origin(self, sender: int, to: int) -> Origin:
        """The origin of the next message from `sender`, who keeps this, to a shard."""
        number = self.sent_to.get(to, 0)
        self.sent_to[to] = number + 1
        return sender, number

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, for the shard's document."""
        return {
            "items": self.items,
            "received": self.received.to_list(),
            "sent_to": list(self.sent_to.items()),
            **self.failed.to_dict(),
        }

    @classmethod
    def from_dict(cls, doc: Mapping[str, Any]) -> InSteps:
        """From a shard's document. Raises KeyError, TypeError or ValueError where it lacks what `to_dict` gives."""
        kept = cls()
        kept.items = list(doc["items"])
        kept.received = Received.from_list(doc["received"])
        kept.sent_to = {int(to): int(number) for to, number in doc["sent_to"]}
        kept.failed = Failed.from_dict(doc)
        return kept
