"""Contender: parsel, the selectors of Scrapy and of Crawlee.

Tuned: it is given the bytes and their encoding, where Scrapy decodes them first and parsel encodes them again.
"""

from __future__ import annotations

from fields import take
from parsel import Selector
from timing import report


def parse(body: bytes) -> Selector:
    return Selector(body=body, encoding="utf-8", type="html")


if __name__ == "__main__":
    report(parse, take, ("parsel", "lxml", "cssselect"))
