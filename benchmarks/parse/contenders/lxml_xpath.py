"""Contender: lxml by hand: the fields of fields.py as XPath, compiled once, with no selector around a match."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lxml import etree
from timing import report

PARSER = etree.HTMLParser(encoding="utf-8", huge_tree=True)
_CLASS = re.compile(r"\.([a-z-]+)")


def xpath(expression: str) -> Callable[[Any], Any]:
    """Compiled; ``.name`` stands for the test whether the class attribute holds that name."""
    written = _CLASS.sub(r"[contains(concat(' ', normalize-space(@class), ' '), ' \1 ')]", expression)
    return etree.XPath(written, smart_strings=False)


TITLE = xpath("//title/text()")
LANGUAGE = xpath("//html/@lang")
GENERATOR = xpath("//meta[@name='generator']/@content")
CANONICAL = xpath("//link[@rel='canonical']/@href")
PREVIOUS = xpath("//link[@rel='prev']/@href")
NEXT = xpath("//link[@rel='next']/@href")
SOURCE = xpath("//ul.this-page-menu//a[@rel='nofollow']/@href")
HEADING = xpath("//h1//text()")
LEAD = xpath("//h1/following-sibling::p[1]//text()")
BREADCRUMBS = xpath("//div.related//li.nav-item/a/text()")
CONTENTS = xpath("//nav.menu//a.internal/@href")
SECTIONS = xpath("//section/*[self::h2 or self::h3]/text()")
DATA = xpath("(//dl.data | //dl.attribute)/dt/@id")
CHANGES = xpath("//span.versionmodified/text()")
REFERENCES = xpath("//div.body//a.reference.external/@href")
IMAGES = xpath("//div.body//img/@src")
FUNCTIONS = xpath("//dl.function")
NAME = xpath("descendant::dt/@id")
SIGNATURE = xpath("descendant::dt.sig//text()")
PARAMETERS = xpath("descendant::em.sig-param/span.n/span/text()")
NOTES = xpath("//div.admonition")
NOTE = xpath("descendant::p//text()")
EXAMPLES = xpath("//div.highlight/pre")
TABLES = xpath("//table.docutils")
ROWS = xpath("descendant::tr")
CELLS = xpath("descendant::*[self::th or self::td]")
TEXTS = xpath("descendant::text()")


def parse(body: bytes) -> etree._Element:
    return etree.fromstring(body, PARSER)


def take(page: etree._Element) -> dict[str, Any]:
    return {
        "title": _first(TITLE(page)),
        "language": _first(LANGUAGE(page)),
        "generator": _first(GENERATOR(page)),
        "canonical": _first(CANONICAL(page)),
        "previous": _first(PREVIOUS(page)),
        "next": _first(NEXT(page)),
        "source": _first(SOURCE(page)),
        "heading": "".join(HEADING(page)),
        "lead": "".join(LEAD(page)),
        "breadcrumbs": BREADCRUMBS(page),
        "contents": CONTENTS(page),
        "sections": SECTIONS(page),
        "data": DATA(page),
        "changes": CHANGES(page),
        "references": REFERENCES(page),
        "images": IMAGES(page),
        "functions": [
            {
                "name": _first(NAME(function)),
                "signature": "".join(SIGNATURE(function)),
                "parameters": PARAMETERS(function),
            }
            for function in FUNCTIONS(page)
        ],
        "notes": ["".join(NOTE(note)) for note in NOTES(page)],
        "examples": ["".join(TEXTS(example)) for example in EXAMPLES(page)],
        "tables": [
            [["".join(TEXTS(cell)) for cell in CELLS(row)] for row in ROWS(table)] for table in TABLES(page)
        ],
    }


def _first(found: list[str]) -> str | None:
    return found[0] if found else None


if __name__ == "__main__":
    report(parse, take, ("lxml",))
