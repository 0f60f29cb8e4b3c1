"""Why a page was fetched, skipped, or is still waiting: what the rules say of it, and what the engine has of it.

An engine keeps no list of pages: of each that was met it keeps 64 bits, and not every queue can be looked through. So
some questions have no answer, and what is told says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import AirlessError
from airless.core.ports import Engine, Objects
from airless.crawl.concurrency import Bounds
from airless.crawl.discovery import mark_of
from airless.crawl.failed import Failure
from airless.crawl.fetcher import fetcher_of
from airless.crawl.gate import robots_of
from airless.crawl.layout import Layout
from airless.crawl.orders import CANCELLED
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.sites import host_key
from airless.crawl.urls import dedup_key, origin, trap
from airless.crawl.visit import target_of
from airless.fleet.traces import Marks, Traces

FETCHED, FAILED, ENDED, WAITING, SKIPPED, NOT_MET, UNCERTAIN = (
    "fetched",
    "failed",
    "ended",
    "waiting",
    "skipped",
    "not met",
    "uncertain",
)

# So often it is looked again where a shard has gone on meanwhile.
_LOOKS = 5

_TRAPS = {
    "url_too_long": "its URL is longer than the {url_chars:,} characters that this crawl takes",
    "too_many_parameters": "its query has more than the {query_parameters:,} parameters that this crawl takes",
    "path_repeats": "a segment stands in its path more often than {path_repeats:,} times",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A crawl, as far as it matters for one page.

    Without a `scope` (the spider isn't here) that isn't judged. `robots`: robots.txt may be asked for. `keeps_items`:
    what was committed of them is still there.
    """

    layout: Layout
    settings: Settings
    scope: Scope | None
    seeds: tuple[str, ...]
    private_hosts: frozenset[str]
    status: str
    robots: bool = True
    keeps_items: bool = True


@dataclass(frozen=True, slots=True)
class _Page:
    """The page, by canonical URL and fingerprint, the shard that decides on it, and the cap that it is over."""

    url: str
    mark: int
    shard: int
    over: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A verdict in a word, why, and the facts that it rests on."""

    url: str
    verdict: str
    why: str
    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"url": self.url, "verdict": self.verdict, "why": self.why, **self.facts}


async def explain(engine: Engine, case: Case, url: str, clock: Clock) -> Explained:
    """What became of a page, by its canonical URL.

    Reads the page's shard and the items of that; all other shards only where that says nothing.
    """
    settings, layout = case.settings, case.layout
    key, mark = dedup_key(url, settings.dedup), mark_of(url, settings.dedup)
    shard = layout.shard_of(host_key(url), mark)
    facts: dict[str, Any] = {"shard": shard}
    if key != url:
        facts["known as"] = key
    facts["scope"] = "not known" if case.scope is None else "inside" if case.scope.allows(url) else "outside"
    page = _Page(url, mark, shard, trap(url, 0, settings.traps))
    facts["caps"] = page.over or "within"
    facts["robots"] = await _robots(case, url, engine.objects, clock)
    traces = Traces(engine, layout)
    for _ in range(_LOOKS):
        judged = await _judged(case, traces, page, facts)
        if judged is not None:
            return Explained(url, *judged, facts)
    why = "it was taken in, and its shard is at work just now: it waits, or has ended a moment ago. Ask again"
    return Explained(url, UNCERTAIN, why, facts)


async def _judged(case: Case, traces: Traces, page: _Page, facts: dict[str, Any]) -> tuple[str, str] | None:
    """The verdict, and why; None where the shard has gone on before all could be looked at."""
    marks = await traces.marks(page.shard, page.mark)
    item = None if marks is None else await traces.item(marks, page.url)
    facts["seen"] = marks is not None and marks.admitted
    facts["item"] = item
    if item is not None:
        return FETCHED, "an item of it is committed"
    failure = None if marks is None else await traces.failure(marks, page.url)
    if failure is not None:
        facts["failed"] = _failed(failure)
        return FAILED, f"{failure.reason}; airless retry has it tried again"
    if marks is not None and marks.admitted:
        return await _admitted(case, traces, marks, page, facts)
    if marks is not None and marks.too_deep:
        return SKIPPED, f"it is more than {case.settings.limits.depth} links away from the seeds"
    return await _not_admitted(case, traces, page, facts)


def _failed(failure: Failure) -> dict[str, Any]:
    """What is kept of a failure, as JSON data."""
    return {
        "reason": failure.reason,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(failure.at_s)),
        "tries": failure.request.attempt + 1,
        "referrer": failure.request.referrer,
    }


async def _admitted(
    case: Case, traces: Traces, marks: Marks, page: _Page, facts: dict[str, Any]
) -> tuple[str, str] | None:
    """A page that its shard has taken in, of which no item is found."""
    if case.status == "finished" or marks.waiting <= 0:
        if facts["robots"] == "forbidden":
            return SKIPPED, "robots.txt forbids it (as it reads now)"
        if not case.keeps_items:
            return ENDED, (
                "it was taken in, and nothing of its shard waits: it was fetched, was a redirect, failed, or was "
                "forbidden. Items that were written to the output are found there alone"
            )
        return ENDED, f"it was taken in, and nothing of its shard waits: {_how_it_ended(marks)}"
    parked = await traces.parked(page.url)
    if parked:
        return WAITING, f"it is laid aside, since the crawl is {case.status}"
    if case.status == CANCELLED:
        return UNCERTAIN, "the crawl was cancelled: it was dropped, if it hadn't ended before"
    queued = await traces.queued(page.shard, page.mark, case.settings.dedup, marks.progress)
    facts["in the queue"] = queued
    if queued:
        return WAITING, "it was taken in, and is in the queue: it waits, or is being fetched"
    dead = await traces.dead(marks.shard)
    facts["dead letters of its shard"] = dead
    if queued is False and not dead:
        now = await traces.marks(page.shard, page.mark)
        if now is None or now.version != marks.version:
            return None
        return ENDED, f"it was taken in, and is not in the queue any more: {_how_it_ended(marks)}"
    also = f", {dead:,} messages of its shard were given up and may hold it (airless retry)" if dead else ""
    return UNCERTAIN, (
        f"it was taken in, and no item names it: it is one of {marks.waiting:,} URLs of its shard that wait{also}, or "
        "has ended without an item" + (". This queue can't be searched" if queued is None else "")
    )


def _how_it_ended(marks: Marks) -> str:
    how = (
        "was a redirect, or was forbidden"
        if marks.failed is not None
        else "was a redirect, failed, or was forbidden"
    )
    return (
        f"it was fetched without giving an item that names it, {how}. Which one isn't kept of a single page"
    )


async def _not_admitted(case: Case, traces: Traces, page: _Page, facts: dict[str, Any]) -> tuple[str, str]:
    """A page that its shard doesn't know, or has refused."""
    url, over = page.url, page.over
    finders = [finder async for finder in traces.finders(page.mark)]
    refused = any(finder.refused for finder in finders)
    facts["met by shards"] = [finder.shard for finder in finders]
    met = "; a page led to it" if refused else "; no page has led to it so far"
    if case.scope is not None and not case.scope.allows(url):
        domains = ", ".join(sorted(case.scope.domains))
        return SKIPPED, f"its host is none of the crawl's ({domains}){met}"
    if over is not None:
        return SKIPPED, _TRAPS[over].format(**_caps(case.settings)) + met
    if refused:
        return SKIPPED, (
            "it was refused where it was found: its host was out of scope there, it led on from too many links "
            f"(over {case.settings.traps.depth:,}), or a redirect led out of scope"
        )
    if await traces.parked(url):
        return WAITING, f"its shard has not judged it yet: it is laid aside, since the crawl is {case.status}"
    if finders:
        return WAITING, "a page led to it, and its shard has not judged it yet"
    if url in case.seeds and case.status != "finished":
        return WAITING, "it is a seed, and its shard has not judged it yet"
    if case.status == "finished":
        return NOT_MET, "no page of this crawl led to it"
    queued = facts["in the queue"] = await traces.queued(page.shard, page.mark, case.settings.dedup, {})
    if queued:
        return WAITING, "a page led to it, and its shard has not judged it yet"
    if queued is False:
        return NOT_MET, "no page that is committed has led to it so far"
    return NOT_MET, "no page that is committed has led to it so far, or its shard has not heard of it yet"


async def _robots(case: Case, url: str, objects: Objects, clock: Clock) -> str:
    """What robots.txt says of a page now."""
    if not case.settings.obey_robots:
        return "not heeded"
    if not case.robots:
        return "not asked for"
    # Nothing is to be kept of it.
    settings = replace(case.settings, http=replace(case.settings.http, cache=False))
    fetcher = fetcher_of(
        settings,
        case.scope or Scope.of((), ("*",)),
        bounds=Bounds.of(1),
        private_hosts=case.private_hosts,
        objects=objects,
        clock=clock,
    )
    try:
        cache = robots_of(settings, fetcher, clock)
        assert cache is not None  # noqa: S101 - these settings heed it
        robots = await cache.get(origin(url))
    except AirlessError as error:
        return f"not known: {error}"
    finally:
        await fetcher.aclose()
    if robots.unreachable:
        return "can't be had now"
    return "allowed" if robots.rules.allows(target_of(url)) else "forbidden"


def _caps(settings: Settings) -> dict[str, int]:
    traps = settings.traps
    return {
        "url_chars": traps.url_chars,
        "query_parameters": traps.query_parameters,
        "path_repeats": traps.path_repeats,
    }
