"""Run one command pinned to a core, or to some, and print what it took: wall, CPU, peak memory, exit code.

A small process of its own: Linux counts what a process was before `exec` into its peak memory, so that of a
large parent would be counted as the contender's. This one's, about 12 MB, is the floor of what it can tell.
Of several processes CPU is the sum, memory that of the largest.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """``launch.py CORE[,CORE] LIMIT_S COMMAND...``; what the command prints goes to standard error."""
    cores, limit_s, *command = sys.argv[1:]
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
        os.dup2(2, 1)
        os.execvp("timeout", ["timeout", "--foreground", limit_s, *command])  # noqa: S606
    _, status, used = os.wait4(child, 0)
    wall_s = time.perf_counter() - started
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall_s": wall_s,
                "cpu_s": used.ru_utime + used.ru_stime,
                "peak_rss_mb": used.ru_maxrss * 1024 / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
