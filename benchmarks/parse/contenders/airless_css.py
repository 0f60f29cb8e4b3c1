"""Contender: airless, a response as the fetcher makes it."""

from __future__ import annotations

from fields import take
from timing import report

from airless.crawl.headers import Headers
from airless.crawl.request import Request
from airless.crawl.response import Response

HEADERS = Headers([("content-type", "text/html; charset=utf-8")])
REQUEST = Request("https://docs.example/library/page.html")


def parse(body: bytes) -> Response:
    """A response whose tree is built: left alone it waits for the first selector."""
    response = Response(REQUEST.url, 200, HEADERS, body, request=REQUEST)
    response.tree  # noqa: B018
    return response


if __name__ == "__main__":
    report(parse, take, ("selectolax",))
