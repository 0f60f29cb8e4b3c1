"""Fetching over HTTP: the fetcher, the guard of its addresses, its cookies and its cache."""

from airless.crawl.http.addresses import AddressGuard, private_seed_hosts, system_lookup
from airless.crawl.http.cache import CachingFetcher
from airless.crawl.http.client import AiohttpFetcher
from airless.crawl.http.cookies import CookieJar

__all__ = [
    "AddressGuard",
    "AiohttpFetcher",
    "CachingFetcher",
    "CookieJar",
    "private_seed_hosts",
    "system_lookup",
]
