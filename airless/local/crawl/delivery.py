"""Items on their way out: from the segments that commits wrote to the output, each exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import orjson

from airless.core.errors import EngineError, OutputError
from airless.core.ports import Commit, Engine, StateWrite
from airless.crawl.shard import Layout
from airless.local.outputs import Sink, WholeSink

INTERVAL_S = 0.5
_SEGMENTS = 64


class Delivery:
    """Appends segments to a sink, records its length, and lets go of the segments: in that order.

    A crash in between is undone by `restore`, which cuts the output to the recorded length; the segments come again.
    """

    def __init__(self, engine: Engine, layout: Layout, sink: Sink | WholeSink, output: str) -> None:
        self._engine = engine
        self._layout = layout
        self._sink = sink
        self._output = output
        self._version: str | None = None

    async def restore(self) -> None:
        """Take up where an earlier run was. Raises OutputError where its output is gone or was another."""
        stored = await self._engine.state.load(self._layout.delivery_key)
        state = None
        if stored is not None:
            self._version = stored.version
            doc = orjson.loads(stored.data)
            if doc["output"] != self._output:
                raise OutputError(
                    f"this job delivers to {doc['output']}, and its first items are there: "
                    f"go on with -o {doc['output']}, or --restart with {self._output}"
                )
            state = doc["state"]
        await asyncio.to_thread(self._sink.restore, state)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver while the crawl runs, until `stop`."""
        while not stop.is_set():
            await self.deliver()
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def deliver(self) -> int:
        """Everything that is committed and not delivered; the number of segments."""
        if self._sink.keeps_segments:
            return 0
        delivered = 0
        while names := await self._some():
            segments = [await _read(self._engine, name) for name in names]
            state = await asyncio.to_thread(self._append, self._sink, segments)
            await self._record(state, names)
            delivered += len(names)
        return delivered

    async def close(self, *, finished: bool) -> None:
        """Deliver the rest; an output that is made in one piece is made of all that there is."""
        if self._sink.keeps_segments:
            names = [name async for name in self._engine.objects.list(self._layout.items_prefix)]
            loop = asyncio.get_running_loop()
            state = await asyncio.to_thread(self._sink.finish, _Segments(self._engine, names, loop))
            await self._record(state, names if finished else [])
        else:
            await self.deliver()
        await asyncio.to_thread(self._sink.close)

    async def abort(self) -> None:
        await asyncio.to_thread(self._sink.abort)

    async def _some(self) -> list[str]:
        names: list[str] = []
        async for name in self._engine.objects.list(self._layout.items_prefix):
            names.append(name)
            if len(names) == _SEGMENTS:
                break
        return names

    @staticmethod
    def _append(sink: Sink, segments: list[bytes]) -> dict[str, object]:
        for segment in segments:
            sink.write(segment)
        return sink.flush()

    async def _record(self, state: dict[str, object], names: list[str]) -> None:
        data = orjson.dumps({"output": self._output, "state": state})
        write = StateWrite(self._layout.delivery_key, data, self._version)
        self._version = (await self._engine.commit(Commit(state=[write], delete=names)))[0]


class _Segments:
    """All segments in order, as often as they are asked for, from a thread that is not the loop's."""

    def __init__(self, engine: Engine, names: list[str], loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._names = names
        self._loop = loop

    def __iter__(self) -> Iterator[bytes]:
        names = iter(self._names)
        while some := list(islice(names, _SEGMENTS)):
            yield from asyncio.run_coroutine_threadsafe(self._read(some), self._loop).result()

    async def _read(self, names: list[str]) -> list[bytes]:
        return [await _read(self._engine, name) for name in names]


async def _read(engine: Engine, name: str) -> bytes:
    segment = await engine.objects.get(name)
    if segment is None:
        raise EngineError(f"the segment {name!r} of items is missing from the state; --restart begins anew")
    return segment
