"""A process that dies between two writes of an engine whose commits go in steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


class Died(Exception):
    """The power is gone."""


def mortal(engine: Any, writes: int) -> Any:
    """The engine, for who dies after so many writes: of a state, or of messages that are published."""
    left = writes

    def counted(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def count(*arguments: Any) -> Any:
            nonlocal left
            if not left:
                raise Died
            left -= 1
            return await write(*arguments)

        return count

    engine.state.inner.commit = counted(engine.state.inner.commit)
    engine.queue = engine.state._queue = _Publishing(engine.queue, counted(engine.queue.publish_many))
    return engine


class _Publishing:
    """A queue with another `publish_many`."""

    def __init__(self, queue: Any, publish_many: Callable[..., Awaitable[Any]]) -> None:
        self._queue = queue
        self.publish_many = publish_many

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
