"""The server of a slow web: a process of its own that keeps each answer back for its latency.

``python -m benchmarks.latency.server CORE WEB`` says in a line on which port it listens, serves until its
standard input ends, and then says what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, replace
from typing import Any, cast

import httptools

from .log import Log, Seen
from .web import Latency, Page, Web

_ROBOTS = b"User-agent: *\nDisallow: /private/\n"
_BACKLOG = 4_096


class SlowConnection(asyncio.Protocol):
    """One connection, kept until the client closes it; a request is answered when its time has come."""

    _transport: asyncio.Transport

    def __init__(self, pages: dict[str, Page], latency: Latency, log: Log) -> None:
        self._pages = pages
        self._latency = latency
        self._log = log
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._target = self._host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._log.connections += 1

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"host":
            self._host = value.decode()

    def on_message_complete(self) -> None:
        url = f"http://{self._host}{self._target}"
        page = self._pages.get(url)
        latency_s = self._latency.of(url) if page is None else page.latency_s
        now_s = self._loop.time()
        self._log.asked(now_s)
        self._loop.call_at(now_s + latency_s, self._answer, page, now_s + latency_s)

    def _answer(self, page: Page | None, due_s: float) -> None:
        if self._transport.is_closing():
            self._log.given_up()
            return
        if page is not None:
            answer = _answer("200 OK", "text/html; charset=utf-8", b"".join(page.body))
        elif self._target == "/robots.txt":
            answer = _answer("200 OK", "text/plain", _ROBOTS)
        else:
            answer = _answer("404 Not Found", "text/plain", b"There is no such page.\n")
        self._transport.write(answer)
        self._log.answered(self._loop.time(), due_s, page=page is not None)


def _answer(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(web: Web) -> Seen:
    """Serve a web, on a port that is free, until standard input ends."""
    loop = asyncio.get_running_loop()
    log = Log()
    pages: dict[str, Page] = {}
    server = await loop.create_server(
        lambda: SlowConnection(pages, web.latency, log), "127.0.0.1", 0, backlog=_BACKLOG
    )
    port = server.sockets[0].getsockname()[1]
    pages.update(replace(web, port=port).answers())
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    return log.seen()


def main() -> None:
    core, given = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    fields: dict[str, Any] = json.loads(given)
    web = Web(**fields | {"latency": Latency(**fields["latency"])})
    print(json.dumps(asdict(asyncio.run(serve(web)))))


if __name__ == "__main__":
    main()
