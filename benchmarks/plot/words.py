"""How figures and names are written in pictures."""

from __future__ import annotations


def number(value: float) -> str:
    """A figure with three digits or so."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"


def mark(value: float) -> str:
    """A round figure beside an axis."""
    return f"{value:,.0f}" if value.is_integer() else f"{value:g}"


def times(ratio: float) -> str:
    """How many times, with two digits or so."""
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


def share(value: float) -> str:
    """A part of 1."""
    return f"{number(100 * value)} %"


def count(value: float) -> str:
    """How many, of what there are many; in thousands (k) and millions (M)."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def plain(name: str) -> str:
    """A name of the code as words."""
    return name.replace("_", " ")


def medians(runs: int) -> str:
    """What a figure is, of so many runs."""
    return "one run" if runs <= 1 else f"medians of {runs} runs"
