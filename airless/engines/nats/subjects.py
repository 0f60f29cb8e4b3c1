"""Names as NATS takes them: topics, keys and names of objects as tokens of subjects.

The parts of a name are the tokens of a subject, so that NATS's own wildcards find what is below one. What a token
can't hold is escaped: ``=`` and two hex digits for a byte of UTF-8, a lone ``=`` for nothing. KV buckets take the same.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from airless.core.errors import MessageError

# The server takes lines of 4096 bytes, in which a subject comes twice at times.
_SUBJECT_CHARS = 1500
_TOKEN_CHARS = 120
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(r"(?:=[0-9A-F]{2})+")
_ALL_BELOW = "/*"

UNKEYED = "n"
"""The lane of messages without an ordering key; those of keys begin with a ``k``."""


def encoded(name: str) -> str:
    """A name as tokens. Raises MessageError where it is too long, or no text."""
    subject = ".".join(_token(part) for part in name.split("/"))
    if len(subject) > _SUBJECT_CHARS:
        raise MessageError(f"{name[:60]!r}… is too long for a name on NATS")
    return subject


def decoded(subject: str) -> str:
    """The name that `encoded` made tokens of."""
    return "/".join(_text(token) for token in subject.split("."))


def below(prefix: str) -> str:
    """The filter behind which are all names that start with a prefix, and others too."""
    folder, slash, _ = prefix.rpartition("/")
    return f"{encoded(folder)}.>" if slash else ">"


def topic_filter(topic: str) -> str:
    """A topic's tokens; for one that ends in ``/*`` the wildcard of all topics below it."""
    if topic.endswith(_ALL_BELOW):
        return encoded(topic.removesuffix(_ALL_BELOW)) + ".>"
    return encoded(topic)


def is_wildcard(topic: str) -> bool:
    return topic.endswith(_ALL_BELOW)


def lane_of(key: str | None) -> str:
    """The token of an ordering key; long ones are hashed, since the key rides in the message too."""
    if key is None:
        return UNKEYED
    token = _token(key)
    if len(token) > _TOKEN_CHARS:
        token = "~" + digest(key)
    return f"k{token}"


def digest(*parts: object) -> str:
    """32 hex digits for some values."""
    text = "\x00".join(str(part) for part in parts)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _token(part: str) -> str:
    try:
        return _OTHER.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), part) or "="
    except UnicodeEncodeError as error:
        raise MessageError(f"{part!r} is no text that a subject could hold") from error


def _text(token: str) -> str:
    if token == "=":  # noqa: S105 - no secret
        return ""
    return _ESCAPED.sub(
        lambda found: bytes.fromhex(found[0].replace("=", "")).decode(errors="replace"), token
    )
