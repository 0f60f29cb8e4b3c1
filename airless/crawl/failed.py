"""Requests that failed for good, kept with the reason, so that they can be told of and tried again.

The latest of a shard ride in its document, the others are segments in the object store: a page that doesn't fail costs
nothing, one that does some hundred bytes. Who wants them tried again sends the shard a message that calls for them, and
they leave the record in the very commit that publishes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from airless.core.errors import EngineError, MessageError
from airless.crawl.packing import request_from_dict, request_to_dict
from airless.crawl.request import Request

RETRY = "retry"
"""The key under which a message calls for the failed requests of its shard: those that failed for these reasons, or
all."""

AT_A_CALL = 64
"""So many segments are read for one call, the oldest."""

# What fails rides in the document up to so many bytes.
_TAIL_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was given up at a time (epoch), after its tries."""

    request: Request
    reason: str
    at_s: float

    def to_line(self) -> bytes:
        fields = {"reason": self.reason, "at": round(self.at_s), **request_to_dict(self.request)}
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The inverse. Raises EngineError for anything else."""
        try:
            fields = orjson.loads(line)
            return cls(request_from_dict(fields), str(fields["reason"]), float(fields["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"a record of a failed request can't be read: {error}") from error


class Failed:
    """A shard's failures: the names of the `segments`, in their order, and what is later than those."""

    __slots__ = ("_gone", "_size", "_tail", "segments")

    def __init__(self) -> None:
        self.segments: list[str] = []
        self._tail: list[bytes] = []
        self._size = 0
        self._gone: list[str] = []

    @property
    def tail(self) -> Sequence[bytes]:
        """Those in no segment, as lines."""
        return self._tail

    def note(self, failure: Failure) -> None:
        """Keep a failure with the next commit."""
        line = failure.to_line()
        self._tail.append(line)
        self._size += len(line)

    def take(self, segments: Mapping[str, bytes], reasons: Collection[str]) -> list[Failure]:
        """Take out these segments and all that is in none; what failed for other reasons stays."""
        lines = [line for data in segments.values() for line in data.splitlines()]
        lines += self._tail
        self._gone += segments
        self.segments = [name for name in self.segments if name not in segments]
        self._tail, self._size = [], 0
        taken: list[Failure] = []
        for failure in map(Failure.from_line, lines):
            if not reasons or failure.reason in reasons:
                taken.append(failure)
            else:
                self.note(failure)
        return taken

    def write(self, name: str) -> tuple[dict[str, bytes], list[str]]:
        """What to put with the next commit, under a name that nothing else has; and what to delete."""
        gone, self._gone = self._gone, []
        if self._size < _TAIL_LIMIT:
            return {}, gone
        self.segments.append(name)
        data = b"".join(self._tail)
        self._tail, self._size = [], 0
        return {name: data}, gone

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, for the shard's document."""
        return {"failed": [self.segments, b"".join(self._tail).decode()]}

    @classmethod
    def from_dict(cls, doc: Mapping[str, Any]) -> Self:
        """From a shard's document. Raises TypeError or ValueError where that has something else.

        Documents of crawls that were begun before failures were kept have none.
        """
        failed = cls()
        segments, tail = doc.get("failed", ((), ""))
        failed.segments = list(segments)
        failed._tail = tail.encode().splitlines(keepends=True)
        failed._size = sum(map(len, failed._tail))
        return failed


def called_for(data: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The reasons for which a message wants failed requests tried again, none for any; None where it wants nothing.

    Raises MessageError.
    """
    reasons = data.get(RETRY)
    if reasons is None:
        return None
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise MessageError(f"{reasons!r} are no reasons to have failed")
    return tuple(reasons)
