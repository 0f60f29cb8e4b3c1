"""Every fetcher there is, and a server for what happens before a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.util import find_spec

from support.hostile_server import Handler

from airless.crawl.fetch import Fetcher
from airless.crawl.http import AiohttpFetcher, FastFetcher, Fetching

Make = Callable[..., AbstractAsyncContextManager[Fetcher]]

FETCHERS: dict[str, Callable[[Fetching], Fetcher]] = {"aiohttp": AiohttpFetcher, "fast": FastFetcher}
if find_spec("h2") is not None:
    # An extra, which an installation need not have.
    from airless.crawl.http.http2 import Http2Fetcher

    FETCHERS["http2"] = Http2Fetcher


@asynccontextmanager
async def on_connect(handler: Handler) -> AsyncIterator[int]:
    """The port of a server whose `handler` gets each connection as it opens, with an empty path."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError):
            await handler(reader, writer, "")
            await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        await listening.wait_closed()
