"""Contender: a competent hand-written loop: aiohttp, uvloop, selectolax. No retries, robots or resuming.

Tuned: uvloop; 64 fixed workers on one session; no cookies; links are skipped by their spelling before
anything parses them (links.py); titles and links from one lexbor tree over bytes.

Usage: aiohttp_loop.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import aiohttp
import orjson
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult
from links import Links, title
from selectolax.lexbor import LexborHTMLParser
from yarl import URL

WORKERS = 64


class Loopback(AbstractResolver):
    """Every name is 127.0.0.1: only the seeds' hosts are ever asked for."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Crawl:
    """The state of one crawl: what was seen, what is to be fetched, what was found."""

    def __init__(self, seeds: list[str]) -> None:
        self.links = Links(seeds)
        self.todo: asyncio.Queue[str] = asyncio.Queue()
        self.lines: list[bytes] = []
        for seed in seeds:
            self.todo.put_nowait(seed)

    async def work(self, session: aiohttp.ClientSession) -> None:
        while True:
            url = await self.todo.get()
            try:
                async with session.get(URL(url, encoded=True)) as response:
                    body = await response.read()
                    if response.status == 200 and response.content_type == "text/html":
                        self.visit(url, body)
            except aiohttp.ClientError as error:
                print(f"{url}: {error!r}", file=sys.stderr)
            finally:
                self.todo.task_done()

    def visit(self, url: str, body: bytes) -> None:
        tree = LexborHTMLParser(body)
        self.lines.append(orjson.dumps({"url": url, "title": title(tree)}))
        for target in self.links.new(url, tree):
            self.todo.put_nowait(target)


async def main(seeds: list[str]) -> list[bytes]:
    crawl = Crawl(seeds)
    connector = aiohttp.TCPConnector(limit=WORKERS, resolver=Loopback())
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        workers = [asyncio.create_task(crawl.work(session)) for _ in range(WORKERS)]
        await crawl.todo.join()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return crawl.lines


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(b"\n".join([*uvloop.run(main(sys.argv[2:])), b""]))
