"""The end of a fetcher's connections, which belong to an event loop that need not be the one that runs."""

from __future__ import annotations

import asyncio
from typing import Protocol

from airless.crawl.http.fast.names import Names


class Closable(Protocol):
    """A pool of connections on `loop`: closed in order there, abandoned from elsewhere, forsaken after its end."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    async def aclose(self) -> None: ...

    def abandon(self) -> None: ...

    def forsake(self) -> None: ...


async def close(pool: Closable, names: Names) -> None:
    """Close a pool and the lookups that it waits for."""
    if pool.loop is asyncio.get_running_loop():
        await names.aclose()
        await pool.aclose()
    elif pool.loop.is_closed():
        pool.forsake()
    else:
        pool.loop.call_soon_threadsafe(pool.abandon)
