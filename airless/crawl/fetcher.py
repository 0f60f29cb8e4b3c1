"""A crawl's fetcher, put together from its settings."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterable

from airless.core.clock import Clock
from airless.core.ports import Objects
from airless.crawl.concurrency import Bounds
from airless.crawl.fetch import Fetcher
from airless.crawl.http import AddressGuard, CookieJar, Fetching, choose_fetcher
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings

# A connection lent, one kept and those that are opened until the kept ones are counted again; then the rest.
_FILES_EACH, _FILES_BESIDES = 4, 96


def fetcher_of(
    settings: Settings,
    scope: Scope,
    *,
    bounds: Bounds,
    private_hosts: Iterable[str],
    objects: Objects,
    clock: Clock,
) -> Fetcher:
    """The fetcher that a crawl's settings ask for; whoever asks closes it. Its cache is kept in `objects`."""
    http = settings.http
    cookies = not scope.everywhere if http.cookies is None else http.cookies
    fetching = Fetching(
        http,
        concurrency=bounds.most,
        per_host=max(settings.pace.per_host, 1),
        page_bytes=settings.limits.page_bytes,
        guard=AddressGuard(allow_private=http.allow_private, allowed_hosts=frozenset(private_hosts)),
        clock=clock,
        cookies=CookieJar() if cookies else None,
    )
    fetcher: Fetcher = choose_fetcher(fetching)
    if http.cache:
        from airless.crawl.http import CachingFetcher

        return CachingFetcher(fetcher, objects, clock)
    return fetcher


def within_files(bounds: Bounds) -> Bounds:
    """The bounds that the number of files this process may have open allows; a fixed number is kept to."""
    files = allow_files(_FILES_BESIDES + _FILES_EACH * bounds.most)
    return bounds if bounds.fixed else bounds.within(max(1, (files - _FILES_BESIDES) // _FILES_EACH))


def allow_files(wanted: int) -> int:
    """Have the system allow this process that many open files, if it does; how many it allows now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return wanted if soft == resource.RLIM_INFINITY else soft
