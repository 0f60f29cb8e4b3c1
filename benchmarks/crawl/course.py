"""The course: which site is raced on, how it is served, and what a crawl of it must give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import docs
from .fields import Fields, expected_fields
from .pages import Site
from .store import lay_out

PORT = 18080


@dataclass(frozen=True, slots=True)
class Course:
    """A site that is laid out below `root` as ``host/path``.

    `titles` are those of all its pages, by address; `fields` what else is to be taken from them, if anything.
    `beside` are addresses that links reach and that are no pages: a crawl may tell of them or not.
    `charset` is what the server says that pages are in, if it says anything.
    """

    root: Path
    hosts: tuple[str, ...]
    seeds: tuple[str, ...]
    titles: Mapping[str, str]
    fields: Mapping[str, Fields] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """A generated site of so many `pages`, or `real` ones; how they are served, and what is taken from them.

    The hosts of a generated one link to each other, unless they are `strangers`.
    """

    pages: int = 0
    tls: bool = False
    gzip: bool = False
    fields: bool = False
    strangers: bool = False
    real: tuple[docs.Documentation, ...] = ()

    @property
    def name(self) -> str:
        """What results of it are called."""
        whole = self.real == docs.DOCUMENTATION
        what = ("real" if whole else "real-quick") if self.real else str(self.pages)
        ways = {"-tls": self.tls, "-gzip": self.gzip, "-fields": self.fields, "-strangers": self.strangers}
        return what + "".join(way for way, on in ways.items() if on)

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    def course(self, cache: Path, documentation: Path = docs.FOLDER) -> Course:
        """Laid out below `cache`; `documentation` is where the real pages are installed."""
        return self._real(cache / "docs", documentation) if self.real else self._generated(cache)

    def _generated(self, cache: Path) -> Course:
        site = Site(self.pages, PORT, self.scheme, self.strangers)
        # The links on its pages carry the scheme.
        ways = {"-tls": self.tls, "-gzip": self.gzip, "-strangers": self.strangers}
        root = cache / f"site-{self.pages}{''.join(way for way, on in ways.items() if on)}"
        lay_out(site, root, gzipped=self.gzip)
        fields = expected_fields(site, root) if self.fields else {}
        return Course(root, site.hosts, site.seeds, site.expected(), fields, charset="utf-8")

    def _real(self, root: Path, documentation: Path) -> Course:
        titles: dict[str, str] = {}
        beside: set[str] = set()
        origins = {each: f"{self.scheme}://{each.host}:{PORT}" for each in self.real}
        for each, origin in origins.items():
            walked = docs.lay_out(each, documentation, root)
            titles |= {origin + path: title for path, title in walked.pages.items()}
            beside |= {origin + path for path in walked.others}
        hosts = tuple(each.host for each in self.real)
        seeds = tuple(origin + docs.START for origin in origins.values())
        return Course(root, hosts, seeds, titles, beside=frozenset(beside))
