"""A page's links and title in one pass over its bytes, without a tree, where the compiled scanner is installed.

`airless._speed` is an optional part of the package, and the tree gives the same answers: it takes over where the
scanner isn't there, is turned off (``AIRLESS_PURE=1``), or declines a page on which only a tree can decide.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airless.crawl.request import Follow
from airless.crawl.seen import SeenSet
from airless.crawl.settings import Links
from airless.crawl.urls import join, parsed, resolve

if TYPE_CHECKING:
    from airless._speed import Page, Seen, Spellings

try:
    from airless._speed import Seen as _Seen
    from airless._speed import Spellings as _Spellings
    from airless._speed import scan as _scan
except ImportError:
    compiled = False
else:
    compiled = not os.environ.get("AIRLESS_PURE")

# Of the spellings met last; beyond them a link costs what it costs without the scanner.
_SPELLINGS = 1 << 18


def scan(body: bytes, options: Links) -> Page | None:
    """What one pass over a page in UTF-8 finds; None where the tree must be asked."""
    if not compiled or options.obey_nofollow:
        return None
    return _scan(
        body, frames=options.frames, images=options.images, next=options.next, refresh=options.refresh
    )


def spellings() -> Spellings | None:
    """A memory of the links that were offered lately; None without the scanner."""
    return _Spellings(_SPELLINGS) if compiled else None


def seen_set() -> Seen | SeenSet:
    """An empty set of fingerprints: the compiled one, or the one in Python that takes less memory and more time."""
    return _Seen() if compiled else SeenSet()


class PageFollow(Follow):
    """All links of a scanned page. Only those that a crawl has not met lately are made into strings."""

    __slots__ = ("_base", "_page", "_urls")

    resolved = True

    def __init__(self, page: Page, base: str, **options: object) -> None:
        super().__init__((), **options)  # type: ignore[arg-type]
        self._page = page
        self._base = base
        self._urls: list[str] | None = None

    @property
    def urls(self) -> list[str]:
        """As `links.page_urls` gives them."""
        if self._urls is None:
            base = parsed(self._base)
            resolved = (resolve(base, reference) for reference in dict.fromkeys(self._page.hrefs()))
            self._urls = list(dict.fromkeys(url for url in resolved if url is not None))
        return self._urls

    @urls.setter
    def urls(self, urls: list[str]) -> None:
        self._urls = urls or None

    def new_urls(self, spellings: Spellings, *, sort_query: bool) -> list[str]:
        """Those that were not offered to `spellings` before; some may have been, under other spellings."""
        new, odd = self._page.new_urls(self._base, spellings, sort_query=sort_query)
        if odd:
            new += [url for reference in odd if (url := join(self._base, reference)) is not None]
        return new
