"""The pages that a site's sitemaps list are crawled: from robots.txt, through indexes, packed or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from support.command import Folder
from support.web import Web, linking

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def urlset(*urls: str) -> bytes:
    entries = "".join(f"<url><loc>{escape(url)}</loc></url>" for url in urls)
    return f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="{NAMESPACE}">{entries}</urlset>'.encode()


def index(*urls: str) -> bytes:
    entries = "".join(f"<sitemap><loc>{escape(url)}</loc></sitemap>" for url in urls)
    head = f'<?xml version="1.0" encoding="UTF-8"?><sitemapindex xmlns="{NAMESPACE}">'
    return f"{head}{entries}</sitemapindex>".encode()


def fill(web_: Web) -> None:
    """A packed index that robots.txt names, of a packed and a plain sitemap; the seed links to nothing."""
    sitemaps = [web_.url("/one.xml.gz"), web_.url("/two.xml")]
    ampersand = web_.url("/catalog?item=12&desc=vacation_hawaii")
    web_.pages = {
        "/robots.txt": f"User-agent: *\nDisallow: /closed\nSitemap: {web_.url('/index.xml.gz')}\n".encode(),
        "/index.xml.gz": gzip.compress(index(*sitemaps)),
        "/one.xml.gz": gzip.compress(urlset(web_.url("/a"), ampersand, web_.url("/closed"))),
        "/two.xml": urlset(web_.url("/b"), web_.url("/a"), "http://elsewhere.test/", web_.url("/")),
        "/": linking(),
        "/a": linking("/below"),
        "/b": linking(),
        "/below": linking(),
        "/catalog": linking(),
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_sitemaps_are_followed_through_a_packed_index(folder: Folder, processes: int) -> None:
    with Web() as web_:
        fill(web_)
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--sitemap", "--processes", processes)
    assert folder.paths() == ["/", "/a", "/b", "/below", "/catalog?item=12&desc=vacation_hawaii"]
    stats = folder.stats()
    assert stats["skipped"] == {"offsite": 1, "robots": 1}
    assert stats["seeds"] == 1


def test_without_the_option_no_sitemap_is_asked_for(folder: Folder) -> None:
    with Web() as web_:
        fill(web_)
        folder.crawl(web_.url(), "-o", "pages.jsonl")
        assert web_.paths() == ["/"]


def test_what_a_sitemap_lists_stands_beside_the_seeds_in_depth(folder: Folder) -> None:
    with Web() as web_:
        fill(web_)
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--sitemap", "--max-depth", 0)
    assert folder.paths() == ["/", "/a", "/b", "/catalog?item=12&desc=vacation_hawaii"]
    assert {item["depth"] for item in folder.items()} == {0}


def test_where_robots_names_none_the_usual_place_is_asked(folder: Folder) -> None:
    with Web({"/": linking(), "/a": linking()}) as web_:
        web_.pages["/sitemap.xml"] = urlset(web_.url("/a"))
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--sitemap")
        assert folder.paths() == ["/", "/a"]


def test_a_sitemap_that_is_none_leads_nowhere_and_stops_nothing(folder: Folder) -> None:
    with Web({"/": linking("/a"), "/a": linking(), "/sitemap.xml": b"\x1f\x8b this is neither"}) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--sitemap")
    assert folder.paths() == ["/", "/a"]
