"""Bulk send: entries cut into requests by number and size, sent many at once, in order within a message group."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airless.core.errors import MessageTooLarge
from airless.engines.aws.batches import Batches, Entry, together
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.queues import Queues
from airless.engines.aws.topics import is_fifo
from airless.engines.aws.wire import ATTRIBUTE, ERROR_ATTRIBUTE, Tag, deduplication_id, group_id, tag_text

# Streams of requests to one FIFO queue, each with its own message groups.
_LANES = 16


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way into a queue. `error` is why it was given up."""

    queue: str
    text: str
    tag: Tag
    delay_s: int = 0
    error: str | None = None

    def entry(self) -> dict[str, Any]:
        """What SendMessageBatch takes, but for the entry's id."""
        attributes = {ATTRIBUTE: {"DataType": "String", "StringValue": tag_text(self.tag)}}
        if self.error is not None:
            attributes[ERROR_ATTRIBUTE] = {"DataType": "String", "StringValue": self.error}
        entry: dict[str, Any] = {"MessageBody": self.text, "MessageAttributes": attributes}
        if is_fifo(self.queue):
            entry["MessageGroupId"] = group_id(self.tag.topic, self.tag.key or "")
            entry["MessageDeduplicationId"] = deduplication_id(self.tag)
        else:
            # Always said, since a queue may have a delay of its own.
            entry["DelaySeconds"] = self.delay_s
        return entry


class Sender:
    """Sends messages to queues by their names."""

    def __init__(self, batches: Batches, queues: Queues, limits: SqsLimits) -> None:
        self._batches = batches
        self._queues = queues
        self._limits = limits

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Durable when it returns. On an error (EngineError) any of them may have been sent.

        Within a message group the order is kept, except about an entry that AWS itself fails: it is tried again
        after the rest of its request.
        """
        by_queue: dict[str, list[Entry]] = {}
        for message in messages:
            by_queue.setdefault(message.queue, []).append(message.entry())
        urls = {queue: await self._queues.url(queue) for queue in by_queue}
        streams: list[Awaitable[None]] = []
        for queue, entries in by_queue.items():
            for lane in lanes(entries, self._limits.entries) if is_fifo(queue) else [entries]:
                chunks = cut(lane, self._limits)
                parts = [chunks] if is_fifo(queue) else [[chunk] for chunk in chunks]
                streams += [self._one_by_one(queue, urls[queue], part) for part in parts]
        await together(streams)

    async def _one_by_one(self, queue: str, url: str, chunks: Sequence[Sequence[Entry]]) -> None:
        for chunk in chunks:
            await self._batches.send(queue, url, chunk)


def cut(entries: Iterable[Entry], limits: SqsLimits) -> list[list[Entry]]:
    """Entries as requests that keep to the limits. Raises MessageTooLarge for one that can't."""
    chunks: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = entry_bytes(entry)
        if size > limits.batch_bytes:
            raise MessageTooLarge(f"a message of {size} bytes is over SQS's {limits.batch_bytes}")
        if not chunks or size > room or len(chunks[-1]) >= limits.entries:
            chunks.append([])
            room = limits.batch_bytes
        chunks[-1].append(entry)
        room -= size
    return chunks


def lanes(entries: Sequence[Entry], a_request: int) -> list[list[Entry]]:
    """Entries of a FIFO queue in lanes that may be sent side by side: each message group is in one.

    No more than there are requests to fill, since each request is billed.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["MessageGroupId"], []).append(entry)
    given: list[list[Entry]] = [[] for _ in range(min(_LANES, len(groups), -(-len(entries) // a_request)))]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(given, key=len).extend(group)
    return given


def entry_bytes(entry: Entry) -> int:
    """What SQS counts of a message: its body, and names, types and values of its attributes."""
    size = len(entry["MessageBody"].encode())
    for name, value in entry["MessageAttributes"].items():
        size += len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
    return size
