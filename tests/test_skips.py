"""A test that is left out is told of, and on a machine that decides what lands it is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

LEFT_OUT = {
    "skipped": "@pytest.mark.skip(reason='no moon')\ndef test_a(): pass\n",
    "skipped_inside": "def test_a(): pytest.skip('no moon')\n",
    "whole_module": "pytest.importorskip('no_moon')\n\ndef test_a(): pass\n",
    "expected_to_fail": "@pytest.mark.xfail(reason='no moon')\ndef test_a(): assert False\n",
    "passed_unexpectedly": "@pytest.mark.xfail(reason='no moon')\ndef test_a(): pass\n",
}
FINE = "def test_a(): pass\n"


def run_pytest(folder: Path, ci: str, **modules: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n\n{text}")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--continue-on-collection-errors"]
    command += ["-p", "no:cacheprovider", "-p", "no:asyncio"]
    env = {**os.environ, "CI": ci}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_with_ci_what_is_left_out_has_failed(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "true", **LEFT_OUT, fine=FINE, wrong="def test_a(): assert 1 == 2\n")
    assert done.returncode != 0
    told = [line for line in done.stdout.splitlines() if "every test has to run and pass; this one" in line]
    assert len(told) >= len(LEFT_OUT)
    assert all("moon" in line for line in told)
    for name in (*LEFT_OUT, "wrong"):
        assert f"test_{name}.py" in done.stdout.partition("short test summary info")[2]
    assert "assert 1 == 2" in done.stdout


def test_without_it_what_is_left_out_is_only_told(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "", **LEFT_OUT, fine=FINE)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 3 skipped, 1 xfailed, 1 xpassed" in done.stdout


def test_with_ci_tests_that_all_run_pass(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "true", fine=FINE)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
