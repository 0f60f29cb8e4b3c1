"""``python -m benchmarks NAME [--quick]``: ask the question, print the table, append the result."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import ModuleType

from benchmarks.record import Table, append, show

NAMES = (
    "backlog",
    "brokers",
    "cost",
    "crawl",
    "engine",
    "fetch",
    "fleet",
    "frontier",
    "functions",
    "latency",
    "micro",
    "parse",
    "plot",
    "publish",
    "startup",
)
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    benchmarks = {name: importlib.import_module(f"benchmarks.{name}") for name in NAMES}
    given = vars(parser(benchmarks).parse_args())
    name, recorded = given.pop("name"), not given.pop("no_record")
    print(question(benchmarks[name]))
    table: Table | None = benchmarks[name].measure(**given)
    if table is None:
        return
    show(table)
    if recorded:
        file = append(table, RESULTS / f"{name}.jsonl", quick=given["quick"])
        print(f"\nAppended to {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    if wrong := [row for row in table.rows if row.get("right") is False]:
        raise SystemExit(f"\n{len(wrong)} of the rows are wrong: their figures are worth nothing.")


def parser(benchmarks: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """A command a benchmark; one with options of its own adds them in `arguments`."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = whole.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, benchmark in benchmarks.items():
        asked = question(benchmark)
        command = commands.add_parser(name, help=asked, description=asked)
        command.add_argument("--quick", action="store_true", help="a rough answer, in seconds")
        command.add_argument("--no-record", action="store_true", help="only print it")
        if hasattr(benchmark, "arguments"):
            benchmark.arguments(command)
    return whole


def question(benchmark: ModuleType) -> str:
    """The first line of a benchmark."""
    return (benchmark.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    main()
