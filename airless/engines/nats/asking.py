"""What is asked of the server, and what its answers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from nats.aio.msg import Msg

from airless.engines.nats.faults import Refused

# So much is on its way at a time.
_WINDOW, _WINDOW_BYTES = 2000, 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ask:
    """What is sent, and awaits one answer, or all up to a status where `most` is more.

    `or_nobody`: that nobody is there to answer is an answer too; so is `or_silence`, that none came although the server
    is there: no messages then. `named`: answers bear names of their own, as messages
    of a stream do, so that they need an inbox of their own.
    """

    subject: str
    payload: bytes = b""
    headers: Mapping[str, str] | None = None
    most: int = 1
    or_nobody: bool = False
    or_silence: bool = False
    named: bool = False


def said(message: Msg) -> dict[str, Any]:
    """An answer in JSON. Raises Refused."""
    answer: dict[str, Any] = orjson.loads(message.data)
    if error := answer.get("error"):
        raise Refused(error)
    return answer


def seconds_of(timestamp: str) -> float:
    """Epoch seconds of a time as NATS writes it, RFC 3339 with nanoseconds."""
    day, _, fraction = timestamp.rstrip("Z").partition(".")
    whole = datetime.fromisoformat(f"{day}+00:00").timestamp()
    return whole + float(f"0.{fraction or 0}")


def window(asked: Sequence[Ask]) -> int:
    """How many of these may be on their way together."""
    size = 0
    for at, ask in enumerate(asked[:_WINDOW]):
        size += len(ask.payload)
        if size > _WINDOW_BYTES and at:
            return at
    return min(len(asked), _WINDOW)
