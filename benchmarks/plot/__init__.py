"""What do the recorded results look like?

Draws pictures, as SVG, from the lines in benchmarks/results: the newest that wasn't quick, or all of them where
a picture is of a history. What can't be drawn is said, and why; a line that can't be understood stops
everything before a file is written. The same lines give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .costs import fetch, frontier, micro, parse, publish, startup
from .history import crawl_history, engine_history
from .races import latency, race
from .results import BadLine, Line, NothingToDraw, Picture, read

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PICTURES = ROOT / "docs" / "pictures"
# What is drawn, by the benchmark that records it.
DRAWN: tuple[tuple[str, Callable[[list[Line]], Iterator[Picture]]], ...] = (
    ("crawl", race),
    ("crawl", crawl_history),
    ("engine", engine_history),
    ("fetch", fetch),
    ("frontier", frontier),
    ("latency", latency),
    ("micro", micro),
    ("parse", parse),
    ("publish", publish),
    ("startup", startup),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command alone; `--quick` counts the lines of quick runs too."""
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER", help="[default: %(default)s]"
    )
    parser.add_argument(
        "--pictures", type=Path, default=PICTURES, metavar="FOLDER", help="[default: %(default)s]"
    )


def measure(*, quick: bool, results: Path = RESULTS, pictures: Path = PICTURES) -> None:
    """Write the pictures; there is nothing to record.

    Raises SystemExit, with nothing written, for a line that can't be understood and where no picture can be drawn.
    """
    drawn: dict[str, str] = {}
    for name, draw in DRAWN:
        try:
            drawn.update(draw(read(results / f"{name}.jsonl", quick=quick)))
        except NothingToDraw as error:
            print(f"{name}, {draw.__name__}: {error}", file=sys.stderr)
        except BadLine as error:
            raise SystemExit(f"{results}: {error}") from error
    if not drawn:
        raise SystemExit("There is no picture to draw.")
    pictures.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        file = pictures / f"{name}.svg"
        file.write_text(svg, encoding="utf-8", newline="\n")
        print(f"{file} ({len(svg) / 1e3:.1f} KB)")
