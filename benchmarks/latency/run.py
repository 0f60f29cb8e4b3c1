"""The runs: the server on one core, one contender at a time on another; what each took beside the ideal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.crawl import launch
from benchmarks.crawl.compiled import environment
from benchmarks.crawl.run import judged

from . import bare
from .log import Seen
from .serving import serving
from .web import DOMAIN, Web

LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests a contender may have under way: in all, and to one host."""

    connections: int
    per_host: int


Command = Callable[[Web, Limits, Path], list[str]]


def airless(web: Web, limits: Limits, scratch: Path) -> list[str]:
    """The command as anybody runs it, told that every host is on loopback."""
    resolve = [f"--resolve={name}=127.0.0.1" for name in web.names]
    pace = [f"--concurrency={limits.connections}", f"--per-host={limits.per_host}"]
    where = ["-o", "out.jsonl", f"--state={scratch / 'state'}", f"--allow-domain={DOMAIN}", "--allow-private"]
    return [sys.executable, "-m", "airless", "crawl", *web.seeds, "-q", *where, *pace, *resolve]


def bare_loop(web: Web, limits: Limits, scratch: Path) -> list[str]:
    """What knows every address beforehand."""
    addresses = scratch / "addresses"
    addresses.write_text("\n".join(web.expected()))
    program = [sys.executable, str(bare.__file__), "out.jsonl"]
    return [*program, str(limits.connections), str(web.port), str(addresses)]


CONTENDERS: dict[str, Command] = {"bare loop": bare_loop, "airless": airless}


def once(name: str, web: Web, limits: Limits, cores: tuple[int, int], cache: Path) -> dict[str, Any]:
    """One verified run of a contender, as a row. `cores` are the server's and the contender's."""
    with tempfile.TemporaryDirectory() as folder, serving(web, cores[0]) as server:
        scratch = Path(folder)
        command = CONTENDERS[name](server.web, limits, scratch)
        launcher = [sys.executable, "-S", launch.__file__, str(cores[1]), str(LIMIT_S)]
        load = os.getloadavg()[0]
        with (scratch / "log").open("wb") as log:
            done = subprocess.run(
                [*launcher, *command],
                env=environment(cache),
                cwd=scratch,
                stdout=subprocess.PIPE,
                stderr=log,
                check=True,
            )
        took: dict[str, Any] = json.loads(done.stdout)
        verdict = judged(scratch / "out.jsonl", server.web.expected())
        verdict["right"] = verdict["right"] and took["code"] == 0
        said = (scratch / "log").read_text(errors="replace")[-2_000:]
        figures = row(limits, server.web.mean_latency_s(), took, verdict, server.stop())
    tell(name, figures, took, verdict, said)
    return {"contender": name, **figures, "load": round(load, 1)}


def row(
    limits: Limits, latency_s: float, took: dict[str, Any], verdict: dict[str, Any], seen: Seen
) -> dict[str, Any]:
    """The figures of a run.

    Nobody with so many connections can be faster than the ideal: all of them wait for a page all the time.
    `of_ideal` is of the whole process's time, `middle_of_ideal` of the middle half of the pages. `dialled`
    are the connections that were opened, `no_pages` answers with a robots file or that there is no such page.
    """
    ideal = limits.connections / latency_s
    pages: int = verdict["pages"]
    pages_per_s = pages / took["wall_s"]
    return {
        "pages_per_s": round(pages_per_s, 1),
        "middle_pages_per_s": round(seen.middle_pages_per_s, 1),
        "ideal_pages_per_s": round(ideal, 1),
        "of_ideal": round(pages_per_s / ideal, 3),
        "middle_of_ideal": round(seen.middle_pages_per_s / ideal, 3),
        "first_quarter_s": round(seen.quarter_s, 1),
        "wall_s": round(took["wall_s"], 2),
        "cpu_us_a_page": round(1e6 * took["cpu_s"] / max(pages, 1), 1),
        "core_share": round(took["cpu_s"] / took["wall_s"], 2),
        "peak_rss_mb": round(took["peak_rss_mb"], 1),
        "dialled": seen.connections,
        "most_waiting": seen.most_waiting,
        "no_pages": seen.others,
        "server_late_ms": round(seen.late_ms, 1),
        "server_core_share": round(seen.core_share, 2),
        "right": verdict["right"] and seen.pages == pages,
    }


def tell(
    name: str, figures: dict[str, Any], took: dict[str, Any], verdict: dict[str, Any], said: str
) -> None:
    """Say how a run went, while others are still to come."""
    figure = f"{figures['pages_per_s']:,.0f} pages/s, {figures['of_ideal']:.0%} of the ideal"
    print(f"{time.strftime('%H:%M:%S')} {name}: {figure}", file=sys.stderr, flush=True)
    if not figures["right"]:
        fault = verdict["fault"] or "a page was asked for twice"
        print(f"WRONG, exit code {took['code']}: {fault}\n{said}", file=sys.stderr, flush=True)
