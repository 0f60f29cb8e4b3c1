"""The pictures of single costs: a seen URL, a GET, a stage, a field, a published message, a start."""

from __future__ import annotations

from collections.abc import Iterator

from .bars import Bar, BarChart, Group
from .curves import Curves, Panel, Series
from .races import OURS
from .results import Line, Picture, made_by
from .words import count, medians, plain, times


def frontier(lines: list[Line]) -> Iterator[Picture]:
    """What a seen URL takes, by how many there are."""
    line = lines[-1]
    rows = sorted(line.rows, key=lambda row: line.figure(row, "urls"))

    def series(name: str, figure: str) -> Series:
        return Series(name, tuple(line.figure(row, figure) for row in rows))

    bytes_a_url = (
        series("of the process", "resident_bytes_a_url"),
        series("held by the set", "held_bytes_a_url"),
        series("on disk", "disk_bytes_a_url"),
    )
    curves = Curves(
        "What a seen URL takes",
        "Random fingerprints, in a process of their own: what the process grew by, what the set's own arrays hold "
        "of it, and the SQLite file.",
        "URLs seen",
        tuple(count(line.figure(row, "urls")) for row in rows),
        (
            Panel("Bytes a URL", bytes_a_url),
            Panel("Microseconds a URL", (series("add", "add_us"), series("look up", "hit_us"))),
        ),
    )
    yield "frontier", curves.draw(made_by([line]))


def fetch(lines: list[Line]) -> Iterator[Picture]:
    """CPU a GET, by contender."""
    line = lines[-1]
    groups = []
    for answer, rows in line.grouped("answer").items():
        bars = [_candidate(line.word(row, "contender"), line.figure(row, "median_us")) for row in rows]
        groups.append(Group(plain(answer), tuple(bars)))
    chart = BarChart(
        "What a GET costs",
        "CPU time of a page over kept connections, the kernel's part included; medians. In blue: airless's "
        "fetchers. The bare loop sends fixed bytes and keeps no header. Less is better.",
        "microseconds of CPU",
        tuple(groups),
    )
    yield "fetch", chart.draw(made_by([line]))


def micro(lines: list[Line]) -> Iterator[Picture]:
    """CPU of each stage, by what does it."""
    line = lines[-1]
    groups = []
    for stage, rows in line.grouped("stage").items():
        bars = [_candidate(line.word(row, "candidate"), line.figure(row, "median_us")) for row in rows]
        groups.append(Group(f"{plain(stage)}, a {line.word(rows[0], 'unit')}", tuple(bars)))
    chart = BarChart(
        "What each stage of the hot path costs",
        "CPU time; medians. In blue: airless's own code. Less is better.",
        "microseconds of CPU, log scale",
        tuple(groups),
        log=True,
    )
    yield "micro", chart.draw(made_by([line]))


def parse(lines: list[Line]) -> Iterator[Picture]:
    """CPU of a callback that reads twenty fields, by contender."""
    line = lines[-1]
    bars = []
    for row in line.rows:
        name, value = line.word(row, "contender"), line.figure(row, "us_a_page")
        if row.get("same") is False:
            bars.append(Bar(name, value, "wrong", "its fields differ"))
        else:
            note = "" if name == OURS else times(line.figure(row, "times_airless"))
            bars.append(Bar(name, value, "ours" if name == OURS else "other", note))
    chart = BarChart(
        "Twenty fields from a page",
        "CPU time from the bytes to the fields, real pages; medians. Beside: how many times what airless takes. "
        "Less is better.",
        "microseconds of CPU a page",
        (Group("", tuple(bars)),),
    )
    yield "parse", chart.draw(made_by([line]))


def publish(lines: list[Line]) -> Iterator[Picture]:
    """Messages a second, by how many go in a call."""
    line = lines[-1]
    groups = []
    for engine, rows in line.grouped("engine").items():
        bars = []
        for row in rows:
            a_call, at_once = line.figure(row, "messages_a_call"), line.figure(row, "calls_at_once")
            label = f"{a_call:,.0f} a call" + (f", {at_once:.0f} calls at once" if at_once > 1 else "")
            alone = a_call == at_once == 1
            note = "" if alone else times(line.figure(row, "faster"))
            bars.append(Bar(label, line.figure(row, "messages_per_s"), "other" if alone else "ours", note))
        groups.append(Group(plain(engine), tuple(bars)))
    chart = BarChart(
        "What publishing in bulk saves",
        "Messages a second until all of them are there; medians. Beside: how many times as many as one a call.",
        "messages a second, log scale",
        tuple(groups),
        log=True,
    )
    yield "publish", chart.draw(made_by([line]))


def startup(lines: list[Line]) -> Iterator[Picture]:
    """Milliseconds from start to exit."""
    line = lines[-1]
    bars = [
        Bar(
            line.word(row, "what"),
            line.figure(row, "median_ms"),
            "ours" if (over := line.figure(row, "over_bare_ms")) else "other",
            f"{over:+,.0f}" if over else "",
        )
        for row in line.rows
    ]
    chart = BarChart(
        "How long a start takes",
        f"Milliseconds from start to exit of a fresh Python; {medians(line.entry.get('runs', 1))}. "
        "Beside: over bare Python.",
        "milliseconds",
        (Group("", tuple(bars)),),
    )
    yield "startup", chart.draw(made_by([line]))


def _candidate(name: str, value: float) -> Bar:
    return Bar(name, value, "ours" if name.startswith(OURS) or "Fetcher" in name else "other")
