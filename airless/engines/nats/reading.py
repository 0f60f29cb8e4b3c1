"""What is read from streams: the last message of a subject, and which subjects there are."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from nats.aio.msg import Msg

from airless.core.errors import EngineError
from airless.engines.nats.asking import Ask, seconds_of
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import Refused
from airless.engines.nats.replies import status_of

_NOT_FOUND = 404
# More than the server gives in one answer.
_UNLIMITED = 1 << 30
# Messages that are read by their numbers, which may be large, are asked for so many at a time.
_AT_ONCE = 64
# The last messages of more subjects are not given in one answer; the server's own bound is 1024.
_LASTS = 256


async def last(connection: Connection, doing: str, stream: str, subject: str) -> Msg | None:
    """The last message of a subject."""
    (message,) = await connection.ask(doing, Ask(f"$JS.API.DIRECT.GET.{stream}.{subject}"))
    if status := status_of(message):
        if status != _NOT_FOUND:
            raise EngineError(f"{doing} failed: the NATS server says {status}")
        return None
    return message


async def first_of(connection: Connection, doing: str, stream: str, subject: str, most: int) -> list[Msg]:
    """Up to `most` messages of a subject, or of a wildcard, from the first on."""
    body = orjson.dumps({"seq": 1, "batch": most, "next_by_subj": subject})
    return await batches(connection, doing, stream, [body])


async def those(connection: Connection, doing: str, stream: str, seqs: Sequence[int]) -> list[Msg]:
    """The messages of these sequence numbers, those that are there."""
    found: list[Msg] = []
    for at in range(0, len(seqs), _AT_ONCE):
        asked = [
            Ask(f"$JS.API.DIRECT.GET.{stream}", orjson.dumps({"seq": seq}))
            for seq in seqs[at : at + _AT_ONCE]
        ]
        for (message,) in await connection.ask_all(doing, asked):
            if (status := status_of(message)) not in {0, _NOT_FOUND}:
                raise EngineError(f"{doing} failed: the NATS server says {status}")
            found += [] if status else [message]
    return found


async def lasts(connection: Connection, doing: str, stream: str, subjects: Sequence[str]) -> list[Msg]:
    """The last messages of those of the subjects that have one."""
    parts = [subjects[at : at + _LASTS] for at in range(0, len(subjects), _LASTS)]
    bodies = [orjson.dumps({"multi_last": part, "batch": len(part)}) for part in parts]
    return await batches(connection, doing, stream, bodies)


async def batches(connection: Connection, doing: str, stream: str, bodies: Sequence[bytes]) -> list[Msg]:
    """The messages that some questions ask for, of which each may be answered with many."""
    asked = [Ask(f"$JS.API.DIRECT.GET.{stream}", body, most=_UNLIMITED) for body in bodies]
    messages: list[Msg] = []
    for *got, end in await connection.ask_all(doing, asked):
        if status_of(end) not in {204, _NOT_FOUND}:
            raise EngineError(f"{doing} failed: the NATS server says {status_of(end)}")
        messages += got
    return messages


async def subjects_in(
    connection: Connection, doing: str, stream: str, pattern: str
) -> tuple[dict[str, int], float]:
    """The subjects of a stream that a pattern matches, how many messages each has, and the server's time."""
    found: dict[str, int] = {}
    now = 0.0
    while True:
        asked = {"subjects_filter": pattern, "offset": len(found)}
        try:
            info = await connection.api(doing, f"STREAM.INFO.{stream}", asked)
        except Refused as refused:
            raise refused.translated(doing) from refused
        part = info["state"].get("subjects") or {}
        now = now or seconds_of(info["ts"])
        found |= part
        if not part or len(found) >= int(info.get("total") or 0):
            return found, now


async def count(connection: Connection, doing: str, stream: str, pattern: str) -> int:
    """How many messages there are on the subjects that a pattern matches."""
    got = await first_of(connection, doing, stream, pattern, 1)
    return 1 + behind(got[0]) if got else 0


def behind(message: Msg) -> int:
    """How many more there are of what was asked for, after a message that was read."""
    return int((message.headers or {})["Nats-Num-Pending"])


def seq_of(message: Msg) -> int:
    """The sequence number of a message that was read."""
    return int((message.headers or {})["Nats-Sequence"])


def since_of(message: Msg) -> float:
    """The server's time at which it was written."""
    return seconds_of((message.headers or {})["Nats-Time-Stamp"])


def subject_of(message: Msg) -> str:
    return (message.headers or {})["Nats-Subject"]
