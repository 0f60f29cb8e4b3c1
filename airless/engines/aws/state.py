"""State on S3: a document is an object, its version the ETag, a compare-and-set a conditional write."""

from __future__ import annotations

import re
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator

from airless.core.errors import Conflict, EngineError
from airless.core.ports import StateWrite, Versioned
from airless.engines.aws.bucket import Bucket, Stored
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions

_MAGIC = b"AST1"
_NONCE_BYTES = 16
_HEAD_BYTES = len(_MAGIC) + _NONCE_BYTES
_VERSION = re.compile(r'"[!#-~]+"')


class S3State:
    """`State` on S3. What was read or written last is kept, up to `kept_bytes`, so that asking again costs a 304.

    The bytes are stored behind a nonce. So equal data gets another version, and a write that was carried out although
    its answer was lost is known again when S3 refuses its repetition. Only where somebody else has already replaced
    it by then, Conflict is raised of a write that was carried out: who replaced it had loaded it.
    """

    def __init__(
        self, clients: AwsClients, options: AwsOptions, *, kept_bytes: int = 32 * 1024 * 1024
    ) -> None:
        self._bucket = Bucket(clients, options, "state")
        self._kept = _Kept(kept_bytes)

    async def load(self, key: str) -> Versioned | None:
        stored = await self._read(key)
        return Versioned(stored.etag, stored.data[_HEAD_BYTES:]) if stored else None

    async def commit(self, write: StateWrite) -> str:
        """As `State.commit`. Where it raises EngineError, whether it was carried out is not known."""
        if write.expected is not None and not _VERSION.fullmatch(write.expected):
            raise Conflict(write.key)  # no version of ours; S3 might take it for no condition at all
        nonce = uuid.uuid4().bytes
        data = b"".join((_MAGIC, nonce, write.data))
        etag = await self._bucket.put(
            write.key, data, if_etag=write.expected, if_absent=write.expected is None
        )
        if etag is not None:
            self._kept.keep(write.key, Stored(etag, data))
            return etag
        found = await self._read(write.key)
        if found is None or found.data[len(_MAGIC) : _HEAD_BYTES] != nonce:
            raise Conflict(write.key)
        return found.etag

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self._bucket.list(prefix)

    async def _read(self, key: str) -> Stored | None:
        stored = await self._bucket.get(key, self._kept.get(key))
        if stored is None:
            self._kept.forget(key)
            return None
        if len(stored.data) < _HEAD_BYTES or not stored.data.startswith(_MAGIC):
            raise EngineError(f"state {key!r} was not written by airless: it has no nonce")
        self._kept.keep(key, stored)
        return stored


class _Kept:
    """What was stored under keys when they were last seen; what was used longest ago makes room."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def get(self, key: str) -> Stored | None:
        return self._stored.get(key)

    def keep(self, key: str, stored: Stored) -> None:
        self.forget(key)
        self._stored[key] = stored
        self._bytes += len(stored.data)
        while self._bytes > self._limit_bytes:
            self.forget(next(iter(self._stored)))

    def forget(self, key: str) -> None:
        if (gone := self._stored.pop(key, None)) is not None:
            self._bytes -= len(gone.data)
