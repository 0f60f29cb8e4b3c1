"""What the consumers of one memory engine share: topics, states and objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from airless.core.errors import Conflict, LeaseLost
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement, StateWrite
from airless.engines.bell import Bell
from airless.engines.memory.topic import Entry, Topic


class MemoryStore:
    """What the consumers of one memory engine share. Each method is one step: none awaits in between."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.states: dict[str, tuple[int, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self._seq = itertools.count()
        self.bell = Bell()

    def publish(self, items: Iterable[tuple[Message, bytes]], now: float) -> None:
        for message, body in items:
            topic = self.topics.setdefault(message.topic, Topic())
            if message.id in topic.entries:
                continue
            entry = Entry(
                topic=message.topic,
                id=message.id,
                body=body,
                key=message.ordering_key,
                priority=message.priority,
                weight=message.weight,
                visible_at=max(now, message.not_before_s),
                seq=next(self._seq),
                attempt=message.attempt,
            )
            topic.entries[entry.id] = entry
            topic.place(entry, now)
        self.bell.ring()

    def leased(self, deliveries: Iterable[Delivery]) -> list[Entry]:
        """The entries behind deliveries; LeaseLost unless each receipt is still the last one given out."""
        entries: list[Entry] = []
        seen: set[str] = set()
        for delivery in deliveries:
            topic = self.topics.get(delivery.topic)
            entry = topic.entries.get(delivery.id) if topic else None
            if entry is None or entry.receipt != delivery.receipt or delivery.receipt in seen:
                raise LeaseLost(
                    f"message {delivery.id} on {delivery.topic!r} is no longer leased to this consumer"
                )
            seen.add(delivery.receipt)
            entries.append(entry)
        return entries

    def settle(self, pairs: Iterable[tuple[Settlement, Entry]], now: float) -> None:
        for settlement, entry in pairs:
            topic = self.topics[entry.topic]
            if not settlement.again:
                topic.remove(entry)
                continue
            entry.attempt += settlement.charge
            entry.visible_at, entry.seq = now + max(0.0, settlement.delay_s), next(self._seq)
            self._give_back(topic, entry, now)
        self.bell.ring()

    def release(self, consumer: str, now: float) -> None:
        """Hand back what a consumer holds, uncharged and in its old place."""
        for topic in self.topics.values():
            for entry in [e for e in topic.entries.values() if e.leased and e.consumer == consumer]:
                self._give_back(topic, entry, now)
        self.bell.ring()

    def _give_back(self, topic: Topic, entry: Entry, now: float) -> None:
        topic.unlease(entry)
        entry.receipt = entry.consumer = None
        topic.place(entry, now)

    def check(self, writes: Iterable[StateWrite]) -> None:
        seen: set[str] = set()
        for write in writes:
            current = self.states.get(write.key)
            if write.key in seen or write.expected != (str(current[0]) if current else None):
                raise Conflict(write.key)
            seen.add(write.key)

    def write(self, write: StateWrite) -> str:
        version = self.states.get(write.key, (0, b""))[0] + 1
        self.states[write.key] = (version, bytes(write.data))
        return str(version)
