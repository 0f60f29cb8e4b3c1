"""A sheet: a card with a title above and a caption below, on which charts are drawn, written as SVG.

Its colours follow the reader's scheme (`prefers-color-scheme`, Media Queries Level 5), and it brings its own
ground: where a page is dark and the reader's scheme is light, or the other way round, it can be read all the
same. The same calls give the same bytes.
"""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Sequence

WIDTH_PX = 860
PADDING_PX = 24
# For a light scheme, for a dark one. Series are told apart by lightness and shape as well as by hue.
TINTS = {
    "card": ("#ffffff", "#0d1117"),
    "edge": ("#d0d7de", "#3d444d"),
    "grid": ("#e3e7eb", "#262c36"),
    "ink": ("#1f2328", "#f0f6fc"),
    "soft": ("#59636e", "#9198a1"),
    "ours": ("#0969da", "#4493f8"),
    "other": ("#9aa4af", "#636c76"),
    "orange": ("#bc4c00", "#f0883e"),
    "purple": ("#8250df", "#bc8cff"),
    "green": ("#1a7f37", "#56d364"),
    "wrong": ("#cf222e", "#f85149"),
}
_FONT = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif"
)
# Of the font size, with room to spare for DejaVu Sans, the widest of the fonts above.
_LETTER, _BOLD_LETTER = 0.56, 0.66
_TITLE, _TEXT, SMALL = 19, 13, 11.5


def width_of(text: str, size: float = _TEXT, *, bold: bool = False) -> float:
    """About so many pixels wide, and hardly more, whichever of the fonts is there."""
    return len(text) * size * (_BOLD_LETTER if bold else _LETTER)


class Sheet:
    """Things are drawn from the top down: `top` is where a chart may begin, `finished` ends it."""

    def __init__(self, title: str, about: str, alternative: str) -> None:
        """`about` is wrapped under the title; `alternative` is for who can't see the picture."""
        self._svg = ET.Element(
            "svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "font-family": _FONT}
        )
        ET.SubElement(self._svg, "title").text = title
        ET.SubElement(self._svg, "desc").text = alternative
        ET.SubElement(self._svg, "style").text = _style()
        self._card = self.rectangle(0.5, 0.5, WIDTH_PX - 1, 0, "card", round_px=8)
        self._card.set("stroke", TINTS["edge"][0])
        self._card.set("class", "card-fill edge-stroke")
        self.text(PADDING_PX, 40, title, size=_TITLE, bold=True)
        self.top = 62.0
        self._paragraph(about, _TEXT)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        tint: str = "ink",
        size: float = _TEXT,
        anchor: str = "start",
        bold: bool = False,
        note: str = "",
    ) -> None:
        """`y` is the base line; `anchor` is start, middle or end. A `note` follows, softer and never bold."""
        attributes = {"x": _px(x), "y": _px(y), "font-size": _px(size)} | _filled(tint)
        if anchor != "start":
            attributes["text-anchor"] = anchor
        if bold:
            attributes["font-weight"] = "600"
        written = ET.SubElement(self._svg, "text", attributes)
        written.text = text
        if note:
            ET.SubElement(written, "tspan", {"dx": "9", "font-weight": "400"} | _filled("soft")).text = note

    def rectangle(
        self, x: float, y: float, width: float, height: float, tint: str, *, round_px: float = 2
    ) -> ET.Element:
        attributes = {"x": _px(x), "y": _px(y), "width": _px(width), "height": _px(height)}
        return ET.SubElement(self._svg, "rect", attributes | {"rx": _px(round_px)} | _filled(tint))

    def line(self, points: Sequence[tuple[float, float]], tint: str, *, width: float = 1) -> None:
        """Through all the points."""
        joined = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
        attributes = {
            "points": joined,
            "fill": "none",
            "stroke-width": _px(width),
            "stroke-linejoin": "round",
        }
        attributes |= {"stroke": TINTS[tint][0], "class": f"{tint}-stroke"}
        ET.SubElement(self._svg, "polyline", attributes)

    def point(self, x: float, y: float, tint: str, *, corners: int = 0) -> None:
        """A disc, or a shape of 3 or 4 corners."""
        if not corners:
            ET.SubElement(self._svg, "circle", {"cx": _px(x), "cy": _px(y), "r": "4"} | _filled(tint))
            return
        shapes = {3: ((0, -5), (5, 4), (-5, 4)), 4: ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0))}
        joined = " ".join(f"{_px(x + right)},{_px(y + down)}" for right, down in shapes[corners])
        ET.SubElement(self._svg, "polygon", {"points": joined} | _filled(tint))

    def finished(self, bottom: float, caption: Sequence[str]) -> str:
        """The SVG, with the parts of `caption` under `bottom`."""
        self.top = bottom + 30
        self._paragraph(
            "\N{NO-BREAK SPACE}· ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in caption), SMALL
        )
        height = self.top - 4
        self._card.set("height", _px(height - 1))
        size = {"width": str(WIDTH_PX), "height": _px(height), "viewBox": f"0 0 {WIDTH_PX} {_px(height)}"}
        self._svg.attrib = self._svg.attrib | size
        for each in self._svg:
            each.tail = "\n"
        return ET.tostring(self._svg, encoding="unicode") + "\n"

    def _paragraph(self, text: str, size: float) -> None:
        letters = int((WIDTH_PX - 2 * PADDING_PX) / (size * _LETTER))
        # A caption's words are held together by no-break spaces, at which textwrap doesn't break.
        for written in _balanced(text, letters):
            self.text(PADDING_PX, self.top, written, tint="soft", size=size)
            self.top += round(size * 1.45)


def _balanced(text: str, letters: int) -> list[str]:
    """Lines of at most so many letters: no more of them than it takes, and about as long as each other."""
    lines = textwrap.wrap(text, letters, break_on_hyphens=False)
    while lines and len(narrower := textwrap.wrap(text, letters - 1, break_on_hyphens=False)) == len(lines):
        letters, lines = letters - 1, narrower
    return lines


def _style() -> str:
    dark = "".join(
        f".{tint}-fill{{fill:{colour}}}.{tint}-stroke{{stroke:{colour}}}"
        for tint, (_, colour) in TINTS.items()
    )
    return f"@media (prefers-color-scheme:dark){{{dark}}}"


def _filled(tint: str) -> dict[str, str]:
    # An attribute, which the style overrules, so that readers without styles have the light colours.
    return {"fill": TINTS[tint][0], "class": f"{tint}-fill"}


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
