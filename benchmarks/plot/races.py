"""The pictures of whole crawls: beside others on one site, and beside the ideal on a slow web."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .bars import Bar, BarChart, Group
from .results import Line, NothingToDraw, Picture, made_by
from .words import medians, plain, share, times

OURS = "airless"
_SERVED = {"tls": "over TLS", "gzip": "gzipped"}


def race(lines: list[Line]) -> Iterator[Picture]:
    """Pages a second, for each variant of `crawl` that airless and somebody else have run in one go."""
    newest = {
        str(line.entry.get("variant")): line
        for line in lines
        if {OURS} < {row.get("contender") for row in line.rows}
    }
    if not newest:
        raise NothingToDraw("no line has airless and somebody else: python -m benchmarks crawl")
    for variant, line in sorted(newest.items()):
        rows = sorted(line.rows, key=lambda row: -line.figure(row, "pages_per_s"))
        # A crawl that missed pages is no measure for others.
        ours = next(
            (line.figure(row, "pages_per_s") for row in rows if row.get("contender") == OURS and _right(row)),
            None,
        )
        bars = tuple(_racer(line, row, ours) for row in rows)
        runs = max(len(row.get("all_pages_per_s", ())) for row in rows)
        chart = BarChart(
            "Pages a second",
            f"A crawl of {served(line)}, on one core unless it says otherwise; whole processes, every "
            f"output verified; {medians(runs)}. Beside: how many times as many airless crawls.",
            "pages a second, log scale",
            (Group("", bars),),
            log=True,
        )
        yield f"crawl-{variant}", chart.draw(made_by([line]))


def latency(lines: list[Line]) -> Iterator[Picture]:
    """How much of the ideal each contender of `latency` reached."""
    line = lines[-1]
    connections = line.entry.get("connections", "so many")
    groups = []
    for case, rows in line.grouped("case").items():
        bars = [
            Bar(
                plain(line.word(row, "contender")),
                100 * line.figure(row, "of_ideal"),
                _tint(row),
                f"{share(line.figure(row, 'middle_of_ideal'))} in the middle half, "
                f"{share(line.figure(row, 'core_share'))} of a core"
                if _right(row)
                else "its output was wrong",
            )
            for row in rows
        ]
        groups.append(Group(plain(case), tuple(bars)))
    chart = BarChart(
        "How near a crawl comes to the ideal when the web is slow",
        f"With {connections} connections nobody gets more pages than that in the mean latency: 100 %. "
        "Bars are whole runs, from a process's start to its exit; the middle half of the pages leaves out the first "
        "links and the last pages. Near 100 % of a core, CPU is the limit.",
        "share of the ideal, %",
        tuple(groups),
        unit=" %",
    )
    yield "latency", chart.draw(made_by([line]))


def _racer(line: Line, row: dict[str, Any], ours: float | None) -> Bar:
    name, value = line.word(row, "contender"), line.figure(row, "pages_per_s")
    cores = row.get("cores", 1)
    label = plain(name) + (f" ({cores} cores)" if cores != 1 else "")
    if not _right(row):
        return Bar(label, value, "wrong", "its output was wrong")
    runs = row.get("all_pages_per_s", ())
    spread = (min(runs), max(runs)) if len(runs) > 1 else None
    note = "" if name == OURS or not (ours and value) else times(ours / value)
    return Bar(label, value, _tint(row), note, spread)


def _tint(row: dict[str, Any]) -> str:
    if not _right(row):
        return "wrong"
    return "ours" if str(row["contender"]).startswith(OURS) else "other"


def _right(row: dict[str, Any]) -> bool:
    return row.get("right") is not False


def served(line: Line) -> str:
    """What was crawled, in words: how much of it, and what is special about it."""
    variant = str(line.entry.get("variant", ""))
    how = [_SERVED.get(part, plain(part)) for part in variant.split("-") if part and not part.isdigit()]
    pages = line.entry.get("pages")
    return ", ".join([f"{pages:,} pages" if isinstance(pages, int) else "a site", *how])
