"""A commit in steps, for engines whose queue, state and objects share no transaction.

    ① objects put → ② state committed, its outbox with it → ③ published → ④ input settled → ⑤ objects deleted

The outbox is what is to be published and deleted. It is stored with the state, so that ② decides: before
it nothing has happened that a replay would not do again to the same effect; after it everything happens,
however often the process dies. Whoever loads the state carries out the outbox in it once more (the ids
are the same); the next commit puts its own in the place. A crash after ② leaves the input unsettled: it
comes again, and an operator that keeps the ids that it has applied in its state finds it there, and only
settles it. That list is the operator's part. A crash after ④ leaves ⑤ to the next load.

Without a state write there is no ②: what is published goes out before the input is settled, at least
once, and a crash before ⑤ leaves objects lying.

With several state writes the outbox rides in the first; they are written in their order, and are not
one. Where a later one loses (Conflict) or the process dies in between, the earlier ones stay, and the
input comes again. So the applied ids belong in the first, and writing the later ones once more, from
what is there then, must be harmless.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

import orjson

from airless.core.at_once import each
from airless.core.codec import decode, encode
from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.ports import Commit, Objects, Queue, State, StateWrite, Versioned

_MAGIC = b"AOB1"
_HEAD = struct.Struct(">4sI")
# The objects of a commit are put side by side; more than this would only wait for each other's connections.
_PUTS = 32


@dataclass(frozen=True, slots=True)
class Outbox:
    """What follows from a state, and is still to be done."""

    publish: Sequence[Message] = ()
    delete: Sequence[str] = ()


def wrap(data: bytes, outbox: Outbox) -> bytes:
    """State as it is stored: a head (magic, length of the outbox in bytes), the outbox as JSON, the data."""
    packed = b""
    if outbox.publish or outbox.delete:
        publish = [(message.topic, encode(message).decode()) for message in outbox.publish]
        packed = orjson.dumps((publish, list(outbox.delete)))
    return _HEAD.pack(_MAGIC, len(packed)) + packed + data


def unwrap(stored: bytes, key: str) -> tuple[bytes, Outbox]:
    """The data and the outbox. Raises EngineError where the state was not written by `wrap`."""
    data, packed = _parted(stored, key)
    return data, _unpacked(packed)


def _parted(stored: bytes, key: str) -> tuple[bytes, bytes]:
    if len(stored) < _HEAD.size or not stored.startswith(_MAGIC):
        raise EngineError(f"state {key!r} was not written by airless: it has no outbox")
    end = _HEAD.size + _HEAD.unpack_from(stored)[1]
    if len(stored) < end:
        raise EngineError(f"state {key!r} is cut short")
    return stored[end:], stored[_HEAD.size : end]


def _unpacked(packed: bytes) -> Outbox:
    if not packed:
        return Outbox()
    publish, delete = orjson.loads(packed)
    return Outbox([decode(topic, body.encode(), id="") for topic, body in publish], delete)


class OutboxState:
    """`State` whose values carry an outbox: who loads a version carries its outbox out first."""

    def __init__(self, state: State, queue: Queue, objects: Objects) -> None:
        self.inner = state
        self._queue = queue
        self._objects = objects
        self._carried_out: dict[str, str] = {}

    async def load(self, key: str) -> Versioned | None:
        """As `State.load`, after carrying out the outbox that was left there."""
        stored = await self.inner.load(key)
        if stored is None:
            return None
        data, packed = _parted(stored.data, key)
        if self._carried_out.get(key) != stored.version:
            outbox = _unpacked(packed)
            if outbox.publish:
                await self._queue.publish_many(outbox.publish)
            if outbox.delete:
                await self._objects.delete(outbox.delete)
            self.carried_out(key, stored.version)
        return Versioned(stored.version, data)

    async def commit(self, write: StateWrite) -> str:
        return await self.commit_with(write, Outbox())

    async def commit_with(self, write: StateWrite, outbox: Outbox) -> str:
        """The new version, whose outbox the caller carries out."""
        return await self.inner.commit(StateWrite(write.key, wrap(write.data, outbox), write.expected))

    def carried_out(self, key: str, version: str) -> None:
        """Spare the next load of this version its outbox."""
        self._carried_out[key] = version

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self.inner.list(prefix)


class SteppedEngine:
    """`Engine` over ports that know nothing of each other. See the module on what a commit then promises."""

    atomic = False

    def __init__(
        self, queue: Queue, state: State, objects: Objects, *, close: Callable[[], Awaitable[None]]
    ) -> None:
        self.queue = queue
        self.state = OutboxState(state, queue, objects)
        self.objects = objects
        self._close = close

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`, in steps. LeaseLost may come after the state was committed: see the module."""
        await each(lambda item: self.objects.put(*item), commit.put.items(), at_once=_PUTS)
        versions: list[str] = []
        for write in commit.state:
            outbox = Outbox() if versions else Outbox(commit.publish, commit.delete)
            versions.append(await self.state.commit_with(write, outbox))
        if commit.publish:
            await self.queue.publish_many(commit.publish)
        if commit.settle:
            await self.queue.settle(commit.settle)
        if commit.delete:
            await self.objects.delete(commit.delete)
        if versions:
            self.state.carried_out(commit.state[0].key, versions[0])
        return tuple(versions)

    async def aclose(self) -> None:
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
