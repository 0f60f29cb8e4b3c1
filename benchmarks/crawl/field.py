"""The field: who is measured, by which program, and what each needs to run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

PROGRAMS = Path(__file__).with_name("contenders")
CONCURRENCY, PER_HOST = 64, 32


@dataclass(frozen=True, slots=True)
class Contender:
    """A program run as ``PROGRAM OUTPUT SEED_URL...``, which writes JSON lines of `url`, `title` and `fields`.

    `packages` are Python distributions; `sources` are Go packages, whose program is built with `tags`.
    `ours` is airless itself, in so many `processes`, each with a core, and with a `spider` of the programs'.
    `pure` is without its compiled half. `fields` is who takes five fields a page instead of the title alone.
    """

    name: str
    packages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tags: str = ""
    ours: bool = False
    pure: bool = False
    processes: int = 1
    spider: str = ""
    fields: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What it runs with beside what all do."""
        return {"AIRLESS_PURE": "1"} if self.pure else {}


_NET = "golang.org/x/net/html"
_LEXBOR = ("selectolax", "orjson", "uvloop")
AIRLESS, AIRLESS_FIELDS = "airless", "airless_fields"
CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(AIRLESS, ours=True),
        Contender("airless_pure", ours=True, pure=True),
        Contender("scrapy_links", ("Scrapy", "uvloop")),
        Contender("scrapy_expert", ("Scrapy", *_LEXBOR)),
        Contender("crawlee_parsel", ("crawlee", "parsel", "orjson", "uvloop")),
        Contender("crawlee_http", ("crawlee", *_LEXBOR)),
        Contender("aiohttp_loop", ("aiohttp", *_LEXBOR)),
        Contender("go_goquery", sources=(_NET, "github.com/PuerkitoBio/goquery"), tags="goquery"),
        Contender("go_tokenizer", sources=(_NET,)),
        Contender(AIRLESS_FIELDS, ours=True, spider="airless_fields.py:FieldsSpider", fields=True),
        Contender("scrapy_fields", ("Scrapy", "uvloop"), fields=True),
        Contender("scrapy_fields_expert", ("Scrapy", *_LEXBOR), fields=True),
    )
}


def line_up(only: Sequence[str] | None, *, fields: bool, processes: int = 1) -> list[Contender]:
    """Who runs: all, or those named, of the race for `fields` or of the one for titles.

    With several `processes` airless runs in so many as well, as a contender of its own. Raises ValueError
    where someone is named who isn't in that race.
    """
    entered = {name: contender for name, contender in CONTENDERS.items() if contender.fields == fields}
    strangers = [name for name in only or () if name not in entered]
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: only {'without' if fields else 'with'} --fields")
    lined = [entered[name] for name in only or entered]
    if processes > 1:
        single = reference(fields=fields)
        at = next((at for at, each in enumerate(lined, 1) if each == single), 0)
        lined.insert(at, replace(single, name=f"{single.name}_{processes}", processes=processes))
    return lined


def reference(*, fields: bool) -> Contender:
    """Airless as it is installed, on one core: whom the others are compared with."""
    return CONTENDERS[AIRLESS_FIELDS if fields else AIRLESS]


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are: `peers` is the Python of the peers, `built` the folder of the Go programs."""

    peers: Path
    built: Path

    def command(
        self, contender: Contender, output: Path, seeds: Sequence[str], hosts: Sequence[str], state: Path
    ) -> list[str]:
        """What to run for a contender. `state` is where airless keeps its own."""
        if contender.ours:
            options = [f"--resolve={host}=127.0.0.1" for host in hosts]
            options += [f"--concurrency={CONCURRENCY}", f"--per-host={PER_HOST}"]
            if contender.spider:
                options.append(f"--spider={PROGRAMS / contender.spider}")
            if contender.processes > 1:
                options.append(f"--processes={contender.processes}")
            command = [sys.executable, "-m", "airless", "crawl", *seeds, "-q", f"--state={state}"]
            return [*command, "-o", str(output), *options]
        if contender.sources:
            return [str(self.built / contender.name), str(output), *seeds]
        return [str(self.peers), str(PROGRAMS / f"{contender.name}.py"), str(output), *seeds]
