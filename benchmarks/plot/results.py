"""The recorded lines, read back: which of them count, and what each was measured on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

# A file's name, without its ending, and its SVG.
Picture = tuple[str, str]

_NEEDED = {"date": str, "commit": str, "machine": dict, "python": str, "rows": list}


class NothingToDraw(Exception):
    """What a picture needs hasn't been recorded; the message says what."""


class BadLine(ValueError):
    """A line of a results file isn't a recorded result; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """A recorded result. `where` is its file and line number, `entry` what record.py wrote."""

    where: str
    entry: dict[str, Any]

    @property
    def date(self) -> str:
        """When it was measured: ISO 8601, UTC."""
        return str(self.entry["date"])

    @property
    def commit(self) -> str:
        """The first seven letters of the commit, with a + where the tree differed from it."""
        commit = str(self.entry["commit"])
        return commit[:7] + "+" * (len(commit) > 7 and commit.endswith("+"))

    @property
    def quick(self) -> bool:
        return bool(self.entry.get("quick"))

    @property
    def machine(self) -> str:
        """Processor and cores. The system isn't part of it: a machine that is upgraded stays comparable."""
        machine = self.entry["machine"]
        return f"{machine.get('cpu', 'unknown processor')}, {machine.get('cores', '?')} cores"

    @property
    def system(self) -> str:
        """As Linux 6.18.44, without what a vendor adds; empty where it isn't known."""
        return str(self.entry["machine"].get("system", "")).partition("-")[0]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self.entry["rows"])

    def figure(self, row: dict[str, Any], name: str) -> float:
        """A number of a row. Raises NothingToDraw where the row has none of that name."""
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise NothingToDraw(f"{self.where}: a row has no figure {name!r}")
        return float(value)

    def word(self, row: dict[str, Any], name: str) -> str:
        """A name in a row. Raises NothingToDraw where the row has none."""
        if name not in row:
            raise NothingToDraw(f"{self.where}: a row has no {name!r}")
        return str(row[name])

    def grouped(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """The rows by what they have under a name. Raises NothingToDraw where one has nothing."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(self.word(row, name), []).append(row)
        return groups


def read(file: Path, *, quick: bool) -> list[Line]:
    """The lines of a results file, oldest first; those of quick runs only if asked for.

    Raises NothingToDraw where there is none, and BadLine for one that can't be understood.
    """
    lines = []
    if file.exists():
        for number, text in enumerate(file.read_bytes().split(b"\n"), 1):
            if text.strip():
                lines.append(_line(f"{file.name}:{number}", text))
    counted = [line for line in lines if line.rows and (quick or not line.quick)]
    if not counted:
        rough = " (there are quick ones: --quick)" if lines else ""
        raise NothingToDraw(f"nothing is recorded: python -m benchmarks {file.stem}{rough}")
    return sorted(counted, key=lambda line: line.date)


def made_by(lines: Iterable[Line]) -> tuple[str, ...]:
    """What a caption says of the lines, oldest first, that a picture shows: date, commit, machine, versions."""
    first, *_, last = (*lines, *lines)
    day, until = first.date[:10], last.date[:10]
    commits = f"commit {last.commit}" if first is last else f"commits {first.commit} to {last.commit}"
    return (
        day if day == until else f"{day} to {until}",
        commits,
        *(("a quick run",) if last.quick else ()),
        last.machine,
        *((last.system,) if last.system else ()),
        str(last.entry["python"]),
        *_versions(last),
    )


def _versions(line: Line) -> Iterator[str]:
    """Of our libraries, then of the peers and theirs where they differ."""
    ours = line.entry.get("libraries", {})
    for name, version in ours.items():
        yield f"{name} {version}"
    for name, version in _flat(line.entry.get("versions", {})).items():
        if ours.get(name) != version:
            # Go's version has its name in it.
            said = version if version.startswith(name) else f"{name} {version}"
            yield f"{said} (peers)" if name in ours else said


def _flat(versions: dict[str, Any]) -> dict[str, str]:
    """By library, also where each contender names its own."""
    flat: dict[str, str] = {}
    for name, version in versions.items():
        flat.update(version if isinstance(version, dict) else {name: str(version)})
    return flat


def _line(where: str, text: bytes) -> Line:
    try:
        entry = json.loads(text)
    except ValueError as error:
        raise BadLine(f"{where} is no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise BadLine(f"{where} is no JSON object")
    for name, kind in _NEEDED.items():
        if not isinstance(entry.get(name), kind):
            raise BadLine(f"{where} isn't a recorded result: {name!r} is missing, or no {kind.__name__}")
    if not all(isinstance(row, dict) for row in entry["rows"]):
        raise BadLine(f"{where} isn't a recorded result: its rows aren't all objects")
    return Line(where, entry)
