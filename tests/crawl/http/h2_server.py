"""A server for HTTP/2 over TLS on loopback: each request has a handler, and those of a connection run at once.

A handler is ``async def(asked)``; what it does with `asked` goes out in that order. The path chooses it,
``*`` takes what has no handler of its own. A connection's own handler, if there is one, is called as it opens.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

ANY = "*"

Fields = Iterable[tuple[str, str]]


@dataclass(slots=True)
class Asked:
    """One request, and what can be answered to it."""

    link: Link
    stream_id: int
    fields: list[tuple[str, str]]
    body: bytes = b""
    reset_by_client: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        return dict(self.fields)[":path"]

    def head(self, status: int = 200, fields: Fields = (), *, end: bool = False) -> None:
        self.link.h2.send_headers(self.stream_id, [(":status", str(status)), *fields], end_stream=end)
        self.link.flush()

    async def data(self, data: bytes, *, end: bool = False) -> None:
        """A piece of the body, as fast as the client takes it."""
        link = self.link
        while True:
            window = link.h2.local_flow_control_window(self.stream_id)
            piece, data = data[: min(window, 16_384)], data[min(window, 16_384) :]
            if piece or not data:
                link.h2.send_data(self.stream_id, piece, end_stream=end and not data)
                link.flush()
            if not data:
                return
            if not piece:
                await link.window()

    def trailers(self, fields: Fields) -> None:
        self.link.h2.send_headers(self.stream_id, list(fields), end_stream=True)
        self.link.flush()

    async def answer(self, body: bytes = b"", *, status: int = 200, fields: Fields = ()) -> None:
        self.head(status, [("content-length", str(len(body))), *fields])
        await self.data(body, end=True)

    def reset(self, code: ErrorCodes | int) -> None:
        self.link.h2.reset_stream(self.stream_id, code)
        self.link.flush()


class Link:
    """One connection, counted from 1."""

    def __init__(self, number: int, writer: asyncio.StreamWriter, streams: int) -> None:
        self.number = number
        self.asked: dict[int, Asked] = {}
        self.writer = writer
        self.at_once = self.most_at_once = 0
        config = H2Configuration(
            client_side=False,
            header_encoding="utf-8",
            # It says what no server should.
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        self.h2.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        )
        self.h2.initiate_connection()
        self.flush()
        self._windows = asyncio.Event()

    def flush(self) -> None:
        self.raw(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes past the library, which would refuse them."""
        if data and not self.writer.is_closing():
            self.writer.write(data)

    def go_away(self, last_stream_id: int, code: ErrorCodes | int = ErrorCodes.NO_ERROR) -> None:
        """Say so, and go on with the streams up to that one."""
        self.raw(GoAwayFrame(0, last_stream_id=last_stream_id, error_code=int(code)).serialize())

    def hang_up(self) -> None:
        self.writer.transport.abort()

    async def window(self) -> None:
        self._windows.clear()
        await self._windows.wait()

    def opened(self) -> None:
        self._windows.set()


Handler = Callable[[Asked], Awaitable[None]]
Opened = Callable[[Link], Awaitable[None]]


@dataclass(slots=True)
class H2Server:
    """`requests` are in the order in which they were handled, `links` those of HTTP/2.

    Requests for an `early` path are handled before their body is there, and it is never read.
    """

    routes: dict[str, Handler] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    opened: Opened | None = None
    early: frozenset[str] = frozenset()
    streams: int = 100
    connections: int = 0
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str, *, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                await self._serve_h2(reader, writer)
            else:
                await self._serve_http_1_1(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_h2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(len(self.links) + 1, writer, self.streams)
        self.links.append(link)
        if self.opened is not None:
            await self.opened(link)
        while data := await reader.read(65_536):
            for event in link.h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    asked = Asked(link, event.stream_id, list(event.headers))
                    link.asked[event.stream_id] = asked
                    if asked.path in self.early:
                        self._start(asked)
                elif isinstance(event, DataReceived):
                    asked = link.asked[event.stream_id]
                    asked.body += event.data
                    if asked.path not in self.early:
                        link.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    if link.asked[event.stream_id].path not in self.early:
                        self._start(link.asked[event.stream_id])
                elif isinstance(event, StreamReset):
                    link.asked[event.stream_id].reset_by_client.set()
                elif isinstance(event, WindowUpdated):
                    link.opened()
                elif isinstance(event, ConnectionTerminated):
                    return
            link.flush()

    def _start(self, asked: Asked) -> None:
        self.requests.append(asked)
        handler = self.routes.get(asked.path.partition("?")[0]) or self.routes[ANY]

        async def handle() -> None:
            link = asked.link
            link.at_once += 1
            link.most_at_once = max(link.most_at_once, link.at_once)
            try:
                await handler(asked)
            finally:
                link.at_once -= 1

        task = asyncio.ensure_future(handle())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_http_1_1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")


@asynccontextmanager
async def h2_server(certificate: tuple[Path, Path], protocols: list[str]) -> AsyncIterator[H2Server]:
    """A running server that offers these protocols; every connection is gone when it ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if protocols:
        context.set_alpn_protocols(protocols)
    server = H2Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
        await listening.wait_closed()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and for names under .test, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,DNS:*.h2.test,IP:127.0.0.1"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*made, "-addext", names, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    return certificate, key
