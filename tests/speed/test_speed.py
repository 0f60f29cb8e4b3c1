"""The compiled scanner gives what the pure path gives."""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from hashlib import blake2b
from struct import pack
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from support import fuzz_scan as fuzz
from support.pure_scan import OPTIONS, disagreement, new_urls

from airless.crawl.offered import Offered
from airless.crawl.seen import SeenSet
from airless.crawl.settings import Links
from airless.crawl.tree_scan import TreeScan

speed = pytest.importorskip("airless._speed", reason="needs a C compiler at install")
PAGE = "http://a/b/c/d;p?q"


def pure_fingerprint(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


def hrefs(page: str, **options: bool) -> list[str]:
    scanned = speed.scan(page.encode(), **options)
    assert scanned is not None
    return scanned.hrefs()


def urls(*references: str, base: str = PAGE, sort_query: bool = True) -> tuple[list[str], list[str]]:
    page = "".join(f'<a href="{reference}">' for reference in references)
    scanned = speed.scan(page.encode())
    assert scanned is not None
    return new_urls(speed, scanned, base, speed.Spellings(100), sort_query=sort_query)


# RFC 3986 §5.4, the examples that the URL standard resolves alike.
RFC3986 = {
    "g": "http://a/b/c/g",
    "./g": "http://a/b/c/g",
    "g/": "http://a/b/c/g/",
    "/g": "http://a/g",
    "//g": "http://g/",
    "?y": "http://a/b/c/d;p?y",
    "g?y": "http://a/b/c/g?y",
    "#s": "http://a/b/c/d;p?q",
    "g#s": "http://a/b/c/g",
    "g?y#s": "http://a/b/c/g?y",
    ";x": "http://a/b/c/;x",
    "g;x": "http://a/b/c/g;x",
    "g;x?y#s": "http://a/b/c/g;x?y",
    "": "http://a/b/c/d;p?q",
    ".": "http://a/b/c/",
    "./": "http://a/b/c/",
    "..": "http://a/b/",
    "../": "http://a/b/",
    "../g": "http://a/b/g",
    "../..": "http://a/",
    "../../": "http://a/",
    "../../g": "http://a/g",
    "../../../g": "http://a/g",
    "../../../../g": "http://a/g",
    "/./g": "http://a/g",
    "/../g": "http://a/g",
    "g.": "http://a/b/c/g.",
    ".g": "http://a/b/c/.g",
    "g..": "http://a/b/c/g..",
    "..g": "http://a/b/c/..g",
    "./../g": "http://a/b/g",
    "./g/.": "http://a/b/c/g/",
    "g/./h": "http://a/b/c/g/h",
    "g/../h": "http://a/b/c/h",
    "g;x=1/./y": "http://a/b/c/g;x=1/y",
    "g;x=1/../y": "http://a/b/c/y",
    "g?y/./x": "http://a/b/c/g?y/./x",
    "g#s/../x": "http://a/b/c/g",
}


@pytest.mark.parametrize("reference", RFC3986)
def test_a_plain_reference_is_resolved(reference: str) -> None:
    assert urls(reference) == ([RFC3986[reference]], [])


@pytest.mark.parametrize(
    "reference", ["mailto:a@b", "javascript:void(0)", "tel:1", "data:,x", "g:h", "ftp://a/"]
)
def test_what_is_no_http_url_is_dropped(reference: str) -> None:
    assert urls(reference) == ([], [])


@pytest.mark.parametrize(
    "reference",
    [
        "http:g",
        "///x",
        "http://a:80/",
        "http://U@a/",
        "http://xn--a/",
        "http://a.1/",
        "http://a..b/",
        "http://a:/",
        "http://a:65536/",
        "a b",
        "a\tb",
        "a\\b",
        "%2e/x",
        ".%2E/x",
        "é",
        "a^",
        "?'",
        "/C:/..",
        "//a:443x",
    ],
)
def test_what_the_url_library_must_decide_is_odd(reference: str) -> None:
    assert urls(reference) == ([], [reference])


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:8080/", "https://h.example:8443/x", "//h_h.example/"]
)
def test_addresses_and_ports_are_plain(reference: str) -> None:
    new, odd = urls(reference)
    assert new == [reference if ":" in reference[:6] else "http:" + reference]
    assert odd == []


@pytest.mark.parametrize("reference", ["HTTP://a.test/", "http://A.Test/", "//A.TEST/", "hTTps://a.TEST/X"])
def test_scheme_and_host_are_lower_case(reference: str) -> None:
    scheme = "https" if reference.startswith("hTTps") else "http"
    assert urls(reference) == ([f"{scheme}://a.test/{'X' if reference.endswith('X') else ''}"], [])


def test_each_url_is_offered_once() -> None:
    page = speed.scan(b'<a href="x"><a href="./x#y"><a href="\xc3\xa9"><a href="\xc3\xa9">')
    spellings = speed.Spellings(100)
    assert new_urls(speed, page, PAGE, spellings, sort_query=False) == (["http://a/b/c/x"], ["é"])
    assert new_urls(speed, page, PAGE, spellings, sort_query=False) == ([], [])
    assert new_urls(speed, page, "http://a/b/", spellings, sort_query=False) == (["http://a/b/x"], ["é"])
    assert len(spellings) == 8


def test_an_odd_reference_from_the_root_is_offered_once_a_site() -> None:
    page, spellings = speed.scan(b'<a href="/\xc3\xa9">'), speed.Spellings(100)
    assert new_urls(speed, page, "http://a/x/y", spellings, sort_query=False) == ([], ["/é"])
    assert new_urls(speed, page, "http://a/z?q", spellings, sort_query=False) == ([], [])
    assert new_urls(speed, page, "http://b/", spellings, sort_query=False) == ([], ["/é"])


def test_the_order_of_a_query_matters_only_unsorted() -> None:
    references = ("x?b=1&amp;a=2", "x?a=2&b=1", "x?a=1&amp;a=2", "x?a=2&amp;a=1")
    assert urls(*references)[0] == [
        "http://a/b/c/x?b=1&a=2",
        "http://a/b/c/x?a=1&a=2",
        "http://a/b/c/x?a=2&a=1",
    ]
    assert len(urls(*references, sort_query=False)[0]) == 4
    many = "x?" + "&".join("a" * 65)
    assert urls(many) == ([], [many])


def test_a_base_that_is_no_http_url_is_refused() -> None:
    page, spellings = speed.scan(b""), speed.Spellings(1)
    for base in ("", "ftp://a/", "http://a", "http:///", "http://é/", "https:"):
        with pytest.raises(ValueError, match="no canonical"):
            new_urls(speed, page, base, spellings, sort_query=True)
    with pytest.raises(TypeError):
        page.new_urls(PAGE, spellings, sort_query=True)
    with pytest.raises(TypeError):
        new_urls(speed, page, PAGE, object(), sort_query=True)


def test_hints_are_read() -> None:
    page = speed.scan(
        b"<title>\n A &amp; B&nbsp;&ndash;\tC &notit; </title><base><base href=/r/><link rel='x CANONICAL' href=''>"
        b"<link rel=canonical href=c><link rel=canonical href=d><meta name=Robots content='a,&#98;'>"
        b"<meta http-equiv=Refresh content='5; url=next'><body><link rel=canonical href=e><title>no</title>"
    )
    assert page.title == "A & B – C ¬it;"
    assert (page.base, page.canonical, page.canonicals) == ("/r/", "c", ["c", "d"])
    assert page.metas == [("Robots", "a,b")]
    assert (page.refresh, page.hrefs(), page.links) == ("5; url=next", ["next"], 1)


def test_a_page_without_hints_has_none() -> None:
    page = speed.scan(b"<title> </title>")
    assert (page.title, page.base, page.canonical, page.refresh, page.metas) == (None, None, None, None, [])


def test_options_choose_what_is_a_link() -> None:
    page = "<link rel=next href=n><meta http-equiv=refresh content='0;r'><iframe src=f></iframe><img src=i><img src>"
    assert hrefs(page) == ["n", "r"]
    assert hrefs(page, next=False, refresh=False, frames=True, images=True) == ["f", "i"]


@pytest.mark.parametrize(
    "hidden",
    [
        "<!--{}-->",
        "<!--{}--!>",
        "<!-- > {}<!--->",
        "<script>{}</script>",
        "<script><!--<script></script>{}--></script>",
        "<style>{}</style>",
        "<title>{}</title>",
        "<textarea>{}</textarea>",
        "<xmp>{}</xmp>",
        "<iframe>{}</iframe>",
        "<noembed>{}</noembed>",
        "<noframes>{}</noframes>",
        "<template>{}</template>",
        "<template><template></template>{}</template>",
        '<p title="{}">',
        "<svg><style><![CDATA[{}]]></style></svg>",
    ],
)
def test_what_is_hidden_is_no_link(hidden: str) -> None:
    assert hrefs(hidden.format("<a href=no>") + "<a href=yes>") == ["yes"]


@pytest.mark.parametrize("name", ["b", "abbr", "blockquote", "p", "a", "td", "title2", "h1", "x-y"])
@pytest.mark.parametrize(
    "written",
    [
        ' x="{}"',
        " x='{}'",
        ' x="\'{}"',
        ' x="" y="{}"',
        ' x="a"y="{}"',
        '  x="{}"',
        ' x ="{}"',
        ' x= "{}"',
        '\tx="{}"',
        ' x y="{}"',
        ' x=1 y="{}"',
        '/x="{}"',
        ' x="{}"/',
        ' x="1" "{}"="',
        ' ="x="{}"',
    ],
)
def test_a_quoted_value_hides_tags_however_its_tag_is_written(name: str, written: str) -> None:
    page = f"<p>text<{name}{written.format('<a href=no>')}>text</{name}{written.format('>')}><a href=yes>"
    assert disagreement(speed, page.encode(), PAGE, OPTIONS[0]) is None


@pytest.mark.parametrize(
    "shown",
    [
        "<!-->{}",
        "<!--->{}",
        "<!x>{}",
        "</3>{}",
        "<?x>{}",
        "</>{}",
        "<script><!--</script>{}",
        "<select>{}</select>",
        "<noscript>{}</noscript>",
        "<svg><title>x</title><path d='M0'/></svg>{}",
        "<svg/>{}",
        "<a <b>{}",
        "<p title=>{}",
        "<![CDATA[x>{}",
        "<table><td>{}",
        "<table><caption>{}",
        "<math><mi>x</mi></math>{}",
        "<table><tr><td><table><td></table>{}",
        "<title></titlex></title >{}",
        "<scriptx>{}",
        "<",
    ],
)
def test_what_looks_hidden_is_a_link(shown: str) -> None:
    expected = ["yes"] if "{}" in shown else []
    assert hrefs(shown.format("<a href=yes>")) == expected


@pytest.mark.parametrize(
    "page",
    [
        "<frameset>",
        "<svg><a href=x>",
        "<svg><p>",
        "<svg></p>",
        "<svg><title><b>",
        "<math><title>x",
        "<table><a href=x>",
        "<table><title>x</title>",
        "<table><base href=x>",
        "<template><col>",
        "&#32;<p>",
        "<link rel='&#110;ext' href=x>",
        "<meta http-equiv='&#114;' content=x>",
        "<meta http-equiv=refresh content='&#48;;x'>",
        "<svg>" + "<g>" * 65,
        "<table><td>" * 65,
        "<template><a href=x><td></template>",
        "<table><meta http-equiv=refresh content=x>",
        "<meta http-equiv=refresh content='0;url&Tab;=x'>",
    ],
)
def test_what_the_tree_must_decide_is_declined(page: str) -> None:
    assert speed.scan(page.encode()) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a&amp;b", "a&b"),
        ("?a&copy=1", "?a&copy=1"),
        ("&copy", "©"),
        ("&copy;", "©"),
        ("&notit;", "&notit;"),
        ("&#x41;&#65&#x80;", "AA€"),
        ("&#0;&#xD800;&#x110000;", "\ufffd" * 3),
        ("&#;&#x;&;&", "&#;&#x;&;&"),
        ("&nGt;", "≫⃒"),
        ("&lt;&gt;&quot;&apos;", "<>\"'"),
        ("a\r\nb\rc\0", "a\nb\nc\ufffd"),
        ("&CounterClockwiseContourIntegral;", "∳"),
        ("&" + "a" * 40, "&" + "a" * 40),
        ("&#x1F600;é", "😀é"),
    ],
)
def test_character_references_are_decoded(written: str, read: str) -> None:
    assert hrefs(f'<a href="{written}">') == [read]


def test_of_an_attribute_the_first_counts() -> None:
    assert hrefs(
        "<a HREF='1' href=2><a href><a href = \"3\"x/><AREA/href=4/><a =href=5 x=href><a href='"
    ) == ["1", "", "3", "4/"]


@pytest.mark.parametrize("kind", ["soup", "urls", "addresses", "refreshes", "scripts", *fuzz.FOCUS])
def test_it_agrees_with_the_pure_path_on_generated_pages(kind: str) -> None:
    r = random.Random(20)
    makers = {
        "soup": fuzz.soup,
        "urls": fuzz.urls,
        "addresses": fuzz.addresses,
        "refreshes": fuzz.refreshes,
        "scripts": fuzz.scripts,
    }
    for _ in range(400):
        body = makers[kind](r) if kind in makers else fuzz.focused(kind, r)
        assert disagreement(speed, body, r.choice(fuzz.PAGES), r.choice(OPTIONS)) in (None, "declined"), body


def test_what_is_no_utf8_reads_as_in_the_pages_text() -> None:
    r = random.Random(5)
    for _ in range(2_000):
        body = fuzz.broken(r)
        assert disagreement(speed, body, PAGE, OPTIONS[0]) in (None, "declined"), body


def test_every_beginning_of_a_page_is_scanned() -> None:
    body = b"<!doctype html><title>x&amp;</title><base href='/'><script><!--<script>-->x</script>"
    body += b"<svg><![CDATA[x]]></svg><a href=x>"
    for size in range(len(body)):
        assert disagreement(speed, body[:size], PAGE, OPTIONS[0]) in (None, "declined"), body[:size]


def test_the_memory_of_spellings_is_bounded() -> None:
    spellings = speed.Spellings(1000)
    for i in range(20):
        page = speed.scan("".join(f"<a href={i}-{j}>" for j in range(500)).encode())
        assert len(new_urls(speed, page, PAGE, spellings, sort_query=True)[0]) == 500
        # Where a bucket was full before the table was, its oldest is forgotten.
        assert len(new_urls(speed, page, PAGE, spellings, sort_query=True)[0]) < 50
        assert len(spellings) <= 2048
    assert spellings.nbytes == 2048 * 8
    with pytest.raises(ValueError, match="limit"):
        speed.Spellings(0)


def test_a_memory_of_spellings_that_grows_forgets_nothing() -> None:
    spellings = speed.Spellings(1 << 20)  # it may grow whenever a bucket is full
    pages = [speed.scan("".join(f"<a href={i}-{j}>" for j in range(500)).encode()) for i in range(40)]
    for page in pages:
        assert len(new_urls(speed, page, PAGE, spellings, sort_query=True)[0]) == 500
    assert len(spellings) == 40 * 500 * 2
    for page in pages:
        assert new_urls(speed, page, PAGE, spellings, sort_query=True) == ([], [])


@pytest.mark.parametrize("sort_query", [False, True])
def test_links_of_any_number_and_length_are_offered_in_the_order_of_the_page(sort_query: bool) -> None:
    names = [f"{i}{'x' * length}" for length in (1, 700, 5_000, 20_000, 1) for i in range(20)]
    page = speed.scan("".join(f'<a href="{name}?b=1&amp;a=2">' for name in names).encode())
    query = "a=2&b=1" if sort_query else "b=1&a=2"
    urls = [f"http://a/b/c/{name}?b=1&a=2" for name in names]
    marks = [pure_fingerprint(f"http://a/b/c/{name}?{query}") for name in names]
    fresh, odd, refused = page.new_urls(
        PAGE, speed.Spellings(1000), {"http://a": "site"}, speed.Seen(), sort_query, 5
    )
    unique = dict(zip(urls, marks, strict=True))
    assert (fresh, odd, refused) == ([(url, mark, "site") for url, mark in unique.items()], [], b"")


@pytest.mark.parametrize("number", [1, 15, 16, 17, 40])
def test_what_sites_raise_ends_the_call(number: int) -> None:
    references = [f"http://known.test/{i}" for i in range(number)] + ["http://x.test/"] * 2 + ["/y", "z"]
    page = speed.scan("".join(f"<a href={reference}>" for reference in references).encode())
    with pytest.raises(KeyError, match=r"x\.test"):
        page.new_urls(PAGE, speed.Spellings(99), {"http://known.test": None}, speed.Seen(), True, 5)


def test_what_is_still_offered_is_not_forgotten() -> None:
    spellings, often = speed.Spellings(100), speed.scan(b"<a href=often>")
    assert new_urls(speed, often, PAGE, spellings, sort_query=True)[0]
    for i in range(1000):
        new_urls(speed, speed.scan(b"<a href=%d>" % i), PAGE, spellings, sort_query=True)
        assert new_urls(speed, often, PAGE, spellings, sort_query=True) == ([], [])


@pytest.mark.parametrize("size", [0, 1, 7, 127, 128, 129, 255, 256, 257, 1000])
def test_a_fingerprint_is_the_pure_paths(size: int) -> None:
    key = "k" * size
    assert speed.fingerprint(key) == speed.fingerprint(key.encode()) == pure_fingerprint(key)
    assert speed.fingerprint(b"abc") == int.from_bytes(blake2b(b"abc", digest_size=8).digest(), "big")


def test_a_fingerprint_needs_text() -> None:
    for key in (1, None):
        with pytest.raises(TypeError):
            speed.fingerprint(key)
    with pytest.raises(UnicodeEncodeError):
        speed.fingerprint("\ud800")


def test_seen_is_a_set() -> None:
    r, seen, expected = random.Random(1), speed.Seen(), set()
    for _ in range(50_000):
        value = r.choice([r.getrandbits(64), r.randrange(3000), r.getrandbits(10) << 54])
        assert seen.add(value) is (value not in expected)
        expected.add(value)
    assert len(seen) == len(expected)
    assert all(value in seen for value in expected)
    assert not any(value in seen for value in range(5000, 6000) if value not in expected)
    again = speed.Seen()
    assert again.update(seen.pack()) == len(expected)
    assert again.update(pack("<2Q", 0, 2**64 - 1)) == len({0, 2**64 - 1} - expected)
    with pytest.raises(ValueError, match="eight bytes"):
        again.update(b"1234567")
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError):
            seen.add(wrong)
        with pytest.raises(OverflowError):
            assert wrong in seen


def test_seen_takes_at_most_fifteen_bytes_each() -> None:
    seen, r = speed.Seen(), random.Random(2)
    for step in range(20):
        seen.update(r.randbytes(8 * 10_000 * (step + 1)))
        assert seen.nbytes <= 15 * len(seen) + 4096 + 8


def test_new_urls_come_with_their_fingerprint_and_their_site() -> None:
    page = speed.scan(
        b'<a href="/?b&amp;a"><a href="/?a&b"><a href="//b.test:81/"><a href="http://c.test/x">'
    )
    sites = {"http://a": "here", "http://b.test:81": 7}
    with pytest.raises(KeyError, match=r"http://c\.test"):
        page.new_urls(PAGE, speed.Spellings(100), sites, speed.Seen(), True, 5)
    sites["http://c.test"] = None
    fresh, odd, refused = page.new_urls(PAGE, speed.Spellings(100), sites, speed.Seen(), True, 5)
    assert fresh == [
        ("http://a/?b&a", pure_fingerprint("http://a/?a&b"), "here"),
        ("http://b.test:81/", pure_fingerprint("http://b.test:81/"), 7),
    ]
    assert odd == []
    assert refused == pack("<Q", pure_fingerprint("http://c.test/x") ^ 5)


def test_what_is_known_is_not_given_again() -> None:
    """Neither where it was seen nor where it was offered, by this shard or by others."""
    links = [f"http://a/{number}" for number in range(8)]
    body = "".join(f"<a href={url}>" for url in links).encode()
    marks = [pure_fingerprint(url) for url in links]
    offered = 3
    for pages, sets, memory in (
        (speed.scan(body), [speed.Seen() for _ in range(3)], lambda: speed.Spellings(100)),
        (TreeScan(LexborHTMLParser(body), Links()), [SeenSet() for _ in range(3)], Offered),
    ):
        seen, *others = sets
        seen.update(pack("<2Q", marks[0], marks[1] ^ offered))
        others[0].update(pack("<2Q", marks[2], marks[3] ^ offered))
        others[1].update(pack("<2Q", marks[4], marks[5] ^ offered))

        def new(pages: Any = pages, memory: Any = memory, seen: Any = seen, **words: Any) -> list[int]:
            fresh, odd, refused = pages.new_urls(PAGE, memory(), {"http://a": 1}, seen, True, 5, **words)
            assert (odd, refused) == ([], b"")
            return [links.index(url) for url, _, _ in fresh]

        assert new() == [1, 2, 3, 4, 5, 6, 7]
        assert new(offered=offered) == [2, 3, 4, 5, 6, 7]
        assert new(offered=offered, known=tuple(others)) == [6, 7]
        assert new(known=(others[0],)) == [1, 3, 4, 5, 6, 7]
        assert new(known=None) == new(known=())


def test_arguments_are_checked() -> None:
    page, spellings, seen = speed.scan(b"<a href=/x>"), speed.Spellings(9), speed.Seen()
    found = page.new_urls(PAGE, spellings, {"http://a": 1}, seen, twist=5, sort_query=True)
    assert [url for url, _, _ in found[0]] == ["http://a/x"]
    for call in (
        lambda: speed.scan(),
        lambda: speed.scan("text"),
        lambda: speed.scan(b"", True, True, True, True, True),
        lambda: speed.scan(b"", links=True),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, 6),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, sort_query=True),
        lambda: page.new_urls(PAGE, seen, {}, seen, True, 5),
        lambda: page.new_urls(PAGE, spellings, {}, spellings, True, 5),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, offered="5"),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, known=[seen]),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, known=(seen, spellings)),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, known=(seen, seen, seen)),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, 5, unknown=5),
        lambda: page.new_urls(PAGE, spellings, {}, seen, True, "5"),
        lambda: page.new_urls(PAGE.encode(), spellings, {}, seen, True, 5),
    ):
        with pytest.raises(TypeError):
            call()


def test_what_has_no_site_is_refused_once() -> None:
    urls = [f"http://c.test/{number}" for number in range(3)]
    page = speed.scan("".join(f"<a href={url}>" for url in urls).encode())
    crawled, skipped, fresh = (pure_fingerprint(url) for url in urls)
    seen = speed.Seen()
    seen.update(pack("<2Q", crawled, skipped ^ 5))
    found = page.new_urls(PAGE, speed.Spellings(100), {"http://c.test": None}, seen, False, 5)
    assert found == ([], [], pack("<Q", fresh ^ 5))
    assert len(seen) == 3
    assert page.new_urls(PAGE, speed.Spellings(9), {"http://c.test": None}, seen, False, 5) == ([], [], b"")


def test_a_spelling_that_begins_with_a_character_reference_belongs_to_its_page() -> None:
    page, spellings = speed.scan(b'<a href="&#63;x">'), speed.Spellings(100)
    assert new_urls(speed, page, "http://a/b/c", spellings, sort_query=True)[0] == ["http://a/b/c?x"]
    assert new_urls(speed, page, "http://a/b/d", spellings, sort_query=True)[0] == ["http://a/b/d?x"]


@pytest.mark.parametrize("spelling", ["http:?x", "ht\ttp:?x", "http&colon;?x", "https&#58;?x"])
def test_a_relative_spelling_with_a_scheme_belongs_to_its_page(spelling: str) -> None:
    page, spellings = speed.scan(f'<a href="{spelling}">'.encode()), speed.Spellings(100)
    for base in ("http://a/b/c", "http://a/b/d"):
        assert len(page.new_urls(base, spellings, {}, speed.Seen(), True, 1)[1]) == 1


def test_nothing_leaks() -> None:
    body = (
        b"<title>x &eacute;</title><base href=/><meta name=a content=b><a href='\xc3\xa9'><a href=y?b&amp;a>"
        + b"<a href=x>" * 100
    )

    def once() -> None:
        page, spellings = speed.scan(body), speed.Spellings(10)
        new_urls(speed, page, PAGE, spellings, sort_query=True)
        assert (page.title, page.base, page.metas, len(page.hrefs())) == ("x é", "/", [("a", "b")], 102)
        speed.scan(b"<a href=x><frameset>")
        seen = speed.Seen()
        page.new_urls(PAGE, speed.Spellings(9), {"http://a": None}, seen, True, 1)
        seen.update(seen.pack())

    for _ in range(100):
        once()
    before = sys.getrefcount(body)
    tracemalloc.start()
    try:
        for _ in range(50):
            once()
        held = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            once()
        assert tracemalloc.get_traced_memory()[0] - held < 5000
    finally:
        tracemalloc.stop()
    assert sys.getrefcount(body) == before


def test_a_hostile_page_takes_linear_time() -> None:
    start = time.perf_counter()
    for piece in (
        b"<",
        b"<!--",
        b"<a ",
        b"<script>",
        b"<script><!--",
        b"<title></titl",
        b"<svg>",
        b"<table>",
        b"</a ",
        b"<a href='",
        b"<![CDATA[",
        b"&",
    ):
        speed.scan(piece * (2_000_000 // len(piece)))
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("number", range(1, 10))
def test_marks_of_refused_urls_are_theirs_in_the_order_of_the_page(number: int) -> None:
    for length in (0, 90, 108, 109, 110, 111, 112, 300):
        urls = [f"http://c.test/{'x' * (length + i)}/{i}" for i in range(number)]
        page = speed.scan("".join(f"<a href={url}>" for url in urls).encode())
        found = page.new_urls(PAGE, speed.Spellings(99), {"http://c.test": None}, speed.Seen(), False, 5)
        assert found == ([], [], pack(f"<{number}Q", *(pure_fingerprint(url) ^ 5 for url in urls)))


@pytest.mark.parametrize("start", ["http://c.test", "https://c.test", "http://c.test:81", "http://c.test:80"])
def test_what_was_met_of_an_origin_changes_no_url_of_it(start: str) -> None:
    rests = [
        "",
        "/",
        "/x",
        "/../x/./y",
        "/x?y#z",
        "/x ",
        "?x",
        "#x",
        "/%2e/x",
        "/x y",
        "/x|y",
        "/x?a=1&amp;b=2",
        "//",
    ]
    for rest in (*rests, ":82/x", ".example/x", "@d.test/x", "\\x", " /x"):
        page = speed.scan(f'<a href="{start}{rest}">'.encode())
        spellings = speed.Spellings(100)
        met = speed.scan(f'<a href="{start}/met">'.encode())
        new_urls(speed, met, PAGE, spellings, sort_query=True)
        fresh = new_urls(speed, page, PAGE, speed.Spellings(100), sort_query=True)
        assert new_urls(speed, page, PAGE, spellings, sort_query=True) == fresh


@pytest.mark.parametrize(
    "title", ["a", "a b", "", " ", " a", "a ", "a  b", "a\tb", "a\x7fb", "a\x1fb", "é b", "~ !"]
)
def test_a_title_has_its_white_space_collapsed(title: str) -> None:
    page = speed.scan(f"<title>{title}</title>".encode())
    assert page is not None
    assert page.title == (" ".join(title.split()) or None)
