"""A site that does everything wrong is crawled to its end, in bounded memory, and every URL of it is accounted for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from support.hostile_site import hostile_site

# A process begins with the peak of whoever started it: a small one in between keeps the tests' own out of it.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def _run(command: list[str]) -> tuple[int, int]:
    """The exit code, and the peak of memory in KiB."""
    measured = [sys.executable, "-S", "-c", _MEASURE, *command]
    done = subprocess.run(measured, stdout=subprocess.PIPE, check=False)
    return done.returncode, int(done.stdout)


async def test_a_hostile_site_is_crawled_to_its_end(tmp_path: Path) -> None:
    async with hostile_site() as (site, closed):
        command = [sys.executable, "-m", "airless", "crawl", site.url("/"), closed.url("/only")]
        command += ["-o", str(tmp_path / "pages.jsonl"), "--state", str(tmp_path / "state"), "--quiet"]
        command += ["--stats", str(tmp_path / "stats.json"), "--timeout", "1.5", "--max-bytes", "20000000"]
        command += [
            "--allow-domain",
            "127.0.0.1",
            "--allow-domain",
            "169.254.169.254",
            "--log-level",
            "error",
        ]
        code, memory_kib = await asyncio.to_thread(_run, command)
        assert code == 0
        asked = {received.target for received in closed.requests}
    stats = json.loads((tmp_path / "stats.json").read_text())
    titles = {json.loads(line)["title"] for line in (tmp_path / "pages.jsonl").read_text().splitlines()}
    assert memory_kib < 300 * 1024
    assert asked == {"/robots.txt"}
    assert {"Fine", "Caf\ufffd", "Bogus", "Broken", "Behind the wall"} <= titles
    assert stats["balanced"]
    assert stats["waiting"] == 0
    assert stats["failures"] == {
        "address": 2,
        "connect": 1,
        "http_302": 1,
        "http_404": 1,
        "http_500": 1,
        "protocol": 3,
        "timeout": 2,
        "too_large": 2,
        "too_many_redirects": 1,
        "truncated": 3,
    }
    assert stats["skipped"].keys() == {
        *("offsite", "path_repeats", "redirected", "robots_unreachable", "too_many_parameters", "trap_depth")
    }
    assert stats["skipped"]["robots_unreachable"] == 1
    assert stats["fetched"] == stats["items"] > 1_000
