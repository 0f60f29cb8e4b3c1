"""State on the server: a document behind its version."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airless.core.ports import Commit, StateWrite, Versioned
from airless.engines.redis.committing import Committing
from airless.engines.redis.names import names
from airless.engines.redis.server import Server

# A version is the nonce of the call that wrote it: one that was lost with the server's last second never comes back.
VERSION_BYTES = 32


class RedisState:
    """`State` on the server."""

    def __init__(self, server: Server, committing: Committing) -> None:
        self._server = server
        self._committing = committing

    async def load(self, key: str) -> Versioned | None:
        stored = await self._server.ask(lambda _: self._server.client.get(self._server.key("state", key)))
        if stored is None:
            return None
        return Versioned(stored[:VERSION_BYTES].decode(), stored[VERSION_BYTES:])

    async def commit(self, write: StateWrite) -> str:
        return (await self._committing.apply(Commit(state=[write])))[0]

    def list(self, prefix: str) -> AsyncIterator[str]:
        return names(self._server, "states", prefix)
