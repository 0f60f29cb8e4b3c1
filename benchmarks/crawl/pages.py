"""A generated site: four hosts, pages of about 30 KB and 71 links, and the exact set a crawl of it must give.

The same `Site` always writes the same bytes. A page's links are new pages (its children in a tree that
reaches every page), repeated ones, relative ones, parameters in other orders, fragments, upper-case hosts,
off-site, mailto and script ones; comments and scripts hold bait that is no link. Bait and off-site pages
answer 200, so a crawl that falls for them has too many pages in its output. The hosts link to each other as
they do to themselves or, where they are `strangers`, not at all.
"""

from __future__ import annotations

import html
import posixpath
import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from . import markup
from .markup import PAGE, WORDS, anchor

LETTERS = "abcd"
BAIT = "bait"
_CHILDREN = 4
_NAVIGATION = 12
_SAME_HOST = 20
_OTHER_HOST = 12
_QUERIES = 6
_OFF_SITE = 14
_KINDS = 5
_SECTIONS = ("news", "shop", "guides", "people", "archive", "forum", "events", "maps")


@dataclass(frozen=True, slots=True)
class Site:
    """`pages` pages over four hosts on `port`; the absolute links on them carry `scheme` and `port`.

    Hosts that are `strangers` link to themselves alone, as the sites of most lists of seeds do. Raises ValueError where
    these have not as many pages of each kind.
    """

    pages: int
    port: int
    scheme: str = "http"
    strangers: bool = False

    def __post_init__(self) -> None:
        if self.strangers and self.pages % (len(LETTERS) * _KINDS):
            raise ValueError(f"{self.pages} pages are no multiple of {len(LETTERS) * _KINDS}")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names, none of which any resolver knows: a client is told that they are 127.0.0.1."""
        return tuple(f"{letter}.site.test" for letter in LETTERS)

    @property
    def seeds(self) -> tuple[str, ...]:
        """The first page of each host."""
        return tuple(self.url(page) for page in range(len(LETTERS)))

    def url(self, page: int) -> str:
        """The canonical address: lower-case host, parameters sorted, no fragment."""
        return f"{self.origin(page)}{path_of(page)}{_joined(sorted(parameters(page)))}"

    def origin(self, page: int) -> str:
        """Scheme, host and port of a page."""
        return f"{self.scheme}://{self.hosts[page % len(LETTERS)]}:{self.port}"

    def expected(self) -> dict[str, str]:
        """Canonical address and title of every page: what a crawl must find, no more, no less."""
        return {self.url(page): title(page) for page in range(self.pages)}

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """Every page with its bytes."""
        filler = markup.filler()
        return ((page, self.body(page, filler).encode()) for page in range(self.pages))

    def body(self, page: int, filler: list[str]) -> str:
        """The HTML of a page."""
        dice = random.Random(page)
        anchors = [anchor(dice, reference) for reference in self._references(page, dice)]
        dice.shuffle(anchors)
        size = dice.randint(15_000, 26_000)
        blocks: list[str] = []
        written = 0
        while written < size:
            block = dice.choice(filler)
            blocks.append(block)
            written += len(block)
        each = len(anchors) / len(blocks)
        text = "".join(
            f"{block}<ul class='see'>{''.join(anchors[round(at * each) : round((at + 1) * each)])}</ul>\n"
            for at, block in enumerate(blocks)
        )
        menu = "".join(
            f'<li class="menu__item"><a class="menu__link" href="{path_of(to)}">{_SECTIONS[at % 8]}</a></li>'
            for at, to in enumerate(self._menu(page))
        )
        return PAGE.format(
            title=html.escape(title(page)),
            page=page,
            menu=menu,
            text=text,
            bait=BAIT,
            origin=self.origin(page),
        )

    def _references(self, page: int, dice: random.Random) -> Iterator[str]:
        """The `href` values beside the menu's, not yet escaped."""
        here = path_of(page)
        count = self.pages
        for child in self._children(page):
            if child < count:
                yield self._reference(page, child, here)
        for _ in range(_SAME_HOST):  # relative ones
            to = dice.randrange(count // len(LETTERS)) * len(LETTERS) + page % len(LETTERS)
            yield self._reference(page, to, here)
        for at in range(_OTHER_HOST):
            to = self._known_to(page, dice.randrange(count), 1)
            url = f"{self.origin(to)}{path_of(to)}{_joined(parameters(to))}"
            if at < 3:  # upper-case host
                url = url.replace(".site.test", ".SITE.Test", 1)
            elif at < 7:
                url = f"{url}#part-{at}"
            elif at < 9:  # scheme-relative
                url = url.partition(":")[2]
            yield url
        for _ in range(_QUERIES):  # parameters in other orders
            to = self._known_to(page, min(dice.randrange(count // _KINDS) * _KINDS + 4, count - 1), _KINDS)
            shuffled = list(parameters(to))
            dice.shuffle(shuffled)
            yield f"{self.origin(to)}{path_of(to)}{_joined(shuffled)}"
        for at in range(_OFF_SITE):
            scheme = ("http:", "https:", "")[at % 3]
            host = ("partner.example", "a.site.test.ads.example", "cdn.example", "social.example")[at % 4]
            yield f"{scheme}//{host}:{self.port}/{dice.randrange(1000)}?from={page}"
        yield from ("#top", "#comments", here + _joined(parameters(page)) + "#self")
        yield from (f"mailto:team{page}@site.test?subject=a", "javascript:void(0)", "tel:+15550100")

    def _children(self, page: int) -> range:
        """The pages that this one leads to: trees that reach every page from the first of each host."""
        letters = len(LETTERS)
        if not self.strangers:
            return range(_CHILDREN * page + letters, _CHILDREN * page + letters + _CHILDREN)
        host, nth = page % letters, page // letters
        first = (_CHILDREN * nth + 1) * letters + host
        return range(first, first + _CHILDREN * letters, letters)

    def _known_to(self, page: int, to: int, step: int) -> int:
        """`to`, or one before it, as many times `step` as it takes to a host that `page` links to."""
        while self.strangers and (to - page) % len(LETTERS):
            to = (to - step) % self.pages
        return to

    def _reference(self, page: int, to: int, here: str) -> str:
        """`to` as a page on the same host would write it: relative; absolute from another host."""
        query = _joined(parameters(to))
        if (to - page) % len(LETTERS):
            return f"{self.origin(to)}{path_of(to)}{query}"
        if to % 3 == 0 or path_of(to) == "/":
            return f"{path_of(to)}{query}"
        return posixpath.relpath(path_of(to), posixpath.dirname(here)) + query

    def _menu(self, page: int) -> list[int]:
        """The pages of a host's menu: without parameters and the same on all its pages."""
        letters = len(LETTERS)
        mine = (to for to in range(page % letters, self.pages, letters) if not parameters(to))
        return [to for _, to in zip(range(_NAVIGATION), mine, strict=False)]


def path_of(page: int) -> str:
    """The path of a page, percent-escaped; the first page of each host is ``/``."""
    if page < len(LETTERS):
        return "/"
    section = _SECTIONS[page % 7]
    match page % _KINDS:
        case 3:
            return f"/{section}/{page % 31}/item-{page}.html"
        case 4:
            return f"/{section}/find-{page}.html"
        case _ if page % 50 == 1:
            return f"/{section}/{quote('café')}-{page}.html"
        case _:
            return f"/{section}/page-{page}.html"


def parameters(page: int) -> tuple[tuple[str, str], ...]:
    """The query of a page, in no order; every fifth page has one."""
    if page % _KINDS != 4:
        return ()
    return (("view", "grid"), ("id", str(page)), ("per", "20"))


def title(page: int) -> str:
    """The title, as read: entities decoded."""
    first, second = WORDS[page % len(WORDS)], WORDS[page // 7 % len(WORDS)]
    return f"{first.title()} & {second} <{page}> | {LETTERS[page % len(LETTERS)]}"


def _joined(pairs: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""
