"""Items on their way out: from the segments that commits wrote to the output, each exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from airless.core.errors import ConfigError, EngineError
from airless.core.ports import Commit, Engine, StateWrite
from airless.crawl.layout import Layout
from airless.local.outputs import Sink, WholeSink, open_sink
from airless.local.outputs.segments import AT_ONCE, Segments, read_segments

INTERVAL_S = 0.5


class Delivery:
    """Appends segments to a sink, records its length, and lets go of the segments: in that order.

    A crash in between is undone by `restore`, which cuts the output to the recorded length; the segments come
    again.
    """

    def __init__(
        self, engine: Engine, layout: Layout, sink: Sink | WholeSink, output: str, version: str | None
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._sink = sink
        self._output = output
        self._version = version

    @classmethod
    async def open(cls, engine: Engine, layout: Layout, output: str) -> Delivery:
        """Take up where an earlier run of the job was.

        Raises ConfigError where that delivered to another output, or where this can be none; OutputError
        where what was delivered isn't there any more.
        """
        version, state = await _recorded(engine, layout, output)
        sink = open_sink(output)
        try:
            await asyncio.to_thread(sink.restore, state)
        except BaseException:
            await asyncio.to_thread(sink.abort)
            raise
        return cls(engine, layout, sink, output, version)

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
            segments = await read_segments(self._engine, names)
            state = await asyncio.to_thread(_append, self._sink, segments)
            await self._record(state, names)
            delivered += len(names)
        return delivered

    async def close(self, *, finished: bool) -> None:
        """Deliver the rest; an output that is made in one piece is made of all that there is."""
        try:
            await self._deliver_rest(finished)
        except BaseException:
            await self.abort()
            raise
        await asyncio.to_thread(self._sink.close)

    async def abort(self) -> None:
        await asyncio.to_thread(self._sink.abort)

    async def _deliver_rest(self, finished: bool) -> None:
        if not self._sink.keeps_segments:
            await self.deliver()
            return
        names = [name async for name in self._engine.objects.list(self._layout.items_prefix)]
        segments = Segments(self._engine, names, asyncio.get_running_loop())
        state = await asyncio.to_thread(self._sink.finish, segments)
        await self._record(state, names if finished else [])

    async def _some(self) -> list[str]:
        names: list[str] = []
        async for name in self._engine.objects.list(self._layout.items_prefix):
            names.append(name)
            if len(names) == AT_ONCE:
                break
        return names

    async def _record(self, state: dict[str, Any], names: list[str]) -> None:
        data = orjson.dumps({"output": self._output, "state": state})
        write = StateWrite(self._layout.delivery_key, data, self._version)
        self._version = (await self._engine.commit(Commit(state=[write], delete=names)))[0]


async def nothing_to_deliver(engine: Engine, layout: Layout, output: str) -> bool:
    """Whether all items that there are stand in this output. Raises ConfigError where they are in another."""
    version, _ = await _recorded(engine, layout, output)
    if version is None:
        return False
    return not [name async for name in engine.objects.list(layout.items_prefix)]


async def _recorded(engine: Engine, layout: Layout, output: str) -> tuple[str | None, dict[str, Any] | None]:
    """The version of the delivery's document, and the state of the sink in it."""
    stored = await engine.state.load(layout.delivery_key)
    if stored is None:
        return None, None
    try:
        doc = orjson.loads(stored.data)
        before, state = doc["output"], dict(doc["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"how far the items were delivered can't be read: {error}; --restart begins anew"
        ) from error
    if before != output:
        raise ConfigError(
            f"this job delivers to {before}, and its first items are there: "
            f"go on with -o {before}, or --restart with -o {output}"
        )
    return stored.version, state


def _append(sink: Sink, segments: list[bytes]) -> dict[str, Any]:
    for segment in segments:
        sink.write(segment)
    return sink.flush()
