"""Dead letters: what was given up waits with its error, and can be brought back."""

from __future__ import annotations

from dataclasses import replace

import orjson
from nats.aio.msg import Msg

from airless.core.ports import DeadLetter
from airless.engines.nats.arrived import of_lane
from airless.engines.nats.connection import Connection
from airless.engines.nats.reading import batches, seq_of
from airless.engines.nats.sending import Outgoing, Sender
from airless.engines.nats.subjects import encoded
from airless.engines.nats.wire import error_of
from airless.engines.nats.writes import delete

_AT_ONCE = 100


class Letters:
    """The dead letters of a prefix."""

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender

    async def redrive(self, topic: str) -> int:
        """As `DeadLetters.redrive`: each is sent, then deleted; who dies in between sends it again, as its double."""
        names, number = self._connection.names, 0
        doing = f"bringing back the dead letters of {topic!r}"
        while True:
            messages = await self._read(doing, topic, 1, _AT_ONCE)
            if not messages:
                return number
            arrived = [of_lane(message, 0) for message in messages]
            await self._sender.send(
                [Outgoing(replace(one.tag, attempt=0), one.data, f"redriven-{one.seq}") for one in arrived]
            )
            await delete(self._connection, doing, names.dead, [one.seq for one in arrived])
            number += len(arrived)

    async def letters(self, topic: str, limit: int) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        after = 0
        while len(found) < limit:
            most = min(_AT_ONCE, limit - len(found))
            messages = await self._read(f"reading the dead letters of {topic!r}", topic, after + 1, most)
            if not messages:
                break
            for message in messages:
                tag = of_lane(message, 0).tag
                found.append(DeadLetter(tag.id, error_of(message.headers), tag.key))
            after = seq_of(messages[-1])
        return found

    async def _read(self, doing: str, topic: str, start: int, most: int) -> list[Msg]:
        names = self._connection.names
        subject = names.letter("*", encoded(topic))
        body = orjson.dumps({"seq": start, "batch": most, "next_by_subj": subject})
        return await batches(self._connection, doing, names.dead, [body])
