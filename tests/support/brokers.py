"""The brokers that engines run on, each a server of a test's own that can be killed and started again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, Self

from .nats_server import NatsServer
from .valkey import Valkey


class Broker(Protocol):
    """A server that keeps what it was given when it is killed and started again."""

    @property
    def url(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def _redis(folder: Path) -> Broker:
    return Valkey(folder, fsync="everysec")


BROKERS: Mapping[str, Callable[[Path], Broker]] = {"redis": _redis, "nats": NatsServer}
"""By the engine's name, what makes a server on a folder. What is killed has written what it answered."""
