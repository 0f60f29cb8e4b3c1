"""Contender: Scrapy as somebody who profiled it would use it.

Tuned: lexbor instead of lxml; links are deduplicated by spelling and by address before a Request is made
(links.py), so the dupe filter and the off-site, depth, referrer and URL-length middlewares are off; so are
cookies, credentials, the proxy, statistics, logging and Telnet; uvloop; the plain priority queue; lines go
straight to the file. Retries, redirects, timeouts and decompression stay on. Robots off, Scrapy's default.

Usage: scrapy_expert.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import orjson
from links import Links, title
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.resolver import dnscache
from selectolax.lexbor import LexborHTMLParser

_DOWNLOADER = "scrapy.downloadermiddlewares."
_SPIDER = "scrapy.spidermiddlewares."
SETTINGS = {
    "CONCURRENT_REQUESTS": 64,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
    "LOG_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "COOKIES_ENABLED": False,
    "MEMUSAGE_ENABLED": False,
    "REFERER_ENABLED": False,
    "DOWNLOADER_STATS": False,
    "HTTPPROXY_ENABLED": False,
    "STATS_CLASS": "scrapy.statscollectors.DummyStatsCollector",
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue",
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
    "DOWNLOADER_MIDDLEWARES": {
        _DOWNLOADER + "offsite.OffsiteMiddleware": None,
        _DOWNLOADER + "httpauth.HttpAuthMiddleware": None,
        _DOWNLOADER + "stats.DownloaderStats": None,
    },
    "SPIDER_MIDDLEWARES": {
        _SPIDER + "depth.DepthMiddleware": None,
        _SPIDER + "urllength.UrlLengthMiddleware": None,
        _SPIDER + "referer.RefererMiddleware": None,
    },
    "EXTENSIONS": {
        "scrapy.extensions.logstats.LogStats": None,
        "scrapy.extensions.corestats.CoreStats": None,
        "scrapy.extensions.logcount.LogCount": None,
    },
}


Take = Callable[[str, LexborHTMLParser], dict[str, Any]]


def page(url: str, tree: LexborHTMLParser) -> dict[str, Any]:
    """The item of a page."""
    return {"url": url, "title": title(tree)}


class Pages(Spider):
    """Follows every link to one of the seeds' hosts."""

    name = "pages"

    def __init__(self, seeds: list[str], output: BinaryIO, take: Take) -> None:
        super().__init__()
        self.seeds = seeds
        self.output = output
        self.take = take
        self.links = Links(seeds)

    async def start(self) -> AsyncIterator[Request]:
        for seed in self.seeds:
            yield Request(seed, dont_filter=True)

    def parse(self, response: Response) -> Iterator[Request]:
        if not isinstance(response, HtmlResponse):
            return
        url = response.url
        tree = LexborHTMLParser(response.body)
        self.output.write(orjson.dumps(self.take(url, tree)) + b"\n")
        for target in self.links.new(url, tree):
            yield Request(target, dont_filter=True)


def main(output: str, seeds: list[str], take: Take = page) -> None:
    for seed in seeds:
        dnscache[urlsplit(seed).hostname or ""] = "127.0.0.1"
    with open(output, "wb") as file:
        process = CrawlerProcess(SETTINGS)
        process.crawl(Pages, seeds=seeds, output=file, take=take)
        process.start()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
