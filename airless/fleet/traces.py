"""What an engine has of one page of a crawl: marks in the shards, items, and messages that are laid aside."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from airless.core.at_once import each
from airless.core.codec import decode
from airless.core.errors import AirlessError
from airless.core.ports import DeadLetters, Engine, Searchable
from airless.core.steps import peek
from airless.crawl.counts import Counts
from airless.crawl.discovery import CUT, REFUSED, SENT, mark_of
from airless.crawl.failed import Failed, Failure
from airless.crawl.layout import Layout
from airless.crawl.packing import unpack
from airless.crawl.received import UNPARKED
from airless.crawl.records import Progress, progress_of, read_document
from airless.crawl.settings import Dedup

_AT_ONCE = 32
_MOST_LETTERS = 1_000
# Each holds up to 200 requests.
_MOST_MESSAGES = 5_000


@dataclass(frozen=True, slots=True)
class Marks:
    """What a shard has noted of a page: it was admitted, is too deep, was refused where it was found, or sent on.

    `waiting` are the URLs that it has admitted and that have not ended; `failed` those that have failed, None where
    that isn't kept. `progress` says which requests have ended of messages that have not. `version` is the state's.
    """

    shard: int
    admitted: bool
    too_deep: bool
    refused: bool
    sent: bool
    waiting: int
    items: Sequence[str]
    failed: Failed | None
    progress: Mapping[str, Progress]
    version: str


class Traces:
    """Looks for what there is of a page, without disturbing who works on the crawl."""

    def __init__(self, engine: Engine, layout: Layout) -> None:
        self._engine = engine
        self._layout = layout

    async def marks(self, index: int, mark: int) -> Marks | None:
        """What a shard has noted of the page with this fingerprint; None where the shard has nothing yet."""
        stored = await peek(self._engine.state, self._layout.shard_key(index))
        if stored is None:
            return None
        doc = read_document(stored.data)
        twisted = {name: _packed(mark ^ twist) for name, twist in _TWISTS.items()}
        found = {name for name, packed in twisted.items() if _holds(_delta(doc), packed)}
        names = [name for name, _ in doc["segments"]]
        for start in range(0, len(names), _AT_ONCE):
            for data in await each(
                self._engine.objects.get, names[start : start + _AT_ONCE], at_once=_AT_ONCE
            ):
                found |= {name for name, packed in twisted.items() if _holds(data or b"", packed)}
        return Marks(
            index,
            admitted="admitted" in found,
            too_deep="too_deep" in found,
            refused="refused" in found,
            sent="sent" in found,
            waiting=Counts.from_dict(doc["counts"]).waiting,
            items=doc.get("items", ()),
            failed=Failed.from_dict(doc) if "failed" in doc else None,
            progress=progress_of(doc),
            version=stored.version,
        )

    async def finders(self, mark: int) -> AsyncIterator[Marks]:
        """The shards, in order, whose pages led to this one: they refused it or sent it on."""
        keys = [key async for key in self._engine.state.list(self._layout.shard_prefix)]
        for key in keys:
            marks = await self.marks(int(key.removeprefix(self._layout.shard_prefix)), mark)
            if marks is not None and (marks.refused or marks.sent):
                yield marks

    async def item(self, marks: Marks, url: str) -> dict[str, Any] | None:
        """The first item of a shard that names this URL in one of its fields."""
        names: Sequence[str] = marks.items
        if not names:
            prefix = f"{self._layout.items_prefix}{marks.shard:05d}/"
            names = [name async for name in self._engine.objects.list(prefix)]
        quoted = orjson.dumps(url)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for data in await each(self._engine.objects.get, some, at_once=_AT_ONCE):
                for line in (data or b"").splitlines():
                    if quoted in line and url in (item := orjson.loads(line)).values():
                        return dict(item)
        return None

    async def failure(self, marks: Marks, url: str) -> Failure | None:
        """The latest failure of this URL that a shard has kept."""
        if marks.failed is None:
            return None
        quoted = orjson.dumps(url)
        for line in reversed(marks.failed.tail):
            if quoted in line and (failure := Failure.from_line(line)).request.url == url:
                return failure
        for name in reversed(marks.failed.segments):
            # One that is gone was called for just now.
            for line in reversed((await self._engine.objects.get(name) or b"").splitlines()):
                if quoted in line and (failure := Failure.from_line(line)).request.url == url:
                    return failure
        return None

    async def parked(self, url: str) -> bool | None:
        """Whether the page is in a message that is laid aside; None where nothing is laid aside."""
        names = [name async for name in self._engine.objects.list(self._layout.parked_prefix)]
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for data in await each(self._engine.objects.get, some, at_once=_AT_ONCE):
                if data is not None and url in _urls(data):
                    return True
        return False if names else None

    async def queued(
        self, shard: int, mark: int, dedup: Dedup, progress: Mapping[str, Progress]
    ) -> bool | None:
        """Whether a message of a shard, waiting or at work, holds the page with this fingerprint, which has not ended.

        None where the queue can't be looked through, or is too long for that.
        """
        queue = self._engine.queue
        if not isinstance(queue, Searchable):
            return None
        looked_at = 0
        async with aclosing(queue.bodies(self._layout.topic, str(shard))) as bodies:
            async for body in bodies:
                looked_at += 1
                if looked_at > _MOST_MESSAGES:
                    return None
                if _holds_page(body, shard, mark, dedup, progress):
                    return True
        return False

    async def dead(self, shard: int) -> int:
        """How many messages of a shard were given up, up to a bound; which pages are in them isn't told."""
        queue = self._engine.queue
        if not isinstance(queue, DeadLetters):
            return 0
        letters = await queue.letters(self._layout.topic, limit=_MOST_LETTERS)
        return sum(letter.ordering_key == str(shard) for letter in letters)


_TWISTS = {"admitted": 0, "too_deep": CUT, "refused": REFUSED, "sent": SENT}


def _delta(doc: dict[str, Any]) -> bytes:
    return base64.b64decode(doc["delta"])


def _packed(mark: int) -> bytes:
    return mark.to_bytes(8, "little")


def _holds(fingerprints: bytes, packed: bytes) -> bool:
    """Whether one of the fingerprints is this one; eight bytes of two neighbours are none."""
    at = fingerprints.find(packed)
    while at >= 0:
        if at % 8 == 0:
            return True
        at = fingerprints.find(packed, at + 1)
    return False


def _holds_page(body: bytes, shard: int, mark: int, dedup: Dedup, progress: Mapping[str, Progress]) -> bool:
    try:
        message = decode("", body, id="")
        requests = unpack(message.data)
    except AirlessError:
        return False  # what can't be read is no page
    if message.data.get("shard") != shard:
        return False
    begun = progress.get(str(message.data.get(UNPARKED, message.id)))
    done = 0 if begun is None else begun.done
    return any(
        request.method == "GET" and request.body is None and mark_of(request.url, dedup) == mark
        for position, request in enumerate(requests)
        if not done >> position & 1
    )


def _urls(body: bytes) -> set[str]:
    try:
        return {request.url for request in unpack(decode("", body, id="").data)}
    except AirlessError:
        return set()  # what can't be read is no page
