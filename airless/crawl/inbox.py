"""Where frontier messages come from: a queue without end, or the one batch that an invocation was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from airless.core.ports import Delivery, Queue


class Inbox(Protocol):
    """Leased messages, as many as are asked for."""

    @property
    def endless(self) -> bool:
        """More may come at any time. Otherwise the work ends with what was given at the beginning."""
        ...

    async def receive(self, limit: int, keys: Sequence[str] | None) -> list[Delivery]: ...

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None: ...

    def unread(self) -> list[Delivery]:
        """What was given to this process and never received; taken out."""
        ...


class QueueInbox:
    """A topic of an engine, for the hosts that run for as long as there is work."""

    endless = True

    def __init__(self, queue: Queue, topic: str, lease_s: float) -> None:
        self._queue = queue
        self._topic = topic
        self._lease_s = lease_s

    async def receive(self, limit: int, keys: Sequence[str] | None) -> list[Delivery]:
        return await self._queue.receive(self._topic, limit=limit, lease_s=self._lease_s, keys=keys)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        await self._queue.extend(deliveries, lease_s)

    def unread(self) -> list[Delivery]:
        return []


class BatchInbox:
    """The messages of one invocation of a function; their leases are the host's to keep."""

    endless = False

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = list(deliveries)

    async def receive(self, limit: int, keys: Sequence[str] | None) -> list[Delivery]:
        given, self._deliveries = self._deliveries[:limit], self._deliveries[limit:]
        return given

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        return

    def unread(self) -> list[Delivery]:
        rest, self._deliveries = self._deliveries, []
        return rest
