"""What is kept of a shard in the engine, read back: its document, and its segments of seen URLs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from airless.core.at_once import each
from airless.core.errors import EngineError
from airless.core.ports import Engine

_AT_ONCE = 32


def read_document(data: bytes) -> dict[str, Any]:
    """A shard's state document. Raises EngineError where it isn't one."""
    try:
        doc = orjson.loads(data)
        doc["counts"], doc["hosts"], doc["progress"]
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(error) from error
    return doc  # type: ignore[no-any-return]


class Progress(NamedTuple):
    """Of a message in flight: its number of requests, and the bits of those that have ended.

    Of one that was offered, and `admitted`, those have ended too that were not.
    """

    total: int
    done: int
    admitted: bool = False

    @property
    def weight(self) -> int:
        """How many requests it brings on top of what it weighs in the queue: offers weigh nothing there."""
        return (self.total if self.admitted else 0) - self.done.bit_count()

    def to_list(self) -> list[Any]:
        """As JSON data, for the shard's document."""
        return [self.total, f"{self.done:x}", *([1] if self.admitted else [])]


def progress_of(doc: dict[str, Any]) -> dict[str, Progress]:
    """The progress of each message in flight. Raises TypeError or ValueError where a document's isn't any."""
    return {
        id: Progress(total, int(done, 16), bool(admitted))
        for id, (total, done, *admitted) in doc["progress"].items()
    }


def unreadable(error: Exception) -> EngineError:
    """What to tell the user of a document that can't be read."""
    return EngineError(f"a shard's state can't be read: {error}; --restart begins anew")


async def read_segments(engine: Engine, names: Sequence[str]) -> list[bytes]:
    """Segments of seen URLs, read side by side. Without one they would be crawled again: raises EngineError."""
    segments = await each(engine.objects.get, names, at_once=_AT_ONCE)
    return [_checked(name, data) for name, data in zip(names, segments, strict=True)]


async def read_failed(engine: Engine, names: Sequence[str]) -> list[bytes]:
    """Segments of failed requests, read side by side. Raises EngineError where one is missing."""
    found = []
    for name, data in zip(names, await each(engine.objects.get, names, at_once=_AT_ONCE), strict=True):
        if data is None:
            raise EngineError(f"the segment {name!r} of failed requests is missing")
        found.append(data)
    return found


def _checked(name: str, data: bytes | None) -> bytes:
    if data is None:
        raise EngineError(f"the segment {name!r} of seen URLs is missing; --restart begins anew")
    if len(data) % 8:
        raise EngineError(f"the segment {name!r} of seen URLs is damaged; --restart begins anew")
    return data
