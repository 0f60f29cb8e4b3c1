"""With the compiled scanner and without it, a page says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airless.crawl import scan
from airless.crawl.response import Response
from airless.crawl.scope import Scope
from airless.crawl.settings import Links
from airless.crawl.sites import Sites

PAGES = {
    "plain": b"<title> A\n page </title><a href=/x>1</a><a href='y?b=2&a=1#z'>2</a><a href=mailto:a@b>3</a>",
    "base": b"<base href=/deep/er/><link rel=canonical href=self><a href=one><a href=../two><a href=//c.test/>",
    "baits": b"<!-- <a href=/no> --><script>'<a href=/no>'</script><textarea><a href=/no></textarea><a href=/yes>",
    "odd": "<a href='/é'><a href='/a b'><a href='HTTP://UPPER.test/X'><a href='/a/%2e%2e/b'><a href='\\back'>".encode(),
    "latin": b"<meta charset=iso-8859-1><title>caf\xe9</title><a href=/caf\xe9>",
    "refresh": b"<meta http-equiv=refresh content='0; url=/next'><link rel=next href=/page2>",
    "only a tree knows": b"<svg><a href=/in-svg></a></svg><table><a href=/fostered></table><title>late</title>",
    "empty": b"",
}


def _says(body: bytes, options: Links) -> dict[str, Any]:
    response = Response.from_bytes("http://a.test/dir/page.html?q=1", body, link_options=options)
    follow = response.follow_all()
    return {
        "title": response.title,
        "canonical": response.canonical,
        "base": response.base_url,
        "urls": follow.urls,
        "requests": [request.url for request in follow],
        "number": len(follow),
    }


@pytest.mark.parametrize("options", [Links(), Links(frames=True, images=True), Links(obey_nofollow=True)])
@pytest.mark.parametrize("name", PAGES)
def test_the_scanner_and_the_tree_agree(name: str, options: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = _says(PAGES[name], options)
    monkeypatch.setattr(scan, "speed", None)
    assert _says(PAGES[name], options) == scanned


def test_real_pages_say_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("/usr/share/doc/python3-doc/html")
    pages = [page.read_bytes() for page in sorted(folder.glob("*.html"))]
    if not pages:
        pytest.skip("needs Debian's package python3-doc")
    scanned = [_says(page, Links()) for page in pages]
    monkeypatch.setattr(scan, "speed", None)
    assert [_says(page, Links()) for page in pages] == scanned


def test_links_that_were_met_are_not_offered_again() -> None:
    if scan.speed is None:
        pytest.skip("needs the compiled scanner")
    memory = scan.spellings()
    assert memory is not None
    first, second = (
        Response.from_bytes("http://a.test/", b"<a href=/x?a=1&b=2><a href=/y>").follow_all(),
        Response.from_bytes(
            "http://a.test/z/", "<a href='/x?b=2&a=1#f'><a href=../y><a href=/ä>".encode()
        ).follow_all(),
    )
    assert isinstance(first, scan.PageFollow)
    assert isinstance(second, scan.PageFollow)
    sites, seen = Sites(Scope.of(["http://a.test/"])), scan.seen_set()

    def offered(follow: scan.PageFollow) -> tuple[list[str], list[str]]:
        fresh, odd, refused = follow.new_urls(memory, sites, seen, sort_query=True, twist=1)
        assert refused == b""
        return [url for url, _, _ in fresh], odd

    assert offered(first) == (["http://a.test/x?a=1&b=2", "http://a.test/y"], [])
    assert offered(second) == ([], ["http://a.test/%C3%A4"])
