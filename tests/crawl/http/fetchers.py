"""Every fetcher there is, and a server for what happens before a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from support.hostile_server import Handler

from airless.crawl.fetch import Fetcher
from airless.crawl.http import AiohttpFetcher
from airless.crawl.http.fast import FastFetcher

Make = Callable[..., AbstractAsyncContextManager[Fetcher]]

FETCHERS: dict[str, Callable[..., Fetcher]] = {"aiohttp": AiohttpFetcher, "fast": FastFetcher}


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
