"""The site behind the backlog: every page of every host, each answered late, by a process that keeps nothing.

``python benchmarks/backlog/pages.py DELAY_S`` says in a line on which port it listens, and serves until its standard
input ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

_LINKS = 10
_BACKLOG = 4_096
_NO_ROBOTS = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"


def url(page: int, hosts: int, port: int) -> str:
    """The address of a page: pages go round the hosts, which are addresses of the loopback network."""
    host = page % hosts
    return f"http://127.{1 + (host >> 16)}.{host >> 8 & 255}.{host & 255}:{port}/section/page-{page // hosts}.html"


@contextmanager
def served(delay_s: float) -> Iterator[int]:
    """Inside, the site is served by a process of its own: the port."""
    command = [sys.executable, __file__, str(delay_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


class _Connection(asyncio.Protocol):
    """One connection; requests come one after the other, without bodies."""

    _transport: asyncio.Transport

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._got = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not transport.get_extra_info("peername")[0].startswith("127."):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._got += data
        while b"\r\n\r\n" in self._got:
            head, _, self._got = self._got.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            robots = path == b"/robots.txt"
            self._loop.call_later(self._delay_s, self._answer, _NO_ROBOTS if robots else _page(path))

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _page(path: bytes) -> bytes:
    """A page that links to those before it on its host; they wait already, or were fetched."""
    number = int(path.rpartition(b"-")[2].partition(b".")[0])
    links = "".join(f'<a href="page-{number - 1 - step}.html">x</a>' for step in range(min(_LINKS, number)))
    body = f"<!DOCTYPE html><title>Page {number}</title>{links}".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    # The hosts are many addresses of the loopback network; who asks from elsewhere is sent away.
    server = await loop.create_server(lambda: _Connection(delay_s), "0.0.0.0", 0, backlog=_BACKLOG)  # noqa: S104
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
