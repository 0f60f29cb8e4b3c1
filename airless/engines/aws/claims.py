"""Claim check: a body too large for a queue waits in the object store, and its message says where."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from airless.core.ports import Objects
from airless.engines.aws.wire import PLAIN, ZSTD, compressed, decompressed, pack, unpack

_TEXT = "in the object store"


@dataclass(frozen=True, slots=True)
class Packed:
    """A body as it goes into a message: its text, how that is encoded, and the object that holds it instead."""

    text: str
    encoding: str
    claim: str | None = None


class Claims:
    """Bodies, in the message up to `inline_bytes` and in an object above.

    A name is used for one message alone, so that nobody's end takes another's body away. What dies between the
    object and its message leaves the object lying: the bucket's own expiry removes it.
    """

    def __init__(self, objects: Objects, inline_bytes: int) -> None:
        self._objects = objects
        self._inline_bytes = inline_bytes

    async def pack(self, body: bytes) -> Packed:
        text, encoding = pack(body)
        if len(text.encode()) <= self._inline_bytes:
            return Packed(text, encoding)
        small = compressed(body)
        data, encoding = (small, ZSTD) if len(small) < len(body) else (body, PLAIN)
        claim = uuid.uuid4().hex
        await self._objects.put(claim, data)
        return self.packed(claim, encoding)

    @staticmethod
    def packed(claim: str, encoding: str) -> Packed:
        """A body that waits in its object already."""
        return Packed(_TEXT, encoding, claim)

    async def unpack(self, packed: Packed) -> bytes | None:
        """The body; None where its object is gone, which is so when the message was done once already."""
        if packed.claim is None:
            return unpack(packed.text, packed.encoding)
        data = await self._objects.get(packed.claim)
        if data is None:
            return None
        return decompressed(data) if packed.encoding == ZSTD else data

    async def drop(self, claims: Sequence[str]) -> None:
        if claims:
            await self._objects.delete(claims)
