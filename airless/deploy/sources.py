"""The user's own files: what of a project belongs into its package, and how its class is named there."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import airless
from airless.core.errors import ConfigError

OWN_ROOT = Path(airless.__file__).resolve().parents[1]
OWN = ("airless", "crawlers")
"""The packages that come with airless itself, and the folder that they are in."""

# Folders that are no part of a program, wherever they are.
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "tests", "test"})
_LEFT_OUT_FILES = frozenset({"conftest.py", "setup.py"})
_COMPILED = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class Sources:
    """`target` names the class as the package has it, ``module:Class``; `files` are path in the package → file.

    `distribution` is the installed package that the class comes from, where it is no file of the user's.
    """

    target: str
    files: dict[str, Path]
    distribution: str | None = None


def sources(cls: type, include: Iterable[Path] = ()) -> Sources:
    """The project that a class is of: its modules and packages, with the data files inside of packages.

    That is what lies in the folder from which the class's module is imported. Tests, hidden files, environments
    and loose files that are no Python stay out; `include` names some that come along. Raises ConfigError.
    """
    root, module = _origin(cls)
    target = target_of(cls)
    top = module.partition(".")[0]
    extra = dict(_included(include))
    if root == OWN_ROOT and top in OWN:
        return Sources(target, extra)
    if "site-packages" in root.parts or "dist-packages" in root.parts:
        return Sources(target, extra, _distribution_of(top))
    if top in sys.stdlib_module_names:
        raise ConfigError(f"{top}.py has the name of a module of Python's own: rename it")
    files = {}
    for entry in sorted(root.iterdir()):
        if entry.is_file() and entry.suffix == ".py" and _wanted(entry):
            files[entry.name] = entry
        elif entry.is_dir() and _wanted(entry) and entry.name.isidentifier() and entry.name != "airless":
            found = dict(_walk(entry, entry.name))
            if any(name.endswith(".py") for name in found):
                files.update(found)
    return Sources(target, {**files, **extra})


def target_of(cls: type) -> str:
    """How a class is named in its package, and by all that speak to its function: ``module:Class``."""
    return f"{_origin(cls)[1]}:{cls.__qualname__}"


def mentions(files: Iterable[Path], word: bytes) -> bool:
    """Whether a Python file among them has the word in it."""
    return any(file.suffix == ".py" and word in file.read_bytes() for file in files)


def _origin(cls: type) -> tuple[Path, str]:
    """The folder from which the class's module is imported, and the module's name from there."""
    file = Path(inspect.getfile(cls)).resolve()
    parts = cls.__module__.split(".")
    path = file.parent if file.name == "__init__.py" else file.with_suffix("")
    if list(path.parts[-len(parts) :]) == parts:
        return path.parents[len(parts) - 1], cls.__module__
    # A file whose name was taken when it was loaded is known by another; its place says the name.
    folder, name = file.parent, file.stem
    while (folder / "__init__.py").is_file():
        folder, name = folder.parent, f"{folder.name}.{name}"
    if not name.replace(".", "_").isidentifier():
        raise ConfigError(f"{file.name} can't be imported by its name: it has to be one of a Python module")
    return folder, name


def _distribution_of(module: str) -> str:
    from importlib.metadata import packages_distributions

    names = packages_distributions().get(module)
    if not names:
        raise ConfigError(f"the module {module!r} belongs to no installed package that could be taken along")
    return names[0]


def _included(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """What was asked for by name, under its last name."""
    for path in paths:
        if path.is_dir():
            yield from _walk(path.resolve(), path.resolve().name)
        elif path.is_file():
            yield path.name, path
        else:
            raise ConfigError(f"--include {path}: there is no such file or folder")


def _walk(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if not _wanted(path):
            continue
        if entry.is_dir():
            yield from _walk(path, f"{name}/{entry.name}")
        elif entry.is_file():
            yield f"{name}/{entry.name}", path


def _wanted(path: Path) -> bool:
    name = path.name
    if name.startswith(".") or name.endswith(_COMPILED) or name in _LEFT_OUT:
        return False
    if path.is_dir():
        return not (path / "pyvenv.cfg").exists() and not name.endswith((".egg-info", ".dist-info"))
    return name not in _LEFT_OUT_FILES and not (name.startswith("test_") and name.endswith(".py"))
