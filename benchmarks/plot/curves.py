"""Curves over steps that are named, such as sizes or commits, in panels side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .scale import Scale, linear
from .sheet import PADDING_PX, SMALL, WIDTH_PX, Sheet, width_of
from .words import mark, number

_PLOT_PX, _APART_PX, _BESIDE_PX = 210, 34, 18
_LABEL_PX, _NOTE_PX = 18, 14
# How series are drawn, in turn: a colour, and the corners of the points. No pair comes twice before the 16th.
_TINTS = ("ours", "orange", "purple", "green", "soft")
_CORNERS = (0, 3, 4)


@dataclass(frozen=True, slots=True)
class Series:
    """A figure a step, None where there is none; `note` stands behind the name."""

    name: str
    values: tuple[float | None, ...]
    note: str = ""

    @property
    def last(self) -> float:
        """The newest figure, with which the series' name stands."""
        return next((value for value in reversed(self.values) if value is not None), 0.0)

    @property
    def width(self) -> float:
        """Of the label, in pixels."""
        label = width_of(number(self.last), bold=True) + width_of(f" {self.name}")
        return max(label, width_of(self.note, SMALL))

    @property
    def room(self) -> float:
        """From the label's base line to that of the next one, in pixels."""
        return _LABEL_PX + _NOTE_PX * bool(self.note)


@dataclass(frozen=True, slots=True)
class Panel:
    """Series under a heading, which says what is measured."""

    heading: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """What is drawn. `steps` are the marks of every panel's axis, `axis` says what they are."""

    title: str
    about: str
    axis: str
    steps: tuple[str, ...]
    panels: tuple[Panel, ...]

    def draw(self, caption: Sequence[str]) -> str:
        """As SVG."""
        sheet = Sheet(self.title, self.about, self._alternative())
        each = (WIDTH_PX - 2 * PADDING_PX - _APART_PX * (len(self.panels) - 1)) / len(self.panels)
        top = sheet.top + 28
        bottom = top + max(_PLOT_PX, *(sum(one.room for one in panel.series) for panel in self.panels))
        for place, panel in enumerate(self.panels):
            left = PADDING_PX + place * (each + _APART_PX)
            sheet.text(left, top - 16, panel.heading, bold=True)
            self._draw_panel(sheet, panel, (left, left + each), (top, bottom))
        return sheet.finished(bottom + 40, caption)

    def _draw_panel(
        self, sheet: Sheet, panel: Panel, sides: tuple[float, float], ends: tuple[float, float]
    ) -> None:
        known = [value for one in panel.series for value in one.values if value is not None]
        heights = linear(known, ends[1], ends[0])
        left = sides[0] + max(width_of(mark(tick), SMALL) for tick in heights.ticks) + 6
        right = sides[1] - max(one.width for one in panel.series) - _BESIDE_PX
        for tick in heights.ticks:
            y = heights.at(tick)
            sheet.line([(left, y), (right, y)], "grid")
            sheet.text(left - 6, y + 4, mark(tick), tint="soft", size=SMALL, anchor="end")
        # Half a step is kept free on both sides, for the marks.
        step = (right - left) / len(self.steps)
        across = [left + step * (place + 0.5) for place in range(len(self.steps))]
        for x, name in self._marked(across, step):
            sheet.text(x, ends[1] + 17, name, tint="soft", size=SMALL, anchor="middle")
        sheet.text((left + right) / 2, ends[1] + 36, self.axis, tint="soft", size=SMALL, anchor="middle")
        for place, one in enumerate(panel.series):
            places = zip(across, one.values, strict=True)
            points = [(x, heights.at(value)) for x, value in places if value is not None]
            tint, corners = _look(place)
            sheet.line(points, tint, width=2)
            for x, y in points:
                sheet.point(x, y, tint, corners=corners)
        for place, y in _labels(panel.series, heights):
            one, (tint, corners) = panel.series[place], _look(place)
            sheet.point(right + 6, y - 4.5, tint, corners=corners)
            sheet.text(right + 16, y, number(one.last), bold=True, note=one.name)
            if one.note:
                sheet.text(right + 16, y + _NOTE_PX, one.note, tint="soft", size=SMALL)

    def _marked(self, across: Sequence[float], step: float) -> Iterator[tuple[float, str]]:
        """The steps that have room for their name: the last one, and as many before as fit."""
        widest = max(width_of(name, SMALL) for name in self.steps) + 8
        every = math.ceil(widest / step)
        for place in range(len(self.steps) - 1, -1, -every):
            yield across[place], self.steps[place]

    def _alternative(self) -> str:
        said = [
            f"{panel.heading}, {one.name}: "
            + ", ".join(
                f"{number(value)} at {step}"
                for step, value in zip(self.steps, one.values, strict=True)
                if value is not None
            )
            for panel in self.panels
            for one in panel.series
        ]
        return f"{'; '.join(said)}."


def _look(place: int) -> tuple[str, int]:
    return _TINTS[place % len(_TINTS)], _CORNERS[place % len(_CORNERS)]


def _labels(series: Sequence[Series], heights: Scale) -> Iterator[tuple[int, float]]:
    """Each series' number and its label's base line: beside the last point, or moved until none touch."""
    order = sorted(range(len(series)), key=lambda place: -series[place].last)
    rooms = [series[place].room for place in order]
    lines = [heights.at(series[place].last) + 4.5 for place in order]
    for at in range(1, len(lines)):
        lines[at] = max(lines[at], lines[at - 1] + rooms[at - 1])
    # What was pushed below the axis is moved up again, with all that is in its way.
    floor = heights.start_px + _LABEL_PX - rooms[-1]
    for at in range(len(lines) - 1, -1, -1):
        lines[at] = min(lines[at], floor)
        floor = lines[at] - rooms[at - 1]
    yield from zip(order, lines, strict=True)
