"""The items of a crawl as one output: of all segments that were committed, and of no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from airless.core.ports import Engine
from airless.local.outputs import Sink, WholeSink, open_sink
from airless.local.outputs.segments import Segments, groups, read_segments


async def write_items(engine: Engine, segments: Sequence[str], output: str) -> None:
    """Write the segments to an output, anew: .jsonl, .csv, .parquet, or - for standard output.

    Raises ConfigError where that can be none, OutputError where it can't be written.
    """
    sink = open_sink(output)
    try:
        await asyncio.to_thread(sink.restore, None)
        await _fill(engine, segments, sink)
    except BaseException:
        await asyncio.to_thread(sink.abort)
        raise
    await asyncio.to_thread(sink.close)


async def _fill(engine: Engine, segments: Sequence[str], sink: Sink | WholeSink) -> None:
    if sink.keeps_segments:
        whole = Segments(engine, segments, asyncio.get_running_loop())
        await asyncio.to_thread(sink.finish, whole)
        return
    for names in groups(segments):
        for data in await read_segments(engine, names):
            await asyncio.to_thread(sink.write, data)
    await asyncio.to_thread(sink.flush)
