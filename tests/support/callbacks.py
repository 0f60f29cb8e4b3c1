"""A spider's callback, run to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airless.crawl.callbacks import run_callback
from airless.crawl.response import Response
from airless.crawl.spider import Spider


async def run_to_the_end(spider: Spider, response: Response, take: Callable[[Any], None]) -> None:
    rest = run_callback(spider, response, take)
    if rest is not None:
        await rest
