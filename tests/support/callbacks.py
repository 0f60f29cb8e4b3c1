"""A spider's callback, run to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from airless.crawl.callbacks import run_callback
from airless.crawl.response import Response
from airless.crawl.spider import Spider


async def run_to_the_end(spider: Spider, response: Response, take: Callable[[Any], None]) -> None:
    """Hand each result to `take`, in order: an item that was made a line as what the line says."""
    rest = run_callback(spider, response, _Results(take))
    if rest is not None:
        await rest


class _Results:
    def __init__(self, take: Callable[[Any], None]) -> None:
        self.take = take
        self.items = _Told(lambda line: take(orjson.loads(line)))
        self.found = _Told(take)


class _Told(list[Any]):
    """A list that tells of what is appended to it."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self.append = tell  # type: ignore[method-assign]
