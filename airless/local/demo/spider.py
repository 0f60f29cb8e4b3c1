"""The spider of the demo: it follows every link, and makes an item of each book."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airless.crawl.request import Follow
from airless.crawl.response import Response
from airless.crawl.spider import Spider


class Bookshop(Spider):
    """A book's item has its `url`, `title`, `price` (as written), `category`, `rating` (a word) and `upc`."""

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
        for book in response.css("article.product_page"):
            yield {
                "url": response.url,
                "title": book.css("h1::text").get(),
                "price": book.css(".price_color::text").get(),
                "category": response.css(".breadcrumb li:nth-child(3) a::text").get(),
                "rating": book.css(".star-rating::attr(class)").re_first(r"star-rating (\w+)"),
                "upc": book.css("td::text").get(),
            }
        yield response.follow_all()
