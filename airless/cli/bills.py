"""Bills for people: a table of their lines, with rich on a terminal and plain elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from airless.cost.bill import Bill, Line

_HEADS = ("what", "amount", "unit", "US dollars", "share")


def print_bill(made: Bill) -> None:
    """The lines and their sum, on standard output."""
    rows = [_row(line, made.usd) for line in made.lines]
    total = ("all", "", "", dollars(made.usd), "")
    if sys.stdout.isatty():
        _print_rich(rows, total)
        return
    widths = [max(len(row[column]) for row in (_HEADS, *rows, total)) for column in range(len(_HEADS))]
    for row in (_HEADS, *rows, total):
        what, amount, unit, usd, share = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        amount, usd, share = amount.strip().rjust(widths[1]), usd.strip().rjust(widths[3]), share.strip()
        click.echo(f"{what}  {amount}  {unit}  {usd}  {share.rjust(widths[4])}".rstrip())


def dollars(usd: float) -> str:
    """Whole cents where there are enough of them, otherwise three figures: $12.35, $0.00482."""
    if usd >= 1 or not usd:
        return f"${usd:,.2f}"
    return f"${usd:.{max(2, 2 - _magnitude(usd))}f}"


def amount(number: float) -> str:
    """1,234,567, 12.3 or 0.00482."""
    if number >= 1_000 or float(number).is_integer():
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _row(line: Line, all_usd: float) -> tuple[str, ...]:
    share = line.usd / all_usd if all_usd else 0.0
    return (line.name, amount(line.amount), line.unit, dollars(line.usd), f"{share:.0%}")


def _magnitude(number: float) -> int:
    """The power of ten of a number: -3 of 0.00482."""
    return int(f"{number:e}".partition("e")[2])


def _print_rich(rows: Sequence[Sequence[str]], total: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_footer=True)
    for head, foot, justify in zip(_HEADS, total, ("left", "right", "left", "right", "right"), strict=True):
        table.add_column(head, foot, justify="right" if justify == "right" else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
