"""What the operating system says about an output, as the project's errors and with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airless.core.errors import OutputError


@contextmanager
def told(place: Path | str) -> Iterator[None]:
    """Translate an OSError (full disk, no permission, bad device…) into an OutputError, the cause kept."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"can't write items to {place}: {error.strerror or error}; "
            "the items are kept in the state directory: run the same command again"
        ) from error


def changed(place: Path | str, what: str) -> OutputError:
    """The error for an output that is not what was left there."""
    return OutputError(
        f"can't go on with {place}: {what}; put it back as it was, or begin the crawl anew with --restart"
    )
