"""A server of a slow web, as whoever measures has it: started on a core of its own, and gone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from .log import Seen
from .web import Web

_STOP_S = 10.0


class Serving:
    """A server that runs; `web` has its port."""

    def __init__(self, process: subprocess.Popen[str], web: Web) -> None:
        self._process = process
        self.web = web

    def stop(self) -> Seen:
        """End it. Raises RuntimeError where it failed."""
        said, _ = self._process.communicate(timeout=_STOP_S)
        if self._process.returncode:
            raise RuntimeError("the server of the slow web failed")
        return Seen(**json.loads(said))


@contextmanager
def serving(web: Web, core: int) -> Iterator[Serving]:
    """A server on a core of its own, up when this yields; gone afterwards, whether it was stopped or not."""
    command = [sys.executable, "-m", "benchmarks.latency.server", str(core), json.dumps(asdict(web))]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server of the slow web didn't start")
            yield Serving(process, replace(web, port=int(line)))
        finally:
            process.kill()
