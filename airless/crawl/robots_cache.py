"""The robots rules of every origin that a crawl meets: fetched once, kept for a while, bounded in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace

import orjson

from airless.core.clock import Clock
from airless.crawl.errors import AddressRefused, FetchError
from airless.crawl.fetch import Fetcher
from airless.crawl.headers import Headers
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.retry_after import parse_retry_after
from airless.crawl.robots import Rules, product_token
from airless.crawl.urls import join

logger = logging.getLogger("airless.crawl")

MAX_REDIRECTS = 5
MAX_WAIT_S = 300.0
"""The longest time between two tries at an unreachable robots.txt that nobody asked for by Retry-After."""

LEAST_TTL_S = 300.0
"""How long an answer counts even if Cache-Control says less: else a crawl would ask before every page."""

STALE_S = 7 * 86_400.0
"""How long rules that were read go on counting while robots.txt can't be had any more (RFC 9309 §2.4)."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""What is read of a robots.txt, whatever the crawl's cap on pages; beyond it the file can't be had."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ENTRY_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Robots:
    """What is known of one origin until `expires_s` (epoch seconds).

    `unreachable` says that the answer is not known yet, so everything but robots.txt is refused until then:
    what waits is to wait, not to be dropped. `retry_after_s` is what the server asked for, `failures` how
    often in a row it could not be had, `status` that of the last answer (None: there was none), `read_s` when
    the rules came from a file.
    """

    rules: Rules
    expires_s: float
    unreachable: bool = False
    retry_after_s: float | None = None
    status: int | None = None
    failures: int = 0
    read_s: float | None = None


class RobotsCache:
    """Robots rules by origin, one fetch at a time for each.

    An answer counts for `ttl_s`, or its max-age where that is less. Beyond `capacity` origins or about
    `capacity_bytes`, the least recently used are forgotten. A Crawl-delay over `max_crawl_delay_s` is cut to
    it and logged. The fetcher stays the caller's to close.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        agent: str,
        clock: Clock,
        max_crawl_delay_s: float = 60.0,
        ttl_s: float = 86_400.0,
        capacity: int = 10_000,
        capacity_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._fetcher = fetcher
        self._agent = product_token(agent)
        self._clock = clock
        self._max_crawl_delay_s = max_crawl_delay_s
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._entries: OrderedDict[str, Robots] = OrderedDict()
        self._bytes = 0
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, origin: str) -> Robots | None:
        """What counts now, without asking the server."""
        robots = self._entries.get(origin)
        if robots is None or robots.expires_s <= self._clock.now():
            return None
        self._entries.move_to_end(origin)
        return robots

    async def get(self, origin: str) -> Robots:
        """What counts now for ``scheme://host[:port]``; robots.txt is fetched where that isn't known.

        Never raises for what a server does. Callers that come meanwhile wait for the same fetch; if the one
        that fetches is cancelled, the next of them takes over.
        """
        robots = self.known(origin)
        if robots is not None:
            return robots
        turn = self._turns.setdefault(origin, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                return self.known(origin) or await self._refresh(origin)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[origin]

    def dump(self, origin: str) -> bytes | None:
        """What is known of an origin, expired or not, for `load` in another process; None if nothing is."""
        robots = self._entries.get(origin)
        if robots is None:
            return None
        return orjson.dumps(
            {
                "agent": self._agent,
                "text": robots.rules.text().decode(),
                "expires": robots.expires_s,
                "unreachable": robots.unreachable,
                "retry_after": robots.retry_after_s,
                "status": robots.status,
                "failures": robots.failures,
                "read": robots.read_s,
            }
        )

    def load(self, origin: str, data: bytes) -> bool:
        """Take up what `dump` gave. False, and nothing changed, where it's another agent's or unreadable."""
        try:
            doc = orjson.loads(data)
            if doc["agent"] != self._agent:
                return False
            text = doc["text"].encode()
            read_s = doc["read"]
            retry_after_s = doc["retry_after"]
            robots = Robots(
                self._capped(origin, Rules.parse(text, self._agent, limit_bytes=len(text))),
                min(float(doc["expires"]), self._clock.now() + self._ttl_s),
                bool(doc["unreachable"]),
                None if retry_after_s is None else float(retry_after_s),
                None if doc["status"] is None else int(doc["status"]),
                int(doc["failures"]),
                None if read_s is None else float(read_s),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        self._keep(origin, robots)
        return True

    async def _refresh(self, origin: str) -> Robots:
        try:
            response = await self._fetch(f"{origin}/robots.txt")
        except AddressRefused:
            # The pages stand at the same address: their own fetch is refused, and says why.
            robots = Robots(Rules.allow_all(), self._clock.now() + LEAST_TTL_S)
        except FetchError as error:
            logger.warning("%s/robots.txt can't be had: %s", origin, error, extra={"url": origin})
            robots = self._unreachable(origin, None, None)
        else:
            robots = self._answered(origin, response)
        self._keep(origin, robots)
        return robots

    async def _fetch(self, url: str) -> Response:
        """The answer at the end of the redirects, or the redirect that leads nowhere or is one too many."""
        response = await self._fetcher.fetch(_request(url))
        for _ in range(MAX_REDIRECTS):
            if response.status not in _REDIRECTS:
                break
            target = join(response.request.url, response.headers.get("location", ""))
            if target is None or target == response.request.url:
                break
            response = await self._fetcher.fetch(_request(target))
        return response

    def _answered(self, origin: str, response: Response) -> Robots:
        """A file gives rules, "not now" forbids all for a while, the rest allows it (RFC 9309 §2.3.1)."""
        now, status = self._clock.now(), response.status
        if status == 429 or status >= 500:
            value = response.headers.get("retry-after")
            logger.warning("%s/robots.txt can't be had: HTTP %d", origin, status, extra={"url": origin})
            return self._unreachable(origin, status, None if value is None else parse_retry_after(value, now))
        expires_s = now + min(self._ttl_s, max(LEAST_TTL_S, _max_age_s(response.headers)))
        if not 200 <= status < 300:
            return Robots(Rules.allow_all(), expires_s, status=status)
        rules = self._capped(origin, Rules.parse(response.body, self._agent))
        return Robots(rules, expires_s, status=status, read_s=now)

    def _unreachable(self, origin: str, status: int | None, retry_after_s: float | None) -> Robots:
        now, before = self._clock.now(), self._entries.get(origin)
        failures = before.failures + 1 if before else 1
        wait_s = min(MAX_WAIT_S, 2.0 ** min(failures - 1, 16))
        if retry_after_s is not None:
            wait_s = max(wait_s, min(retry_after_s, self._ttl_s))
        stale = before is not None and before.read_s is not None and now < before.read_s + STALE_S
        return Robots(
            before.rules if before and stale else Rules.disallow_all(),
            now + wait_s,
            unreachable=not stale,
            retry_after_s=retry_after_s,
            status=status,
            failures=failures,
            read_s=before.read_s if before and stale else None,
        )

    def _capped(self, origin: str, rules: Rules) -> Rules:
        delay_s = rules.crawl_delay_s
        if delay_s is None or delay_s <= self._max_crawl_delay_s:
            return rules
        cap_s = self._max_crawl_delay_s
        logger.warning(
            "%s asks for a crawl delay of %g s: %g s are kept", origin, delay_s, cap_s, extra={"url": origin}
        )
        return replace(rules, crawl_delay_s=cap_s)

    def _keep(self, origin: str, robots: Robots) -> None:
        before = self._entries.pop(origin, None)
        if before is not None:
            self._bytes -= _weight(before)
        self._entries[origin] = robots
        self._bytes += _weight(robots)
        while len(self._entries) > 1 and (
            len(self._entries) > self._capacity or self._bytes > self._capacity_bytes
        ):
            self._bytes -= _weight(self._entries.popitem(last=False)[1])


def _request(url: str) -> Request:
    request = Request(url)
    request.max_bytes = MAX_BODY_BYTES
    return request


class _Turn:
    """Who fetches an origin's robots.txt, and how many are in line."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


def _weight(robots: Robots) -> int:
    """About how many bytes of memory an entry takes."""
    return _ENTRY_BYTES + robots.rules.weight_bytes


def _max_age_s(headers: Headers) -> float:
    """The least max-age of Cache-Control (RFC 9111 §5.2.2.1); inf where there is none."""
    ages = [float("inf")]
    for value in headers.get_all("cache-control"):
        for directive in value.split(","):
            name, _, argument = directive.strip().partition("=")
            argument = argument.strip('"')
            if name.lower() == "max-age" and argument.isascii() and argument.isdigit():
                ages.append(float(argument))
    return min(ages)
