"""The names that are taken, in their order, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airless.engines.redis.server import Server

_PAGE = 1000


async def names(server: Server, index: str, prefix: str) -> AsyncIterator[str]:
    """The names in an index that start with a prefix; they may go while they are listed."""
    key = f"{server.root}:{index}"
    # No UTF-8 holds the byte FF.
    first, last = b"[" + prefix.encode(), (b"(" + prefix.encode() + b"\xff") if prefix else b"+"
    while True:
        page: list[bytes] = await server.ask(
            lambda _, first=first: server.client.zrange(  # type: ignore[misc]
                key, first, last, bylex=True, offset=0, num=_PAGE
            )
        )
        for name in page:
            yield name.decode()
        if len(page) < _PAGE:
            return
        first = b"(" + page[-1]
