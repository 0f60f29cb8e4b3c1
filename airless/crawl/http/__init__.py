"""Fetching over HTTP: the fetcher, the guard of its addresses, its cookies and its cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airless.crawl.http.addresses import AddressGuard, private_seed_hosts, system_lookup
from airless.crawl.http.choose import choose_fetcher
from airless.crawl.http.cookies import CookieJar
from airless.crawl.http.fast import FastFetcher
from airless.crawl.http.fetching import Fetching

if TYPE_CHECKING:
    from airless.crawl.http.cache import CachingFetcher
    from airless.crawl.http.client import AiohttpFetcher

__all__ = [
    "AddressGuard",
    "AiohttpFetcher",
    "CachingFetcher",
    "CookieJar",
    "FastFetcher",
    "Fetching",
    "choose_fetcher",
    "private_seed_hosts",
    "system_lookup",
]


def __getattr__(name: str) -> Any:
    # aiohttp above all takes long to import, and a crawl that needs nothing of it should not wait for it.
    if name == "AiohttpFetcher":
        from airless.crawl.http.client import AiohttpFetcher

        return AiohttpFetcher
    if name == "CachingFetcher":
        from airless.crawl.http.cache import CachingFetcher

        return CachingFetcher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
