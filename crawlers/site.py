"""A whole site, one item a page."""

from __future__ import annotations

from collections.abc import Iterable
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

    def parse(self, response: Response) -> Iterable[dict[str, Any] | Follow]:
        is_page = response.is_html
        second, ms = divmod(int(response.fetched_at * 1000), 1000)
        item = {
            "url": response.url,
            "status": response.status,
            "title": response.title if is_page else None,
            "depth": response.depth,
            "content_type": response.content_type or None,
            "bytes": len(response.body),
            "referrer": response.request.referrer,
            "fetched_at": f"{_iso(second)}.{ms:03d}Z",
            "canonical": response.canonical,
        }
        return [item, response.follow_all()] if is_page else [item]


@lru_cache(maxsize=256)
def _iso(second: int) -> str:
    # Hundreds of pages come within one.
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
