"""A message as SQS carries it: a body of text, and what we know of it in one attribute.

SQS takes text of the characters of XML 1.0, and at least one of them. A body that is such text travels as it is,
so that people can read it in AWS's console; a longer one goes compressed where that is shorter. Bytes that somebody
sent without our attribute arrive as they are.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from airless.core.errors import MessageError, MessageTooLarge

ATTRIBUTE: Final = "airless"
ERROR_ATTRIBUTE: Final = "error"
PLAIN, BASE64, ZSTD, EMPTY = "", "b64", "zstd", "empty"

# Shorter bodies aren't worth the work.
_COMPRESS_OVER_BYTES = 1024
_TAG_BYTES = 12 * 1024
_ERROR_BYTES = 8 * 1024
# The Char production of XML 1.0, which is what SendMessage documents.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


GENERATIONS: Final = 10_000
"""So many copies are told apart of a message; published once more, with another hop, it begins at the next so many."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What rides in our attribute.

    `attempt` are the charged tries before this message was sent; SQS's own count adds to them. `generation` counts
    how often it was sent again, from its hops on, so that a FIFO queue doesn't take a copy for a double. `due` is the
    time (epoch seconds) before which nobody gets it. `claim` names the object that holds the body.
    """

    topic: str
    id: str
    key: str | None = None
    attempt: int = 0
    generation: int = 0
    due: float = 0.0
    encoding: str = PLAIN
    claim: str | None = None


_SHORT: Final = {
    "topic": "t",
    "id": "i",
    "key": "k",
    "attempt": "a",
    "generation": "g",
    "due": "d",
    "encoding": "e",
    "claim": "c",
}
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "attempt": (int,),
    "generation": (int,),
    "due": (int, float),
}


def tag_text(tag: Tag) -> str:
    """The attribute's value, in ASCII. Raises MessageError where topic, id or key can't be carried."""
    fields = {short: getattr(tag, name) for name, short in _SHORT.items() if getattr(tag, name)}
    try:
        text = orjson.dumps(fields).decode()
    except TypeError as error:
        raise MessageError(f"the topic, id or key of a message can't be carried: {error}") from error
    if not text.isascii():
        text = json.dumps(fields, separators=(",", ":"))
    if len(text) > _TAG_BYTES:
        raise MessageTooLarge(f"topic, id and key of a message take {len(text)} bytes, over {_TAG_BYTES}")
    return text


def tag_of(text: str) -> Tag | None:
    """The tag in an attribute's value; None where it is none of ours."""
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or not {"t", "i"} <= fields.keys():
        return None
    values: dict[str, Any] = {name: fields[short] for name, short in _SHORT.items() if short in fields}
    if any(not isinstance(value, _KINDS.get(name, (str,))) for name, value in values.items()):
        return None
    return Tag(**values)


def pack(body: bytes) -> tuple[str, str]:
    """A body as the text that SQS takes, and how it is encoded."""
    if not body:
        return "-", EMPTY
    text = _text(body)
    if len(body) > _COMPRESS_OVER_BYTES:
        packed = base64.b64encode(compressed(body)).decode()
        if text is None or len(packed) < len(body):
            return packed, ZSTD
    if text is not None:
        return text, PLAIN
    return base64.b64encode(body).decode(), BASE64


def unpack(text: str, encoding: str) -> bytes:
    """The body in a message's text. What can't be read, since somebody else wrote it, stays as it is."""
    try:
        if encoding == EMPTY:
            return b""
        if encoding == BASE64:
            return base64.b64decode(text, validate=True)
        if encoding == ZSTD:
            return decompressed(base64.b64decode(text, validate=True))
    except (ValueError, _zstd().ZstdError):
        return text.encode()
    return text.encode()


def compressed(body: bytes) -> bytes:
    packed: bytes = _zstd().compress(body)
    return packed


def decompressed(packed: bytes) -> bytes:
    body: bytes = _zstd().decompress(packed)
    return body


def error_value(error: str) -> str:
    """An error as an attribute's value: without what SQS refuses, and cut where it is very long."""
    text = _FORBIDDEN.sub("\ufffd", error) or "?"
    return text.encode()[:_ERROR_BYTES].decode(errors="ignore")


def group_id(topic: str, key: str) -> str:
    """The message group of an ordering key on its topic."""
    return _digest(topic, key)


def deduplication_id(tag: Tag) -> str:
    """The same for the same message, sent for the same reason."""
    return _digest(tag.topic, tag.id, str(tag.generation))


def _digest(*parts: str) -> str:
    return blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()


def _text(body: bytes) -> str | None:
    """The body as text, where SQS takes it as it is."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _FORBIDDEN.search(text) else text


def _zstd() -> Any:
    # Not at the top: most messages are short.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
