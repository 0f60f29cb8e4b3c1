"""Horizontal bars, in groups, each with its figure beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .scale import Scale, linear, logarithmic
from .sheet import PADDING_PX, SMALL, WIDTH_PX, Sheet, width_of
from .words import mark, number

_ROW_PX, _BAR_PX, _HEADING_PX = 27, 16, 30
_GAP_PX = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure; `spread` is from the least to the most of its runs, `note` stands beside it."""

    label: str
    value: float
    tint: str = "ours"
    note: str = ""
    spread: tuple[float, float] | None = None

    @property
    def stands_out(self) -> bool:
        return self.tint == "ours"

    @property
    def reach(self) -> float:
        """The largest figure that is drawn."""
        return self.value if self.spread is None else max(self.value, *self.spread)


@dataclass(frozen=True, slots=True)
class Group:
    """Bars under a heading, or under none."""

    heading: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class BarChart:
    """What is drawn. `about` says how to read it, `axis` what is measured; `unit` stands behind figures."""

    title: str
    about: str
    axis: str
    groups: tuple[Group, ...]
    log: bool = False
    unit: str = ""

    def draw(self, caption: Sequence[str]) -> str:
        """As SVG."""
        sheet = Sheet(self.title, self.about, self._alternative())
        bars = [bar for group in self.groups for bar in group.bars]
        left = PADDING_PX + max(width_of(bar.label, bold=bar.stands_out) for bar in bars) + _GAP_PX
        beside = max(width_of(self._figure(bar), bold=True) + width_of(bar.note) for bar in bars)
        values = [each for bar in bars for each in (bar.value, *(bar.spread or ()))]
        right = WIDTH_PX - PADDING_PX - beside - 3 * _GAP_PX
        scale = (logarithmic if self.log else linear)(values, left, right)
        y = sheet.top
        for group in self.groups:
            if group.heading:
                sheet.text(PADDING_PX, y + 20, group.heading, bold=True)
                y += _HEADING_PX
            for tick in map(scale.at, scale.ticks):
                sheet.line([(tick, y), (tick, y + _ROW_PX * len(group.bars))], "grid")
            for bar in group.bars:
                self._draw_bar(sheet, bar, scale, y + _ROW_PX / 2)
                y += _ROW_PX
        for tick in scale.ticks:
            sheet.text(scale.at(tick), y + 16, mark(tick), tint="soft", size=SMALL, anchor="middle")
        sheet.text((left + right) / 2, y + 36, self.axis, tint="soft", size=SMALL, anchor="middle")
        return sheet.finished(y + 40, caption)

    def _draw_bar(self, sheet: Sheet, bar: Bar, scale: Scale, y: float) -> None:
        """Around the height `y`."""
        start, end, base_line = scale.start_px, scale.at(bar.value), y + 4.5
        sheet.text(start - _GAP_PX, base_line, bar.label, anchor="end", bold=bar.stands_out)
        # Nothing is a thin line, and not an oversight.
        sheet.rectangle(start, y - _BAR_PX / 2, max(end - start, 1), _BAR_PX, bar.tint)
        if bar.spread:
            low, high = map(scale.at, bar.spread)
            sheet.line([(low, y), (high, y)], "ink")
            for x in (low, high):
                sheet.line([(x, y - 4), (x, y + 4)], "ink")
        sheet.text(scale.at(bar.reach) + _GAP_PX, base_line, self._figure(bar), bold=True, note=bar.note)

    def _figure(self, bar: Bar) -> str:
        return number(bar.value) + self.unit

    def _alternative(self) -> str:
        said = [
            f"{f'{group.heading}, ' * bool(group.heading)}{bar.label}: {self._figure(bar)} {bar.note}".strip()
            for group in self.groups
            for bar in group.bars
        ]
        return f"{self.axis}. {'; '.join(said)}."
