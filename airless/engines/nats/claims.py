"""Claim check: a body too large for a message of NATS waits in the object store, and its message says where."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from typing import Any

from airless.core.ports import Objects

_ZSTD = "zstd"


class Claims:
    """Bodies in objects of their own names, each used for one message alone.

    What dies between the object and its message leaves the object lying.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def check_in(self, body: bytes) -> tuple[str, str]:
        """Put a body away: its claim, and how it is encoded."""
        claim = uuid.uuid4().hex
        small: bytes = _zstd().compress(body)
        smaller = len(small) < len(body)
        await self._objects.put(claim, small if smaller else body)
        return claim, _ZSTD if smaller else ""

    async def check_out(self, claim: str, encoding: str) -> bytes | None:
        """The body; None where it is gone, which is so when its message was done once already."""
        data = await self._objects.get(claim)
        if data is None or encoding != _ZSTD:
            return data
        body: bytes = _zstd().decompress(data)
        return body

    async def drop(self, claims: Sequence[str]) -> None:
        if claims:
            await self._objects.delete(claims)


def _zstd() -> Any:
    """The standard library's, or its backport; loaded for large messages alone."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
