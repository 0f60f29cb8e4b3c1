"""How the URLs are kept that a shard has seen: the latest in its document, the others in segments of the object store.

Segments are written once. Eight of a level become one of the next, so that there are few of them, and each URL is
written again a few times only, however many there are.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airless.core.ports import Engine
from airless.crawl.in_steps import InSteps
from airless.crawl.records import read_segments

# Fingerprints ride in the state document up to this number, then go to a segment of their own.
_DELTA_LIMIT = 2_048
_MERGE_AT = 8


@dataclass(frozen=True, slots=True)
class _Merged:
    """A segment that takes the place of others."""

    name: str
    data: bytes
    replaces: list[str]


class SeenSegments:
    """What is kept as of the next write. Names begin with `prefix`, and are like no other owner's where `unique`."""

    __slots__ = ("_merged", "_number", "_prefix", "_segments", "_unique", "delta")

    def __init__(self, prefix: str, *, unique: bool) -> None:
        self._prefix = prefix
        self._unique = unique
        self._number = 0
        self._segments: list[tuple[str, int]] = []
        self._merged: _Merged | None = None
        self.delta = bytearray()
        """Fingerprints, packed, that are in no segment."""

    @property
    def names(self) -> list[str]:
        """Of the segments."""
        return [name for name, _ in self._segments]

    async def merge(self, engine: Engine) -> bool:
        """Merge a full level into one segment, where there is one; the next write replaces them."""
        if self._merged is not None:
            return False
        for level in sorted({level for _, level in self._segments}):
            tier = [name for name, its in self._segments if its == level]
            if len(tier) < _MERGE_AT:
                continue
            parts = await read_segments(engine, tier)
            name = self._next()
            self._merged = _Merged(name, b"".join(parts), tier)
            self._segments = [segment for segment in self._segments if segment[1] != level]
            self._segments.append((name, level + 1))
            return True
        return False

    def write(self) -> tuple[dict[str, bytes], list[str]]:
        """The segments to put, by name, and the names of those to delete."""
        put: dict[str, bytes] = {}
        delete: list[str] = []
        if self._merged is not None:
            put[self._merged.name] = self._merged.data
            delete += self._merged.replaces
            self._merged = None
        if len(self.delta) >= _DELTA_LIMIT * 8:
            name = self._next()
            put[name] = bytes(self.delta)
            self._segments.append((name, 0))
            self.delta = bytearray()
        return put, delete

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, for the shard's document."""
        return {
            "segment_number": self._number,
            "segments": self._segments,
            "delta": base64.b64encode(self.delta).decode(),
        }

    def read(self, doc: Mapping[str, Any]) -> None:
        """Take what a shard's document says. Raises KeyError, TypeError or ValueError for anything else."""
        self._number = doc["segment_number"]
        self._segments = [(name, level) for name, level in doc["segments"]]
        self.delta = bytearray(base64.b64decode(doc["delta"]))

    def _next(self) -> str:
        self._number += 1
        return f"{self._prefix}{self._number:08d}{InSteps.mark() if self._unique else ''}"
