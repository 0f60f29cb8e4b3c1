"""Contender: airless as its documentation has it: five fields by response.css, every link followed.

A spider for ``airless crawl --spider``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airless import Follow, Response, Spider


class FieldsSpider(Spider):
    """Follows every link to one of the seeds' hosts."""

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        yield {
            "url": response.url,
            "title": response.css("title::text").get(),
            "description": response.css("meta[name=description]::attr(content)").get(),
            "heading": response.css(".block__inner > h2::text").get(),
            "images": response.css("figure img::attr(src)").getall(),
            "note": response.css("#comments p::text").get(),
        }
        yield response.follow_all()
