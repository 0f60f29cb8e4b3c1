"""The gate before a fetch: a host's cap on pages, and its robots.txt."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airless.core.clock import Clock
from airless.crawl.fetch import Fetcher
from airless.crawl.robots import Rules
from airless.crawl.robots_cache import Robots, RobotsCache
from airless.crawl.schedule import HostQueue
from airless.crawl.settings import Settings
from airless.crawl.urls import origin
from airless.crawl.visit import Outcome, target_of

logger = logging.getLogger("airless.crawl")

ROBOTS_TRIES = 4

# So long the cache isn't asked for a host again; it learns all the same which origins are in use.
_MOMENT_S = 1.0
# What hosts remember is bounded by their number alone, so that each may remember no more than this.
_LIGHT_BYTES = 8_192


class Gate:
    """Says of a URL whether it may be fetched now. `opened` is called when a host may have more under way.

    `robots` are the rules that several gates share; without them it has its own.
    """

    def __init__(
        self,
        settings: Settings,
        fetcher: Fetcher,
        clock: Clock,
        opened: Callable[[HostQueue], None],
        robots: RobotsCache | None = None,
    ) -> None:
        self._clock = clock
        self._opened = opened
        self._robots = robots if robots is not None else robots_of(settings, fetcher, clock)

    @property
    def probes(self) -> bool:
        """A new host is asked for its robots.txt before anything else."""
        return self._robots is not None

    def passes(self, queue: HostQueue, url: str, now: float) -> bool:
        """Whether it is known at once that the URL may be fetched; else `check` says what becomes of it.

        `now` is the clock's, which need not be asked for each of many.
        """
        if queue.probing or queue.pages >= queue.cap:
            return False
        if self._robots is None:
            return True
        if queue.rules is not None:
            start, until_s, rules = queue.rules
            if url.startswith(start) and now < until_s:
                path = len(start) - 1
                # Nearly all URLs pass without a call.
                return not ("%" in url or url.startswith(rules.heads, path)) or rules.allows(url[path:])
        found = self._rules(self._robots, queue, url)
        return found is not None and found.allows(target_of(url))

    def _rules(self, cache: RobotsCache, queue: HostQueue, url: str) -> Rules | None:
        """The rules that are known to count for a URL. Light ones are remembered by its host for a moment."""
        site = origin(url)
        robots = cache.known(site)
        if robots is None or robots.unreachable or (robots.rules.crawl_delay_s or 0.0) > queue.crawl_delay_s:
            return None
        queue.rules = None
        if robots.rules.weight_bytes <= _LIGHT_BYTES:
            queue.rules = f"{site}/", min(robots.expires_s, self._clock.now() + _MOMENT_S), robots.rules
        return robots.rules

    async def check(self, queue: HostQueue, url: str) -> Outcome | None:
        """None lets the URL pass; else it is skipped, or has to wait until its host is no longer blocked."""
        if queue.spent:
            return Outcome("skipped", "host_pages")
        if self._robots is None:
            return None
        site = origin(url)
        if queue.unread is not None and self._robots.dump(queue.unread[0]) is None:
            # Another process has tried before, and its tries count.
            self._robots.load(queue.unread[0], queue.unread[1].encode())
        robots = self._robots.known(site) or await self._robots.get(site)
        if robots.unreachable and (dump := self._robots.dump(site)) is not None:
            queue.unread = site, dump.decode()
        if robots.unreachable and robots.failures < ROBOTS_TRIES:
            queue.blocked_until = robots.expires_s
            return Outcome("wait")
        if robots.unreachable:
            return _refused(robots, url)
        delay_s = robots.rules.crawl_delay_s or 0.0
        if queue.probing or delay_s > queue.crawl_delay_s:
            self._learned(queue, site, delay_s)
            if queue.wary and delay_s:
                return Outcome("wait")
        return _refused(robots, url)

    def skips(self, queue: HostQueue, url: str) -> Outcome | None:
        """What is known at once of a URL that waits: that it will be skipped, or None."""
        if queue.spent:
            return Outcome("skipped", "host_pages")
        if self._robots is not None and (robots := self._robots.known(origin(url))):
            return _refused(robots, url)
        return None

    def _learned(self, queue: HostQueue, site: str, delay_s: float) -> None:
        """The host's rules are known: several requests may be under way now, at the pace they ask for."""
        if delay_s > queue.crawl_delay_s:
            logger.info("%s asks for a crawl delay of %g s", site, delay_s)
            queue.crawl_delay_s = delay_s
        # Also where there is none: the one that was remembered of the host may be out of date.
        queue.pace.set_crawl_delay(queue.crawl_delay_s)
        # The turn began before the rules were known: the distance to the next one counts from here.
        now = self._clock.now()
        queue.pace.finished(now, status=None, latency_s=0.0)
        queue.pace.started(now)
        queue.probing = False
        queue.unread = None
        self._opened(queue)


def robots_of(settings: Settings, fetcher: Fetcher, clock: Clock) -> RobotsCache | None:
    """The robots rules for a crawl with these settings; None where it heeds none."""
    if not settings.obey_robots:
        return None
    return RobotsCache(
        fetcher,
        agent=settings.http.user_agent,
        clock=clock,
        max_crawl_delay_s=settings.pace.max_crawl_delay_s,
    )


def _refused(robots: Robots, url: str) -> Outcome | None:
    """What robots.txt makes of a URL: skipped, or None where it may be fetched or this isn't known yet."""
    if robots.unreachable:
        return Outcome("skipped", "robots_unreachable") if robots.failures >= ROBOTS_TRIES else None
    return None if robots.rules.allows(target_of(url)) else Outcome("skipped", "robots")
