"""What the pure path says of a page, in the scanner's terms, and where the two disagree."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from airless.crawl.links import page_urls
from airless.crawl.references import link_selector, references
from airless.crawl.settings import Dedup, Links
from airless.crawl.urls import dedup_key, join, parsed, resolve

OPTIONS = (Links(), Links(frames=True, images=True), Links(next=False, refresh=False))


def answers(tree: LexborHTMLParser, options: Links) -> dict[str, Any]:
    title = tree.css_first("title:not(svg title)")
    base = tree.css_first("base[href]")
    refresh = tree.css_first("meta[http-equiv=refresh i][content]")
    canonicals = [n.attrs.get("href") for n in tree.css("head link[rel~=canonical i][href]")]
    return {
        "title": (" ".join(title.text().split()) or None) if title is not None else None,
        "base": (base.attrs.get("href") or "") if base is not None else None,
        "refresh": (refresh.attrs.get("content") or "") if refresh is not None else None,
        "canonicals": [href for href in canonicals if href],
        "metas": [
            (n.attrs.get("name") or "", n.attrs.get("content") or "") for n in tree.css("meta[name][content]")
        ],
        "hrefs": list(dict.fromkeys(r for _, _, r in references(tree.css(link_selector(options))))),
    }


def flags(options: Links) -> dict[str, bool]:
    return {name: getattr(options, name) for name in ("frames", "images", "next", "refresh")}


class Everywhere(dict[str, str]):
    """Every host is a site."""

    def __missing__(self, start: str) -> str:
        return start


def new_urls(
    speed: Any, page: Any, base: str, spellings: Any, *, sort_query: bool
) -> tuple[list[str], list[str]]:
    """The URLs and the odd references that are new, with every host in scope."""
    fresh, odd, refused = page.new_urls(base, spellings, Everywhere(), speed.Seen(), sort_query, 1)
    assert refused == b""
    for url, mark, start in fresh:
        assert url.startswith(f"{start}/")
        key = dedup_key(url, Dedup(sort_query=sort_query)).encode()
        assert mark == int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
    return [url for url, _, _ in fresh], odd


def disagreement(speed: Any, body: bytes, page_url: str, options: Links) -> str | None:
    """What is wrong with the scan of a page, or None; "declined" if it was left to the DOM.

    What is no UTF-8 in it is U+FFFD to the tree, as it is in the page's text.
    """
    page = speed.scan(body, **flags(options))
    if page is None:
        return "declined"
    tree = LexborHTMLParser(body.decode("utf-8", "replace").encode())
    for name, expected in answers(tree, options).items():
        found = list(dict.fromkeys(page.hrefs())) if name == "hrefs" else getattr(page, name)
        if found != expected:
            return f"{name}: {found!r} instead of {expected!r}"
    base = page_url if page.base is None else join(page_url, page.base) or page_url
    urls = page_urls(tree, page_url, options)
    if parsed(base).scheme not in ("http", "https"):
        return None
    new, odd = new_urls(speed, page, base, speed.Spellings(10_000), sort_query=False)
    if len(set(new)) != len(new):
        return f"twice in {new!r}"
    found = set(new) | {
        url for url in (resolve(parsed(base), reference) for reference in odd) if url is not None
    }
    if found != set(urls):
        return f"urls: {sorted(found ^ set(urls))!r} differ, odd are {odd!r}"
    key = Dedup(sort_query=True)
    new, odd = new_urls(speed, page, base, speed.Spellings(10_000), sort_query=True)
    keys = [dedup_key(url, key) for url in new]
    odd_keys = {dedup_key(url, key) for url in (resolve(parsed(base), reference) for reference in odd) if url}
    if len(set(keys)) != len(keys) or set(keys) | odd_keys != {dedup_key(url, key) for url in urls}:
        return f"keys: {set(keys) | odd_keys!r} instead of those of {urls!r}"
    return None
