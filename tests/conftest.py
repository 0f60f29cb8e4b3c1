"""With ``CI=true`` a test that is skipped, or expected to fail, has failed: nothing may be left out there."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TypeVar

import pytest
from support.emulators import CREDENTIALS, ministack

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _nothing_left_out((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _nothing_left_out((yield))


def _nothing_left_out(report: Report) -> Report:
    expected = getattr(report, "wasxfail", None)
    if os.environ.get("CI") != "true" or not (report.skipped or expected is not None):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else f"expected to fail: {expected}"
    report.outcome = "failed"
    report.longrepr = f"With CI=true every test has to run and pass; this one: {reason}"
    if expected is not None:
        del report.wasxfail
    return report


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS of its own for the session, with the credentials for it in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with ministack(tmp_path_factory.mktemp("ministack") / "log.txt") as endpoint:
            yield endpoint
