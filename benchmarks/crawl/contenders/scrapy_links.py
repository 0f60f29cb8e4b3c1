"""Contender: Scrapy as its documentation has it: a CrawlSpider with one LinkExtractor rule and a feed export.

Tuned: concurrency 64, as many to a host as it can use; log level, Telnet and cookies; uvloop; off-site links
are dropped by the extractor. Robots off, Scrapy's own default, which is less work than obeying them.

Usage: scrapy_links.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors import LinkExtractor
from scrapy.resolver import dnscache
from scrapy.spiders import CrawlSpider, Rule

SETTINGS = {
    "CONCURRENT_REQUESTS": 64,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
    "COOKIES_ENABLED": False,
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
}


def page(response: HtmlResponse) -> dict[str, Any]:
    """The item of a page."""
    return {"url": response.url, "title": response.css("title::text").get()}


def main(output: str, seeds: list[str], take: Callable[[HtmlResponse], dict[str, Any]] = page) -> None:
    hosts = [urlsplit(seed).hostname or "" for seed in seeds]
    for host in hosts:
        dnscache[host] = "127.0.0.1"

    class Pages(CrawlSpider):
        name = "pages"
        allowed_domains = hosts
        # Its allow_domains compares with the port (allowed_domains above, without).
        rules = (
            Rule(
                LinkExtractor(allow_domains=[urlsplit(seed).netloc for seed in seeds]),
                callback="parse_page",
                follow=True,
            ),
        )

        async def start(self) -> AsyncIterator[Request]:
            # Unlike start_urls' own requests these are seen by the dupe filter, so a seed is fetched once.
            for seed in seeds:
                yield Request(seed)

        def parse_start_url(self, response: Response, **_: Any) -> Iterator[dict[str, Any]]:
            return self.parse_page(response)

        def parse_page(self, response: Response) -> Iterator[dict[str, Any]]:
            if isinstance(response, HtmlResponse):
                yield take(response)

    process = CrawlerProcess({**SETTINGS, "FEEDS": {output: {"format": "jsonlines", "overwrite": True}}})
    process.crawl(Pages)
    process.start()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
