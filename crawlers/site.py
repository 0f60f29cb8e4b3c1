"""A whole site, one item a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from airless import Follow, Response, Spider


class SiteSpider(Spider):
    """Every page of a site by its links: ``airless crawl site https://example.com/``.

    An item has the page's `url`, `status`, `title` (None without one), `depth` in links from the start,
    `content_type` (None where the server names none), `bytes` of the decompressed body, `referrer`,
    `fetched_at` (UTC, ISO 8601) and the page's own hint at its `canonical` address. What isn't HTML gives
    an item too.
    """

    def parse(self, response: Response) -> Iterator[dict[str, Any] | Follow]:
        is_page = response.is_html
        yield {
            "url": response.url,
            "status": response.status,
            "title": response.title if is_page else None,
            "depth": response.depth,
            "content_type": response.content_type or None,
            "bytes": len(response.body),
            "referrer": response.request.referrer,
            "fetched_at": _iso(response.fetched_at),
            "canonical": response.canonical,
        }
        if is_page:
            yield response.follow_all()


def _iso(epoch_s: float) -> str:
    second, rest = divmod(epoch_s, 1)
    return f"{_to_the_second(int(second))}.{int(rest * 1000):03d}Z"


@lru_cache(maxsize=64)
def _to_the_second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()[:19]
