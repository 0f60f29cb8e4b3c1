"""How many pages a second does one core crawl, beside Scrapy, Crawlee, a hand-written loop and Go?

One site from nginx on one core, one contender at a time on another, in turn, so that a busy moment hits them
alike; medians. The site is generated (pages.py), or with ``--real`` documentation as Debian packages it
(docs.py). Every run's output is verified: each page once, its title right, nothing else; with ``--fields`` its
five fields too. Time is the whole process's, start and exit included. airless obeys robots.txt and can be
resumed; the others don't and can't. Byte code is compiled first: Scrapy is twice as slow without. Run it on
an idle machine: `core_share` and the loads tell if it wasn't.

``--setup`` makes the peers' environment; who isn't installed is named and left out. ``python -m
benchmarks.crawl`` runs all variants.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cache import cache_folder
from benchmarks.record import Table

from . import docs, peers, run
from .course import Variant
from .field import CONTENDERS, line_up


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark alone."""
    parser.add_argument("--setup", action="store_true", help="make the peers' environment, measure nothing")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--gzip", action="store_true", help="pages compressed for who accepts it")
    parser.add_argument("--fields", action="store_true", help="take five fields a page, by CSS")
    parser.add_argument("--real", action="store_true", help="on Debian's documentation of Python and Java")
    parser.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="airless in N processes as well, on N cores, which the server may have to share",
    )
    common(parser)


def common(parser: argparse.ArgumentParser) -> None:
    """The options that go for every variant."""
    parser.add_argument("--runs", type=int, metavar="N", help="rounds [default: 3, with --quick 1]")
    parser.add_argument(
        "--peers-python", type=Path, metavar="PYTHON", help="another environment of the peers"
    )
    parser.add_argument(
        "--docs",
        dest="documentation",
        type=Path,
        default=docs.FOLDER,
        metavar="FOLDER",
        help=f"where documentation is installed [default: {docs.FOLDER}]",
    )


def measure(
    *,
    quick: bool,
    setup: bool = False,
    only: list[str] | None = None,
    runs: int | None = None,
    tls: bool = False,
    gzip: bool = False,
    fields: bool = False,
    real: bool = False,
    processes: int = 1,
    peers_python: Path | None = None,
    documentation: Path = docs.FOLDER,
) -> Table | None:
    """A row a contender; None where it was only set up. Raises SystemExit where nothing can be measured."""
    cache = cache_folder()
    if setup:
        peers.make(cache)
        return None
    if real and fields:
        raise SystemExit("--fields are those of generated pages: not with --real")
    try:
        contenders = line_up(only, fields=fields, processes=processes)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    python = peers_python or peers.python_of(cache)
    variant = _variant(quick=quick, tls=tls, gzip=gzip, fields=fields, real=real)
    return run.measure(variant, contenders, runs or (1 if quick else 3), python, cache, documentation)


def _variant(*, quick: bool, tls: bool, gzip: bool, fields: bool, real: bool) -> Variant:
    if real:
        return Variant(tls=tls, gzip=gzip, real=docs.DOCUMENTATION[:1] if quick else docs.DOCUMENTATION)
    return Variant(2_000 if quick else 20_000, tls, gzip, fields)


def _processes(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
