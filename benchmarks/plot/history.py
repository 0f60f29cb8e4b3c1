"""The pictures of how a figure went from commit to commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .curves import Curves, Panel, Series
from .races import OURS, served
from .results import Line, NothingToDraw, Picture, made_by
from .words import number


def engine_history(lines: list[Line]) -> Iterator[Picture]:
    """CPU a page of `engine`, over commits."""

    def name(line: Line, row: dict[str, Any]) -> str:
        processes = row.get("processes", 1)
        return line.word(row, "engine") + (f", {processes} processes" if processes != 1 else "")

    yield (
        "history-engine",
        _history(
            lines,
            "What the engine costs a page, commit by commit",
            "CPU time of the whole crawler over pages that are in memory already: no network, no output file. "
            "Less is better.",
            lambda line: {name(line, row): line.figure(row, "cpu_us_a_page") for row in line.rows},
        ),
    )


def crawl_history(lines: list[Line]) -> Iterator[Picture]:
    """CPU a page of airless in `crawl`, over commits."""

    def figures(line: Line) -> dict[str, float]:
        ours = [row for row in line.rows if row.get("contender") == OURS and row.get("right", True)]
        return {served(line): line.figure(ours[0], "cpu_us_a_page")} if ours else {}

    yield (
        "history-crawl",
        _history(
            lines,
            "What a page costs, commit by commit",
            "CPU time of a whole crawl by airless, from nginx on another core, by the number of pages and how they "
            "are served. Less is better.",
            figures,
        ),
    )


def _history(lines: list[Line], title: str, about: str, figures: Callable[[Line], dict[str, float]]) -> str:
    """Each figure over the commits, of the newest line's machine: others can't be compared with it."""
    newest = lines[-1]
    comparable = [line for line in lines if (line.machine, line.quick) == (newest.machine, newest.quick)]
    # Where a commit was measured more than once, the newest figure counts.
    measured: dict[str, dict[str, float]] = {}
    for line in comparable:
        if found := figures(line):
            measured.setdefault(line.commit, {}).update(found)
    if len(measured) < 2:
        raise NothingToDraw(f"a history takes two commits on one machine, there are {len(measured)}")
    names = dict.fromkeys(name for found in measured.values() for name in found)
    series = []
    for name in names:
        values = tuple(found.get(name) for found in measured.values())
        known = [value for value in values if value is not None]
        change = (
            f"{known[-1] / known[0] * 100 - 100:+.0f} % since {number(known[0])}"
            if len(known) > 1 and known[0]
            else ""
        )
        series.append(Series(name, values, change.replace("-", "\N{MINUS SIGN}")))
    shown = [line for line in comparable if line.commit in measured]
    curves = Curves(
        title, about, "commits", tuple(measured), (Panel("Microseconds of CPU a page", tuple(series)),)
    )
    return curves.draw(made_by(shown))
