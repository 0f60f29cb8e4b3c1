"""A server on loopback that misbehaves as told: each path has a handler that owns the raw connection.

A handler is ``async def(reader, writer, path)``. It is called with the request's head already read; what it
writes goes out as it is. When it returns, the next request of the connection is read, unless it closed the
writer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]

ANY = "*"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: the head's bytes, and the number of the connection, counted from 1."""

    head: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}


@dataclass(slots=True)
class HostileServer:
    """Routes by path without the query; ``*`` takes what has no route of its own."""

    routes: dict[str, Handler] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    closed_by_peer: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    scheme: str = "http"
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        number = self.connections
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                received = Received(head, number)
                self.requests.append(received)
                path = received.target.partition("?")[0]
                handler = self.routes.get(path) or self.routes.get(ANY)
                if handler is None:
                    writer.write(answer(b"", status="404 Not Found"))
                else:
                    await handler(reader, writer, received.target)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.closed_by_peer.set()
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            del self._open[task]

    async def stop(self) -> None:
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def hostile_server(
    routes: dict[str, Handler] | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HostileServer]:
    """A running server; every connection is gone when it ends."""
    server = HostileServer(routes=routes or {}, scheme="https" if tls else "http")
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
        await listening.wait_closed()


def answer(
    body: bytes = b"",
    *,
    status: str = "200 OK",
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> bytes:
    """A whole answer with its length, or with a `length` that lies."""
    fields = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def says(data: bytes) -> Handler:
    """Write and keep the connection."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(data)

    return handler


def says_and_closes(data: bytes) -> Handler:
    """Write and close in order."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return handler


def says_and_resets(data: bytes, *, after_s: float = 0.05) -> Handler:
    """Write, let it arrive, and reset the connection."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(after_s)
        reset(writer)

    return handler


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def in_pieces(*pieces: bytes, apart_s: float = 0.05) -> Handler:
    """Write pieces that arrive apart from each other."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(apart_s)

    return handler


def in_turn(*handlers: Handler) -> Handler:
    """One handler after the other, a request each; the last one stays."""
    left = list(handlers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reader, writer, path)

    return handler


def drips(data: bytes, *, every_s: float) -> Handler:
    """Write one byte at a time."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(every_s)

    return handler


def never_ends(head: bytes, piece: bytes) -> Handler:
    """Write the same piece until the client goes away."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return handler


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: str) -> None:
    """Say nothing until the client goes away."""
    await reader.read()
    raise ConnectionResetError
