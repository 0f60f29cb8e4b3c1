"""A shop to practise on: books.toscrape.com, one item a book."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airless import Follow, Response, Spider


class BooksSpider(Spider):
    """All books of the shop: ``airless crawl books``.

    `parse` reads a list of books and goes on to the next one, `book` reads the page of one. An item has the
    page's `url`, the book's `title`, `price` (as written, with its currency), `in_stock`, `rating` (a word,
    None without one) and `upc`.
    """

    start_urls = ("https://books.toscrape.com/",)

    async def parse(self, response: Response) -> AsyncIterator[Follow]:
        yield response.follow_all(response.css("article.product_pod h3 a"), callback=self.book, priority=1)
        yield response.follow_all(response.css("li.next a"))

    async def book(self, response: Response) -> AsyncIterator[dict[str, Any]]:
        product = response.css(".product_main")
        yield {
            "url": response.url,
            "title": product.css("h1").text,
            "price": product.css(".price_color::text").get(),
            "in_stock": "In stock" in product.css(".availability").text,
            "rating": product.css(".star-rating::attr(class)").re_first(r"star-rating\s+(\w+)"),
            "upc": response.css("th:lexbor-contains('UPC') + td::text").get(),
        }
