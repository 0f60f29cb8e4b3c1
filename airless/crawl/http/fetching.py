"""What every fetcher is made with, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from airless.core.clock import Clock
from airless.crawl.http.addresses import AddressGuard
from airless.crawl.http.cookies import CookieJar
from airless.crawl.settings import Http


@dataclass(frozen=True, slots=True)
class Fetching:
    """How a fetcher fetches, and within which bounds.

    `concurrency` and `per_host` bound its connections in all and a host, `page_bytes` one decoded body.
    `guard` is asked of every address, `clock` of the time. Without `cookies` none are kept or sent.
    """

    http: Http
    concurrency: int
    per_host: int
    page_bytes: int
    guard: AddressGuard
    clock: Clock
    cookies: CookieJar | None = None
