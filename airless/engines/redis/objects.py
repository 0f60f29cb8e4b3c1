"""Objects on the server: a string each, and an index of their names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from airless.core.ports import Commit
from airless.engines.redis.committing import Committing
from airless.engines.redis.names import names
from airless.engines.redis.server import Server


class RedisObjects:
    """`Objects` on the server."""

    def __init__(self, server: Server, committing: Committing) -> None:
        self._server = server
        self._committing = committing

    async def put(self, name: str, data: bytes) -> None:
        await self._committing.apply(Commit(put={name: data}))

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        return bool(await self._server.once("create", (name, data)))

    async def get(self, name: str) -> bytes | None:
        found: bytes | None = await self._server.ask(
            lambda _: self._server.client.get(self._server.key("object", name))
        )
        return found

    async def delete(self, names: Sequence[str]) -> None:
        if names := [name for name in names if name]:
            await self._committing.apply(Commit(delete=names))

    def list(self, prefix: str) -> AsyncIterator[str]:
        return names(self._server, "objects", prefix)
