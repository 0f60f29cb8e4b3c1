"""URL identity, by the examples of the URL standard and of RFC 3986."""

from __future__ import annotations

import random

import pytest

from airless.core.errors import ConfigError
from airless.crawl.settings import Dedup, Traps
from airless.crawl.urls import (
    canonical,
    dedup_key,
    fingerprint,
    host_of,
    is_address,
    join,
    origin,
    parsed,
    seed,
    split_origin,
    trap,
)

# WHATWG URL, the table of examples under "URLs": input, base, output (None: no http(s) URL).
STANDARD_EXAMPLES = [
    ("https:example.org", None, "https://example.org/"),
    ("https://////example.com///", None, "https://example.com///"),
    ("https://example.com/././foo", None, "https://example.com/foo"),
    ("hello:world", "https://example.com", None),
    ("https:example.org", "https://example.com", "https://example.com/example.org"),
    (r"\example\..\demo/.\ "[:-1], "https://example.com", "https://example.com/demo/"),
    ("example", "https://example.com/demo", "https://example.com/example"),
    ("file:///C|/demo", None, None),
    ("..", "file:///C:/demo", None),
    ("file://loc%61lhost/", None, None),
    ("https://user:password@example.org/", None, "https://user:password@example.org/"),
    ("https://example.org/foo bar", None, "https://example.org/foo%20bar"),
    ("https://EXAMPLE.com/../x", None, "https://example.com/x"),
    ("https://ex ample.org/", None, None),
    ("example", None, None),
    ("https://example.com:demo", None, None),
    ("http://[www.example.com]/", None, None),
    ("https://example.org//", None, "https://example.org//"),
    ("https://example.com/[]?[]#[]", None, "https://example.com/[]?[]"),
    ("https://example/%?%#%", None, "https://example/%?%"),
    ("https://example/%25?%25#%25", None, "https://example/%25?%25"),
]

# WHATWG URL, the table of examples under "Host parsing".
STANDARD_HOSTS = [
    ("EXAMPLE.COM", "example.com"),
    ("example%2Ecom", "example.com"),
    ("faß.example", "xn--fa-hia.example"),
    ("0", "0.0.0.0"),
    ("%30", "0.0.0.0"),
    ("0x", "0.0.0.0"),
    ("0xffffffff", "255.255.255.255"),
    ("[0:0::1]", "[::1]"),
    ("[0:0::1%5D", None),
    ("[0:0::%31]", None),
    ("09", None),
    ("example.255", None),
    ("example^example", None),
]

# RFC 3986 §5.4.1 and §5.4.2, relative to http://a/b/c/d;p?q (fragments are dropped).
RFC3986_EXAMPLES = [
    ("g:h", None),
    ("g", "http://a/b/c/g"),
    ("./g", "http://a/b/c/g"),
    ("g/", "http://a/b/c/g/"),
    ("/g", "http://a/g"),
    ("//g", "http://g/"),
    ("?y", "http://a/b/c/d;p?y"),
    ("g?y", "http://a/b/c/g?y"),
    ("#s", "http://a/b/c/d;p?q"),
    ("g#s", "http://a/b/c/g"),
    ("g?y#s", "http://a/b/c/g?y"),
    (";x", "http://a/b/c/;x"),
    ("g;x", "http://a/b/c/g;x"),
    ("g;x?y#s", "http://a/b/c/g;x?y"),
    ("", "http://a/b/c/d;p?q"),
    (".", "http://a/b/c/"),
    ("./", "http://a/b/c/"),
    ("..", "http://a/b/"),
    ("../", "http://a/b/"),
    ("../g", "http://a/b/g"),
    ("../..", "http://a/"),
    ("../../", "http://a/"),
    ("../../g", "http://a/g"),
    ("../../../g", "http://a/g"),
    ("../../../../g", "http://a/g"),
    ("/./g", "http://a/g"),
    ("/../g", "http://a/g"),
    ("g.", "http://a/b/c/g."),
    (".g", "http://a/b/c/.g"),
    ("g..", "http://a/b/c/g.."),
    ("..g", "http://a/b/c/..g"),
    ("./../g", "http://a/b/g"),
    ("./g/.", "http://a/b/c/g/"),
    ("g/./h", "http://a/b/c/g/h"),
    ("g/../h", "http://a/b/c/h"),
    ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
    ("g;x=1/../y", "http://a/b/c/y"),
    ("g?y/./x", "http://a/b/c/g?y/./x"),
    ("g?y/../x", "http://a/b/c/g?y/../x"),
    ("g#s/./x", "http://a/b/c/g"),
    ("g#s/../x", "http://a/b/c/g"),
    ("http:g", "http://a/b/c/g"),
]


@pytest.mark.parametrize(("given", "base", "expected"), STANDARD_EXAMPLES)
def test_the_url_standards_examples_parse_as_it_says(
    given: str, base: str | None, expected: str | None
) -> None:
    assert (canonical(given) if base is None else join(base, given)) == expected


@pytest.mark.parametrize(("host", "expected"), STANDARD_HOSTS)
def test_the_url_standards_hosts_parse_as_it_says(host: str, expected: str | None) -> None:
    url = canonical(f"https://{host}")
    assert (url and host_of(url)) == expected


@pytest.mark.parametrize(("reference", "expected"), RFC3986_EXAMPLES)
def test_rfc_3986_references_resolve_as_its_examples(reference: str, expected: str | None) -> None:
    assert join("http://a/b/c/d;p?q", reference) == expected


def test_path_and_query_keep_their_case_and_order() -> None:
    url = "https://example.org/Some/PATH?Z=1&a=%7E%c3"
    assert canonical(url) == url


def test_an_empty_query_is_not_no_query() -> None:
    assert canonical("https://example.org/x?") == "https://example.org/x?"
    assert canonical("https://example.org/x?#f") == "https://example.org/x?"
    assert dedup_key("https://example.org/x?", Dedup()) != dedup_key("https://example.org/x", Dedup())


def test_white_space_around_and_line_breaks_inside_a_reference_are_dropped() -> None:
    assert join("http://a/b/", " \n c\t/\r\nd \f") == "http://a/b/c/d"


@pytest.mark.parametrize("scheme", ["ftp", "data", "javascript", "mailto", "file", "about", "ws"])
def test_only_http_can_be_fetched(scheme: str) -> None:
    assert canonical(f"{scheme}://example.org/x") is None
    assert join("https://example.org/", f"{scheme}:x") is None


def test_text_that_is_no_unicode_is_no_url() -> None:
    assert canonical("http://example.org/\ud800") is None
    assert join("http://example.org/", "\ud800") is None
    assert join("no base", "x") is None
    with pytest.raises(ConfigError, match="no absolute URL"):
        parsed("no base")


def test_the_canonical_form_is_its_own_canonical_form() -> None:
    source = random.Random(3986)
    letters = "ht tp:/\\?#@[]%&=.0aA:\t\n\0é|^`{}<>\"'。ß-_xn"
    for _ in range(5_000):
        url = canonical("http://" + "".join(source.choices(letters, k=source.randint(0, 12))))
        if url is not None:
            assert canonical(url) == url
            assert url.isascii()
            scheme, host, port = split_origin(url)
            rebuilt = canonical(f"{scheme}://{host}:{port}")
            assert rebuilt == origin(url) + "/"
            assert host_of(url) == host


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("https://example.org", "https://example.org/"),
        ("HTTP://Example.org/A#b", "http://example.org/A"),
        ("http:example.org", "http://example.org/"),
        ("example.com/x", "https://example.com/x"),
        ("  example.com:8443/x\n", "https://example.com:8443/x"),
        ("//example.com/x", "https://example.com/x"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("localhost:8000", "http://localhost:8000/"),
        ("localhost:443", "http://localhost:443/"),
        ("shop.localhost", "http://shop.localhost/"),
        ("127.0.0.1:80/a?b", "http://127.0.0.1/a?b"),
        ("[::1]:8000/x", "http://[::1]:8000/x"),
        ("//localhost/x", "https://localhost/x"),
    ],
)
def test_a_typed_seed_becomes_a_url(typed: str, expected: str) -> None:
    assert seed(typed) == expected
    assert seed(expected) == expected


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "   ",
        ".",
        "./index.html",
        "/index.html",
        "?q=1",
        "#top",
        "*",
        "5",
        "127.1",
        "me@example.com",
        "mailto:me@example.com",
        "javascript:alert(1)",
        "C:\\pages",
        "ftp://example.com/",
        "http://",
        "https:///",
        "exam ple.com",
        "example.com:99999",
        "http://[::1",
        "[zz]",
        "http://example.org/\ud800",
    ],
)
def test_a_seed_that_is_junk_is_refused_by_name(junk: str) -> None:
    with pytest.raises(ConfigError, match=r"URL to crawl|can't be crawled") as refusal:
        seed(junk)
    assert repr(junk) in str(refusal.value) or not junk.strip()


@pytest.mark.parametrize(
    ("url", "parts", "whole"),
    [
        ("https://example.org/", ("https", "example.org", 443), "https://example.org"),
        ("http://example.org/a:b@c", ("http", "example.org", 80), "http://example.org"),
        ("http://example.org:8080/?/", ("http", "example.org", 8080), "http://example.org:8080"),
        ("https://u:p@example.org:1/@", ("https", "example.org", 1), "https://example.org:1"),
        ("http://u@a/", ("http", "a", 80), "http://a"),
        ("http://a/", ("http", "a", 80), "http://a"),
        ("http://[::1]/x", ("http", "[::1]", 80), "http://[::1]"),
        ("http://u:p@[2001:db8::1]:81/x", ("http", "[2001:db8::1]", 81), "http://[2001:db8::1]:81"),
    ],
)
def test_a_url_is_cut_at_its_origin(url: str, parts: tuple[str, str, int], whole: str) -> None:
    assert canonical(url) == url
    assert split_origin(url) == parts
    assert origin(url) == whole
    assert host_of(url) == parts[1]


def test_addresses_are_told_from_names() -> None:
    assert is_address("127.0.0.1")
    assert is_address("[::1]")
    assert not is_address("1.2.3.4.example")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://a/x", "https://a/x"),
        ("https://a/x?b=1&a=2", "https://a/x?a=2&b=1"),
        ("https://a/x?b=2&a=9&b=1", "https://a/x?a=9&b=2&b=1"),
        ("https://a/x?B=1&a", "https://a/x?B=1&a"),
        ("https://a/x?a=1&&b", "https://a/x?&a=1&b"),
        ("https://a/x?%62=1&a=%26", "https://a/x?%62=1&a=%26"),
        ("https://u:p@a/X;z=1,y?q=a?b=c", "https://u:p@a/X;z=1,y?q=a?b=c"),
    ],
)
def test_the_key_sorts_raw_parameters_and_nothing_else(url: str, key: str) -> None:
    assert dedup_key(url, Dedup()) == key


def test_sorting_can_be_turned_off() -> None:
    assert dedup_key("https://a/?b&a", Dedup(sort_query=False)) == "https://a/?b&a"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://a/?utm_source=x&id=1&utm_medium=y", "https://a/?id=1"),
        ("https://a/?utm_source=x", "https://a/"),
        ("https://a/?sid&sidney=1", "https://a/?sidney=1"),
        ("https://a/?", "https://a/?"),
        ("https://a/?x=utm_source", "https://a/?x=utm_source"),
    ],
)
def test_named_parameters_are_dropped_from_the_key(url: str, key: str) -> None:
    assert dedup_key(url, Dedup(drop_parameters=("utm_*", "sid"))) == key


def test_a_fingerprint_tells_requests_apart_and_stays_the_same_for_ever() -> None:
    url = "https://example.org/"
    prints = [
        fingerprint(url),
        fingerprint(url + "?"),
        fingerprint(url, "HEAD"),
        fingerprint(url, "POST"),
        fingerprint(url, "POST", b"a=1"),
        fingerprint(url, "GET", b"a=1"),
    ]
    assert len(set(prints)) == len(prints)
    assert all(0 <= number < 1 << 64 for number in prints)
    assert fingerprint(url, "get", b"") == fingerprint(url)
    # Stored in the seen set of crawls that are resumed by later versions.
    assert fingerprint(url) == 7_982_605_172_991_246_264


def test_a_long_url_is_a_trap() -> None:
    url = "https://a/" + "x" * 2_038
    assert len(url) == 2_048
    assert trap(url, 0, Traps()) is None
    assert trap(url + "x", 0, Traps()) == "url_too_long"


def test_a_deep_url_is_a_trap() -> None:
    assert trap("https://a/", 1_000, Traps()) is None
    assert trap("https://a/", 1_001, Traps()) == "trap_depth"


def test_too_many_parameters_are_a_trap() -> None:
    query = "&".join(f"p{n}" for n in range(48))
    assert trap(f"https://a/?{query}", 0, Traps()) is None
    assert trap(f"https://a/?{query}&q", 0, Traps()) == "too_many_parameters"
    assert trap("https://a/?x", 0, Traps(query_parameters=0)) == "too_many_parameters"
    assert trap("https://a/", 0, Traps(query_parameters=0)) is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/2020/01/01/",
        "/2011/11/11/11/",
        "/1/1/1/1/",
        "/a/a/a/a",
        "/a/b/a/b/a/b/a/b/",
        "/en/docs/x/en/docs/y?next=/a/a/a/a/a/a/a",
        "/a//b",
        "/a/b/c/d/e/f/g/h/i/j",
    ],
)
def test_a_path_that_repeats_a_little_is_no_trap(path: str) -> None:
    assert trap("https://example.org" + path, 0, Traps()) is None


@pytest.mark.parametrize(
    "path",
    [
        "/a/a/a/a/a",
        "/a/a/a/a/a/?x",
        "/a/b/a/b/a/b/a/b/a/b/",
        "/x/a/y/a/z/a/w/a/v/a",
        "/shop//////",
    ],
)
def test_a_path_that_repeats_over_the_cap_is_a_trap(path: str) -> None:
    assert trap("https://example.org" + path, 0, Traps()) == "path_repeats"


def test_a_relative_link_that_grows_by_itself_ends() -> None:
    url, pages = "https://example.org/list/", 0
    while trap(url, pages, Traps()) is None:
        url, pages = join(url, "list/") or "", pages + 1
        assert pages < 10
    assert trap(url, pages, Traps()) == "path_repeats"
