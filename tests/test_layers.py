"""Imports point down, nothing is loaded that isn't asked for, and the contract that says so does bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT = Path(sys.executable).with_name("lint-imports")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contract, to be spoilt."""
    for package in ("airless", "crawlers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_layers_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("airless/core/message.py", "import airless.engines.sqlite", "layers point down"),
        ("airless/operators/delay.py", "from airless.local import loop", "layers point down"),
        ("airless/crawl/pace.py", "from airless.cli import main", "layers point down"),
        ("airless/engines/memory/store.py", "from airless.crawl import urls", "engines know the core alone"),
        (
            "airless/engines/memory/store.py",
            "import airless.engines.sqlite",
            "engines are blind to each other",
        ),
        ("crawlers/books.py", "import airless.local", "crawlers use only the public package"),
    ],
)
def test_an_import_that_points_up_is_caught(copy: Path, file: str, line: str, contract: str) -> None:
    module = copy / file
    module.write_text(f"{module.read_text()}\n{line}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


def modules_after(code: str) -> set[str]:
    """What a fresh Python has loaded when `code` has run, beyond what it loads by itself."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"{code}\n"
        "print('\\nLOADED', *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("\nLOADED ")[2].split())


def outside(modules: set[str]) -> set[str]:
    """The top-level packages among them that Python didn't bring."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names


def test_importing_airless_loads_nothing_else() -> None:
    loaded = modules_after("import airless")
    assert {name for name in loaded if name.startswith("airless")} == {"airless"}
    assert outside(loaded) == {"airless"}


def test_a_public_name_loads_no_engine() -> None:
    loaded = modules_after("import airless\nfor name in airless.__all__: getattr(airless, name)")
    assert not {name for name in loaded if name.startswith("airless.engines.")}
    assert not {name for name in loaded if name.startswith(("airless.local", "airless.cli"))}


def test_opening_an_engine_loads_that_one_alone() -> None:
    loaded = modules_after("import asyncio, airless\nasyncio.run(airless.open_engine('memory://'))")
    assert "airless.engines.memory" in loaded
    assert "airless.engines.sqlite" not in loaded
    assert "sqlite3" not in loaded


def test_help_and_version_load_what_they_need() -> None:
    for option in ("--help", "--version"):
        code = f"from airless.cli import cli\ncli([{option!r}], prog_name='airless', standalone_mode=False)"
        assert outside(modules_after(code)) == {"airless", "click"}


def test_the_operators_load_no_crawler_and_no_engine() -> None:
    loaded = modules_after("import airless.operators")
    assert not {name for name in loaded if name.startswith(("airless.crawl", "airless.engines"))}
    assert outside(loaded) <= {"airless", "orjson"}


def test_the_crawl_command_loads_nothing_that_few_crawls_need() -> None:
    loaded = modules_after("import airless.cli.crawl")
    assert not loaded & {"aiohttp", "airless.crawl.forms", "h2", "lxml", "multiprocessing", "pyarrow", "rich"}


def test_imports_are_left_out_of_garbage_collection_and_commands_are_not() -> None:
    script = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))\n"
        "sys.argv = ['airless', 'version']\n"
        "from airless.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True True"
