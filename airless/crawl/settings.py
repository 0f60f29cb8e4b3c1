"""How a crawl behaves, as one typed value in a few parts; the defaults are polite without being asleep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: requests at once in all and a host, and the least time between two starts on a host.

    Without a `concurrency` as many requests are under way in all as do best; a number is kept to. `jitter`
    spreads a delay evenly over ±that share of itself. `adaptive` lowers a host's concurrency when its latency
    or its errors rise. A robots file's Crawl-delay is honoured up to `max_crawl_delay_s`.
    """

    concurrency: int | None = None
    per_host: int = 8
    delay_s: float = 0.0
    jitter: float = 0.5
    adaptive: bool = True
    max_crawl_delay_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a crawl stops: None is no limit. `page_bytes` counts one decompressed body."""

    pages: int | None = None
    depth: int | None = None
    time_s: float | None = None
    page_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Traps:
    """Caps against sites that never end; a URL over one is skipped and counted under that cap's name.

    `path_repeats` is how often one path segment, or one run of segments in a row, may stand in a path.
    """

    depth: int = 1_000
    url_chars: int = 2_048
    path_repeats: int = 4
    query_parameters: int = 48
    host_pages: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a request is tried in all, and the full-jitter exponential back-off between tries."""

    max_attempts: int = 3
    base_s: float = 1.0
    cap_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Http:
    """How a page is fetched. `timeout_s` covers one fetch, whole. `resolve` maps host names to addresses.

    `http2` offers HTTP/2 to servers over TLS (extra `http2`). `cookies` None keeps them where the crawl stays
    on named domains. `cache` keeps pages that carry a validator and asks for them conditionally (RFC 9111).
    `handle_statuses` are the statuses over 299 that callbacks want to see.
    """

    user_agent: str = "airless/0.1 (+https://pypi.org/project/airless)"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0
    connect_timeout_s: float = 15.0
    proxy: str | None = None
    http2: bool = False
    cookies: bool | None = None
    cache: bool = False
    allow_private: bool = False
    max_redirects: int = 20
    resolve: Mapping[str, str] = field(default_factory=dict)
    handle_statuses: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Links:
    """Which references of a page are links."""

    frames: bool = False
    images: bool = False
    next: bool = True
    refresh: bool = True
    obey_nofollow: bool = False


@dataclass(frozen=True, slots=True)
class Dedup:
    """What makes two URLs one: the key sorts the query's parameters and drops the named ones.

    ``utm_*`` names all that begin so.
    """

    sort_query: bool = True
    drop_parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a spider or a command line can set."""

    pace: Pace = Pace()
    limits: Limits = Limits()
    traps: Traps = Traps()
    retry: Retry = Retry()
    http: Http = field(default_factory=Http)
    links: Links = Links()
    dedup: Dedup = Dedup()
    obey_robots: bool = True
    sitemaps: bool = False
