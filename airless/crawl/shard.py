"""A shard: one part of the crawl's hosts, its state, and the commit that moves it on.

The state document of a shard says everything about it that its messages don't: which URLs were seen, which
requests of the messages in flight have ended, the counters, and what is worth remembering of its hosts. It
changes only together with the items written, the requests published and the messages settled.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.ports import Engine, Settlement, StateWrite, Versioned
from airless.crawl.common import Common
from airless.crawl.counts import Counts
from airless.crawl.failed import Failed, Failure
from airless.crawl.held import Held
from airless.crawl.in_steps import InSteps
from airless.crawl.layout import Layout
from airless.crawl.met import Met
from airless.crawl.outgoing import Outgoing
from airless.crawl.records import Progress, progress_of, read_document, read_segments, unreadable
from airless.crawl.request import Request
from airless.crawl.scan import seen_set
from airless.crawl.seen import pack_fingerprints
from airless.crawl.seen_segments import SeenSegments
from airless.crawl.sent import Sent

if TYPE_CHECKING:
    from airless.cost.usage import Usage

_REMEMBERED_IDS = 64


@dataclass(frozen=True, slots=True)
class ShardWrite:
    """One shard's part of a commit."""

    state: StateWrite
    put: dict[str, bytes]
    publish: list[Message]
    settle: list[Settlement]
    delete: list[str]


class Shard:
    """A shard as its one owner holds it. Nothing here waits; `write` says what to commit."""

    def __init__(
        self, layout: Layout, index: int, sent: Sent | None = None, *, in_steps: bool = False
    ) -> None:
        self.layout = layout
        self.index = index
        self.version: str | None = None
        self.counts = Counts()
        self.seen = seen_set()
        self.hosts: dict[str, dict[str, Any]] = {}
        self.levels: dict[int, int] = {}
        self.touched: set[str] = set()
        self.buffered = 0
        self.dirty = False
        self.met: Met | None = None
        self.common: Common | None = None
        # Which crawl it is of, where one after the other has the same name.
        self.born = secrets.token_hex(8)
        self.outgoing = Outgoing()
        self._seq = 0
        self._kept = SeenSegments(f"{layout.seen_prefix}{index:05d}/", unique=in_steps)
        self._marks: list[int] = []
        self._written: tuple[bytes, int] | None = None
        self._progress: dict[str, Progress] = {}
        self._open: dict[str, Held] = {}
        self._recent: deque[str] = deque(maxlen=_REMEMBERED_IDS)
        self._items: list[bytes] = []
        self._settle: dict[str, Settlement] = {}
        self._sent = sent
        self._published = 0
        self._ended = 0
        self._in_steps = InSteps() if in_steps else None
        if in_steps:
            # What is known of a message by heart lacks the number that it was given.
            self._sent = None
        self.used: Usage | None = None
        self.committed_s = 0.0

    @classmethod
    async def load(cls, engine: Engine, layout: Layout, index: int, sent: Sent | None = None) -> Shard:
        """The shard as last committed; a new one where there is none. Raises EngineError if it's damaged.

        `sent` is told of the plain links that it publishes to itself.
        """
        return await cls.read(engine, layout, index, await engine.state.load(layout.shard_key(index)), sent)

    @classmethod
    async def read(
        cls,
        engine: Engine,
        layout: Layout,
        index: int,
        stored: Versioned | None,
        sent: Sent | None = None,
        *,
        earlier: Shard | None = None,
    ) -> Shard:
        """As `load`, of the state that was found.

        What an `earlier` one knows, all of it committed, is taken from it where it is the same crawl's.
        """
        shard = cls(layout, index, sent, in_steps=not engine.atomic)
        if stored is None:
            return shard
        doc = read_document(stored.data)
        read: set[str] = set()
        if earlier is not None and doc.get("born") == earlier.born:
            shard.seen, shard.met = earlier.seen, earlier.met
            read.update(earlier._kept.names)
        try:
            shard.born = doc.get("born", shard.born)
            shard.version = stored.version
            shard.counts = Counts.from_dict(doc["counts"])
            shard.hosts = doc["hosts"]
            shard.levels = {int(depth): int(number) for depth, number in doc["levels"]}
            shard._seq = doc["seq"]
            shard._kept.read(doc)
            shard._progress = progress_of(doc)
            shard._recent.extend(doc["recent"])
            shard._published, shard._ended = doc.get("messages", (0, 0))
            if shard._in_steps is not None:
                shard._in_steps = InSteps.from_dict(doc)
            if "usage" in doc:
                from airless.cost.usage import Usage  # few crawls need it

                shard.use(Usage.from_dict(doc["usage"]))
            shard.seen.update(bytes(shard._kept.delta))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable(error) from error
        for segment in await read_segments(engine, [name for name in shard._kept.names if name not in read]):
            shard.seen.update(segment)
        return shard

    def hold(self, held: Held) -> None:
        """Take a message in hand, with what earlier commits say has ended of it.

        Raises EngineError where the record is of another message.
        """
        total, done, held.admitted = self._progress.pop(held.id, Progress(held.total, 0))
        if total != held.total:
            raise EngineError(f"message {held.id} holds {held.total} requests where {total} were recorded")
        held.done = done
        held.remaining = held.total - done.bit_count()
        self._open[held.id] = held
        # Its lease ran out before giving it back was committed: this delivery takes that one's place.
        self._settle.pop(held.delivery.id, None)

    def hold_offer(self, held: Held, admitted: Collection[int]) -> None:
        """Take a message in hand of which the requests at these positions were admitted; the others have ended."""
        held.admitted = True
        held.done = (1 << held.total) - 1
        for position in admitted:
            held.done ^= 1 << position
        held.remaining = len(admitted)
        self._open[held.id] = held
        self._settle.pop(held.delivery.id, None)
        self.dirty = True

    def has_begun(self, message_id: str) -> bool:
        """Whether it was in hand before, as was noted: what is left of an offer is admitted then."""
        return message_id in self._progress

    def held(self, message_id: str) -> Held | None:
        """The message if it is in hand."""
        return self._open.get(message_id)

    def remember(self, host: str, record: dict[str, Any] | None) -> None:
        """What the next owner has to know of a host; None forgets it."""
        if record is None:
            self.hosts.pop(host, None)
        else:
            self.hosts[host] = record

    def use(self, usage: Usage) -> None:
        """Count what the crawl has used of a cloud. Whichever shard is committed next keeps it."""
        if self.used is None:
            self.used = usage
        else:
            self.used.add(usage)

    def has_applied(self, held: Held) -> bool:
        """Whether the message was ended before: its acknowledgement got lost, or it was published twice."""
        if (
            self._in_steps is not None
            and held.origin is not None
            and self._in_steps.received.has(held.origin)
        ):
            return True
        return held.id in self._recent

    def end(self, held: Held, position: int, items: Sequence[bytes] = ()) -> None:
        """One request has ended, and gave encoded items; its message is settled with the last."""
        bit = 1 << position
        if held.done & bit:
            raise AssertionError(f"position {position} of message {held.id} ended twice")
        held.done |= bit
        held.remaining -= 1
        if items:
            self._items += items
            self.counts.items += len(items)
        self.dirty = True
        if not held.remaining:
            self.end_message(held)

    def end_message(self, held: Held) -> None:
        """All of a message has ended: the next commit acknowledges its latest delivery."""
        self._open.pop(held.id, None)
        if held.id not in self._recent:
            self._recent.append(held.id)
            self._ended += 1
        if self._in_steps is not None and held.origin is not None:
            self._in_steps.received.end(held.origin)
        self.end_double(held)

    def end_double(self, held: Held) -> None:
        """Have a message acknowledged, and nothing else."""
        self.dirty = True
        self._settle[held.delivery.id] = Settlement.done(held.delivery)

    def give_back(self, held: Held, delay_s: float = 0.0) -> None:
        """Return a message to the queue, uncharged, with what has ended of it on record."""
        self.dirty = True
        self._open.pop(held.id, None)
        if held.done or held.admitted:
            self._progress[held.id] = Progress(held.total, held.done, held.admitted)
        self._settle[held.delivery.id] = Settlement.retry(held.delivery, delay_s, charge=False)

    def fail(self, request: Request, reason: str, at_s: float) -> None:
        """A request has failed for good. Where others may want it tried again, it is kept."""
        self.counts.fail(reason)
        if self._in_steps is not None:
            self._in_steps.failed.note(Failure(request, reason, at_s))

    @property
    def failed(self) -> Failed:
        """What has failed and is kept; nothing where nobody asks for it."""
        return Failed() if self._in_steps is None else self._in_steps.failed

    def bring_back(self, segments: Mapping[str, bytes], reasons: Collection[str]) -> list[Failure]:
        """Publish again what has failed for these reasons, or for any: they wait once more. See `Failed.take`."""
        failures = self.failed.take(segments, reasons)
        for failure in failures:
            self.counts.bring_back(failure.reason)
            failure.request.attempt = 0
            self.send(failure.request)
        return failures

    def take_apart(self, held: Held, left: Iterable[Request]) -> None:
        """Publish what is left of a message as one message a request, and end it: who dies of one spares the others."""
        self.outgoing.apart += left
        self.end_message(held)

    def see(self, fingerprint: int) -> bool:
        """Mark a fingerprint as seen; True if it was new."""
        if self.seen.add(fingerprint):
            self._marks.append(fingerprint)
            self.dirty = True
            return True
        return False

    def skip_seen(self, packed: bytes, reason: str) -> None:
        """Count URLs as skipped whose fingerprints, packed, were new and were added to `seen` already."""
        self._kept.delta += packed
        number, counts = len(packed) // 8, self.counts
        counts.discovered += number
        counts.skipped[reason] = counts.skipped.get(reason, 0) + number
        self.dirty = True

    def send(self, request: Request) -> None:
        """Publish an admitted request of this shard."""
        self.outgoing.now.append(request)
        self.dirty = True

    def send_new(self, fingerprint: int, request: Request) -> None:
        """Admit a request and publish it, unless its fingerprint was seen."""
        if self.seen.add(fingerprint):
            self._marks.append(fingerprint)
            self.counts.discovered += 1
            self.outgoing.now.append(request)
            self.dirty = True

    def send_later(self, request: Request, not_before_s: float) -> None:
        """Publish an admitted request of this shard that must wait until `not_before_s` (epoch)."""
        self.outgoing.put_later(request, not_before_s)
        self.dirty = True

    def put_off(self, late: Mapping[str, float]) -> None:
        """Publish what is for hosts in `late` to be had from the time there (epoch)."""
        self.outgoing.put_off(late)

    def send_foreign(self, index: int, request: Request) -> None:
        """Offer a request to the shard that owns it, which decides whether it is new."""
        self.outgoing.foreign.setdefault(index, []).append(request)
        self.dirty = True

    @property
    def held_messages(self) -> list[Held]:
        return list(self._open.values())

    async def merge(self, engine: Engine) -> None:
        """Merge a full tier of seen segments into one; the next write replaces them."""
        if await self._kept.merge(engine):
            self.dirty = True

    def write(self) -> ShardWrite:
        """Everything since the last write, as one commit's part. Apply it, or throw the shard away."""
        put: dict[str, bytes] = {}
        delete: list[str] = []
        self._seq += 1
        if self._items:
            name = f"{self.layout.items_prefix}{self.index:05d}/{self._seq:012d}{self._mark()}"
            put[name] = b"".join(self._items)
            self._items = []
            if self._in_steps is not None:
                self._in_steps.items.append(name)
        if self._in_steps is not None:
            name = f"{self.layout.failed_prefix}{self.index:05d}/{self._seq:012d}{self._mark()}"
            segment, gone = self._in_steps.failed.write(name)
            put.update(segment)
            delete += gone
        marks = pack_fingerprints(self._marks)
        self._kept.delta += marks
        self._marks.clear()
        if self.common is not None:
            self._written = marks, self.common.generation
        seen, replaced = self._kept.write()
        put.update(seen)
        delete += replaced
        publish = list(self._messages())
        self._published += len(publish)
        settle, self._settle = list(self._settle.values()), {}
        state = StateWrite(self.layout.shard_key(self.index), self._document(), self.version)
        self.dirty = False
        return ShardWrite(state, put, publish, settle, delete)

    def committed(self, version: str) -> None:
        """What was written is durable, as this version: others in this process may rely on it."""
        self.version = version
        if self.common is not None and self._written is not None:
            self.common.add(*self._written)
        self._written = None

    def _mark(self) -> str:
        """What makes a segment's name nobody else's, where that matters."""
        return "" if self._in_steps is None else self._in_steps.mark()

    def _messages(self) -> Iterable[Message]:
        outgoing, self.outgoing = self.outgoing, Outgoing()
        steps, index = self._in_steps, self.index
        origin = None if steps is None else lambda to: steps.origin(index, to)
        return outgoing.messages(
            self.layout, index, f"{self.layout.job}/{index}/{self._seq}", origin=origin, sent=self._sent
        )

    def _document(self) -> bytes:
        progress = {id: progress.to_list() for id, progress in self._progress.items()}
        progress.update(
            (held.id, Progress(held.total, held.done, held.admitted).to_list())
            for held in self._open.values()
            if held.done or held.admitted
        )
        besides = {}
        if self._in_steps is not None:
            besides = self._in_steps.to_dict()
            besides["at"] = round(self.committed_s, 3)
        if self.used is not None:
            besides["usage"] = self.used.to_dict()
        return orjson.dumps(
            {
                "seq": self._seq,
                "messages": [self._published, self._ended],
                "counts": self.counts.to_dict(),
                "hosts": self.hosts,
                "levels": list(self.levels.items()),
                **self._kept.to_dict(),
                "progress": progress,
                "recent": list(self._recent),
                "born": self.born,
                **besides,
            }
        )
