"""Links: from a parsed page to the http(s) URLs that it refers to, in document order.

What stands in comments, scripts and templates is no element of the tree and so no link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from airless.core.errors import ConfigError
from airless.crawl.headers import Headers
from airless.crawl.hints import base_url, canonical_link, robots_directives
from airless.crawl.references import Reference, link_selector, references, select, within
from airless.crawl.scope import Scope
from airless.crawl.settings import Links
from airless.crawl.urls import parsed, resolve

__all__ = [
    "Link",
    "LinkExtractor",
    "Rule",
    "base_url",
    "canonical_link",
    "page_links",
    "page_urls",
    "robots_directives",
]

Patterns = str | re.Pattern[str] | Iterable[str | re.Pattern[str]]

_DEFAULT_OPTIONS = Links()
_NO_HEADERS = Headers()
_TAGS = ("a", "area")
_ATTRS = ("href",)


@dataclass(frozen=True, slots=True)
class Link:
    """One reference of a page.

    `url` is canonical, `text` what it reads (the alternative text of an area or an image) with white space
    collapsed, `rel` the relation tokens in lower case, `tag` the element that it was found on.
    """

    url: str
    text: str = ""
    rel: frozenset[str] = frozenset()
    tag: str = "a"

    @property
    def nofollow(self) -> bool:
        """Whether the link is marked ``rel=nofollow``."""
        return "nofollow" in self.rel


def page_links(
    tree: LexborHTMLParser,
    page_url: str,
    options: Links = _DEFAULT_OPTIONS,
    *,
    css: str | None = None,
    headers: Headers = _NO_HEADERS,
    agent: str = "",
) -> list[Link]:
    """The links of a page in document order; of several with one URL the first.

    `css` keeps those that a matching element holds or is. `headers` and `agent` (a User-Agent) serve to obey
    an X-Robots-Tag. A reference that gives no http(s) URL is no link. Raises ConfigError for an invalid
    `css`.
    """
    if _forbidden(tree, options, headers, agent):
        return []
    nodes: Iterable[LexborNode] = tree.css(link_selector(options))
    if css is not None:
        nodes = within(tree, nodes, (css,))
    return _collect(tree, page_url, references(nodes), options)


def page_urls(
    tree: LexborHTMLParser,
    page_url: str,
    options: Links = _DEFAULT_OPTIONS,
    *,
    headers: Headers = _NO_HEADERS,
    agent: str = "",
) -> list[str]:
    """The URLs of `page_links`, in their order, without making a Link of each: for crawls that follow all."""
    if options.obey_nofollow:
        # Only here does every link's rel have to be read.
        return [link.url for link in page_links(tree, page_url, options, headers=headers, agent=agent)]
    base = parsed(base_url(tree, page_url))
    seen: set[str] = set()
    found: dict[str, None] = {}
    for _, _, reference in references(tree.css(link_selector(options))):
        if reference not in seen:
            seen.add(reference)
            url = resolve(base, reference)
            if url is not None:
                found[url] = None
    return list(found)


class LinkExtractor:
    """Chooses links of a page; the names are Scrapy's.

    `allow` and `deny` are regular expressions, searched for in the absolute URL: one of `allow` must be found
    (if there are any), none of `deny` may. `allow_domains` and `deny_domains` cover subdomains,
    `deny_extensions` are ends of the path (``pdf``; none by default, unlike in Scrapy). `restrict_css` keeps
    links inside of matching elements. With `tags` or `attrs` other than the defaults those elements'
    attributes are read instead of what the crawl's link options name. Raises ConfigError for an invalid
    pattern or domain.
    """

    __slots__ = ("_allow", "_allowed", "_attrs", "_denied", "_deny", "_extensions", "_restrict", "_selector")

    def __init__(
        self,
        allow: Patterns = (),
        deny: Patterns = (),
        *,
        allow_domains: str | Iterable[str] = (),
        deny_domains: str | Iterable[str] = (),
        restrict_css: str | Iterable[str] = (),
        deny_extensions: str | Iterable[str] | None = None,
        tags: str | Iterable[str] = _TAGS,
        attrs: str | Iterable[str] = _ATTRS,
    ) -> None:
        self._allow = _compiled(allow)
        self._deny = _compiled(deny)
        self._allowed = _scope(allow_domains)
        self._denied = _scope(deny_domains)
        self._restrict = _words(restrict_css)
        self._extensions = tuple(
            "." + extension.lower().removeprefix(".") for extension in _words(deny_extensions or ())
        )
        self._attrs = _words(attrs)
        self._selector: str | None = None
        if (_words(tags), self._attrs) != (_TAGS, _ATTRS):
            self._selector = ",".join(f"{tag}[{attr}]" for tag in _words(tags) for attr in self._attrs)

    def extract(
        self,
        tree: LexborHTMLParser,
        page_url: str,
        options: Links = _DEFAULT_OPTIONS,
        *,
        headers: Headers = _NO_HEADERS,
        agent: str = "",
    ) -> list[Link]:
        """The chosen links in document order, each URL once.

        `options`, `headers` and `agent` are as for `page_links`. Raises ConfigError for a `restrict_css` that
        is no valid selector.
        """
        if _forbidden(tree, options, headers, agent):
            return []
        nodes: Iterable[LexborNode] = select(tree, self._selector or link_selector(options))
        if self._restrict:
            nodes = within(tree, nodes, self._restrict)
        found = references(nodes) if self._selector is None else _written(nodes, self._attrs)
        return [link for link in _collect(tree, page_url, found, options) if self.allows(link.url)]

    def allows(self, url: str) -> bool:
        """Whether a canonical URL passes the patterns, the domains and the extensions."""
        return (
            (not self._allow or any(pattern.search(url) for pattern in self._allow))
            and not any(pattern.search(url) for pattern in self._deny)
            and (self._allowed is None or self._allowed.allows(url))
            and (self._denied is None or not self._denied.allows(url))
            and not (self._extensions and url.partition("?")[0].lower().endswith(self._extensions))
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """What a spider does with the links that an extractor chooses.

    They are fetched, for the spider's method `callback` if there is one. `follow` says whether the rules
    apply to the fetched pages in turn; None means where there is no callback. `meta` and `priority` go to the
    requests.
    """

    link_extractor: LinkExtractor = field(default_factory=LinkExtractor)
    callback: str | None = None
    follow: bool | None = None
    meta: Mapping[str, Any] | None = None
    priority: int = 0

    @property
    def follows(self) -> bool:
        """`follow`, or what its None stands for."""
        return self.callback is None if self.follow is None else self.follow


def _written(nodes: Iterable[LexborNode], attrs: tuple[str, ...]) -> Iterator[Reference]:
    for node in nodes:
        for name in attrs:
            value = node.attributes.get(name)
            if value is not None:
                yield node, node.tag or "", value


def _words(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _compiled(given: Patterns) -> tuple[re.Pattern[str], ...]:
    patterns = (given,) if isinstance(given, str | re.Pattern) else tuple(given)
    try:
        return tuple(re.compile(pattern) for pattern in patterns)
    except re.error as error:
        raise ConfigError(f"{error.pattern!r} is no valid regular expression: {error}") from error


def _scope(domains: str | Iterable[str]) -> Scope | None:
    entries = _words(domains)
    return Scope.of((), entries) if entries else None


def _collect(tree: LexborHTMLParser, page_url: str, found: Iterable[Reference], options: Links) -> list[Link]:
    """References made Links: resolved, of one URL the first, nofollow dropped if the options say so."""
    base = parsed(base_url(tree, page_url))
    urls: dict[str, str | None] = {}
    links: dict[str, Link] = {}
    for node, tag, reference in found:
        if reference not in urls:
            urls[reference] = resolve(base, reference)
        url = urls[reference]
        if url is None or url in links:
            continue
        rel = frozenset((node.attrs.get("rel") or "").lower().split())
        if options.obey_nofollow and "nofollow" in rel:
            continue
        links[url] = Link(url, " ".join(_text_of(node, tag).split()), rel, tag)
    return list(links.values())


def _text_of(node: LexborNode, tag: str) -> str:
    if tag in ("area", "img"):
        return node.attrs.get("alt") or ""
    # What an iframe holds is markup for browsers without frames, and reads as such.
    return "" if tag == "iframe" else node.text()


def _forbidden(tree: LexborHTMLParser, options: Links, headers: Headers, agent: str) -> bool:
    """Whether the options obey a page that as a whole says nofollow."""
    return options.obey_nofollow and "nofollow" in robots_directives(tree, headers, agent)
