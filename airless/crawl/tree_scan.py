"""What a parsed page says of itself, in the scanner's terms: one walk finds its base and its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from airless.crawl.offered import Offered
from airless.crawl.references import References, link_selector
from airless.crawl.seen import SeenSet, pack_fingerprints
from airless.crawl.settings import Dedup, Links
from airless.crawl.sites import Site
from airless.crawl.urls import dedup_key, fingerprint, parsed, resolve

if TYPE_CHECKING:
    from airless._speed import Seen

_SORTED = Dedup(sort_query=True)


class TreeScan:
    """A page's answers, each sought when it is first asked for; what was found stays, whatever becomes of the tree."""

    __slots__ = ("_base", "_hrefs", "_options", "tree")

    def __init__(self, tree: LexborHTMLParser, options: Links) -> None:
        self.tree = tree
        self._options = options
        self._base: str | None = None
        self._hrefs: list[str] | None = None

    @property
    def title(self) -> str | None:
        """The title, white space collapsed, or None."""
        found = self.tree.css_first("title:not(svg title)")
        return (" ".join(found.text().split()) or None) if found is not None else None

    @property
    def base(self) -> str | None:
        """The href of the first base that has one, or None."""
        self.hrefs()
        return self._base

    @property
    def canonicals(self) -> list[str]:
        """The hrefs, none empty, of the head's links rel=canonical: the first that can be resolved counts."""
        # A document has one head: it is cheaper to search than the whole tree for what stands in it.
        head = self.tree.head
        found = head.css("link[rel~=canonical i][href]") if head is not None else []
        return [href for node in found if (href := node.attrs.get("href"))]

    def hrefs(self) -> list[str]:
        """The references as they are written, in the page's order."""
        if self._hrefs is None:
            self._hrefs = hrefs = []
            refers_to = References().of
            for node in self.tree.css(f"{link_selector(self._options)},base[href]"):
                tag = node.tag
                if tag == "a":  # as nearly all are, and there are scores of them
                    hrefs.append(node.attrs.get("href") or "")
                    continue
                reference = refers_to(node, tag or "")
                if tag == "base":
                    self._base = reference if self._base is None else self._base
                elif reference is not None:
                    hrefs.append(reference)
        return self._hrefs

    def new_urls(
        self,
        base_url: str,
        met: Offered,
        sites: Mapping[str, Site | None],
        seen: Seen | SeenSet,
        sort_query: bool,
        twist: int,
        *,
        offered: int = 0,
        known: tuple[Seen | SeenSet, ...] | None = None,
    ) -> tuple[list[tuple[str, int, Site]], list[str], bytes]:
        """What the page's references come to that was neither met nor is known, as the scanner's method gives it.

        None is odd here, as the URL library resolves them all.
        """
        fresh: list[tuple[str, int, Site]] = []
        refused: list[int] = []
        base, sets = parsed(base_url), (seen, *(known or ()))
        for reference in met.unmet(self.hrefs(), base_url):
            url = resolve(base, reference)
            if url is None:
                continue
            key = dedup_key(url, _SORTED) if sort_query and "&" in url else url
            # A canonical URL is its own key, which was met this very moment.
            if key != reference and not met.add(key):
                continue
            site = sites[url[: url.index("/", 8)]]
            mark = fingerprint(key)
            if site is not None:
                if not any(mark in marks or mark ^ offered in marks for marks in sets):
                    fresh.append((url, mark, site))
            elif mark not in seen and seen.add(mark ^ twist):
                refused.append(mark ^ twist)
        return fresh, [], pack_fingerprints(refused)
