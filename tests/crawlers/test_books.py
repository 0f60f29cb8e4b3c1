"""The shop's spider, on pages built like the shop's."""

from __future__ import annotations

from typing import Any

from support.callbacks import run_to_the_end

from airless.crawl.request import Request
from airless.crawl.response import Response
from crawlers.books import BooksSpider

LIST = b"""<ol><li><article class=product_pod><h3><a href="a_1/index.html">A</a></h3></article>
<li><article class=product_pod><h3><a href="b_2/index.html">B</a></h3></article></ol>
<ul class=pager><li class=next><a href=page-3.html>next</a></ul>"""
BOOK = """<div class="col product_main"><h1>A  Light</h1><p class=price_color>£51.77</p>
<p class="instock availability"><i></i> In stock (22 available)</p><p class="star-rating Three"></p></div>
<table><tr><th>UPC</th><td>a897</td></tr><tr><th>Tax</th><td>£0.00</td></tr></table>"""


async def results(response: Response) -> list[Any]:
    found: list[Any] = []
    await run_to_the_end(BooksSpider(), response, found.append)
    return found


async def test_a_list_leads_to_its_books_and_to_the_next_list() -> None:
    response = Response.from_bytes("https://books.example/catalogue/page-2.html", LIST)
    books, lists = await results(response)
    base = "https://books.example/catalogue/"
    assert (books.callback, books.urls) == ("book", [f"{base}a_1/index.html", f"{base}b_2/index.html"])
    assert (lists.callback, lists.urls) == (None, [f"{base}page-3.html"])
    assert books.priority > lists.priority


async def test_a_book_is_an_item() -> None:
    url = "https://books.example/catalogue/a_1/index.html"
    response = Response.from_bytes(url, BOOK.encode(), request=Request(url, callback="book"))
    assert await results(response) == [
        {
            "url": url,
            "title": "A Light",
            "price": "£51.77",
            "in_stock": True,
            "rating": "Three",
            "upc": "a897",
        }
    ]
