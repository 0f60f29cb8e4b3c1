"""One visit: a request becomes an outcome, and nothing else changes."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import ConfigError
from airless.crawl.callbacks import run_callback
from airless.crawl.compiled import speed
from airless.crawl.errors import FetchError
from airless.crawl.fetch import Fetcher
from airless.crawl.items import encode
from airless.crawl.making import maker_like
from airless.crawl.pace import backoff_s
from airless.crawl.packing import check
from airless.crawl.request import IDEMPOTENT, Follow, Request
from airless.crawl.response import Response
from airless.crawl.retry_after import parse_retry_after
from airless.crawl.scan import PageFollow
from airless.crawl.settings import Settings
from airless.crawl.sitemap_seeds import SITEMAP_CALLBACKS, run_sitemap_callback
from airless.crawl.spider import Spider
from airless.crawl.urls import join, origin

logger = logging.getLogger("airless.crawl")

Rest = Coroutine[Any, Any, None]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRIED = frozenset({408, 425, 429})
_THROTTLED = frozenset({429, 503})
# A host that says "not now" is no reason to give a page up: such answers count for a quarter of a try.
_THROTTLED_TRIES = 4
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_BODY_HEADERS = frozenset(
    {"content-encoding", "content-language", "content-length", "content-location", "content-type"}
)


@dataclass(slots=True)
class Outcome:
    """How a visit ended: `kind` is fetched, failed, skipped, redirected or retry.

    `status`, `error` and `retry_after_s` are for the host's pace. `found` are requests to come, `items`
    encoded lines. `next` is the request of a redirect or a retry; `repeats` says that a redirect leads back
    to the same URL, with a cookie.
    """

    kind: str
    reason: str = ""
    status: int | None = None
    error: FetchError | None = None
    latency_s: float = 0.0
    retry_after_s: float | None = None
    body_bytes: int = 0
    wire_bytes: int = 0
    items: list[bytes] = field(default_factory=list)
    found: list[Request | Follow] = field(default_factory=list)
    next: Request | None = None
    repeats: bool = False
    delay_s: float = 0.0

    def take(self, result: Any) -> None:
        """Keep what a callback made. Raises TypeError or ValueError for what can't travel."""
        kind = type(result)
        if kind is PageFollow or (kind is not dict and isinstance(result, (Request, Follow))):
            check(result)
            self.found.append(result)
        else:
            self.items.append(encode(result))


_fetched: Callable[[], Outcome] = maker_like(Outcome("fetched"))


class Visitor:
    """Fetches a request, runs its callback and says what came of it; the rest is the crawler's."""

    def __init__(
        self, spider: Spider, settings: Settings, fetcher: Fetcher, clock: Clock, rng: random.Random
    ) -> None:
        self._spider = spider
        self._settings = settings
        self._fetcher = fetcher
        self._clock = clock
        self._rng = rng
        self._handled = settings.http.handle_statuses
        self._links = settings.links
        self._looks_ahead = False

    async def visit(self, request: Request, *, last_try: bool) -> Outcome:
        """`last_try` forbids another attempt (the host is gone)."""
        self.prepare(request)
        started = self._clock.monotonic()
        try:
            response = await self._fetcher.fetch(request)
        except FetchError as error:
            return self.failed(request, error, self._clock.monotonic() - started, last_try=last_try)
        outcome, rest = self.read(request, response, last_try=last_try)
        return outcome if rest is None else await self.finish(request, outcome, rest)

    def prepare(self, request: Request) -> None:
        """What a request gets before it is fetched."""
        if request.callback in SITEMAP_CALLBACKS:
            from airless.crawl.sitemaps import MAX_BYTES

            request.max_bytes = MAX_BYTES

    def look_ahead(self, responses: Iterable[Response]) -> None:
        """Scan pages before their callbacks ask for it, where the last callback that was `looked_at` did.

        One after the other they find the scanner in the processor's nearest cache, and the callbacks find there
        what they work with: a page fills it.
        """
        if self._looks_ahead:
            for response in responses:
                if response.is_html:
                    response.scan_ahead(self._links)

    def looked_at(self, response: Response) -> None:
        """A callback is through with a page."""
        # A tree that is made ahead gains nothing, and is large.
        self._looks_ahead = speed is not None and response.scan_was_asked_for

    def read(self, request: Request, response: Response, *, last_try: bool) -> tuple[Outcome, Rest | None]:
        """What came of an answer; where the callback has to wait, `finish` has to be awaited with the rest."""
        status = response.status
        rest = None
        if 200 <= status < 300 or self._reads(request, response):
            outcome = _fetched()
            response.link_options = self._links
            response.fetched_at = self._clock.now()
            try:
                if request.callback in SITEMAP_CALLBACKS:
                    outcome.found.extend(run_sitemap_callback(response))
                else:
                    rest = run_callback(self._spider, response, outcome)
            except ConfigError:
                raise
            except Exception:
                outcome = _spider_failed(request)
        elif status in REDIRECTS and "location" in response.headers:
            outcome = self._redirected(request, response)
        else:
            outcome = self._refused(request, response, last_try=last_try)
        outcome.status = status
        outcome.latency_s = response.elapsed_s
        outcome.body_bytes = len(response.body)
        outcome.wire_bytes = response.wire_bytes
        return outcome, rest

    async def finish(self, request: Request, outcome: Outcome, rest: Rest) -> Outcome:
        """Let a callback that has to wait come to its end."""
        try:
            await rest
        except ConfigError:
            raise
        except Exception:
            failed = _spider_failed(request)
            failed.status, failed.latency_s = outcome.status, outcome.latency_s
            failed.body_bytes, failed.wire_bytes = outcome.body_bytes, outcome.wire_bytes
            return failed
        return outcome

    def failed(self, request: Request, error: FetchError, latency_s: float, *, last_try: bool) -> Outcome:
        """What came of a fetch without an answer."""
        tries = request.attempt + 1
        again = error.retryable and not last_try and tries < self._settings.retry.max_attempts
        if again and request.method in IDEMPOTENT:
            outcome = self._retry(request, error=error)
        else:
            outcome = _failed(
                request, error.reason, str(error).removeprefix(f"{request.method} {request.url}: ")
            )
            outcome.error = error
        outcome.latency_s = latency_s
        return outcome

    def _reads(self, request: Request, response: Response) -> bool:
        """Whether an answer other than a success goes to the callback."""
        status = response.status
        if status in self._handled:
            return True
        if request.callback not in SITEMAP_CALLBACKS or status in RETRIED or status >= 500:
            return False
        return not (status in REDIRECTS and "location" in response.headers)

    def _refused(self, request: Request, response: Response, *, last_try: bool) -> Outcome:
        status = response.status
        after_s = None
        if (value := response.headers.get("retry-after")) is not None:
            after_s = parse_retry_after(value, self._clock.now())
        limit = self._settings.retry.max_attempts
        if status in _THROTTLED:
            limit *= _THROTTLED_TRIES
        if (status in RETRIED or status >= 500) and not last_try and request.attempt + 1 < limit:
            return self._retry(request, after_s=after_s)
        outcome = _failed(request, f"http_{status}", f"HTTP {status}")
        outcome.retry_after_s = after_s
        return outcome

    def _retry(
        self, request: Request, error: FetchError | None = None, after_s: float | None = None
    ) -> Outcome:
        delay_s = max(backoff_s(request.attempt, self._settings.retry, self._rng), after_s or 0.0)
        logger.debug("trying %s again in %.1f s", request.url, delay_s)
        return Outcome("retry", error=error, retry_after_s=after_s, next=again(request), delay_s=delay_s)

    def _redirected(self, request: Request, response: Response) -> Outcome:
        target = join(request.url, response.headers["location"])
        if target is None:
            return _failed(request, "bad_redirect", f"it leads to {response.headers['location']!r}")
        if request.redirects >= self._settings.http.max_redirects:
            return _failed(request, "too_many_redirects", f"it leads on after {request.redirects} redirects")
        hop = redirected(request, response.status, target)
        repeats = target == request.url and "set-cookie" in response.headers
        return Outcome("redirected", next=hop, repeats=repeats)


def _failed(request: Request, reason: str, why: str) -> Outcome:
    """The end of a request that nobody tries again, which its line of the log tells."""
    logger.info("failed %s: %s", request.url, why, extra={"url": request.url})
    return Outcome("failed", reason)


def _spider_failed(request: Request) -> Outcome:
    logger.exception("the spider failed on %s", request.url, extra={"url": request.url})
    return Outcome("failed", "spider_error")


def again(request: Request) -> Request:
    """The same request, tried once more."""
    copy = _copy(request, request.url, request.method, request.body, request.headers)
    copy.attempt = request.attempt + 1
    copy.redirects = request.redirects
    return copy


def redirected(request: Request, status: int, target: str) -> Request:
    """The next hop, with what goes along of method, body and headers (Fetch, HTTP-redirect fetch)."""
    method, body, headers = request.method, request.body, request.headers
    if (status in {301, 302} and method == "POST") or (status == 303 and method not in {"GET", "HEAD"}):
        method, body = "GET", None
        headers = {name: v for name, v in (headers or {}).items() if name.lower() not in _BODY_HEADERS}
    if headers and origin(target) != origin(request.url):
        headers = {name: v for name, v in headers.items() if name.lower() not in _SECRET_HEADERS}
    hop = _copy(request, target, method, body, headers)
    hop.redirects = request.redirects + 1
    return hop


def target_of(url: str) -> str:
    """Path and query of a canonical URL, as robots rules match them."""
    return url[url.index("/", 8) :]


def _copy(
    request: Request, url: str, method: str, body: bytes | None, headers: dict[str, str] | None
) -> Request:
    copy = Request(
        url,
        callback=request.callback,
        method=method,
        headers=headers,
        body=body,
        meta=request.meta,
        priority=request.priority,
        dont_filter=request.dont_filter,
    )
    copy.depth = request.depth
    copy.referrer = request.referrer
    copy.seed = request.seed
    return copy
