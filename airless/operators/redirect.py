"""The redirect operator: one message becomes the product of messages and parameters.

The product is never held whole. One invocation publishes a step of it, and a continuation of the same
message that carries the offset of the next step; so a product of any size needs the memory, and the commit,
of one step. Ids follow from the message and the place in the product: a replayed step publishes the same
messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from airless.core.errors import PermanentError
from airless.operators.context import current
from airless.operators.event import EventOperator

_OFFSET = "redirect_offset"


@dataclass(frozen=True, slots=True)
class Product:
    """`messages` times the values of each of `params`; the last param varies fastest."""

    messages: Sequence[Mapping[str, Any]]
    params: Sequence[tuple[tuple[str, ...], Sequence[Any]]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Product:
        """The product that a message asks for. Raises PermanentError, which says what is wrong with it."""
        messages = data.get("messages", [{}])
        if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
            raise PermanentError("'messages' must be a list of objects")
        params = data.get("params", [])
        if not isinstance(params, list):
            raise PermanentError("'params' must be a list of {key, values}")
        return cls(messages, [_param(param, n) for n, param in enumerate(params)])

    def __len__(self) -> int:
        return len(self.messages) * math.prod(len(values) for _, values in self.params)

    def bound_bytes(self) -> int:
        """No message of the product is longer than this, as JSON."""
        keys = sum(8 * len(path) + sum(map(len, path)) * 6 for path, _ in self.params)
        values = sum(max(map(_size, values), default=0) for _, values in self.params)
        return max(map(_size, self.messages), default=0) + values + keys

    def between(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """The messages at these places of the product."""
        for place in range(start, stop):
            rest, picked = place, []
            for path, values in reversed(self.params):
                rest, index = divmod(rest, len(values))
                picked.append((path, values[index]))
            message = dict(self.messages[rest])
            for path, value in reversed(picked):
                message = _with(message, path, value)
            yield message


class RedirectOperator(EventOperator):
    """Takes ``{topic, messages: [{…}], params: [{key: "a.b", values: […]}]}``; dotted keys nest.

    An invocation publishes up to `step_messages` messages of up to `step_bytes` in all. ``run_next`` is
    published when the last step is done.
    """

    step_messages = 5_000
    step_bytes = 16 * 1024 * 1024

    async def execute(self, data: dict[str, Any], topic: str) -> None:
        target = data.get("topic")
        if not isinstance(target, str) or not target:
            raise PermanentError("'topic' must name the topic to publish on")
        product = Product.of(data)
        metadata = data.get("metadata") or {}
        start = metadata.get(_OFFSET, 0)
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise PermanentError(f"'metadata.{_OFFSET}' must be a place in the product, not {start!r}")
        step = max(1, min(self.step_messages, self.step_bytes // max(1, product.bound_bytes())))
        stop = min(start + step, len(product))
        context, message = current(), self.message
        name = context.topic(target)
        for place, entry in enumerate(product.between(start, stop), start):
            context.publish_message(message.derive(place, name, entry))
        if stop < len(product):
            context.next_held = True
            following = {**data, "metadata": {**metadata, _OFFSET: stop}}
            # A continuation is no hop: the offset grows to the product's end, so it can't go in a circle.
            context.publish_message(
                replace(message.derive(f"offset:{stop}", message.topic, following), hops=message.hops)
            )


def _param(param: object, n: int) -> tuple[tuple[str, ...], Sequence[Any]]:
    if not isinstance(param, Mapping):
        raise PermanentError(f"params[{n}] must be an object {{key, values}}")
    key, values = param.get("key"), param.get("values")
    if not isinstance(key, str) or not all(key.split(".")):
        raise PermanentError(f"params[{n}].key must be a name such as 'a' or 'a.b', not {key!r}")
    if not isinstance(values, list):
        raise PermanentError(f"params[{n}].values must be a list")
    return tuple(key.split(".")), values


def _with(message: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `message` with the value at the path; what isn't on the path is shared, never changed."""
    if len(path) == 1:
        return {**message, path[0]: value}
    inner = message.get(path[0], {})
    if not isinstance(inner, Mapping):
        raise PermanentError(f"key {'.'.join(path)!r} leads into {path[0]!r}, which holds no object")
    return {**message, path[0]: _with(inner, path[1:], value)}


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
