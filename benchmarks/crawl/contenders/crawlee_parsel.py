"""Contender: Crawlee for Python as its documentation has it: ParselCrawler, enqueue_links.

Tuned: concurrency 64 from the start (left alone it scales up from 10 in steps); memory storage; httpx2
instead of impit, which can't be told an address; uvloop; no session pool, no log, no browser-like headers;
lines of our own instead of a dataset. Robots off, Crawlee's own default.

Usage: crawlee_parsel.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path

import orjson
from crawlee import ConcurrencySettings
from crawlee.configuration import Configuration
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext
from crawlee.http_clients import HttpxHttpClient
from crawlee.storage_clients import MemoryStorageClient
from loopback import run

WORKERS = 64


async def main(seeds: list[str]) -> list[bytes]:
    lines: list[bytes] = []
    crawler = ParselCrawler(
        configuration=Configuration(log_level="CRITICAL", available_memory_ratio=0.9),
        storage_client=MemoryStorageClient(),
        http_client=HttpxHttpClient(header_generator=None, http2=False),
        concurrency_settings=ConcurrencySettings(
            min_concurrency=WORKERS, desired_concurrency=WORKERS, max_concurrency=WORKERS
        ),
        configure_logging=False,
        use_session_pool=False,
        retry_on_blocked=False,
        status_message_logging_interval=timedelta(hours=1),
    )

    @crawler.router.default_handler
    async def visit(context: ParselCrawlingContext) -> None:
        lines.append(
            orjson.dumps({"url": context.request.url, "title": context.selector.css("title::text").get()})
        )
        await context.enqueue_links(strategy="same-domain")

    await crawler.run(seeds)
    return lines


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    Path(sys.argv[1]).write_bytes(b"\n".join([*run(main(sys.argv[2:])), b""]))
