"""What does a GET cost, beside aiohttp's and a bare httptools loop's?

One page of 30 KB over kept connections, from nginx on the other core: plain, gzip and TLS. CPU time of this
process alone, a kernel's share included; the contenders in turn, so that a busy moment hits them alike;
medians of the rounds. The bare loop sends fixed bytes and keeps no header: nobody fetches for less with this
parser and this event loop. The target: at most 25 µs a plain GET on a quiet core of 3 GHz.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast

import aiohttp
import httptools
from aiohttp.connector import _SSL_CONTEXT_VERIFIED

from airless.core.clock import SystemClock
from airless.crawl.fetch import Fetcher
from airless.crawl.http import AddressGuard, AiohttpFetcher, FastFetcher, Fetching
from airless.crawl.request import Request
from airless.crawl.settings import Http
from benchmarks.crawl.nginx import Server
from benchmarks.record import Table

HOST = "page.test"
PAGE_BYTES = 30_000
AT_ONCE = 8
PLAIN_PORT, TLS_PORT = 18_480, 18_490
FETCHERS: dict[str, Callable[[Fetching], Fetcher]] = {
    "FastFetcher": FastFetcher,
    "AiohttpFetcher": AiohttpFetcher,
}
CONTENDERS = {
    "plain": ("bare loop", "FastFetcher", "AiohttpFetcher", "aiohttp"),
    "gzip": ("FastFetcher", "AiohttpFetcher", "aiohttp"),
    "tls": ("FastFetcher", "AiohttpFetcher"),
}

Fetch = Callable[[str], Awaitable[int]]


def measure(*, quick: bool) -> Table:
    fetches, rounds = (1_000, 5) if quick else (4_000, 15)
    cpu_us: dict[tuple[str, str], list[float]] = {}
    with TemporaryDirectory() as name, _pinned():
        root = Path(name)
        _write_page(root)
        plain = Server(root, root / "run", (HOST,), PLAIN_PORT, gzip_static=True)
        tls = Server(root, root / "run-tls", (HOST,), TLS_PORT, tls=True)
        with plain.serving(), tls.serving(), _trusting(tls.ca):
            for turn in range(rounds + 1):
                for answer, contenders in CONTENDERS.items():
                    for contender in contenders:
                        taken = asyncio.run(_round(contender, answer, fetches if turn else 100))
                        if turn:
                            cpu_us.setdefault((answer, contender), []).append(taken)
    rows = [
        {
            "answer": answer,
            "contender": contender,
            "median_us": round(median(taken), 1),
            "fastest_us": round(min(taken), 1),
            "of_aiohttp_fetcher": round(median(taken) / median(cpu_us[answer, "AiohttpFetcher"]), 2),
        }
        for (answer, contender), taken in cpu_us.items()
    ]
    notes = {"rounds": rounds, "fetches": fetches, "at_once": AT_ONCE, "page_bytes": PAGE_BYTES}
    return Table(rows, libraries=("aiohttp", "httptools"), notes=notes)


async def _round(contender: str, answer: str, fetches: int) -> float:
    """Microseconds of CPU a GET."""
    scheme, port = ("https", TLS_PORT) if answer == "tls" else ("http", PLAIN_PORT)
    url = f"{scheme}://{HOST}:{port}/page.html"
    if contender == "bare loop":
        bare = [await _Bare.opened() for _ in range(AT_ONCE)]
        taken = await _taken([connection.get for connection in bare], url, fetches)
        for connection in bare:
            connection.close()
        return taken
    if contender == "aiohttp":
        return await _round_of_aiohttp(answer, fetches)
    accepts = {} if answer == "gzip" else {"Accept-Encoding": "identity"}
    fetching = Fetching(
        Http(resolve={HOST: "127.0.0.1"}, headers=accepts),
        concurrency=AT_ONCE,
        per_host=AT_ONCE,
        page_bytes=1_000_000,
        guard=AddressGuard(allow_private=True),
        clock=SystemClock(),
    )
    fetcher = FETCHERS[contender](fetching)

    async def get(url: str) -> int:
        return len((await fetcher.fetch(Request(url))).body)

    try:
        return await _taken([get] * AT_ONCE, url, fetches)
    finally:
        await fetcher.aclose()


async def _round_of_aiohttp(answer: str, fetches: int) -> float:
    """aiohttp alone, without the crawl's guard, caps and answers; no name is looked up either."""
    headers = {"Host": HOST, "Accept-Encoding": answer if answer == "gzip" else "identity"}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def get(url: str) -> int:
            async with session.get(url) as response:
                return len(await response.read())

        return await _taken([get] * AT_ONCE, f"http://127.0.0.1:{PLAIN_PORT}/page.html", fetches)


async def _taken(gets: list[Fetch], url: str, fetches: int) -> float:
    async def worker(get: Fetch, times: int) -> None:
        for _ in range(times):
            assert await get(url) == PAGE_BYTES

    for times in (5, fetches // AT_ONCE):
        started_s = time.process_time()
        await asyncio.gather(*(worker(get, times) for get in gets))
        taken_s = time.process_time() - started_s
    return taken_s / (times * AT_ONCE) * 1e6


class _Bare(asyncio.BufferedProtocol):
    """The least that fetches a page: fixed bytes out, the parser, a future."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(64 * 1024))
        self._parser = httptools.HttpResponseParser(self)
        self._head = f"GET /page.html HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        self._pieces: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def opened(cls) -> _Bare:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(cls, "127.0.0.1", PLAIN_PORT))[1]

    async def get(self, _: str) -> int:
        self._pieces = []
        self._waiting = self._loop.create_future()
        self._transport.write(self._head)
        await self._waiting
        return len(b"".join(self._pieces))

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Any, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._parser.feed_data(self._buffer[:nbytes])

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._waiting.set_result(None)


def _write_page(root: Path) -> None:
    """A page of words and links, which compresses as pages do: to about a quarter."""
    chance = random.Random(1)
    words = ["".join(chance.choices("aeinorstlu", k=chance.randint(3, 9))) for _ in range(900)]
    lines: list[str] = []
    while sum(map(len, lines)) < PAGE_BYTES:
        text = " ".join(chance.choices(words, k=12))
        lines.append(f'<p>{text} <a href="/{chance.randrange(10**6)}.html">{chance.choice(words)}</a></p>\n')
    page = "".join(lines).encode()[:PAGE_BYTES]
    (root / HOST).mkdir()
    (root / HOST / "page.html").write_bytes(page)
    (root / HOST / "page.html.gz").write_bytes(gzip.compress(page, 6))


@contextmanager
def _pinned() -> Iterator[None]:
    """On a core that isn't nginx's, where there is one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {0} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _trusting(ca: Path) -> Iterator[None]:
    """OpenSSL's default authorities are this one, for contexts that are yet to be made."""
    # aiohttp makes its own when it is imported.
    _SSL_CONTEXT_VERIFIED.load_verify_locations(ca)
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(ca)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before
