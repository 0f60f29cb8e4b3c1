"""State in a KV bucket: the version is the revision, a compare-and-set a write that names the one before it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from airless.core.errors import Conflict, EngineError
from airless.core.ports import Objects, StateWrite, Versioned
from airless.engines.nats.connection import Connection
from airless.engines.nats.reading import last, seq_of, subjects_in
from airless.engines.nats.subjects import below, decoded, encoded
from airless.engines.nats.wire import HEADERS_BYTES
from airless.engines.nats.writes import compare_and_set

# The name of the object that holds a document too large for a message.
_CLAIM = "Airless-Claim"
_LONGEST_REVISION = 18


class NatsState:
    """`State` in the bucket ``{prefix}-state``, which NATS's own tools can read.

    A document above the server's max_payload is an object of a name of its own, put before the write that names it.
    The object that a write replaces is deleted; a process that dies before that leaves it lying.
    """

    def __init__(self, connection: Connection, objects: Objects) -> None:
        self._connection = connection
        self._objects = objects
        # Of large documents alone: the version last seen here, and the object that holds it.
        self._claims: dict[str, tuple[str, str]] = {}

    async def load(self, key: str) -> Versioned | None:
        names = self._connection.names
        while True:
            self._connection.check_open()
            doing = f"loading state {key!r}"
            found = await last(self._connection, doing, names.state, names.document(encoded(key)))
            if found is None:
                return None
            version, claim = str(seq_of(found)), (found.headers or {}).get(_CLAIM)
            if claim is None:
                return Versioned(version, found.data)
            data = await self._objects.get(claim)
            if data is not None:
                self._claims[key] = (version, claim)
                return Versioned(version, data)
            if self._claims.get(key) == (version, claim):
                raise EngineError(f"state {key!r} is in object {claim!r}, which is gone")
            self._claims[key] = (version, claim)  # replaced meanwhile, or gone: the next look tells

    async def commit(self, write: StateWrite) -> str:
        """As `State.commit`."""
        self._connection.check_open()
        await self._connection.ready()
        expected = _revision(write)
        subject = self._connection.names.document(encoded(write.key))
        headers: dict[str, str] = {}
        data = write.data
        if len(data) > self._connection.max_payload - HEADERS_BYTES:
            headers[_CLAIM] = uuid.uuid4().hex
            await self._objects.put(headers[_CLAIM], data)
            data = b""
        revision = await compare_and_set(
            self._connection,
            f"writing state {write.key!r}",
            self._connection.names.state,
            subject,
            data,
            expected,
            headers,
        )
        if revision is None:
            await self._objects.delete(list(headers.values()))
            raise Conflict(write.key)
        await self._replaced(write, str(revision), headers.get(_CLAIM))
        return str(revision)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        self._connection.check_open()
        names = self._connection.names
        start = names.document("")
        found, _ = await subjects_in(
            self._connection, f"listing states {prefix!r}", names.state, start + below(prefix)
        )
        for key in sorted(decoded(subject.removeprefix(start)) for subject in found):
            if key.startswith(prefix):
                yield key

    async def _replaced(self, write: StateWrite, version: str, claim: str | None) -> None:
        """Delete the object of the version before, as far as it was seen here."""
        before = self._claims.pop(write.key, None)
        if claim is not None:
            self._claims[write.key] = (version, claim)
        if before is not None and before[0] == write.expected:
            await self._objects.delete([before[1]])


def _revision(write: StateWrite) -> int:
    """The revision that a write expects, 0 for none. Raises Conflict where no document can be at it."""
    text = write.expected
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_REVISION or not int(text):
        raise Conflict(write.key)
    return int(text)
