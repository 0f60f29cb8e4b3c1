"""Every check of the project, one after the other: ``python -m tests``. Arguments go to pytest.

All of them run, whatever the earlier ones say; the exit code is 0 if all of them passed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

CHECKS = {
    "Format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "Lint": [sys.executable, "-m", "ruff", "check", "."],
    "Types": [sys.executable, "-m", "mypy"],
    "Layers": [str(BIN / "lint-imports")],
}
# Its report ends with the gate of pyproject.toml, and pytest's own summary stays the last thing said.
PYTEST = [sys.executable, "-m", "pytest", "--cov", "--cov-report=term-missing:skip-covered"]


def main(arguments: list[str]) -> int:
    failed = [name for name, command in CHECKS.items() if not passes(name, command)]
    if failed:
        print(f"\nFailed before the tests: {', '.join(failed)}", flush=True)
    return 0 if passes("Tests", [*PYTEST, *arguments]) and not failed else 1


def passes(name: str, command: list[str]) -> bool:
    print(f"\n=== {name}: {' '.join([Path(command[0]).name, *command[1:]])}", flush=True)
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
