"""``python -m benchmarks NAME [--quick]``: ask the question, print the table, append the result."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from benchmarks.record import Table, append, show

NAMES = ("frontier", "startup")
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    questions = {name: question(name) for name in NAMES}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {asked}" for name, asked in questions.items()),
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="a rough answer, in seconds")
    parser.add_argument("--no-record", action="store_true", help="only print it")
    options = parser.parse_args()
    print(questions[options.name])
    table: Table = importlib.import_module(f"benchmarks.{options.name}").measure(quick=options.quick)
    show(table)
    if not options.no_record:
        file = append(table, RESULTS / f"{options.name}.jsonl", quick=options.quick)
        print(f"\nAppended to {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")


def question(name: str) -> str:
    """The first line of a benchmark."""
    return (importlib.import_module(f"benchmarks.{name}").__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    main()
