"""What a link goes through until it is known to be new: resolve, fingerprint, dedup."""

from __future__ import annotations

import importlib
import random
from array import array
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.request import Request
from airless.crawl.scan import PageFollow, scan, seen_set, spellings
from airless.crawl.scope import Scope
from airless.crawl.seen import SeenSet, pack_fingerprints
from airless.crawl.settings import Links, Settings
from airless.crawl.shard import Shard
from airless.crawl.urls import canonical, fingerprint, parsed, resolve
from benchmarks.micro.reading import CONTENT_TYPE, selected
from benchmarks.micro.sample import SITE, Sample
from benchmarks.micro.timing import Case

if TYPE_CHECKING:
    from airless._speed import Seen

LAYOUT = Layout("micro", 64)
_CHUNK = 10_000
_LINKS = Links()

Go = Callable[[], object]


def resolving(sample: Sample, stack: ExitStack) -> list[Case]:
    """A reference as a canonical URL; `Discovery` takes it on until it is deduplicated, and a Request if new."""
    pages = [(url, selected(body)) for url, body in sample]
    count = sum(len(hrefs) for _, hrefs in pages)
    cases = [
        Case("resolve", "url-py join", "link", count, lambda: partial(_join, pages)),
        Case("resolve", "url-py parse", "link", *_parse(pages)),
    ]
    if spellings() is None:
        return cases
    found = [(Request(url), scan(body, CONTENT_TYPE, _LINKS)[0]) for url, body in sample]
    follows = [(parent, PageFollow(page, parent.url)) for parent, page in found if page is not None]
    count = sum(page.links for _, page in found if page is not None)
    met = _Finder()
    met.offer(follows)
    return [
        Case("resolve", "airless, met lately", "link", count, lambda: partial(met.offer, follows)),
        Case("resolve", "airless, new pages", "link", count, lambda: partial(_Finder().offer, follows)),
        *cases,
    ]


class _Finder:
    """Discovery as a process has it that owns all shards."""

    def __init__(self) -> None:
        self._shards = [Shard(LAYOUT, index) for index in range(LAYOUT.shards)]
        self._discovery = Discovery(Settings(), Scope.of(SITE.seeds), LAYOUT, self._shards.__getitem__)

    def offer(self, follows: list[tuple[Request, PageFollow]]) -> None:
        shard = self._shards[0]
        for parent, follow in follows:
            self._discovery.follow(shard, parent, follow)


def _join(pages: list[tuple[str, list[str]]]) -> None:
    for url, hrefs in pages:
        base = parsed(url)
        for href in hrefs:
            resolve(base, href)


def _parse(pages: list[tuple[str, list[str]]]) -> tuple[int, Callable[[], Go]]:
    """Making absolute URLs canonical that aren't relative any more."""
    urls = [href for _, hrefs in pages for href in hrefs if href.startswith("http")]
    return len(urls), lambda: partial(_for_each, canonical, urls)


def fingerprinting(sample: Sample, stack: ExitStack) -> list[Case]:
    """The hash of a canonical URL."""
    urls = [SITE.url(page) for page in range(_CHUNK)]
    ways: dict[str, Callable[[str], object]] = {"hashlib": fingerprint}
    if spellings() is not None:
        ways = {"airless._speed": importlib.import_module("airless._speed").fingerprint, **ways}
    return [
        Case("fingerprint", name, "URL", len(urls), lambda way=way: partial(_for_each, way, urls))  # type: ignore[misc]
        for name, way in ways.items()
    ]


def dedup(sample: Sample, stack: ExitStack) -> list[Case]:
    """Whether a fingerprint is new, in sets that hold many; it is added if so. The loop around it is included."""
    dice = random.Random(1)
    known = array("Q", dice.randbytes(8 * sample.known))
    met = list(known[:_CHUNK])
    sets: dict[str, Callable[[list[int]], None]] = {"SeenSet": partial(_for_each, _adder(SeenSet(), known))}
    if spellings() is not None:
        sets = {"Seen": partial(_for_each, _adder(seen_set(), known)), **sets}
    sets["set"] = partial(_add_to, set(known))

    def new(add: Callable[[list[int]], None]) -> Go:
        return partial(add, list(array("Q", dice.randbytes(8 * _CHUNK))))

    return [
        Case("dedup", f"{name}, {kind}", "URL", _CHUNK, prepare)
        for name, add in sets.items()
        for kind, prepare in (("known", partial(partial, add, met)), ("new", partial(new, add)))
    ]


def _adder(seen: Seen | SeenSet, known: array[int]) -> Callable[[int], bool]:
    seen.update(pack_fingerprints(known))
    return seen.add


def _add_to(known: set[int], fingerprints: list[int]) -> None:
    for each in fingerprints:
        if each not in known:
            known.add(each)


def _for_each(way: Callable[[Any], object], values: Iterable[Any]) -> None:
    for value in values:
        way(value)
