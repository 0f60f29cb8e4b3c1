"""Contender: Scrapy as somebody who profiled it would use it: five fields by lexbor's CSS.

Tuned as scrapy_expert.py is; links and fields come from one tree.

Usage: scrapy_fields_expert.py OUTPUT SEED_URL...; every seed's host is 127.0.0.1.
"""

from __future__ import annotations

import sys
from typing import Any

from links import title
from scrapy_expert import main
from selectolax.lexbor import LexborHTMLParser


def fields(url: str, tree: LexborHTMLParser) -> dict[str, Any]:
    """The item of a page."""
    description = tree.css_first("meta[name=description]")
    heading = tree.css_first(".block__inner > h2")
    note = tree.css_first("#comments p")
    return {
        "url": url,
        "title": title(tree),
        "description": description.attributes["content"] if description else None,
        "heading": heading.text() if heading else None,
        "images": [image.attributes["src"] for image in tree.css("figure img")],
        "note": note.text() if note else None,
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:], fields)
