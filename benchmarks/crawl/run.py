"""The runs: nginx on one core, one contender at a time on another, in turn; medians of what each took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import Table

from . import docs, peers
from .compiled import compile_all, environment
from .course import PORT, Course, Variant
from .field import Contender, Programs, reference
from .fields import Fields
from .nginx import Server
from .verdict import verify

LIMIT_S = 1_200

_OURS = ("aiohttp", "orjson", "selectolax", "url-py", "yarl")


def measure(
    variant: Variant,
    contenders: Sequence[Contender],
    runs: int,
    python: Path,
    cache: Path,
    documentation: Path = docs.FOLDER,
) -> Table:
    """A row a contender, in the order given; who can't run is told of and left out.

    `documentation` is where the real pages are installed, if they are raced on. Raises SystemExit where
    nothing can be measured: a tool is missing, the pages, a core, or every contender.
    """
    cores = sorted(os.sched_getaffinity(0))
    needed = max(2, *(contender.processes for contender in contenders))
    if len(cores) < needed:
        raise SystemExit(f"This takes {needed} cores: one for the server, the others for a contender.")
    lacking = docs.missing(documentation, variant.real)
    if lacking:
        raise SystemExit(f"There are no pages to serve below {documentation}: {docs.how_to_get(lacking)}")
    lacking = peers.missing_tools(tls=variant.tls)
    if lacking:
        raise SystemExit(f"There is nothing to serve the site with: apt-get install {' '.join(lacking)}")
    left_out = peers.missing(contenders, python)
    for name, what in left_out.items():
        print(f"{name} is left out, it lacks: {what} (python -m benchmarks crawl --setup)", file=sys.stderr)
    contenders = [contender for contender in contenders if contender.name not in left_out]
    if not contenders:
        raise SystemExit("There is no contender left.")
    compile_all(python if any(each.packages for each in contenders) else None, contenders, cache)
    course = variant.course(cache, documentation)
    folder = cache / f"nginx-{variant.name}"
    server = Server(
        course.root, folder, course.hosts, PORT, cores[0], variant.tls, variant.gzip, course.charset
    )
    bench = Bench(Programs(python, cache), course, server, cores, cache)
    taken: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    with server.serving():
        warm(course)
        for _ in range(runs):
            for contender in contenders:
                taken[contender.name].append(bench.once(contender))
    rows = [row(each.name, taken[each.name], each.processes) for each in contenders]
    ours = reference(fields=variant.fields).name
    notes = {
        "pages": len(course.titles),
        "variant": variant.name,
        "compiled": find_spec("airless._speed") is not None,
        "left_out": left_out,
        "versions": peers.versions(python),
        "ratios": ratios(rows, ours),
    }
    return Table(rows, libraries=_OURS, notes=notes)


@dataclass(frozen=True, slots=True)
class Bench:
    """A site that is being served on the first of `cores`, and crawled on the others."""

    programs: Programs
    course: Course
    server: Server
    cores: Sequence[int]
    cache: Path

    def once(self, contender: Contender) -> dict[str, Any]:
        """One verified run."""
        scratch = self.cache / "run"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        # What others wrote, and the removal of it, are not this one's to wait for.
        os.sync()
        output = scratch / "out.jsonl"
        course = self.course
        command = self.programs.command(contender, output, course.seeds, course.hosts, scratch / "state")
        trusted = {"SSL_CERT_FILE": str(self.server.ca)} if self.server.tls else {}
        load = os.getloadavg()[0]
        before = self.server.requests()
        launcher = Path(__file__).with_name("launch.py")
        cores = ",".join(map(str, self.cores_of(contender)))
        launch = [sys.executable, "-S", str(launcher), cores, str(LIMIT_S), *command]
        with (scratch / "log").open("wb") as log:
            done = subprocess.run(
                launch,
                env=environment(self.cache) | contender.environment | trusted,
                cwd=scratch,
                stdout=subprocess.PIPE,
                stderr=log,
                check=True,
            )
        result: dict[str, Any] = json.loads(done.stdout) | {"load": load}
        result["requests"] = self.server.requests() - before - 1
        result |= judged(output, course.titles, course.fields or None, course.beside)
        result["right"] = result["right"] and result["code"] == 0
        result["pages_per_s"] = result["pages"] / result["wall_s"]
        tell(contender.name, result, scratch / "log")
        return result

    def cores_of(self, contender: Contender) -> Sequence[int]:
        """Where it may run: a core a process, that of the server only where there are no others left."""
        return [*self.cores[1:], self.cores[0]][: contender.processes]


def judged(
    output: Path,
    expected: Mapping[str, str],
    fields: Mapping[str, Fields] | None = None,
    beside: Collection[str] = (),
) -> dict[str, Any]:
    """What a run's output is worth."""
    if not output.exists():
        return {"pages": 0, "right": False, "fault": "no output"}
    verdict = verify(output, expected, fields, beside)
    return {"pages": verdict.pages, "right": verdict.right, "fault": verdict.example}


def tell(name: str, result: dict[str, Any], log: Path) -> None:
    """Say how a run went, while others are still to come."""
    took = f"{result['pages_per_s']:,.0f} pages/s, {result['wall_s']:.1f} s, CPU {result['cpu_s']:.1f} s"
    print(f"{time.strftime('%H:%M:%S')} {name}: {took}", file=sys.stderr, flush=True)
    if not result["right"]:
        said = log.read_text(errors="replace")[-2_000:]
        print(f"WRONG, exit code {result['code']}: {result['fault']}\n{said}", file=sys.stderr, flush=True)


def row(name: str, results: list[dict[str, Any]], cores: int = 1) -> dict[str, Any]:
    """Medians of a contender's runs on so many `cores`; `right` only if all of them were.

    `core_share` is CPU over wall time: well below `cores` it waited, for nginx or for somebody else there.
    `peak_rss_mb` is of its largest process.
    """

    def middle(key: str) -> float:
        return float(median(result[key] for result in results))

    return {
        "contender": name,
        "cores": cores,
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


def ratios(rows: Sequence[Mapping[str, Any]], ours: str) -> dict[str, float]:
    """How many times the pages a second of each other contender the one named `ours` crawls.

    Only between rows that are right: what is wrong may be fast for that reason.
    """
    speeds = {each["contender"]: each["pages_per_s"] for each in rows if each["right"]}
    if ours not in speeds:
        return {}
    return {name: round(speeds[ours] / speed, 2) for name, speed in speeds.items() if name != ours}


def warm(course: Course) -> int:
    """Read every file once, so that the first contender doesn't pay for the disk. Returns how many bytes."""
    folders = (course.root / host for host in course.hosts)
    return sum(len(file.read_bytes()) for folder in folders for file in folder.rglob("*") if file.is_file())
