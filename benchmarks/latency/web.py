"""A web that is slow: many hosts, pages that link to each other, and how long each takes to answer.

The same `Web` always gives the same pages and latencies. From the seeds, which are the first hosts' front
pages, links lead to every page: front pages to those of other hosts, and within a host down a tree. The
others go to pages that are found anyway, two in three on the same host, as most links of the real web do.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from benchmarks.crawl import markup

DOMAIN = "slow.test"
SEEDS = 10
_CHILDREN = 4
_ELSEWHERE = 3
_SECTIONS = ("news", "shop", "guides", "people", "archive", "forum", "events")
_HEAD = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n<body>\n'
_END = b"</body>\n</html>\n"


@dataclass(frozen=True, slots=True)
class Latency:
    """The time from a request to its answer: from `shortest_s` to `longest_s`.

    Log-uniformly; with a `sigma` log-normally around their geometric mean, which is the median then.
    """

    shortest_s: float
    longest_s: float
    sigma: float = 0.0

    @property
    def mean_s(self) -> float:
        """The expected value of the log-uniform."""
        if self.shortest_s == self.longest_s:
            return self.shortest_s
        return (self.longest_s - self.shortest_s) / log(self.longest_s / self.shortest_s)

    def of(self, url: str) -> float:
        """Seconds that this URL always takes."""
        place = (zlib.crc32(url.encode()) + 0.5) / 2**32
        if not self.sigma:
            return float(self.shortest_s * (self.longest_s / self.shortest_s) ** place)
        median_s = sqrt(self.shortest_s * self.longest_s)
        drawn_s = median_s * exp(self.sigma * NormalDist().inv_cdf(place))
        return min(self.longest_s, max(self.shortest_s, drawn_s))


class Page(NamedTuple):
    """An answer to come: its latency and its body, in pieces of which most are shared with other pages."""

    latency_s: float
    body: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Web:
    """`pages` pages over `hosts` hosts on `port`, of about `least_bytes` to `most_bytes` and `links` links."""

    pages: int
    hosts: int
    latency: Latency
    least_bytes: int
    most_bytes: int
    links: int
    port: int = 0

    @property
    def names(self) -> list[str]:
        """The hosts' names, which no resolver knows."""
        return [f"h{host}.{DOMAIN}" for host in range(self.hosts)]

    @property
    def seeds(self) -> list[str]:
        """Where a crawl begins: few hosts of many."""
        return [self.url(page) for page in range(min(SEEDS, self.hosts, self.pages))]

    def url(self, page: int) -> str:
        """The canonical address."""
        return f"http://h{page % self.hosts}.{DOMAIN}:{self.port}{self._path(page)}"

    def expected(self) -> dict[str, str]:
        """Address and title of every page: what a crawl must find, no more, no less."""
        return {self.url(page): title(page) for page in range(self.pages)}

    def mean_latency_s(self) -> float:
        """Of these very pages."""
        return sum(self.latency.of(self.url(page)) for page in range(self.pages)) / self.pages

    def answers(self) -> Iterator[tuple[str, Page]]:
        """Every page by its address."""
        prose = [block.encode() for block in markup.filler()]
        for page in range(self.pages):
            url = self.url(page)
            yield url, Page(self.latency.of(url), self._body(page, prose))

    def _body(self, page: int, prose: list[bytes]) -> list[bytes]:
        dice = random.Random(page)
        words = markup.WORDS
        anchors = "".join(
            f'<li><a href="{self._reference(page, to)}">{words[to % len(words)]} {to}</a></li>\n'
            for to in self._targets(page, dice)
        )
        pieces = [_HEAD.format(title=title(page)).encode(), f"<ul>\n{anchors}</ul>\n".encode()]
        left = dice.randint(self.least_bytes, self.most_bytes) - sum(map(len, pieces)) - len(_END)
        while left > 0:
            block = dice.choice(prose)
            pieces.append(block)
            left -= len(block)
        return [*pieces, _END]

    def _targets(self, page: int, dice: random.Random) -> Iterator[int]:
        """The pages that a page links to: first those that are found through it, then any."""
        at, host = divmod(page, self.hosts)
        children = range(_CHILDREN * at + 1, _CHILDREN * at + 1 + _CHILDREN)
        found = [child * self.hosts + host for child in children]
        if page < self.hosts:
            first = SEEDS + _CHILDREN * page
            found += [front for front in range(first, first + _CHILDREN) if front < self.hosts]
        found = [target for target in found if target < self.pages]
        yield from found
        for place in range(self.links - len(found)):
            target = int(dice.random() * self.pages)
            if place % _ELSEWHERE:
                target = min(target - target % self.hosts + host, self.pages - 1)
            yield target

    def _reference(self, page: int, to: int) -> str:
        return self._path(to) if (to - page) % self.hosts == 0 else self.url(to)

    def _path(self, page: int) -> str:
        return "/" if page < self.hosts else f"/{_SECTIONS[page % 7]}/{page % 31}/page-{page}.html"


def title(page: int) -> str:
    """What a crawl has to read from a page."""
    words = markup.WORDS
    return f"{words[page % len(words)].title()} {words[page // 7 % len(words)]} {page}"
