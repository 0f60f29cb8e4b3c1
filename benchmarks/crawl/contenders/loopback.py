"""An event loop for which every name is 127.0.0.1: Crawlee's HTTP clients take no resolver of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]


class Loopback(uvloop.Loop):
    """uvloop, but for resolving."""

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Address]:  # type: ignore[override]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", int(port)))]


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=Loopback) as runner:
        return runner.run(main)
