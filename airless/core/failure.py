"""What is kept of a failure: the report for the error topic, and where the raw message lies otherwise."""

from __future__ import annotations

import base64
import traceback
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from airless.core.errors import AirlessError
from airless.core.message import Message

_ERROR_CHARS = 32_768


def error_text(error: BaseException) -> str:
    """``message\\ntraceback``, cut in the middle of the traceback where it is very long."""
    name = type(error).__name__
    message = (str(error) or name) if isinstance(error, AirlessError) else f"{name}: {error}"
    text = f"{message}\n{''.join(traceback.format_exception(error))}".rstrip()
    return (
        text if len(text) <= _ERROR_CHARS else f"{text[: _ERROR_CHARS // 2]}\n…\n{text[-_ERROR_CHARS // 2 :]}"
    )


def error_report(
    message: Message, error: str, *, input_type: str, now_s: float, data: Any = None, raw: bytes | None = None
) -> dict[str, Any]:
    """The data of the message that reports a failure of `message` on the error topic.

    `raw` are the bytes that could not be decoded; they travel whole, as base64.
    """
    report: dict[str, Any] = {
        "input_type": input_type,
        "origin": message.topic,
        "error": error,
        "event_id": message.id,
        "data": dict(message.data) if data is None and raw is None else data,
        "attempt": message.attempt,
        "run_id": message.run_id,
        "created_at": utc_text(now_s),
    }
    if raw is not None:
        report["raw"] = base64.b64encode(raw).decode("ascii")
    return report


def utc_text(now_s: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, with a Z."""
    return datetime.fromtimestamp(now_s, UTC).isoformat().replace("+00:00", "Z")


def sink_name(topic: str, id: str) -> str:
    """The object that keeps a message which nothing more can be done for; opaque ids are quoted."""
    return f"dead/{quote(topic, safe='')}/{quote(id, safe='')}"
