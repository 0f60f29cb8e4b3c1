"""A job's files in the state directory: locked for one process at a time, and removed for a new beginning."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from airless.core.errors import ConfigError, Locked
from airless.local.crawl.plan import Plan

_LEFT_BEHIND_S = 30.0


@contextmanager
def locked(plan: Plan) -> Iterator[None]:
    """This job for this process alone, once the processes that a killed run left behind are gone.

    Raises Locked where another process crawls it, ConfigError where the directory can't be written.
    """
    try:
        plan.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the state directory {plan.state_dir} can't be made: {error.strerror}") from error
    lock = FileLock(plan.state_dir / f"{plan.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Locked(
            f"the job {plan.name!r} in {plan.state_dir} is being crawled by another process: "
            "wait for it, stop it, or give this one another --job"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"the state directory {plan.state_dir} can't be written: {reason}") from error
    try:
        for path in sorted(plan.state_dir.glob(f"{plan.name}.process-*.lock")):
            _wait_for(path)
        yield
    finally:
        lock.release()


def process_lock(plan: Plan, index: int) -> Path:
    """What one of the job's processes holds as long as it lives."""
    return plan.state_dir / f"{plan.name}.process-{index}.lock"


def remove(plan: Plan) -> None:
    """Everything that the state directory holds of this job, but its locks."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{plan.database}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(f"{plan.database}.consumers", ignore_errors=True)


def _wait_for(path: Path) -> None:
    try:
        with FileLock(path, timeout=_LEFT_BEHIND_S):
            return
    except Timeout as error:
        raise Locked(
            f"a process of an earlier run still holds {path}: stop it, then run this again"
        ) from error
