"""Kill a crawl with SIGKILL again and again, resume it with the same command, and look at what came out.

    PYTHONPATH=tests python -m support.killing --kills 20 --pages 3000 --processes 2

The output must hold every page exactly once and the accounts must add up. `--victim child` kills one of the crawl's
processes instead of the main one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import Folder
from support.site import Site


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a crawl that was killed: how often, the items, and the accounts of its last run."""

    kills: int
    urls: list[str]
    stats: dict[str, Any]

    def check(self, site: Site) -> None:
        """Raises AssertionError unless every page is there exactly once and the accounts say so."""
        twice = [url for url, times in Counter(self.urls).items() if times > 1]
        assert not twice, f"{len(twice)} pages stand more than once, {twice[:3]} among them"
        missing = site.urls() - set(self.urls)
        assert not missing, f"{len(missing)} pages are missing, {sorted(missing)[:3]} among them"
        assert set(self.urls) == site.urls()
        stats = self.stats
        assert stats["discovered"] == stats["fetched"] == site.pages, stats
        assert stats["items"] == site.pages


def kill_and_resume(
    site: Site, folder: Path, *, kills: int, processes: int, seed: int, longest_s: float, victim: str = "main"
) -> Report:
    """Run the crawl to its end; kill it up to `kills` times, each at most `longest_s` after it began.

    Raises AssertionError where the accounts don't add up.
    """
    rng = random.Random(seed)
    output, stats = folder / "pages.jsonl", folder / "stats.json"
    command = [sys.executable, "-m", "airless", "crawl", site.url, "-o", str(output), "--job", "killed"]
    command += [
        "--state",
        str(folder / "state"),
        "--stats",
        str(stats),
        "--quiet",
        "--processes",
        str(processes),
    ]
    killed = 0
    while True:
        process = subprocess.Popen(command, start_new_session=True)
        try:
            # The last runs are left alone: the crawl has to come to its end.
            code = process.wait(rng.uniform(0.3, longest_s) if killed < kills else None)
        except subprocess.TimeoutExpired:
            target = _child_of(process.pid, rng) if victim == "child" else process.pid
            os.kill(target, signal.SIGKILL)
            killed += 1
            code = process.wait() if victim == "main" else _wait_on(process)
        if code == 0:
            break
        assert code in {-signal.SIGKILL, 130}, f"the crawl ended with {code}"
    done = Folder(folder)
    return Report(killed, [item["url"] for item in done.items()], done.stats())


def _child_of(pid: int, rng: random.Random) -> int:
    """One of the crawl's own processes, or the main one where there is none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [
        child for child in map(int, children) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return rng.choice(workers) if workers else pid


def _wait_on(process: subprocess.Popen[bytes]) -> int:
    """Let the crawl go on for a little after one of its processes was killed, then stop it as Ctrl-C does."""
    try:
        return process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pages", type=int, default=3_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--victim", choices=["main", "child"], default="main")
    options = parser.parse_args()
    began = time.monotonic()
    with Site(options.pages, delay_s=0.01) as site, tempfile.TemporaryDirectory() as folder:
        report = kill_and_resume(
            site,
            Path(folder),
            kills=options.kills,
            processes=options.processes,
            seed=options.seed,
            longest_s=options.longest,
            victim=options.victim,
        )
        report.check(site)
    print(
        f"seed {options.seed}: killed {report.kills} times, {len(report.urls)} pages, each exactly once, "
        f"accounts add up; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
