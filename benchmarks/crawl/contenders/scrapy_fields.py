"""Contender: Scrapy as its documentation has it: five fields by response.css, links by LinkExtractor.

Tuned as scrapy_links.py is.

Usage: scrapy_fields.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import sys
from typing import Any

from scrapy.http import HtmlResponse
from scrapy_links import main


def fields(response: HtmlResponse) -> dict[str, Any]:
    """The item of a page."""
    return {
        "url": response.url,
        "title": response.css("title::text").get(),
        "description": response.css("meta[name=description]::attr(content)").get(),
        "heading": response.css(".block__inner > h2::text").get(),
        "images": response.css("figure img::attr(src)").getall(),
        "note": response.css("#comments p::text").get(),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:], fields)
