"""What follows from settlements: copies are sent, then messages deleted, of which the last is done in the background.

A settlement is decided by its write. Who dies before the rest leaves it to whoever leases the lane next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from airless.core.errors import EngineError
from airless.engines.nats.arrived import Arrived
from airless.engines.nats.connection import Connection
from airless.engines.nats.lanes import Move
from airless.engines.nats.sending import Outgoing, Sender
from airless.engines.nats.writes import delete

_log = logging.getLogger(__name__)

_DOING = "deleting what is done"
# Who settles more than the server deletes waits for it.
_BEHIND = 4000


@dataclass(frozen=True, slots=True)
class _Job:
    """Messages to be deleted, and whom to tell."""

    messages: Collection[int]
    deleted: Callable[[], None]


class Cleaning:
    """Sends and deletes for one consumer."""

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._jobs: list[_Job] = []
        self._at: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    async def send(self, moved: Mapping[int, tuple[Arrived, Move]]) -> None:
        """Send the copies that take the places of messages. To send them twice is harmless."""
        await self._sender.send([outgoing(arrived, move) for arrived, move in moved.values()])

    async def later(self, messages: Collection[int], deleted: Callable[[], None]) -> None:
        """Delete them soon; `deleted` is called then, and never where the server can't be asked in time."""
        if not messages:
            return
        if len(self._at) > _BEHIND:
            await self.idle()
        self._jobs.append(_Job(messages, deleted))
        self._at.update(messages)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            await asyncio.sleep(0)  # it is asked for before anything that the caller says next

    def is_at(self, message: int) -> bool:
        """Whether it is about to be deleted here."""
        return message in self._at

    async def idle(self) -> None:
        """Return when nothing is left to delete."""
        while self._task is not None:
            await asyncio.wait({self._task})

    async def delete(self, messages: Sequence[int]) -> None:
        """Delete messages of the queue, those that are there yet."""
        await delete(self._connection, _DOING, self._connection.names.queue, messages)

    async def _run(self) -> None:
        try:
            while self._jobs:
                jobs, self._jobs = self._jobs, []
                messages = [seq for job in jobs for seq in job.messages]
                await self.delete(messages)
                self._at.difference_update(messages)
                for job in jobs:
                    job.deleted()
        except EngineError as error:
            self._jobs = []
            self._at.clear()
            _log.warning("what is done stays until its ordering keys are leased next: %s", error)
        finally:
            self._task = None


def outgoing(arrived: Arrived, move: Move) -> Outgoing:
    """The copy that takes a message's place: one for each, since its number in the stream is the copy's id."""
    tag = replace(arrived.tag, attempt=move.attempt)
    return Outgoing(tag, arrived.data, f"copy-{arrived.seq}", move.due, move.dead)
