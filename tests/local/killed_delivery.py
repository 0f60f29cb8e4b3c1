"""Deliver segments into a sink and be killed (SIGKILL) just before the n-th call to the system, for every n.

Run as a program: ``killed_delivery.py SUFFIX DIRECTORY`` prints the number of crashes survived.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from airless.local.outputs import open_sink

SEGMENTS = [
    b'{"a":1}\n{"a":2}\n',
    b'{"a":3,"b":"x\\ny"}\n',
    b'{"a":4}\n',
    b'{"c":"\\"q\\"","b":"z"}\n{"d":[1],"a":5}\n',
    b'{"a":6}\n',
]
SYSTEM = {
    "pwrite",
    "fsync",
    "ftruncate",
    "rename",
    "open",
    "unlink",
    "copymode",
    "close",
    "write",
    "link",
    "replace",
}


def deliver(output: Path, record: Path) -> None:
    """As a crawl does: append, make durable, record; the record is replaced in one step."""
    sink = open_sink(str(output))
    assert not sink.keeps_segments
    recorded = json.loads(record.read_text()) if record.exists() else {"next": 0, "state": None}
    sink.restore(recorded["state"])
    for position in range(recorded["next"], len(SEGMENTS), 2):
        for segment in SEGMENTS[position : position + 2]:
            sink.write(segment)
        recorded = {"next": position + 2, "state": sink.flush()}
        fresh = record.with_suffix(".new")
        fresh.write_text(json.dumps(recorded))
        fresh.replace(record)
    sink.close()


def killed_at(call: int, output: Path, record: Path) -> bool:
    """Whether a process that dies before its `call`-th call to the system died (else it had finished)."""
    child = os.fork()
    if child == 0:
        left = call

        def count(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal left
            if event == "c_call" and argument.__name__ in SYSTEM:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        deliver(output, record)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def main(suffix: str, directory: Path) -> None:
    (directory / "whole").mkdir()
    deliver(directory / "whole" / f"out{suffix}", directory / "whole" / "record")
    expected = (directory / "whole" / f"out{suffix}").read_bytes()
    crashes = 0
    died = True
    while died:
        place = directory / str(crashes)
        place.mkdir()
        output, record = place / f"out{suffix}", place / "record"
        died = killed_at(crashes, output, record)
        assert not killed_at(10_000, output, record)
        assert output.read_bytes() == expected, f"after a crash before call {crashes}"
        assert {path.name for path in place.iterdir()} - {"record.new"} == {output.name, "record"}
        crashes += died
    print(crashes)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
