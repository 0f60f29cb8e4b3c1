"""Segments of items, read from the engine some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from airless.core.at_once import each
from airless.core.errors import EngineError
from airless.core.ports import Engine

AT_ONCE = 64


class Segments:
    """These segments in order, as often as they are asked for, from a thread that is not the loop's."""

    def __init__(self, engine: Engine, names: Sequence[str], loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._names = names
        self._loop = loop

    def __iter__(self) -> Iterator[bytes]:
        for names in groups(self._names):
            reading = read_segments(self._engine, names)
            yield from asyncio.run_coroutine_threadsafe(reading, self._loop).result()


async def read_segments(engine: Engine, names: Sequence[str]) -> list[bytes]:
    """The segments of these names, read side by side. Raises EngineError where one is missing."""
    segments = await each(engine.objects.get, names, at_once=AT_ONCE)
    return [_there(name, segment) for name, segment in zip(names, segments, strict=True)]


def groups(names: Sequence[str]) -> Iterator[list[str]]:
    """The names, as many at a time as are read at once."""
    left = iter(names)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _there(name: str, segment: bytes | None) -> bytes:
    if segment is None:
        raise EngineError(f"the segment {name!r} of items is missing from the state; --restart begins anew")
    return segment
