"""Messages as bytes: the user's JSON object, and ours under the one reserved key ``metadata.airless``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from airless.core.errors import MessageError, UndecodableMessage
from airless.core.message import Message

METADATA = "metadata"
ENVELOPE = "airless"

_FIELDS = {
    "run": ("run_id", str),
    "not_before": ("not_before_s", (int, float)),
    "key": ("ordering_key", str),
    "trace": ("traceparent", str),
    "hops": ("hops", int),
    "priority": ("priority", int),
    "weight": ("weight", int),
}
_DEFAULTS = {
    "run": None,
    "not_before": 0.0,
    "key": None,
    "trace": None,
    "hops": 0,
    "priority": 0,
    "weight": 1,
}


def encode(message: Message) -> bytes:
    """The message on the wire; the attempt is the engine's to keep.

    Raises MessageError where the data is not JSON.
    """
    envelope: dict[str, Any] = {"id": message.id}
    for short, (name, _) in _FIELDS.items():
        value = getattr(message, name)
        if value != _DEFAULTS[short]:
            envelope[short] = value
    metadata = message.data.get(METADATA)
    if metadata is not None and not isinstance(metadata, Mapping):
        raise MessageError("the reserved key 'metadata' must hold a JSON object")
    body = {**message.data, METADATA: {**(metadata or {}), ENVELOPE: envelope}}
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise MessageError(f"the data of a message on {message.topic!r} is not JSON: {error}") from error


def decode(topic: str, body: bytes, *, id: str, attempt: int = 0) -> Message:
    """The message that `body` carries. `id` stands in where somebody published plain JSON by hand.

    Raises UndecodableMessage, which keeps the bytes.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableMessage(f"not JSON: {error}", bytes(body)) from error
    if not isinstance(data, dict):
        raise UndecodableMessage(f"a JSON object was expected, not {type(data).__name__}", bytes(body))
    metadata = data.get(METADATA)
    if metadata is None:
        return Message(topic=topic, data=data, id=id, attempt=attempt)
    if not isinstance(metadata, dict):
        raise UndecodableMessage("the reserved key 'metadata' must hold a JSON object", bytes(body))
    envelope = metadata.pop(ENVELOPE, None)
    if envelope is None:
        return Message(topic=topic, data=data, id=id, attempt=attempt)
    if not isinstance(envelope, dict):
        raise UndecodableMessage("'metadata.airless' must hold a JSON object", bytes(body))
    if not metadata:
        del data[METADATA]
    fields: dict[str, Any] = {}
    for short, (name, kind) in _FIELDS.items():
        value = envelope.get(short)
        if value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
            raise UndecodableMessage(f"'metadata.airless.{short}' has the wrong type", bytes(body))
        fields[name] = value
    wire_id = envelope.get("id")
    return Message(
        topic=topic,
        data=data,
        id=wire_id if isinstance(wire_id, str) and wire_id else id,
        attempt=attempt,
        **fields,
    )
