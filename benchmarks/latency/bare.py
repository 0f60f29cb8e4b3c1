"""Contender: knows every address beforehand, and only asks: what this server and this machine allow.

No names, no robots, no links, no state. Each of its connections asks for the next page as soon as one is in.

Usage: bare.py OUTPUT CONNECTIONS PORT ADDRESSES; the last is a file with an address a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httptools


class Asker(asyncio.Protocol):
    """One connection, which takes addresses until there are none left."""

    _transport: asyncio.Transport

    def __init__(self, addresses: Iterator[str], lines: list[str]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._addresses = addresses
        self._lines = lines
        self._url = ""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server hung up"))

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)

    def on_message_complete(self) -> None:
        text = b"".join(self._body).decode()
        title = text.partition("<title>")[2].partition("</title>")[0]
        self._lines.append(json.dumps({"url": self._url, "title": title}) + "\n")
        self._ask()

    def _ask(self) -> None:
        self._url = next(self._addresses, "")
        if not self._url:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._body = []
        self._parser = httptools.HttpResponseParser(self)
        host, _, path = self._url.removeprefix("http://").partition("/")
        self._transport.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


async def main(connections: int, port: int, addresses: Iterator[str]) -> list[str]:
    lines: list[str] = []
    loop = asyncio.get_running_loop()
    askers = [
        (await loop.create_connection(lambda: Asker(addresses, lines), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(asker.ended for asker in askers))
    return lines


if __name__ == "__main__":
    output, connections, port, file = sys.argv[1:]
    found = asyncio.run(main(int(connections), int(port), iter(Path(file).read_text().split())))
    Path(output).write_text("".join(found), encoding="utf-8")
