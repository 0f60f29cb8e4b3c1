"""Addresses of names, asked for once in two minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from airless.crawl.http.addresses import Lookup

TTL_S = 120.0
_NAMES = 10_000


class Names:
    """A cache before a lookup; who asks while the answer is under way waits for the same one.

    Failures are not kept. It belongs to the event loop on which it is used.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._known: dict[str, tuple[float, Sequence[str]]] = {}
        self._asked: dict[str, asyncio.Task[Sequence[str] | OSError]] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a host name. Raises OSError where it has none."""
        loop = asyncio.get_running_loop()
        known = self._known.get(host)
        if known is not None and known[0] > loop.time():
            return known[1]
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = loop.create_task(self._ask(host))
        # Whoever gives up must not take the answer from the others.
        try:
            found = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise OSError("the fetcher was closed") from None
        if isinstance(found, OSError):
            raise found
        return found

    async def aclose(self) -> None:
        """End the lookups that are under way."""
        tasks = list(self._asked.values())
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, host: str) -> Sequence[str] | OSError:
        loop = asyncio.get_running_loop()
        try:
            found = await self._lookup(host)
        except OSError as error:
            # A value: where all who asked have given up, nobody would see it raised.
            return error
        finally:
            self._asked.pop(host, None)
        # Insertion order is the order of expiry.
        self._known.pop(host, None)
        self._known[host] = (loop.time() + TTL_S, found)
        if len(self._known) > _NAMES:
            del self._known[next(iter(self._known))]
        return found
