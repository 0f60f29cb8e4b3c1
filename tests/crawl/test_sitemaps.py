"""Sitemaps, by the examples of the sitemaps.org protocol."""

import gzip
import tracemalloc
import zlib

import pytest

from airless.crawl.sitemaps import MAX_BYTES, MAX_URLS, SitemapEntry, SitemapParser

BASE = "http://www.example.com/sitemap.xml"

URLSET = b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
   <url>
      <loc>http://www.example.com/</loc>
      <lastmod>2005-01-01</lastmod>
      <changefreq>monthly</changefreq>
      <priority>0.8</priority>
   </url>
   <url>
      <loc>http://www.example.com/catalog?item=12&amp;desc=vacation_hawaii</loc>
      <changefreq>weekly</changefreq>
   </url>
   <url>
      <loc>http://www.example.com/catalog?item=73&amp;desc=vacation_new_zealand</loc>
      <lastmod>2004-12-23</lastmod>
      <changefreq>weekly</changefreq>
   </url>
   <url>
      <loc>http://www.example.com/catalog?item=74&amp;desc=vacation_newfoundland</loc>
      <lastmod>2004-12-23T18:00:15+00:00</lastmod>
      <priority>0.3</priority>
   </url>
   <url>
      <loc>http://www.example.com/catalog?item=83&amp;desc=vacation_usa</loc>
      <lastmod>2004-11-23</lastmod>
   </url>
</urlset>
"""
PAGES = [
    SitemapEntry("http://www.example.com/", "page", "2005-01-01", 0.8),
    SitemapEntry("http://www.example.com/catalog?item=12&desc=vacation_hawaii", "page"),
    SitemapEntry("http://www.example.com/catalog?item=73&desc=vacation_new_zealand", "page", "2004-12-23"),
    SitemapEntry(
        "http://www.example.com/catalog?item=74&desc=vacation_newfoundland",
        "page",
        "2004-12-23T18:00:15+00:00",
        0.3,
    ),
    SitemapEntry("http://www.example.com/catalog?item=83&desc=vacation_usa", "page", "2004-11-23"),
]

INDEX = b"""<?xml version="1.0" encoding="UTF-8"?>
<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
   <sitemap>
      <loc>http://www.example.com/sitemap1.xml.gz</loc>
      <lastmod>2004-10-01T18:23:17+00:00</lastmod>
   </sitemap>
   <sitemap>
      <loc>http://www.example.com/sitemap2.xml.gz</loc>
      <lastmod>2005-01-01</lastmod>
   </sitemap>
</sitemapindex>
"""


def read(body: bytes, step: int | None = None, url: str = BASE) -> tuple[list[SitemapEntry], SitemapParser]:
    parser = SitemapParser(url)
    step = step or max(1, len(body))
    found = [entry for at in range(0, len(body), step) for entry in parser.feed(body[at : at + step])]
    return found + parser.close(), parser


def locs(body: bytes, step: int | None = None, url: str = BASE) -> list[str]:
    return [entry.url for entry in read(body, step, url)[0]]


def urlset(*urls: str) -> bytes:
    return ("<urlset>" + "".join(f"<url><loc>{u}</loc></url>" for u in urls) + "</urlset>").encode()


@pytest.mark.parametrize("step", [1, 2, 7, 64, None])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_urlset_is_read_in_chunks_of_any_size(step: int | None, pack: type[bytes]) -> None:
    found, parser = read(pack(URLSET), step)
    assert found == PAGES
    assert (parser.error, parser.truncated, parser.reason) == (None, False, None)


@pytest.mark.parametrize("step", [1, None])
def test_an_index_names_sitemaps(step: int | None) -> None:
    assert read(INDEX, step)[0] == [
        SitemapEntry("http://www.example.com/sitemap1.xml.gz", "sitemap", "2004-10-01T18:23:17+00:00"),
        SitemapEntry("http://www.example.com/sitemap2.xml.gz", "sitemap", "2005-01-01"),
    ]


@pytest.mark.parametrize("step", [1, None])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n \r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_text_file_has_one_url_a_line(step: int | None, mark: bytes, end: bytes) -> None:
    urls = ["http://www.example.com/catalog?item=1", "http://www.example.com/catalog?item=11"]
    body = mark + end.join([urls[0].encode(), b"", b"not a url", b"/relative", b" " + urls[1].encode()])
    assert locs(body, step) == urls
    assert locs(body + end, step) == urls
    assert locs(gzip.compress(body), step) == urls


def test_entries_come_as_soon_as_their_end_is_read() -> None:
    parser = SitemapParser(BASE)
    at = URLSET.index(b"</url>") + len(b"</url>")
    assert parser.feed(URLSET[:at]) == PAGES[:1]
    assert parser.feed(URLSET[at:]) == PAGES[1:]
    assert parser.close() == []


def test_entities_of_the_protocol_cdata_and_white_space_are_undone() -> None:
    body = urlset(
        "http://www.example.com/%C3%BCmlat.php&amp;q=name",
        "\n  http://www.example.com/&lt;&gt;&quot;&apos;  \n",
        "<![CDATA[http://www.example.com/a?b&c]]>",
        "http://www.example.com/\u00fcmlat.html",
        "http://www.example.com/&#x2F;&#47;",
    )
    assert locs(body) == [
        "http://www.example.com/%C3%BCmlat.php&q=name",
        "http://www.example.com/%3C%3E%22'",
        "http://www.example.com/a?b&c",
        "http://www.example.com/%C3%BCmlat.html",
        "http://www.example.com///",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_declared_encoding_is_used(encoding: str) -> None:
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?>' + urlset("http://www.example.com/\u00fc").decode()
    assert locs(text.encode(encoding), 1) == ["http://www.example.com/%C3%BC"]


def test_white_space_before_the_declaration_is_forgiven() -> None:
    assert locs(b"\n\n  " + URLSET, 1) == [page.url for page in PAGES]


def test_any_namespace_does_and_an_image_is_no_page() -> None:
    body = b"""<sm:urlset xmlns:sm="http://www.google.com/schemas/sitemap/0.84" xmlns:image="urn:image">
      <sm:url>
        <image:image><image:loc>http://www.example.com/image.png</image:loc></image:image>
        <image:loc>http://www.example.com/image2.png</image:loc>
        <sm:loc>http://www.example.com/page</sm:loc>
        <image:priority>0.1</image:priority>
      </sm:url>
    </sm:urlset>"""
    assert read(body)[0] == [SitemapEntry("http://www.example.com/page", "page")]


@pytest.mark.parametrize("unknown", ["", "loc", "x" * 10])
def test_a_relative_or_broken_loc_is_passed_over(unknown: str) -> None:
    assert locs(urlset(unknown, "http://[", "ftp://www.example.com/", "http://www.example.com/")) == [
        "http://www.example.com/"
    ]


def test_an_entry_without_a_loc_is_none() -> None:
    assert locs(b"<urlset><url><lastmod>2005-01-01</lastmod></url><url/></urlset>") == []


@pytest.mark.parametrize(
    ("text", "priority"),
    [("0.5", 0.5), ("1", 1.0), ("1.5", None), ("-1", None), ("nan", None), ("high", None)],
)
def test_a_priority_is_between_0_and_1(text: str, priority: float | None) -> None:
    body = f"<urlset><url><loc>http://a.example/</loc><priority>{text}</priority></url></urlset>"
    assert read(body.encode())[0] == [SitemapEntry("http://a.example/", "page", None, priority)]


def test_an_rss_feed_is_a_sitemap() -> None:
    body = b"""<?xml version="1.0"?>
    <rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>
      <title>News</title><link>http://www.example.com/home</link>
      <atom:link href="http://www.example.com/feed" rel="self"/>
      <item>
        <title>One</title><atom:link href="http://www.example.com/no"/><link>http://www.example.com/1</link>
        <pubDate>Tue, 03 Jun 2003 09:39:21 GMT</pubDate>
      </item>
      <item><link>/2?a=b&amp;c</link></item>
      <item><description>no link</description></item>
    </channel></rss>"""
    assert read(body)[0] == [
        SitemapEntry("http://www.example.com/1", "page", "Tue, 03 Jun 2003 09:39:21 GMT"),
        SitemapEntry("http://www.example.com/2?a=b&c", "page"),
    ]


def test_an_atom_feed_is_a_sitemap() -> None:
    body = b"""<?xml version="1.0" encoding="utf-8"?>
    <feed xmlns="http://www.w3.org/2005/Atom">
      <title>Example Feed</title><link href="http://example.org/"/><updated>2003-12-13T18:30:02Z</updated>
      <entry>
        <title>Atom-Powered Robots Run Amok</title>
        <link rel="edit" href="http://example.org/edit"/>
        <link href="http://example.org/2003/12/13/atom03"/>
        <link rel="alternate" href="http://example.org/second"/>
        <updated>2003-12-13T18:30:02Z</updated>
      </entry>
      <entry><link rel="alternate" href="/relative"/></entry>
    </feed>"""
    assert read(body, url="http://example.org/feed")[0] == [
        SitemapEntry("http://example.org/2003/12/13/atom03", "page", "2003-12-13T18:30:02Z"),
        SitemapEntry("http://example.org/relative", "page"),
    ]


def test_what_was_read_before_malformed_xml_counts() -> None:
    body = URLSET.replace(b"item=74&amp;", b"item=74&")
    found, parser = read(body, 16)
    assert found == PAGES[:3]
    assert parser.error is not None
    assert "line 19" in parser.error
    assert parser.feed(URLSET) == []
    assert not parser.truncated


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_that_breaks_off_says_so_and_keeps_what_came(pack: type[bytes]) -> None:
    packed = pack(URLSET)
    found, parser = read(packed[: len(packed) - 20])
    assert found == PAGES[: len(found)]
    assert parser.error is not None
    assert parser.feed(b"<url>") == []
    assert parser.close() == []


def test_a_page_that_is_no_sitemap_says_so() -> None:
    found, parser = read(b"<!DOCTYPE html><html><body><p>Not found</p></body></html>")
    assert found == []
    assert parser.error == "not a readable sitemap: <html> is neither a sitemap nor a feed"


@pytest.mark.parametrize(
    "declarations",
    [b'<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">', b'<!ATTLIST url long CDATA "aaaaaaaaaa">'],
)
def test_declarations_inside_the_file_are_refused(declarations: bytes) -> None:
    bomb = b"<!DOCTYPE urlset [" + declarations + b"]>" + urlset("http://www.example.com/&lol2;")
    found, parser = read(bomb, 10)
    assert found == []
    assert parser.error == "not a readable sitemap: a document type with declarations is refused"


def test_a_comment_without_end_ends_the_file() -> None:
    found, parser = read(urlset("http://www.example.com/").replace(b"</urlset>", b"<!--") + b" " * 3_000_000)
    assert [entry.url for entry in found] == ["http://www.example.com/"]
    assert parser.error == "not a readable sitemap: a tag or comment is longer than 1048576 bytes"


def test_nothing_external_is_loaded() -> None:
    body = b'<!DOCTYPE urlset SYSTEM "http://127.0.0.1:1/x.dtd">' + urlset("http://www.example.com/")
    assert locs(body) == ["http://www.example.com/"]


def test_an_encoding_that_cannot_be_read_is_an_error() -> None:
    for encoding in (b"utf-7", b"shift_jis", b"nonsense"):
        _, parser = read(b'<?xml version="1.0" encoding="' + encoding + b'"?><urlset></urlset>')
        assert parser.error is not None


def test_elements_cannot_nest_without_end() -> None:
    _, parser = read(b"<urlset>" + b"<a>" * 100_000)
    assert parser.error == "not a readable sitemap: elements nest deeper than 64"


def test_a_loc_without_end_is_dropped() -> None:
    assert locs(urlset("http://www.example.com/" + "a" * 10_000, "http://www.example.com/b")) == [
        "http://www.example.com/b"
    ]


@pytest.mark.parametrize("step", [100, None])
def test_a_line_without_end_is_dropped(step: int | None) -> None:
    body = b"http://www.example.com/" + b"a" * 10_000 + b"\nhttp://www.example.com/b\n"
    assert locs(b"http://www.example.com/a\n" + body, step)[0] == "http://www.example.com/a"
    assert locs(body, step)[-1] == "http://www.example.com/b"


def test_50_000_urls_are_read_and_one_more_is_not() -> None:
    urls = [f"http://www.example.com/{i}" for i in range(MAX_URLS)]
    found, parser = read(urlset(*urls), 65_536)
    assert ([e.url for e in found], parser.truncated, parser.error) == (urls, False, None)
    found, parser = read(gzip.compress(urlset(*urls, "http://www.example.com/over")))
    assert ([e.url for e in found], parser.truncated) == (urls, True)
    assert parser.reason == "over 50000 URLs"
    found, parser = read("\n".join([*urls, "http://www.example.com/over"]).encode())
    assert ([e.url for e in found], parser.truncated) == (urls, True)


def test_50_mib_are_read_and_one_byte_more_is_not() -> None:
    head, tail = b"<urlset><url><loc>http://www.example.com/</loc></url>", b"</urlset>"
    parser = SitemapParser(BASE)
    found = parser.feed(head)
    left = MAX_BYTES - len(head) - len(tail)
    while left:
        found += parser.feed(b" " * min(left, 1 << 20))
        left -= min(left, 1 << 20)
    found += parser.feed(tail)
    assert not parser.truncated
    found += parser.feed(b"\n") + parser.close()
    assert [entry.url for entry in found] == ["http://www.example.com/"]
    assert (parser.truncated, parser.reason) == (True, "over 52428800 bytes uncompressed")


def test_a_gzip_bomb_stops_at_the_cap_in_little_memory() -> None:
    squeeze = zlib.compressobj(wbits=31)
    block = b" " * (1 << 20)
    bomb = squeeze.compress(b"http://www.example.com/\n")
    bomb += b"".join(squeeze.compress(block) for _ in range(60)) + squeeze.flush()
    tracemalloc.start()
    try:
        found, parser = read(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [entry.url for entry in found] == ["http://www.example.com/"]
    assert parser.truncated
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("step", [1, None])
def test_gzip_members_follow_each_other_and_padding_is_passed_over(step: int | None) -> None:
    body = gzip.compress(b"http://a.example/\n") + gzip.compress(b"http://b.example/\n") + b"\0" * 50
    found, parser = read(body, step)
    assert [entry.url for entry in found] == ["http://a.example/", "http://b.example/"]
    assert parser.error is None


def test_broken_gzip_is_an_error() -> None:
    _, parser = read(b"\x1f\x8b" + b"garbage" * 10)
    assert parser.error is not None
    assert "gzip" in parser.error


@pytest.mark.parametrize("body", [b"", b" ", b"<", b"\x1f", b"\xef\xbb\xbf"])
def test_a_file_of_nothing_has_nothing(body: bytes) -> None:
    assert locs(body) == []
