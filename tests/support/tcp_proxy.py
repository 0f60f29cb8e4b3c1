"""A network between a client and a server that can be cut, mended, and lose answers."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

from support.loopback import HOST


class TcpProxy:
    """Passes bytes on, on the event loop of the test; with `tls` clients have to come over TLS."""

    def __init__(self, upstream_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.lost_answers = 0
        self._upstream_port = upstream_port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._to_lose: bytes | None = None

    async def cut(self) -> None:
        """All connections end, and no new one is taken."""
        assert self._server is not None
        self._server.close()
        self._server = None
        for task in self._passing:
            task.cancel()
        if self._passing:
            await asyncio.wait(set(self._passing))

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._pass, HOST, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def stall(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def lose_answer(self, to: bytes) -> None:
        """The next request that holds these bytes gets to the server; instead of its answer the connection ends."""
        self._to_lose = to

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(HOST, self._upstream_port)
            lost = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, upstream, lost))
                group.create_task(self._answers(answers, writer, lost))
        except* (OSError, _Ended):
            pass  # as a network does it
        finally:
            self._passing.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            if self._to_lose is not None and self._to_lose in data:
                self._to_lose = None
                lost.set()
            upstream.write(data)
            await upstream.drain()
        raise _Ended

    async def _answers(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await answers.read(65536):
            await self._flowing.wait()
            if lost.is_set():
                self.lost_answers += 1
                raise _Ended
            writer.write(data)
            await writer.drain()
        raise _Ended

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.flow()
        if self._server is not None:
            await self.cut()


class _Ended(Exception):
    """One side has closed."""
