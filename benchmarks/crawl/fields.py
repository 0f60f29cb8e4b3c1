"""Five fields of a generated page, as a race for them must give: by the generator's knowledge and plain search.

Nothing here selects by CSS, so that what contenders select is judged by something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .pages import Site, title
from .store import file_of

Fields = Mapping[str, str | list[str]]

_HEADING = re.compile(rb'<h2 id="h\d+">([^<]*)</h2>')
_IMAGE = re.compile(rb'<figure><img src="([^"]*)"')


def expected_fields(site: Site, folder: Path) -> dict[str, Fields]:
    """Canonical address and fields of every page of a site that was laid out in `folder`.

    Raises ValueError where a page there isn't of this site.
    """
    return {
        site.url(page): fields_of(page, file_of(site, folder, page).read_bytes())
        for page in range(site.pages)
    }


def fields_of(page: int, body: bytes) -> Fields:
    """What is to be read from a page's bytes. Raises ValueError where they have no heading."""
    heading = _HEADING.search(body)
    if heading is None:
        raise ValueError(f"page {page} has no heading")
    return {
        "title": title(page),
        "description": f"Page {page} of a site made up for a benchmark",
        "heading": heading[1].decode(),
        "images": [source.decode() for source in _IMAGE.findall(body)],
        "note": f"Made up for a benchmark; page {page}.",
    }
