"""What every contender does with its way to read a page: once to be compared, once for the tree, once whole."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

Page = TypeVar("Page")


def report(
    parse: Callable[[bytes], Page], take: Callable[[Page], dict[str, Any]], libraries: Iterable[str]
) -> None:
    """Read a JSON array of files from standard input and print what they took, as JSON.

    `tree_us` and `whole_us` are microseconds of CPU a page: for the tree alone, and from the bytes to the
    fields. `digests` holds a digest of each field, for each page. The first pass is not timed.
    """
    bodies = [Path(file).read_bytes() for file in json.load(sys.stdin)]
    digests = [{name: _digest(value) for name, value in take(parse(body)).items()} for body in bodies]
    started_s = time.process_time()
    for body in bodies:
        parse(body)
    parsed_s = time.process_time()
    for body in bodies:
        take(parse(body))
    done_s = time.process_time()
    print(
        json.dumps(
            {
                "tree_us": (parsed_s - started_s) / len(bodies) * 1e6,
                "whole_us": (done_s - parsed_s) / len(bodies) * 1e6,
                "digests": digests,
                "versions": {name: version(name) for name in libraries},
            }
        )
    )


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()
