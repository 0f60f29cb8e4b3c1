"""Contender: Crawlee for Python as somebody who profiled it would use it: HttpCrawler and selectolax.

Tuned beyond crawlee_parsel.py: lexbor instead of lxml; links are deduplicated by spelling and by address
before a Request is made (links.py), and given to add_requests in one batch a page.

Usage: crawlee_http.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path

import orjson
from crawlee import ConcurrencySettings
from crawlee.configuration import Configuration
from crawlee.crawlers import HttpCrawler, HttpCrawlingContext
from crawlee.http_clients import HttpxHttpClient
from crawlee.storage_clients import MemoryStorageClient
from links import Links, title
from loopback import run
from selectolax.lexbor import LexborHTMLParser

WORKERS = 64


async def main(seeds: list[str]) -> list[bytes]:
    lines: list[bytes] = []
    links = Links(seeds)
    crawler = HttpCrawler(
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
    async def visit(context: HttpCrawlingContext) -> None:
        url = context.request.url
        tree = LexborHTMLParser(await context.http_response.read())
        lines.append(orjson.dumps({"url": url, "title": title(tree)}))
        new = links.new(url, tree)
        if new:
            await context.add_requests(new)

    await crawler.run(seeds)
    return lines


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    Path(sys.argv[1]).write_bytes(b"\n".join([*run(main(sys.argv[2:])), b""]))
