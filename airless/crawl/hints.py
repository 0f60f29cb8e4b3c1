"""What a page says about itself: its base, its canonical address, what robots may do, where it moves on to.

`tree` is a parsed page, or None for an answer that is no HTML and has header fields only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from airless.crawl.headers import Headers
from airless.crawl.urls import join

ASCII_SPACE = "\t\n\f\r "

_REFRESH = re.compile(
    r"[\t\n\f\r ]*+(?:[0-9]++|(?=\.))[0-9.]*+(?:\Z|(?=[;,\t\n\f\r ]))[\t\n\f\r ]*+[;,]?+[\t\n\f\r ]*+"
)
_REFRESH_URL = re.compile(r"url[\t\n\f\r ]*+=[\t\n\f\r ]*+", re.IGNORECASE)
_LINK_VALUE = re.compile(r'[\t ,]*+<([^>]*)>((?:"(?:[^"\\]|\\.)*+"|[^",])*+)')
_LINK_PARAMETER = re.compile(r';[\t ]*+([^\t ;=]++)[\t ]*+(?:=[\t ]*+(?:"((?:[^"\\]|\\.)*+)"|([^\t ;]*+)))?')
_NAMED_DIRECTIVE = re.compile(r"([!#$%&'*+\-.^_`|~0-9a-z]+)\s*:(.*)", re.DOTALL)
# Directives that take a value: in an X-Robots-Tag the word before a colon is else the agent that is meant.
_VALUED_DIRECTIVES = frozenset({"max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"})


def base_url(tree: LexborHTMLParser, page_url: str) -> str:
    """What references are relative to: the first ``<base href>`` if it gives an http(s) URL, else `page_url`.

    Source: HTML standard, "document base URL".
    """
    node = tree.css_first("base[href]")
    if node is None:
        return page_url
    return join(page_url, node.attrs.get("href") or "") or page_url


def canonical_link(tree: LexborHTMLParser | None, headers: Headers, page_url: str) -> str | None:
    """The address that the page prefers for itself, or None: a hint, not an order (RFC 6596).

    The first usable ``<link rel=canonical>`` of the head counts, then the first such Link header (RFC 8288),
    whose reference is relative to the page, not to its base.
    """
    if tree is not None:
        base = base_url(tree, page_url)
        for node in tree.css("head link[rel~=canonical i][href]"):
            href = node.attrs.get("href")
            found = join(base, href) if href else None
            if found is not None:
                return found
    for reference, parameters in _links_in_header(headers):
        about_another_page = "anchor" in parameters and join(page_url, parameters["anchor"]) != page_url
        if "canonical" in parameters.get("rel", "").lower().split() and not about_another_page:
            found = join(page_url, reference)
            if found is not None:
                return found
    return None


def _links_in_header(headers: Headers) -> Iterator[tuple[str, dict[str, str]]]:
    for value in headers.get_all("link"):
        at = 0
        while match := _LINK_VALUE.match(value, at):
            at = match.end()
            parameters: dict[str, str] = {}
            for parameter in _LINK_PARAMETER.finditer(match[2]):
                quoted, bare = parameter[2], parameter[3]
                text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (bare or "")
                # RFC 8288 §3.3 and §3.2: of a repeated rel or anchor only the first counts.
                parameters.setdefault(parameter[1].lower(), text)
            yield match[1], parameters


def robots_directives(tree: LexborHTMLParser | None, headers: Headers, agent: str = "") -> frozenset[str]:
    """What robots in general, and `agent` by its name, are told on this page, in lower case.

    From ``<meta name=robots>``, the ``meta`` named after the agent and X-Robots-Tag fields, with or without
    an ``agent:`` in front. All that apply are united, so the stricter wins; ``none`` also gives ``noindex``
    and ``nofollow``. `agent` is a product token or a whole User-Agent, of which the first product counts.
    """
    product = re.split(r"[/\s]", agent.strip(), maxsplit=1)[0].lower()
    found: set[str] = set()
    if tree is not None:
        for node in tree.css("meta[name][content]"):
            name = (node.attrs.get("name") or "").strip(ASCII_SPACE).lower()
            if name == "robots" or (product and name == product):
                found.update(item.strip().lower() for item in (node.attrs.get("content") or "").split(","))
    for value in headers.get_all("x-robots-tag"):
        found.update(_directives_in_header(value, product))
    found.discard("")
    if "none" in found:
        found |= {"noindex", "nofollow"}
    return frozenset(found)


def _directives_in_header(value: str, product: str) -> Iterator[str]:
    applies = True
    for part in value.lower().split(","):
        item = part.strip()
        named = _NAMED_DIRECTIVE.fullmatch(item)
        if named and named[1] not in _VALUED_DIRECTIVES:
            # An agent's name holds for all that follows it in the field.
            applies = named[1] in ("*", "robots", product)
            item = named[2].strip()
        if applies:
            yield item


def refresh_reference(content: str) -> str | None:
    """The reference in a refresh's content (``5; url=next.html``): None if it is invalid, "" for a reload.

    Source: HTML standard, "shared declarative refresh steps", up to the parsing of the URL.
    """
    start = _REFRESH.match(content)
    if start is None:
        return None
    rest = content[start.end() :]
    prefix = _REFRESH_URL.match(rest)
    if prefix is not None:
        rest = rest[prefix.end() :]
    elif rest[:1] not in ("'", '"'):
        return rest
    if rest[:1] in ("'", '"'):
        rest = rest[1:].partition(rest[0])[0]
    return rest
