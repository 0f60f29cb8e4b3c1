"""How long does a callback take that reads twenty fields from a page, beside parsel and lxml by hand?

Real pages (Debian's python3-doc), in memory. airless and parsel run the very same callback with CSS; for lxml it
is written again in XPath, compiled once. CPU time of one core from the bytes to the fields, and of it the tree
alone; each contender in a process of its own, in turn, so that a busy moment hits them alike; medians. Every
field of every page is compared with airless's.

The peers' environment is that of ``crawl --setup``; who isn't installed is named and left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.cache import cache_folder
from benchmarks.crawl import peers
from benchmarks.parse.pages import library
from benchmarks.parse.run import AIRLESS, READERS, Took, differences, once, python_of, row
from benchmarks.record import Table


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    parser.add_argument("--runs", type=int, metavar="N", help="rounds [default: 7, with --quick 3]")
    parser.add_argument(
        "--peers-python", type=Path, metavar="PYTHON", help="another environment of the peers"
    )


def measure(*, quick: bool, runs: int | None = None, peers_python: Path | None = None) -> Table:
    """A row a contender. Raises SystemExit where the pages aren't installed."""
    pages = library(quick=quick)
    cache = cache_folder()
    python = peers_python or peers.python_of(cache)
    left_out = peers.missing([reader.contender for reader in READERS.values()], python)
    for name, what in left_out.items():
        print(f"{name} is left out, it lacks: {what} (python -m benchmarks crawl --setup)", file=sys.stderr)
    taken: dict[str, list[Took]] = {name: [] for name in READERS if name not in left_out}
    rounds = runs or (3 if quick else 7)
    for _ in range(rounds):
        for name, results in taken.items():
            reader = READERS[name]
            results.append(once(reader, python_of(reader, python), pages, cache))
    ours = taken[AIRLESS]
    differ = {
        name: differences(ours[0].digests, results[0].digests, pages) for name, results in taken.items()
    }
    notes = {
        "pages": len(pages),
        "page_bytes": sum(page.stat().st_size for page in pages) // len(pages),
        "runs": rounds,
        "left_out": left_out,
        "differences": {name: found[:10] for name, found in differ.items() if found},
        "versions": {name: results[0].versions for name, results in taken.items()},
    }
    rows = [row(name, results, ours, differ[name]) for name, results in taken.items()]
    return Table(rows, libraries=("selectolax",), notes=notes)
