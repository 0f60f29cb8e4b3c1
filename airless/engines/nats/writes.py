"""Compare-and-set on subjects that keep their last message alone; and deletions of single messages."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

import orjson

from airless.engines.nats.asking import Ask, said
from airless.engines.nats.connection import Connection
from airless.engines.nats.faults import NO_MESSAGE, WRONG_SEQUENCE, Refused
from airless.engines.nats.replies import status_of

_MARK = "Airless-Mark"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


async def compare_and_set(
    connection: Connection,
    doing: str,
    stream: str,
    subject: str,
    data: bytes,
    expected: int,
    headers: Mapping[str, str] | None = None,
) -> int | None:
    """The new revision; None where the last one is not `expected` (0 for none).

    A write whose answer got lost is sent again, and refused then: it is known by its mark.
    """
    mark = uuid.uuid4().hex
    given = {**(headers or {}), _EXPECTED: str(expected), _MARK: mark}
    ((answer,),) = await connection.ask_all(doing, [Ask(subject, data, given)])
    try:
        return int(said(answer)["seq"])
    except Refused as refused:
        if refused.code not in WRONG_SEQUENCE:
            raise refused.translated(doing) from refused
    ((last,),) = await connection.ask_all(doing, [Ask(f"$JS.API.DIRECT.GET.{stream}.{subject}")])
    found = last.headers or {}
    return int(found["Nats-Sequence"]) if not status_of(last) and found.get(_MARK) == mark else None


async def delete(connection: Connection, doing: str, stream: str, messages: Iterable[int]) -> None:
    """Delete messages by their sequence numbers, those that are there yet."""
    call = f"$JS.API.STREAM.MSG.DELETE.{stream}"
    asked = [Ask(call, orjson.dumps({"seq": seq, "no_erase": True})) for seq in messages]
    for (answer,) in await connection.ask_all(doing, asked):
        try:
            said(answer)
        except Refused as refused:
            if refused.code not in NO_MESSAGE:
                raise refused.translated(doing) from refused
