"""A page's links and title in one pass over its bytes, without a tree, where the compiled scanner is installed.

The tree gives the same answers (`airless.crawl.tree_scan`), and takes over where the scanner isn't there or
declines a page on which only a tree can decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from selectolax.lexbor import LexborHTMLParser

from airless.crawl.charset import BOM_STARTS, declared_encoding, for_scan, valid_utf8
from airless.crawl.compiled import speed
from airless.crawl.making import maker_like
from airless.crawl.offered import Offered
from airless.crawl.request import Follow, callback_name
from airless.crawl.seen import SeenSet
from airless.crawl.settings import Links
from airless.crawl.sites import Site, Sites
from airless.crawl.tree_scan import TreeScan
from airless.crawl.urls import join, parsed, resolve

if TYPE_CHECKING:
    from airless._speed import Page, Seen, Spellings


def scan(
    body: bytes, content_type: str | None, options: Links, tree: LexborHTMLParser | None = None
) -> tuple[Page | TreeScan | None, str]:
    """What a page says of itself, and its encoding; None where its tree must be asked for more than a scan can tell.

    `tree` is the page's, where it was parsed already.
    """
    encoding = "utf-8"
    if declared_encoding(content_type) != "utf-8" or body[:1] in BOM_STARTS:
        body, encoding = for_scan(body, content_type)
    if options.obey_nofollow:
        return None, encoding
    if speed is None:
        return TreeScan(LexborHTMLParser(valid_utf8(body)) if tree is None else tree, options), encoding
    return speed.scan(body, options.frames, options.images, options.next, options.refresh), encoding


def spellings(links: int = 1 << 18) -> Spellings | None:
    """A memory of the links of scanned pages that were offered lately, `links` at least; None without the scanner."""
    return speed.Spellings(links) if speed is not None else None


def seen_set() -> Seen | SeenSet:
    """An empty set of fingerprints: the compiled one, or the one in Python that takes less memory and more time."""
    return speed.Seen() if speed is not None else SeenSet()


class PageFollow(Follow):
    """All links of a page. Only those that a crawl has not met lately are resolved.

    `of_tree` says that the page was parsed: then `new_urls` takes the memory that is in Python, else the compiled
    one. `read` says that the links were asked for as a list, which then counts: the spider may have chosen.
    """

    __slots__ = ("_base", "_page", "_urls", "of_tree", "read")

    resolved = True

    def __init__(
        self,
        page: Page | TreeScan,
        base: str,
        callback: str | Callable[..., Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        priority: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # In place of Follow's, which would make a list.
        self.callback = None if callback is None else callback_name(callback)
        self.meta = dict(meta) if meta else None
        self.priority = priority
        self.headers = dict(headers) if headers else None
        self._page = page
        self._base = base
        self._urls: list[str] | None = None
        self.of_tree = isinstance(page, TreeScan)
        self.read = False

    @property
    def urls(self) -> list[str]:
        """As `links.page_urls` gives them."""
        self.read = True
        if self._urls is None:
            base = parsed(self._base)
            resolved = (resolve(base, reference) for reference in dict.fromkeys(self._page.hrefs()))
            self._urls = list(dict.fromkeys(url for url in resolved if url is not None))
        return self._urls

    @urls.setter
    def urls(self, urls: list[str]) -> None:
        self.read = True
        self._urls = urls

    def new_urls(
        self,
        met: Spellings | Offered,
        sites: Sites,
        seen: Seen | SeenSet,
        *,
        sort_query: bool,
        twist: int,
        offered: int = 0,
        known: tuple[Seen | SeenSet, ...] | None = None,
    ) -> tuple[list[tuple[str, int, Site]], list[str], bytes]:
        """What was not met before: URLs in scope, odd ones, and marks of those out of scope.

        The first come with their fingerprint and their site, where neither `seen` nor one of the two at most in
        `known` holds that as it is, or with the bits of `offered` turned over, unless that is 0. The second are
        canonical, in scope or not. Of the third only those are given that `seen` held neither as they are nor
        with the bits of `twist` turned over; it holds the latter now, and they are what is given, packed.
        """
        fresh, odd, refused = self._page.new_urls(
            self._base,
            met,  # type: ignore[arg-type]
            sites,
            seen,  # type: ignore[arg-type]
            sort_query,
            twist,
            offered=offered,
            known=known,  # type: ignore[arg-type]
        )
        if odd:
            odd = [url for reference in odd if (url := join(self._base, reference)) is not None]
        return fresh, odd, refused


_Fields = dict[str, Any] | None

page_follow: Callable[[Page | TreeScan, str, bool, str | None, _Fields, int, _Fields], PageFollow] = (
    maker_like(
        PageFollow(None, ""),  # type: ignore[arg-type]
        *("_page", "_base", "of_tree", "callback", "meta", "priority", "headers"),
    )
)
"""The Follow of a page: its scan, its base, `of_tree`, and as in Follow the callback's name and what it carries."""
