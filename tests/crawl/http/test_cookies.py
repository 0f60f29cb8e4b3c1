"""The cookie jar, by the examples of RFC 6265."""

from __future__ import annotations

import json
from calendar import timegm

import pytest

from airless.core.errors import ConfigError
from airless.crawl.http.cookies import (
    COOKIE_BYTES,
    COOKIES,
    COOKIES_PER_DOMAIN,
    CookieJar,
    cookie_date,
    default_path,
    domain_matches,
    path_matches,
)

NOW = 1_300_000_000.0
SITE = "https://www.example.com/"


def jar(*set_cookie: str, url: str = SITE) -> CookieJar:
    filled = CookieJar()
    filled.store(url, set_cookie, NOW)
    return filled


class TestTheExamplesOfSection31:
    def test_a_cookie_comes_back(self) -> None:
        assert jar("SID=31d4d96e407aad42").header(SITE, NOW) == "SID=31d4d96e407aad42"

    def test_path_and_domain_widen_its_scope(self) -> None:
        kept = jar("SID=31d4d96e407aad42; Path=/; Domain=example.com")
        assert kept.header("https://sub.example.com/deep/page", NOW) == "SID=31d4d96e407aad42"
        assert kept.header("https://example.com/", NOW) == "SID=31d4d96e407aad42"
        assert kept.header("https://badexample.com/", NOW) is None

    def test_secure_cookies_go_over_tls_alone(self) -> None:
        kept = jar("SID=31d4d96e407aad42; Path=/; Secure; HttpOnly", "lang=en-US; Path=/; Domain=example.com")
        assert kept.header(SITE, NOW) == "SID=31d4d96e407aad42; lang=en-US"
        assert kept.header("http://www.example.com/", NOW) == "lang=en-US"

    def test_a_cookie_lives_until_it_expires(self) -> None:
        before = float(timegm((2021, 6, 9, 10, 18, 13)))
        kept = jar("lang=en-US; Expires=Wed, 09 Jun 2021 10:18:14 GMT")
        assert kept.header(SITE, before) == "lang=en-US"
        assert kept.header(SITE, before + 1) is None

    def test_a_date_in_the_past_removes_it(self) -> None:
        kept = jar("SID=31d4d96e407aad42", "lang=en-US; Expires=Wed, 09 Jun 2021 10:18:14 GMT")
        kept.store(SITE, ["lang=; Expires=Sun, 06 Nov 1994 08:49:37 GMT"], NOW)
        assert kept.header(SITE, NOW) == "SID=31d4d96e407aad42"
        assert len(kept) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed, 09 Jun 2021 10:18:14 GMT", (2021, 6, 9, 10, 18, 14)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", (1994, 11, 6, 8, 49, 37)),
        ("Sun Nov  6 08:49:37 1994", (1994, 11, 6, 8, 49, 37)),
        ("6 november 69 1:2:3junk", (2069, 11, 6, 1, 2, 3)),
        ("1:2:3 6 jan 70", (1970, 1, 6, 1, 2, 3)),
        ("1:2:3 29th feb 2020x", (2020, 2, 29, 1, 2, 3)),
    ],
)
def test_a_date_is_read_in_any_form(text: str, expected: tuple[int, ...]) -> None:
    assert cookie_date(text) == timegm(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Wed, 09 Jun 2021",
        "Jun 2021 10:18:14",
        "09 2021 10:18:14",
        "09 Jun 10:18:14",
        "32 Jun 2021 10:18:14",
        "30 Feb 2021 10:18:14",
        "09 Jun 2021 24:00:00",
        "09 Jun 2021 10:60:00",
        "09 Jun 1600 10:18:14",
        "09 Jun 20211 10:18:14",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert cookie_date(text) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", "/"), ("x", "/"), ("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/c", "/a/b")],
)
def test_the_default_path_is_the_directory(path: str, expected: str) -> None:
    assert default_path(path) == expected


@pytest.mark.parametrize(
    ("path", "cookie_path", "expected"),
    [
        ("/a", "/a", True),
        ("/a/b", "/a/", True),
        ("/a/b", "/a", True),
        ("/ab", "/a", False),
        ("/", "/a", False),
        ("/b", "/", True),
    ],
)
def test_a_path_matches_by_whole_segments(path: str, cookie_path: str, expected: bool) -> None:
    assert path_matches(path, cookie_path) is expected


@pytest.mark.parametrize(
    ("host", "domain", "expected"),
    [
        ("example.com", "example.com", True),
        ("www.example.com", "example.com", True),
        ("wwwexample.com", "example.com", False),
        ("example.com", "www.example.com", False),
        ("127.0.0.1", "0.0.1", False),
    ],
)
def test_a_domain_matches_by_whole_labels(host: str, domain: str, expected: bool) -> None:
    assert domain_matches(host, domain) is expected


def test_without_a_domain_a_cookie_is_for_that_host_alone() -> None:
    kept = jar("a=1")
    assert kept.header("https://sub.www.example.com/", NOW) is None
    assert jar("a=1; Domain=").header("https://sub.www.example.com/", NOW) is None


@pytest.mark.parametrize(
    "domain", ["com", "co.uk", "other.com", "sub.www.example.com", "www.example.com.", "\udcff.com", "é" * 70]
)
def test_a_domain_that_is_not_the_hosts_own_is_refused(domain: str) -> None:
    assert len(jar(f"a=1; Domain={domain}")) == 0


def test_nobody_sets_a_cookie_for_a_public_suffix() -> None:
    assert len(jar("a=1; Domain=co.uk", url="https://shop.co.uk/")) == 0
    assert len(jar("a=1; Domain=github.io", url="https://mine.github.io/")) == 0


def test_a_public_suffix_that_is_a_host_keeps_its_cookie_to_itself() -> None:
    kept = jar("a=1; Domain=github.io", url="https://github.io/")
    assert kept.header("https://github.io/", NOW) == "a=1"
    assert kept.header("https://mine.github.io/", NOW) is None


def test_an_address_and_a_single_label_keep_theirs_too() -> None:
    for host in ("127.0.0.1", "localhost"):
        kept = jar(f"a=1; Domain={host}", url=f"http://{host}:8080/")
        assert kept.header(f"http://{host}/", NOW) == "a=1"
    assert jar("a=1", url="http://[::1]/").header("http://[::1]:81/", NOW) == "a=1"


def test_an_internationalised_domain_is_compared_in_ascii() -> None:
    kept = jar("a=1; Domain=bücher.example.com", url="https://www.xn--bcher-kva.example.com/")
    assert kept.header("https://xn--bcher-kva.example.com/", NOW) == "a=1"


def test_longer_paths_go_first_and_then_older_cookies() -> None:
    kept = jar(
        "b=1; Path=/", "a=2; Path=/", "c=3; Path=/shop", "d=4; Path=/shop/cart", url="https://example.com/"
    )
    assert kept.header("https://example.com/shop/cart/1", NOW) == "d=4; c=3; b=1; a=2"
    kept.store("https://example.com/", ["b=9; Path=/"], NOW)
    assert kept.header("https://example.com/", NOW) == "b=9; a=2"


def test_max_age_wins_over_expires() -> None:
    kept = jar("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=10")
    assert kept.header(SITE, NOW + 9) == "a=1"
    assert kept.header(SITE, NOW + 10) is None
    kept.store(SITE, ["a=1; Max-Age=0; Expires=Wed, 09 Jun 2021 10:18:14 GMT"], NOW)
    assert len(kept) == 0
    assert jar("a=1; Max-Age=1x").header(SITE, NOW + 1e9) == "a=1"
    assert jar("a=1; Max-Age=" + "9" * 5000 + "; Path=/").header(SITE, NOW) is None
    assert jar("a=1; Max-Age=" + "9" * 4000).header(SITE, NOW + 1e9) == "a=1"


def test_removing_what_is_not_there_is_nothing() -> None:
    assert len(jar("a=1; Max-Age=-1")) == 0


@pytest.mark.parametrize(
    "text", ["", "novalue", "=value", "a=1\x00", "a=b\x07; Path=/", "a=" + "x" * COOKIE_BYTES]
)
def test_a_field_that_is_no_cookie_is_ignored(text: str) -> None:
    assert len(jar(text)) == 0


def test_names_and_values_are_kept_as_they_are() -> None:
    kept = jar('a="quoted value" ; Path=/', "b=x=y", " c = d ")
    assert kept.header(SITE, NOW) == 'a="quoted value"; b=x=y; c=d'


def test_a_path_that_is_none_gives_way_to_the_default() -> None:
    kept = jar("a=1; Path=nonsense", url="https://example.com/shop/item")
    assert kept.header("https://example.com/shop/other", NOW) == "a=1"
    assert kept.header("https://example.com/", NOW) is None


def test_a_crowded_domain_loses_the_cookies_used_least_lately() -> None:
    kept = CookieJar()
    kept.store(SITE, [f"c{n}=1; Path=/p{n}" for n in range(COOKIES_PER_DOMAIN)], NOW)
    assert kept.header("https://www.example.com/p0", NOW) == "c0=1"
    kept.store(SITE, ["new=1"], NOW)
    assert len(kept) == COOKIES_PER_DOMAIN
    assert kept.header("https://www.example.com/p0", NOW) == "c0=1; new=1"
    assert kept.header("https://www.example.com/p1", NOW) == "new=1"


def test_expired_cookies_make_room_first() -> None:
    kept = CookieJar()
    kept.store(SITE, [f"c{n}=1" for n in range(COOKIES_PER_DOMAIN - 1)], NOW)
    kept.store(SITE, ["short=1; Max-Age=5"], NOW)
    kept.store(SITE, ["new=1"], NOW + 10)
    header = kept.header(SITE, NOW + 10) or ""
    assert "c0=1" in header
    assert "short" not in header


def test_the_jar_as_a_whole_is_bounded() -> None:
    kept = CookieJar()
    for n in range(COOKIES + 5):
        kept.store(f"https://h{n}.example.com/", ["a=1"], NOW)
    assert len(kept) == COOKIES
    assert kept.header("https://h4.example.com/", NOW) is None
    assert kept.header("https://h5.example.com/", NOW) == "a=1"


def test_a_jar_survives_as_json() -> None:
    kept = jar("b=1; Path=/; Secure; Max-Age=100", "a=2; Domain=example.com", url="https://example.com/")
    copy = CookieJar()
    copy.load(json.loads(json.dumps(kept.dump())))
    assert copy.dump() == kept.dump()
    assert copy.header("https://example.com/", NOW) == "b=1; a=2"
    assert copy.header("https://sub.example.com/", NOW) == "a=2"
    copy.store("https://example.com/", ["c=3"], NOW)
    assert copy.header("https://example.com/", NOW) == "b=1; a=2; c=3"


@pytest.mark.parametrize("dumped", [[1], [{"name": "a"}], ["x"]])
def test_what_is_no_dump_is_refused_and_changes_nothing(dumped: list[object]) -> None:
    kept = jar("a=1")
    with pytest.raises(ConfigError, match="not a cookie"):
        kept.load([*kept.dump(), *dumped])  # type: ignore[list-item]
    assert kept.header(SITE, NOW) == "a=1"
