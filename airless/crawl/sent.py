"""What this process published lately: when it comes back it needn't be read from its message again."""

from __future__ import annotations

from collections import OrderedDict

from airless.crawl.request import Request

_MOST_REQUESTS = 16_000


class Sent:
    """The requests of the messages published last, up to some thousands. The queue decides who gets them."""

    def __init__(self) -> None:
        self._batches: OrderedDict[str, tuple[int, list[Request]]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """How many requests are remembered."""
        return self._size

    def remember(self, message_id: str, shard: int, requests: list[Request]) -> None:
        """Note what a message holds, in its order."""
        self._batches[message_id] = shard, requests
        self._size += len(requests)
        while self._size > _MOST_REQUESTS:
            self._size -= len(self._batches.popitem(last=False)[1][1])

    def take(self, message_id: str) -> tuple[int, list[Request]] | None:
        """The shard and the requests of a message, and forget them; None where they aren't known."""
        found = self._batches.pop(message_id, None)
        if found is not None:
            self._size -= len(found[1])
        return found
