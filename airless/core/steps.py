"""A commit in steps, for engines whose queue, state and objects share no transaction.

    ① objects put → ② state committed, with the outbox in it → ③ outbox published → ④ input settled → ⑤ objects deleted

The outbox is the list of messages to publish. It is stored with the state, so that ② decides: before it nothing has
happened that a replay would not do again to the same effect, after it everything happens, however often the process
dies. Whoever loads the state publishes the outbox that is in it once more, under the same ids; the next commit puts
its own in the place. A crash after ② leaves the input unsettled: it comes again, and an operator that keeps the ids
it has applied in its state finds it there and only settles it. That list is the operator's part of the bargain.

Without a state write there is no ②: what is published goes out before the input is settled, at least once.

With several state writes the outbox rides in the first, and they are written in their order. They are not one: where
a later one loses (Conflict) or the process dies in between, the earlier ones stay, and the input comes again. So the
applied ids belong into the first, and the later ones must be such that writing them again from there is harmless.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Self

import orjson

from airless.core.codec import decode, encode
from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.ports import Commit, Objects, Queue, State, StateWrite, Versioned

_MAGIC = b"AOB1"
_HEAD = struct.Struct(">4sI")


def wrap(data: bytes, outbox: Sequence[Message]) -> bytes:
    """State as it is stored: a head (magic, length of the outbox in bytes), the outbox as JSON, the data."""
    packed = orjson.dumps([(m.topic, encode(m).decode()) for m in outbox]) if outbox else b""
    return _HEAD.pack(_MAGIC, len(packed)) + packed + data


def unwrap(stored: bytes, key: str) -> tuple[bytes, list[Message]]:
    """The data and the outbox. Raises EngineError where the state was not written here."""
    if len(stored) < _HEAD.size or not stored.startswith(_MAGIC):
        raise EngineError(f"state {key!r} was not written by airless: it has no outbox")
    length = _HEAD.unpack_from(stored)[1]
    end = _HEAD.size + length
    if len(stored) < end:
        raise EngineError(f"state {key!r} is cut short")
    packed = orjson.loads(stored[_HEAD.size : end]) if length else []
    return stored[end:], [decode(topic, body.encode(), id="") for topic, body in packed]


class OutboxState:
    """`State` whose values carry an outbox. Every version that a caller can know of has been published."""

    def __init__(self, state: State, queue: Queue) -> None:
        self._state = state
        self._queue = queue
        self._published: dict[str, str] = {}

    async def load(self, key: str) -> Versioned | None:
        """As `State.load`, when the outbox that was left there is published."""
        stored = await self._state.load(key)
        if stored is None:
            return None
        data, outbox = unwrap(stored.data, key)
        if outbox and self._published.get(key) != stored.version:
            await self._queue.publish_many(outbox)
            self._published[key] = stored.version
        return Versioned(stored.version, data)

    async def commit(self, write: StateWrite) -> str:
        return await self.commit_with(write, ())

    async def commit_with(self, write: StateWrite, outbox: Sequence[Message]) -> str:
        """The new version, which is not to be used before `outbox` is published and `published` told so."""
        return await self._state.commit(StateWrite(write.key, wrap(write.data, outbox), write.expected))

    def published(self, key: str, version: str) -> None:
        """Spare the next load of this version its second publish."""
        self._published[key] = version

    def list(self, prefix: str) -> AsyncIterator[str]:
        return self._state.list(prefix)


class SteppedEngine:
    """`Engine` over ports that know nothing of each other. See the module on what a commit then promises."""

    def __init__(
        self, queue: Queue, state: State, objects: Objects, *, close: Callable[[], Awaitable[None]]
    ) -> None:
        self.queue = queue
        self.state = OutboxState(state, queue)
        self.objects = objects
        self._close = close

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """As `Engine.commit`, in steps. LeaseLost comes after the state was committed: it is a replay's turn."""
        for name, data in commit.put.items():
            await self.objects.put(name, data)
        versions: list[str] = []
        for write in commit.state:
            outbox = () if versions else commit.publish
            versions.append(await self.state.commit_with(write, outbox))
        if commit.publish:
            await self.queue.publish_many(commit.publish)
            if versions:
                self.state.published(commit.state[0].key, versions[0])
        if commit.settle:
            await self.queue.settle(commit.settle)
        if commit.delete:
            await self.objects.delete(commit.delete)
        return tuple(versions)

    async def aclose(self) -> None:
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
