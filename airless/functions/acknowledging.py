"""An engine as a function sees it, which notes how ended what the platform delivered: the answer says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airless.core.message import Message
from airless.core.ports import (
    Commit,
    DeadLetter,
    DeadLetters,
    Delivery,
    Depth,
    Engine,
    Objects,
    Queue,
    Settlement,
    State,
)


class Acknowledging:
    """`Engine`. `ended` says how each of `deliveries` ended whose end is durable, by receipt.

    Settlements go to the engine's queue too: it sends again what is handed back, and knows by the receipt that a
    platform holds the message and is to delete it. They go with the body, which whoever held the message may have let
    go of. Where the deliveries come from no queue (`queued` is no), nothing goes there.
    """

    def __init__(self, engine: Engine, deliveries: Sequence[Delivery], *, queued: bool = True) -> None:
        self._engine = engine
        self._delivered = {delivery.receipt: delivery for delivery in deliveries}
        self._queued = queued
        self.ended: dict[str, Settlement] = {}

    @property
    def queue(self) -> Queue:
        queue = self._engine.queue
        if self._queued and isinstance(queue, DeadLetters):
            return _KeepingQueue(self, queue)
        return _Queue(self, queue)

    @property
    def state(self) -> State:
        return self._engine.state

    @property
    def objects(self) -> Objects:
        return self._engine.objects

    @property
    def atomic(self) -> bool:
        return self._engine.atomic

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`, without the acknowledgements that the host makes."""
        versions = await self._engine.commit(replace(commit, settle=self._sent(commit.settle)))
        self._note(commit.settle)
        return versions

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if sent := self._sent(settlements):
            await self._engine.queue.settle(sent)
        self._note(settlements)

    async def aclose(self) -> None:
        """Nothing: the engine is its host's to close."""

    def _sent(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """What the engine's own queue has to do."""
        sent: list[Settlement] = []
        for settlement in settlements:
            delivery = self._delivered.get(settlement.delivery.receipt)
            if delivery is None:
                sent.append(settlement)
            elif self._queued:
                sent.append(replace(settlement, delivery=delivery))
        return sent

    def _note(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            if settlement.delivery.receipt in self._delivered:
                self.ended[settlement.delivery.receipt] = settlement


class _Queue:
    """The engine's queue, of which `settle` is the view's."""

    def __init__(self, view: Acknowledging, queue: Queue) -> None:
        self._view = view
        self._queue = queue

    async def publish_many(self, messages: Sequence[Message]) -> None:
        await self._queue.publish_many(messages)

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        return await self._queue.receive(topic, limit=limit, lease_s=lease_s, wait_s=wait_s, keys=keys)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self._view.settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        await self._queue.extend(deliveries, lease_s)

    async def depth(self, topic: str) -> Depth:
        return await self._queue.depth(topic)


class _KeepingQueue(_Queue):
    """That of an engine whose queue keeps dead letters."""

    def __init__(self, view: Acknowledging, queue: DeadLetters) -> None:
        super().__init__(view, view._engine.queue)
        self._letters = queue

    async def redrive(self, topic: str) -> int:
        return await self._letters.redrive(topic)

    async def letters(self, topic: str, *, limit: int) -> list[DeadLetter]:
        return await self._letters.letters(topic, limit=limit)
