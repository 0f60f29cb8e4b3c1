"""A source distribution holds the whole project, and nothing that only lies about in its folders."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".ci", "airless", "benchmarks", "crawlers", "docs", "tests")
TOP = {".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
IGNORED = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]


def files() -> set[str]:
    """The project's files, without those that git is told to ignore."""
    found = set(TOP)
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT)
            ignored = any(fnmatch(part, pattern) for part in inside.parts for pattern in IGNORED)
            if path.is_file() and not ignored:
                found.add(inside.as_posix())
    return found


def taken(names: set[str]) -> set[str]:
    """Those among `names` that MANIFEST.in takes along, by the few of its commands that it uses."""
    kept: set[str] = set()
    for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
        match line.partition("#")[0].split():
            case []:
                continue
            case ["include", *paths]:
                kept |= names & set(paths)
            case ["graft", folder]:
                kept |= {name for name in names if name.startswith(f"{folder}/")}
            case ["recursive-include", folder, *patterns]:
                kept |= {name for name in names if name.startswith(f"{folder}/") and fits(name, patterns)}
            case ["global-exclude", *patterns]:
                kept -= {name for name in names if fits(name, patterns)}
            case _:
                raise AssertionError(f"this test doesn't know: {line}")
    return kept


def fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name.rpartition("/")[2], pattern) for pattern in patterns)


def test_every_file_of_the_project_is_taken_along() -> None:
    names = files()
    assert sorted(names - taken(names)) == []


def test_what_lies_about_is_left_where_it_is() -> None:
    litter = {
        "airless/_speed.abi3.so",
        "airless/cli/templates/project/__pycache__/spider.cpython-311.pyc",
        "airless.egg-info/SOURCES.txt",
        "build/lib/airless/__init__.py",
        "tests/.mypy_cache/3.11/cache.db",
        "tests/__pycache__/conftest.cpython-311.pyc",
    }
    assert taken(litter) == set()


def test_every_native_file_is_named_in_the_build() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    (module,) = settings["ext-modules"]
    native = {path.relative_to(ROOT).as_posix() for path in (ROOT / "airless" / "native").glob("*.[ch]")}
    assert {*module["sources"], *module["depends"]} == native
