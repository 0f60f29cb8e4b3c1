"""A message as NATS carries it: the body as it is, and what we know of it in one header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from airless.core.errors import MessageTooLarge

HEADER: Final = "Airless"
ERROR_HEADER: Final = "Airless-Error"
ID_HEADER: Final = "Nats-Msg-Id"
_TAG_CHARS = 16 * 1024
_ERROR_CHARS = 4 * 1024

HEADERS_BYTES: Final = 32 * 1024
"""What is kept free for headers in the largest message that the server takes."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What rides in our header.

    `attempt` are the charged tries before this message was sent; the server's own count adds to them. `claim` names
    the object that holds the body, `encoding` how it is packed there.
    """

    topic: str
    id: str
    key: str | None = None
    attempt: int = 0
    claim: str | None = None
    encoding: str = ""


_SHORT: Final = {
    "topic": ("t", str),
    "id": ("i", str),
    "key": ("k", str),
    "attempt": ("a", int),
    "claim": ("c", str),
    "encoding": ("e", str),
}


def tag_text(tag: Tag) -> str:
    """The header's value, in ASCII. Raises MessageTooLarge."""
    fields = {
        short: value for name, (short, _) in _SHORT.items() if (value := getattr(tag, name)) not in (None, 0)
    }
    text = orjson.dumps(fields).decode()
    if not text.isascii():  # which the standard library's JSON can do, slower
        text = _in_ascii(fields)
    if len(text) > _TAG_CHARS:
        raise MessageTooLarge(f"topic, id and ordering key of message {tag.id[:60]!r}… are too long for NATS")
    return text


def tag_of(headers: Mapping[str, str] | None) -> Tag | None:
    """The tag in a message's headers; None where somebody else sent it."""
    text = (headers or {}).get(HEADER)
    if text is None:
        return None
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    given: dict[str, Any] = {}
    for name, (short, kind) in _SHORT.items():
        if isinstance(value := fields.get(short), kind):
            given[name] = value
    return Tag(**given) if "topic" in given and "id" in given else None


def error_text(error: str) -> str:
    """An error as a header's value: JSON, since headers have no line ends."""
    return _in_ascii(error[:_ERROR_CHARS])


def error_of(headers: Mapping[str, str] | None) -> str:
    try:
        error = orjson.loads((headers or {}).get(ERROR_HEADER, '""'))
    except orjson.JSONDecodeError:
        return ""
    return error if isinstance(error, str) else ""


def _in_ascii(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
