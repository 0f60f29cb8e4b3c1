"""With ``CI=true`` a test that is skipped, or expected to fail, has failed: nothing may be left out there.

And emulators that many tests share: each keeps its things apart from the others' by a prefix of its own.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TypeVar

import pytest

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
def aws_credentials() -> Iterator[None]:
    """What the emulators take for an account, in this process's environment."""
    from support import emulators  # not at the top: this file is tried out alone, too, in another folder

    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulators.CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def ministack_endpoint(aws_credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from support import emulators

    with emulators.ministack(tmp_path_factory.mktemp("ministack") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def fauxqs_endpoint(aws_credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from support import emulators

    with emulators.fauxqs(tmp_path_factory.mktemp("fauxqs") / "log") as endpoint:
        yield endpoint
