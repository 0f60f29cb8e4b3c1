"""How many pages a second does one core crawl, beside Scrapy, Crawlee, a hand-written loop and Go?

One generated site (pages.py) from nginx on one core, one contender at a time on another, in turn, so that a
busy moment hits them alike; medians. Every run's output is verified: each page once, its title right, nothing
else. Time is the whole process's, start and exit included. airless obeys robots.txt and can be resumed; the
others don't and can't. Byte code is compiled first: Scrapy is twice as slow without. Run it on an idle
machine: `core_share` and the loads tell if it wasn't.

``--setup`` makes the peers' environment; who isn't installed is named and left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cache import cache_folder
from benchmarks.record import Table

from . import peers, run
from .field import CONTENDERS


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    parser.add_argument("--setup", action="store_true", help="make the peers' environment, measure nothing")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--runs", type=int, metavar="N", help="rounds [default: 3, with --quick 1]")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--gzip", action="store_true", help="pages compressed for who accepts it")
    parser.add_argument(
        "--peers-python", type=Path, metavar="PYTHON", help="another environment of the peers"
    )


def measure(
    *,
    quick: bool,
    setup: bool = False,
    only: list[str] | None = None,
    runs: int | None = None,
    tls: bool = False,
    gzip: bool = False,
    peers_python: Path | None = None,
) -> Table | None:
    """A row a contender; None where it was only set up."""
    cache = cache_folder()
    if setup:
        peers.make(cache)
        return None
    variant = run.Variant(2_000 if quick else 20_000, tls, gzip)
    python = peers_python or peers.python_of(cache)
    return run.measure(variant, only or list(CONTENDERS), runs or (1 if quick else 3), python, cache)
