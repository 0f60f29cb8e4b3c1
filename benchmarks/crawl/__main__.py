"""``python -m benchmarks.crawl [--quick]``: every variant of the race in turn, each recorded under its name."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from . import common

VARIANTS: tuple[tuple[str, ...], ...] = (
    ("--processes", "2"),
    ("--tls",),
    ("--gzip",),
    ("--fields",),
    ("--real",),
)


def main() -> None:
    """Run them all; one that fails stops none of the others, and makes the exit code 1."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks.crawl")
    whole.add_argument("--quick", action="store_true", help="rough answers")
    whole.add_argument("--no-record", action="store_true", help="only print them")
    common(whole)
    whole.parse_args()
    failed = run_all(commands(sys.argv[1:]))
    if failed:
        raise SystemExit("\n".join(["Failed:", *failed]))


def run_all(commands: Sequence[Sequence[str]]) -> list[str]:
    """Give Python each of the commands in turn; those that failed."""
    return [
        " ".join(command)
        for command in commands
        if subprocess.run([sys.executable, *command], check=False).returncode
    ]


def commands(given: Sequence[str]) -> list[list[str]]:
    """What is run, one after the other, with the options `given` to all."""
    return [["-m", "benchmarks", "crawl", *variant, *given] for variant in VARIANTS]


if __name__ == "__main__":
    main()
