"""A result: a table for people, and a JSON line that says on what it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of named figures, units in the names; `libraries` are those that matter for them."""

    rows: list[dict[str, Any]]
    libraries: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


def show(table: Table) -> None:
    """Print it, a column a name, figures to the right."""
    names = list(dict.fromkeys(name for row in table.rows for name in row))
    lines = [names, *([_text(row.get(name)) for name in names] for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    print()
    for line in lines:
        first, *rest = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *rest]).rstrip())
    for name, value in table.notes.items():
        print(f"{name}: {_text(value)}")


def append(table: Table, file: Path, *, quick: bool) -> Path:
    """Append the result as a line to `file`, which is made if need be."""
    entry = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "quick": quick,
        "machine": machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: version(name) for name in table.libraries},
        "rows": table.rows,
        **table.notes,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(entry) + "\n")
    return file


def commit() -> str:
    """The commit that is measured, with a + where the tree differs from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    """The processor, the cores that this process may use, and the system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "system": f"{platform.system()} {platform.release()}"}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
