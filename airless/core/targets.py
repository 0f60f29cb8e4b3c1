"""Naming a class in a string, as the command line and ``OPERATOR_IMPORT`` do; imported, never evaluated."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from airless.core.errors import ConfigError

T = TypeVar("T")

_FROM_IMPORT = re.compile(r"from\s+([\w.]+)\s+import\s+(\w+)")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def load_target(target: str, kind: type[T]) -> type[T]:
    """The class that `target` names; a subclass of `kind`.

    `target` is ``module:Class``, ``path/to/file.py:Class`` or ``from module import Class``. Without a class,
    the only one of that kind in the module is taken. Modules are looked for in the working directory first,
    and a file's own folder is importable from then on, as it is for a script that Python runs.

    Raises ConfigError, which lists the candidates or says where the import failed.
    """
    source, name = _split(target.strip())
    module = _load_file(target, Path(source)) if _is_file(source) else _load_module(target, source)
    candidates = _candidates(module, kind)
    if not name:
        if len(candidates) == 1:
            return candidates[0]
        raise ConfigError(_which(target, source, kind, candidates))
    found = getattr(module, name, None)
    if found is None:
        near = get_close_matches(name, [c.__name__ for c in candidates], n=1)
        hint = f"; did you mean {source}:{near[0]}?" if near else _listing(source, kind, candidates)
        raise ConfigError(f"{source} has no {name!r}{hint}")
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ConfigError(f"{source}:{name} is no {kind.__name__}{_listing(source, kind, candidates)}")
    return found


def _split(target: str) -> tuple[str, str]:
    spelled_out = _FROM_IMPORT.fullmatch(target)
    if spelled_out:
        return spelled_out[1], spelled_out[2]
    source, _, name = target.partition(":")
    if (
        not source
        or (name and not name.isidentifier())
        or (not _is_file(source) and not _DOTTED.fullmatch(source))
    ):
        raise ConfigError(
            f"{target!r} names no class: write module:Class, path/to/file.py:Class "
            "or 'from module import Class'"
        )
    return source, name


def _is_file(source: str) -> bool:
    return source.endswith(".py") or "/" in source


def _load_module(target: str, name: str) -> ModuleType:
    _importable_from(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"; for the file write {name}.py" if Path(f"{name}.py").is_file() else ""
            raise ConfigError(
                f"there is no module {error.name!r} on the import path, nor in {Path.cwd()}{hint}"
            ) from error
        raise _broken(target, error) from error
    except Exception as error:
        raise _broken(target, error) from error


def _load_file(target: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r} (looked in {Path.cwd()})")
    path = path.resolve()
    folder, name = path.parent, path.stem
    while (folder / "__init__.py").is_file():
        folder, name = folder.parent, f"{folder.name}.{name}"
    _importable_from(folder)
    try:
        loaded = sys.modules.get(name)
        if _is_at(getattr(loaded, "__file__", None), path) if loaded else _finds(name, path):
            return importlib.import_module(name)
        name = _private_name(path)
        return sys.modules.get(name) or _execute(name, path)
    except Exception as error:
        raise _broken(target, error) from error


def _finds(name: str, path: Path) -> bool:
    """Whether the import system finds that file under that name, and not another that shadows it."""
    spec = importlib.util.find_spec(name)
    return spec is not None and _is_at(spec.origin, path)


def _execute(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _private_name(path: Path) -> str:
    """A module name that can't shadow another module; the same for the same file."""
    return f"{path.stem}_{blake2b(str(path).encode(), digest_size=4).hexdigest()}"


def _is_at(file: str | None, path: Path) -> bool:
    return file is not None and Path(file).resolve() == path


def _importable_from(folder: Path) -> None:
    importlib.invalidate_caches()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _candidates(module: ModuleType, kind: type[T]) -> list[type[T]]:
    """The classes of that kind which the module itself defines, in its order."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, kind)
        and value is not kind
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and not value.__name__.startswith("_")
    ]


def _which(target: str, source: str, kind: type[T], candidates: list[type[T]]) -> str:
    if not candidates:
        return f"{source} defines no {kind.__name__}"
    return f"{target!r} could be more than one{_listing(source, kind, candidates)}"


def _listing(source: str, kind: type[T], candidates: list[type[T]]) -> str:
    if not candidates:
        return f"; {source} defines no {kind.__name__}"
    return "; there is " + ", ".join(f"{source}:{c.__name__}" for c in candidates)


def _broken(target: str, error: Exception) -> ConfigError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    frames = [f for f in frames if f.filename != __file__]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return ConfigError(f"{target} can't be imported: {type(error).__name__}: {error}{where}")
