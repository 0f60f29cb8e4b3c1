"""Chains: ``metadata.run_next`` of a message names the messages that its success publishes.

An entry is ``{topic, data, then?}``. `then` lists what follows the entry, one after the other: it travels
flat, so that a long chain is no deeper than a short one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airless.core.errors import PermanentError

RUN_NEXT = "run_next"


def next_messages(data: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The topic and the data of each message to publish after the success of one with `data`.

    Raises PermanentError where ``run_next`` is not of its form.
    """
    metadata = data.get("metadata")
    entries = metadata.get(RUN_NEXT) if isinstance(metadata, Mapping) else None
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise PermanentError("'metadata.run_next' must be a list of {topic, data}")
    return [_expanded(entry, f"metadata.run_next[{n}]") for n, entry in enumerate(entries)]


def chained(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first of ``[{topic, data}, …]`` as ``{topic, data}``, with the rest in its ``run_next``.

    Raises PermanentError where one is not of its form.
    """
    for n, message in enumerate(messages):
        _expanded(message, f"message {n} of the chain")
    topic, data = _expanded({**messages[0], "then": list(messages[1:])}, "the chain")
    return {"topic": topic, "data": data}


def _expanded(entry: object, place: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, Mapping):
        raise PermanentError(f"{place} must be an object {{topic, data}}, not {type(entry).__name__}")
    topic, data, then = entry.get("topic"), entry.get("data", {}), entry.get("then", [])
    if not isinstance(topic, str) or not topic:
        raise PermanentError(f"{place} names no topic")
    if not isinstance(data, Mapping) or not isinstance(data.get("metadata", {}), Mapping):
        raise PermanentError(
            f"{place} must hold an object as its data, and as its data's metadata if it has one"
        )
    if not isinstance(then, list) or not all(isinstance(entry, Mapping) for entry in then):
        raise PermanentError(f"'then' of {place} must be a list of {{topic, data}}")
    if not then:
        return topic, dict(data)
    metadata = dict(data.get("metadata", {}))
    following = {**then[0], "then": [*then[0].get("then", []), *then[1:]]}
    metadata[RUN_NEXT] = [*metadata.get(RUN_NEXT, []), following]
    return topic, {**data, "metadata": metadata}
