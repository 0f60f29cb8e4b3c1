"""Scope: which hosts a crawl may visit."""

from __future__ import annotations

import pytest

from airless.core.errors import ConfigError
from airless.crawl.scope import Scope
from airless.crawl.urls import canonical


def test_without_allowed_domains_the_seeds_hosts_and_what_is_below_are_open() -> None:
    scope = Scope.of(["https://example.com/start", "books.example"], [])
    assert scope.allows("https://example.com/")
    assert scope.allows("http://example.com:8080/x")
    assert scope.allows("https://a.b.example.com/")
    assert scope.allows("https://user:pw@books.example/")
    assert not scope.allows("https://notexample.com/")
    assert not scope.allows("https://com/")
    assert not scope.allows("https://example.com.evil.example/")
    assert scope.domains == {"example.com", "books.example"}
    assert not scope.everywhere


def test_a_www_seed_does_not_open_the_apex() -> None:
    scope = Scope.of(["https://www.example.com/"], [])
    assert scope.allows("https://www.example.com/")
    assert scope.allows("https://img.www.example.com/")
    assert not scope.allows("https://example.com/")
    assert not scope.allows("https://shop.example.com/")


@pytest.mark.parametrize(
    "entry",
    [
        "example.com",
        "EXAMPLE.com",
        " example.com ",
        "*.example.com",
        ".example.com",
        "example.com.",
        "example.com:8080",
        "https://example.com:8080/x",
        "//example.com",
    ],
)
def test_an_allowed_domain_can_be_written_in_many_ways(entry: str) -> None:
    scope = Scope.of(["https://elsewhere.example/"], [entry])
    assert scope.allows("https://example.com/")
    assert scope.allows("https://shop.example.com/")
    assert scope.allows("http://example.com./")
    assert not scope.allows("https://elsewhere.example/")


def test_one_allowed_domain_may_be_given_as_a_string() -> None:
    assert Scope.of([], "example.com").domains == {"example.com"}


def test_international_names_are_compared_in_their_ascii_form() -> None:
    scope = Scope.of([], ["BÜCHER.example"])
    url = canonical("https://www.bücher.example/")
    assert url is not None
    assert scope.allows(url)
    assert scope.allows("https://xn--bcher-kva.example/")


def test_addresses_match_exactly() -> None:
    scope = Scope.of(["http://127.0.0.1:8000/", "http://[2001:DB8::1]/"], [])
    assert scope.allows("http://127.0.0.1/")
    assert scope.allows("https://127.0.0.1:9000/")
    assert scope.allows("http://[2001:db8::1]:81/")
    assert not scope.allows("http://127.0.0.2/")
    assert not scope.allows("http://[2001:db8::2]/")
    assert not scope.allows("http://1.127.0.0.1.example/")


def test_a_star_opens_every_host() -> None:
    scope = Scope.of(["https://example.com/"], ["*"])
    assert scope.everywhere
    assert scope.allows("https://anything.example/")
    assert scope.allows_host("anything.example")
    assert repr(scope) == "Scope(*)"


def test_nothing_named_opens_nothing() -> None:
    scope = Scope.of([], [])
    assert not scope.allows("https://example.com/")
    assert repr(Scope.of([], ["b.example", "a.example"])) == "Scope(a.example, b.example)"


@pytest.mark.parametrize("junk", ["", " ", "*.", "exam ple.com", "/path", "ftp://example.com", "a.*.example"])
def test_an_allowed_domain_that_is_junk_is_refused_by_name(junk: str) -> None:
    with pytest.raises(ConfigError, match="names no domain") as refusal:
        Scope.of([], [junk])
    assert repr(junk) in str(refusal.value)


def test_the_memory_of_hosts_is_bounded() -> None:
    scope = Scope.of([], ["example.com"])
    for number in range(25_000):
        assert scope.allows_host(f"h{number}.example.com")
        assert not scope.allows_host(f"h{number}.example.org")
    assert len(scope._memo) <= 10_000
