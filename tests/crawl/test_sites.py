"""Sites: what the beginning of a URL says about its host."""

from __future__ import annotations

import pytest

from airless.crawl.scope import Scope
from airless.crawl.sites import Sites, host_hash, host_key, host_keys


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://example.com/", "example.com"),
        ("https://example.com/x", "example.com"),
        ("http://example.com:8080/", "example.com:8080"),
        ("https://example.com:80/", "example.com:80"),
        ("http://user@example.com/", "example.com"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_a_pace_belongs_to_a_host_with_its_odd_port(url: str, key: str) -> None:
    assert host_key(url) == key


def test_a_site_is_looked_up_once_by_what_stands_before_the_path() -> None:
    sites = Sites(Scope.of(["https://example.com/"]))
    site = sites.of("https://www.example.com:8443/x?y=/z")
    assert site is not None
    assert (site.host, site.hash) == ("www.example.com:8443", host_hash("www.example.com:8443"))
    assert sites["https://www.example.com:8443"] is site
    assert sites.of("https://other.example/") is None
    assert set(sites) == {"https://www.example.com:8443", "https://other.example"}


def test_the_memory_of_sites_is_bounded() -> None:
    sites = Sites(Scope.of(["http://example.com/"]))
    for number in range(25_000):
        assert sites.of(f"http://{number}.example.com/") is not None
        assert len(sites) <= 10_000


def test_the_hosts_of_many_urls_are_those_of_each() -> None:
    urls = [
        "http://example.com/",
        "http://example.com/a",
        "http://example.com:8080/",
        "http://example.com/http://example.com/",
        "https://example.com/b",
        "http://example.company/",
        "http://me@example.com/",
        "http://[::1]/",
        "http://example.com/",
    ]
    assert host_keys(urls) == [host_key(url) for url in urls]
    assert host_keys([]) == []
