"""airless with what a listing has: the fields of a page, and four of each of its dozen sections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airless import Follow, Response
from benchmarks.crawl.contenders.airless_fields import FieldsSpider


class SectionsSpider(FieldsSpider):
    """Takes five fields of the page as its parent does, and all of its sections."""

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        async for found in super().parse(response):
            if isinstance(found, dict):
                found["sections"] = [
                    {
                        "heading": section.css("h2::text").get(),
                        "id": section.css("h2::attr(id)").get(),
                        "text": section.css("p::text").get(),
                        "picture": section.css("figure img::attr(src)").get(),
                    }
                    for section in response.css("section.block")
                ]
            yield found
