"""Sitemaps as seeds: from robots.txt through indexes to pages."""

import gzip

import pytest

from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.sitemap_seeds import ROBOTS, SITEMAP, run_sitemap_callback, sitemap_seed
from airless.crawl.sitemaps import MAX_NESTING

# The examples of sitemaps.org, "XML Tag definitions" and "Using Sitemap index files".
SITEMAP_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
   <url>
      <loc>http://www.example.com/</loc>
      <lastmod>2005-01-01</lastmod>
      <changefreq>monthly</changefreq>
      <priority>0.8</priority>
   </url>
   <url>
      <loc>http://www.example.com/catalog?item=12&amp;desc=vacation_hawaii</loc>
   </url>
</urlset>"""
INDEX_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
   <sitemap>
      <loc>http://www.example.com/sitemap1.xml.gz</loc>
      <lastmod>2004-10-01T18:23:17+00:00</lastmod>
   </sitemap>
   <sitemap>
      <loc>http://www.example.com/sitemap2.xml.gz</loc>
   </sitemap>
</sitemapindex>"""


def _run(
    body: bytes, url: str = "http://www.example.com/sitemap.xml", status: int = 200, *, level: int = 0
) -> tuple[list[Request], list[str]]:
    """The files to fetch, and the pages."""
    callback = ROBOTS if url.endswith("/robots.txt") else SITEMAP
    request = Request(url, callback=callback, meta={"level": level} if level else None)
    found = list(run_sitemap_callback(Response.from_bytes(url, body, status, request=request)))
    requests = [each for each in found if isinstance(each, Request)]
    return requests, [page for each in found if isinstance(each, Follow) for page in each.urls]


def test_a_hosts_sitemaps_are_asked_for_at_its_robots_file() -> None:
    seed = sitemap_seed("https://www.example.com:8443/some/page?x")
    assert (seed.url, seed.callback) == ("https://www.example.com:8443/robots.txt", ROBOTS)
    assert seed.priority > 0


def test_a_robots_file_names_its_sitemaps() -> None:
    body = b"User-agent: *\nDisallow: /\nSitemap: http://www.example.com/a.xml\nsitemap: /b.xml.gz\n"
    files, pages = _run(body, "http://www.example.com/robots.txt")
    assert [file.url for file in files] == ["http://www.example.com/a.xml", "http://www.example.com/b.xml.gz"]
    assert {file.callback for file in files} == {SITEMAP}
    assert pages == []


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"User-agent: *\n", 200), (b"<html>", 404), (b"Sitemap: mailto:a@example.com\n", 200)],
)
def test_a_host_that_names_no_sitemap_is_asked_for_the_usual_one(body: bytes, status: int) -> None:
    files, _ = _run(body, "http://www.example.com/robots.txt", status)
    assert [file.url for file in files] == ["http://www.example.com/sitemap.xml"]


def test_a_sitemap_gives_its_pages() -> None:
    files, pages = _run(SITEMAP_XML)
    assert files == []
    assert pages == [
        "http://www.example.com/",
        "http://www.example.com/catalog?item=12&desc=vacation_hawaii",
    ]


def test_a_zipped_sitemap_gives_the_same() -> None:
    assert _run(gzip.compress(SITEMAP_XML))[1] == _run(SITEMAP_XML)[1]


def test_a_sitemap_longer_than_a_chunk_gives_every_page_in_order() -> None:
    urls = [f"http://www.example.com/{n:06d}/{'x' * 50}" for n in range(5_000)]
    body = b"\n".join(url.encode() for url in urls)
    assert len(body) > 3 * 65_536
    assert _run(body)[1] == urls


def test_an_index_gives_its_sitemaps_one_level_down() -> None:
    files, pages = _run(INDEX_XML)
    assert [file.url for file in files] == [
        "http://www.example.com/sitemap1.xml.gz",
        "http://www.example.com/sitemap2.xml.gz",
    ]
    assert {(file.callback, file.meta["level"]) for file in files if file.meta} == {(SITEMAP, 1)}
    assert pages == []


def test_indexes_in_indexes_end_somewhere() -> None:
    assert len(_run(INDEX_XML, level=MAX_NESTING - 1)[0]) == 2
    assert _run(INDEX_XML, level=MAX_NESTING)[0] == []


def test_an_index_names_files_of_its_own_host_only() -> None:
    body = INDEX_XML.replace(b"www.example.com/sitemap2", b"other.example/sitemap2")
    assert [file.url for file in _run(body)[0]] == ["http://www.example.com/sitemap1.xml.gz"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 200), (b"<html><p>Not found", 404), (SITEMAP_XML, 404), (b"\x00\x01", 200)]
)
def test_an_answer_that_is_no_sitemap_leads_nowhere(body: bytes, status: int) -> None:
    assert _run(body, status=status) == ([], [])


def test_a_sitemap_that_breaks_off_gives_what_it_had() -> None:
    cut = SITEMAP_XML[: SITEMAP_XML.index(b"/catalog")]
    assert _run(cut)[1] == ["http://www.example.com/"]
    zipped = gzip.compress(SITEMAP_XML)
    assert set(_run(zipped[:-10])[1]) <= set(_run(SITEMAP_XML)[1])


def test_what_is_no_page_address_is_left_out() -> None:
    body = SITEMAP_XML.replace(b"http://www.example.com/catalog", b"ftp://www.example.com/catalog")
    assert _run(body)[1] == ["http://www.example.com/"]
