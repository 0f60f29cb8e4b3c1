"""References: which elements of a page refer to something, and to what, as it is written there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from airless.core.errors import ConfigError
from airless.crawl.hints import refresh_reference
from airless.crawl.settings import Links

# An element of the tree, its tag and the reference as it is written there.
Reference = tuple[LexborNode, str, str]

_ATTRIBUTE_OF = {
    "a": "href",
    "area": "href",
    "base": "href",
    "link": "href",
    "meta": "content",
    "iframe": "src",
    "frame": "src",
    "img": "src",
}


@lru_cache(maxsize=64)
def link_selector(options: Links) -> str:
    """The CSS selector of the elements that the options count as links; no element matches it twice."""
    parts = ["a[href]", "area[href]"]
    if options.next:
        parts.append("link[rel~=next i][href]")
    if options.refresh:
        parts.append("meta[http-equiv=refresh i][content]")
    if options.frames:
        parts += ["iframe[src]", "frame[src]"]
    if options.images:
        parts.append("img[src]")
    return ",".join(parts)


class References:
    """What a page's elements refer to, asked of one after the other."""

    __slots__ = ("_refreshed",)

    def __init__(self) -> None:
        self._refreshed = False

    def of(self, node: LexborNode, tag: str) -> str | None:
        """An element's reference, or None; of several valid refreshes the first counts (HTML standard)."""
        reference = node.attrs.get(_ATTRIBUTE_OF[tag]) or ""
        if tag == "meta":
            target = None if self._refreshed else refresh_reference(reference)
            self._refreshed = self._refreshed or target is not None
            return target or None
        if not reference and tag in ("img", "iframe", "frame"):
            return None  # an empty src loads nothing; an empty href is a link to the page itself
        return reference


def references(nodes: Iterable[LexborNode]) -> Iterator[Reference]:
    """Those of the elements that refer to something."""
    refers_to = References().of
    for node in nodes:
        tag = node.tag or ""
        reference = refers_to(node, tag)
        if reference is not None:
            yield node, tag, reference


def within(
    tree: LexborHTMLParser, nodes: Iterable[LexborNode], selectors: Iterable[str]
) -> Iterator[LexborNode]:
    """Those of the elements that match one of the CSS selectors or stand inside of one that does."""
    regions = {region.mem_id for selector in selectors for region in select(tree, selector)}
    known: dict[int, bool] = {}
    for node in nodes:
        climbed: list[int] = []
        ancestor: LexborNode | None = node
        answer = False
        # Each ancestor is looked at once a page, however many links it holds.
        while ancestor is not None:
            identity = ancestor.mem_id
            if identity in known:
                answer = known[identity]
                break
            climbed.append(identity)
            if identity in regions:
                answer = True
                break
            ancestor = ancestor.parent
        known.update(dict.fromkeys(climbed, answer))
        if answer:
            yield node


def select(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    """The elements that match. Raises ConfigError for a selector that can't be read."""
    try:
        return tree.css(selector)
    except SelectolaxError as error:
        raise ConfigError(f"{selector!r} is no valid CSS selector") from error
