"""The field: who is measured, by which program, and what each needs to run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .pages import Site

PROGRAMS = Path(__file__).with_name("contenders")
CONCURRENCY, PER_HOST = 64, 32


@dataclass(frozen=True, slots=True)
class Contender:
    """A program run as ``PROGRAM OUTPUT SEED_URL...``, which writes JSON lines of `url` and `title`.

    `packages` are Python distributions; `sources` are Go packages, whose program is built with `tags`.
    """

    name: str
    packages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tags: str = ""


_NET = "golang.org/x/net/html"
_LEXBOR = ("selectolax", "orjson", "uvloop")
AIRLESS = "airless"
CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(AIRLESS),
        Contender("scrapy_links", ("Scrapy", "uvloop")),
        Contender("scrapy_expert", ("Scrapy", *_LEXBOR)),
        Contender("crawlee_parsel", ("crawlee", "parsel", "orjson", "uvloop")),
        Contender("crawlee_http", ("crawlee", *_LEXBOR)),
        Contender("aiohttp_loop", ("aiohttp", *_LEXBOR)),
        Contender("go_goquery", sources=(_NET, "github.com/PuerkitoBio/goquery"), tags="goquery"),
        Contender("go_tokenizer", sources=(_NET,)),
    )
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are: `peers` is the Python of the peers, `built` the folder of the Go programs."""

    peers: Path
    built: Path

    def command(self, contender: Contender, output: Path, site: Site, state: Path) -> list[str]:
        """What to run for a contender. `state` is where airless keeps its own."""
        if contender.name == AIRLESS:
            resolve = [f"--resolve={host}=127.0.0.1" for host in site.hosts]
            limits = [f"--concurrency={CONCURRENCY}", f"--per-host={PER_HOST}"]
            command = [sys.executable, "-m", "airless", "crawl", *site.seeds, "-q", f"--state={state}"]
            return [*command, "-o", str(output), *resolve, *limits]
        if contender.sources:
            return [str(self.built / contender.name), str(output), *site.seeds]
        return [str(self.peers), str(PROGRAMS / f"{contender.name}.py"), str(output), *site.seeds]
