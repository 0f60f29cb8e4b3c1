"""The site crawler: one item a page, and all its links."""

from __future__ import annotations

from typing import Any

from support.callbacks import run_to_the_end

from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from crawlers.site import SiteSpider

URL = "https://shop.example/list/"


async def visit(
    body: bytes, content_type: str | None = "text/html; charset=utf-8", **fields: Any
) -> list[Any]:
    request = Request(URL)
    request.depth = 2
    request.referrer = "https://shop.example/"
    response = Response.from_bytes(
        URL, body, request=request, headers={"Content-Type": content_type or ""}, **fields
    )
    found: list[Any] = []
    await run_to_the_end(SiteSpider(), response, found.append)
    return found


async def test_a_page_gives_an_item_and_its_links() -> None:
    body = b"<title> All\n books </title><link rel=canonical href=/all><a href=one>1</a><a href=two#x>2</a>"
    item, follow = await visit(body, fetched_at=1_700_000_000.25)
    assert item == {
        "url": URL,
        "status": 200,
        "title": "All books",
        "depth": 2,
        "content_type": "text/html",
        "bytes": len(body),
        "referrer": "https://shop.example/",
        "fetched_at": "2023-11-14T22:13:20.250Z",
        "canonical": "https://shop.example/all",
    }
    assert isinstance(follow, Follow)
    assert follow.urls == ["https://shop.example/list/one", "https://shop.example/list/two"]
    assert follow.callback is None


async def test_what_is_no_page_gives_an_item_and_nothing_to_follow() -> None:
    (item,) = await visit(b"<a href=/x>%PDF", "application/pdf")
    assert (item["title"], item["content_type"], item["canonical"]) == (None, "application/pdf", None)


async def test_what_a_page_lacks_is_none() -> None:
    (item, follow) = await visit(b"<p>nothing here", None)
    assert (item["title"], item["content_type"], item["canonical"]) == (None, None, None)
    assert follow.urls == []


def test_the_spider_is_named_site() -> None:
    assert SiteSpider.name == "site"
