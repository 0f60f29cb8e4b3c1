"""The contenders, each in a process of its own: what they took, and whether they found the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.crawl.compiled import environment
from benchmarks.crawl.field import Contender

PROGRAMS = Path(__file__).with_name("contenders")
AIRLESS = "airless"


@dataclass(frozen=True, slots=True)
class Reader:
    """A contender, and its program in the contenders' folder."""

    contender: Contender
    program: str


READERS = {
    reader.contender.name: reader
    for reader in (
        Reader(Contender(AIRLESS), "airless_css.py"),
        Reader(Contender("parsel", ("parsel",)), "parsel_css.py"),
        Reader(Contender("lxml by hand", ("lxml",)), "lxml_xpath.py"),
    )
}


@dataclass(frozen=True, slots=True)
class Took:
    """One run: CPU a page for the tree and for all, a digest of each field of each page, library versions."""

    tree_us: float
    whole_us: float
    digests: list[dict[str, str]]
    versions: dict[str, str]


def once(reader: Reader, python: Path, pages: Sequence[Path], cache: Path) -> Took:
    """Run a contender on pages. Raises CalledProcessError where it fails; it has told why."""
    done = subprocess.run(
        [str(python), str(PROGRAMS / reader.program)],
        input=json.dumps([str(page) for page in pages]),
        env=environment(cache),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Took(**json.loads(done.stdout))


def python_of(reader: Reader, peers: Path) -> Path:
    """Ours for airless, the peers' for the others."""
    return peers if reader.contender.packages else Path(sys.executable)


def differences(
    ours: Sequence[Mapping[str, str]], theirs: Sequence[Mapping[str, str]], pages: Sequence[Path]
) -> list[str]:
    """Where two contenders found something else, as page and field."""
    return [
        f"{page.name}: {name}"
        for page, mine, other in zip(pages, ours, theirs, strict=True)
        for name in sorted(mine.keys() | other.keys())
        if mine.get(name) != other.get(name)
    ]


def row(name: str, runs: Sequence[Took], ours: Sequence[Took], differ: Sequence[str]) -> dict[str, Any]:
    """Medians of a contender's runs, beside airless's; `same` if every field of every page is."""
    whole_us = median(run.whole_us for run in runs)
    tree_us = median(run.tree_us for run in runs)
    return {
        "contender": name,
        "pages_per_s": round(1e6 / whole_us, 1),
        "us_a_page": round(whole_us, 1),
        "tree_us": round(tree_us, 1),
        "fields_us": round(whole_us - tree_us, 1),
        "times_airless": round(whole_us / median(run.whole_us for run in ours), 2),
        "same": not differ,
        "all_us_a_page": [round(run.whole_us, 1) for run in runs],
    }
