"""The runs: nginx on one core, one contender at a time on another, in turn; medians of what each took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import Table

from . import peers
from .compiled import compile_all, environment
from .field import CONTENDERS, Contender, Programs
from .nginx import Server
from .pages import Site
from .store import lay_out
from .verdict import verify

PORT = 18080
LIMIT_S = 1_200

_OURS = ("aiohttp", "orjson", "selectolax", "url-py", "yarl")


@dataclass(frozen=True, slots=True)
class Variant:
    """How the site is served."""

    pages: int
    tls: bool = False
    gzip: bool = False

    @property
    def name(self) -> str:
        return f"{self.pages}{'-tls' if self.tls else ''}{'-gzip' if self.gzip else ''}"

    @property
    def site(self) -> Site:
        return Site(self.pages, PORT, "https" if self.tls else "http")


def measure(variant: Variant, names: Sequence[str], runs: int, python: Path, cache: Path) -> Table:
    """A row a contender, in the order given; who can't run is told of and left out.

    Raises SystemExit where nothing can be measured: a tool is missing, a core, or every contender.
    """
    cores = sorted(os.sched_getaffinity(0))
    lacking = peers.missing_tools(tls=variant.tls)
    if lacking:
        raise SystemExit(f"There is nothing to serve the site with: apt-get install {' '.join(lacking)}")
    if len(cores) < 2:
        raise SystemExit("This takes two cores: one for the server, one for the contender.")
    left_out = peers.missing([CONTENDERS[name] for name in names], python)
    for name, what in left_out.items():
        print(f"{name} is left out, it lacks: {what} (python -m benchmarks crawl --setup)", file=sys.stderr)
    contenders = [CONTENDERS[name] for name in names if name not in left_out]
    if not contenders:
        raise SystemExit("There is no contender left.")
    compile_all(python if any(each.packages for each in contenders) else None, contenders, cache)
    site = variant.site
    root = cache / f"site-{variant.name}"
    lay_out(site, root, gzipped=variant.gzip)
    folder = cache / f"nginx-{variant.name}"
    server = Server(root, folder, site.hosts, PORT, cores[0], variant.tls, variant.gzip)
    bench = Bench(Programs(python, cache), site, server, site.expected(), cores[1], cache)
    taken: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    with server.serving():
        warm(root)
        for _ in range(runs):
            for contender in contenders:
                taken[contender.name].append(bench.once(contender))
    notes = {
        "pages": site.pages,
        "variant": variant.name,
        "left_out": left_out,
        "versions": peers.versions(python),
    }
    return Table([row(name, results) for name, results in taken.items()], libraries=_OURS, notes=notes)


@dataclass(frozen=True, slots=True)
class Bench:
    """A site that is being served, and the core on which it is crawled."""

    programs: Programs
    site: Site
    server: Server
    expected: dict[str, str]
    core: int
    cache: Path

    def once(self, contender: Contender) -> dict[str, Any]:
        """One verified run."""
        scratch = self.cache / "run"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        output = scratch / "out.jsonl"
        command = self.programs.command(contender, output, self.site, scratch / "state")
        trusted = {"SSL_CERT_FILE": str(self.server.ca)} if self.server.tls else {}
        load = os.getloadavg()[0]
        before = self.server.requests()
        launcher = Path(__file__).with_name("launch.py")
        launch = [sys.executable, "-S", str(launcher), str(self.core), str(LIMIT_S), *command]
        with (scratch / "log").open("wb") as log:
            done = subprocess.run(
                launch,
                env=environment(self.cache) | trusted,
                cwd=scratch,
                stdout=subprocess.PIPE,
                stderr=log,
                check=True,
            )
        result: dict[str, Any] = json.loads(done.stdout) | {"load": load}
        result["requests"] = self.server.requests() - before - 1
        result |= judged(output, self.expected)
        result["right"] = result["right"] and result["code"] == 0
        result["pages_per_s"] = result["pages"] / result["wall_s"]
        tell(contender.name, result, scratch / "log")
        return result


def judged(output: Path, expected: dict[str, str]) -> dict[str, Any]:
    """What a run's output is worth."""
    if not output.exists():
        return {"pages": 0, "right": False, "fault": "no output"}
    verdict = verify(output, expected)
    return {"pages": verdict.pages, "right": verdict.right, "fault": verdict.example}


def tell(name: str, result: dict[str, Any], log: Path) -> None:
    """Say how a run went, while others are still to come."""
    took = f"{result['pages_per_s']:,.0f} pages/s, {result['wall_s']:.1f} s, CPU {result['cpu_s']:.1f} s"
    print(f"{time.strftime('%H:%M:%S')} {name}: {took}", file=sys.stderr, flush=True)
    if not result["right"]:
        said = log.read_text(errors="replace")[-2_000:]
        print(f"WRONG, exit code {result['code']}: {result['fault']}\n{said}", file=sys.stderr, flush=True)


def row(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of a contender's runs; `right` only if all of them were.

    `core_share` is CPU over wall time: well below 1 it waited, for nginx or for somebody else on its core.
    """

    def middle(key: str) -> float:
        return float(median(result[key] for result in results))

    return {
        "contender": name,
        "pages_per_s": round(middle("pages_per_s"), 1),
        "wall_s": round(middle("wall_s"), 2),
        "cpu_s": round(middle("cpu_s"), 2),
        "core_share": round(median(result["cpu_s"] / result["wall_s"] for result in results), 2),
        "cpu_us_a_page": round(median(1e6 * each["cpu_s"] / max(each["pages"], 1) for each in results), 1),
        "peak_rss_mb": round(middle("peak_rss_mb"), 1),
        "requests": max(result["requests"] for result in results),
        "right": all(result["right"] for result in results),
        "all_pages_per_s": [round(result["pages_per_s"], 1) for result in results],
        "all_loads": [round(result["load"], 1) for result in results],
    }


def warm(root: Path) -> None:
    """Read every file once, so that the first contender doesn't pay for the disk."""
    for file in root.rglob("*.html*"):
        file.read_bytes()
