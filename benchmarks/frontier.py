"""How much memory, time and disk does a seen URL take?

Random fingerprints go into one `SeenSet` in a process of its own: memory is what the process's resident set grew
by, a hit is looking up one that is there. Disk is the SQLite engine's file with the same fingerprints in segments,
as a crawl of 64 shards keeps them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airless.crawl.seen import SeenSet, pack_fingerprints
from airless.engines import open_engine
from benchmarks.record import Table

SHARDS = 64
CHUNK = 100_000
HITS = 100_000


def measure(*, quick: bool) -> Table:
    sizes = (100_000, 1_000_000) if quick else (100_000, 1_000_000, 10_000_000)
    return Table([in_own_process(size) for size in sizes])


def in_own_process(urls: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.frontier", str(urls)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def one_size(urls: int) -> dict[str, Any]:
    """The figures for a set of `urls` fingerprints."""
    rng = random.Random(1)
    seen = SeenSet()
    add_s = 0.0
    chunk = [rng.getrandbits(64) for _ in range(CHUNK)]  # its memory is there before the first reading
    gc.collect()
    before = resident_bytes()
    for _ in range(urls // CHUNK):
        started = time.perf_counter()
        for fingerprint in chunk:
            seen.add(fingerprint)
        add_s += time.perf_counter() - started
        known = rng.sample(chunk, 1_000)
        chunk[:] = [rng.getrandbits(64) for _ in range(CHUNK)]
    gc.collect()
    memory = resident_bytes() - before
    started = time.perf_counter()
    for _ in range(HITS // len(known)):
        for fingerprint in known:
            assert fingerprint in seen
    hit_s = time.perf_counter() - started
    return {
        "urls": len(seen),
        "memory_bytes_a_url": round(memory / urls, 2),
        "memory_mb": round(memory / 1e6, 1),
        "add_us": round(add_s / urls * 1e6, 3),
        "hit_us": round(hit_s / HITS * 1e6, 3),
        "disk_bytes_a_url": round(asyncio.run(disk_bytes(seen)) / urls, 2),
    }


def resident_bytes() -> int:
    """This process's resident set, from /proc (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def disk_bytes(seen: SeenSet) -> int:
    """The size of the engine's files with the fingerprints in one segment a shard."""
    shards: list[list[int]] = [[] for _ in range(SHARDS)]
    for fingerprint in seen:
        shards[fingerprint % SHARDS].append(fingerprint)
    with tempfile.TemporaryDirectory() as folder:
        engine = await open_engine(f"sqlite:///{folder}/seen.db")
        async with engine:
            for index, shard in enumerate(shards):
                await engine.objects.put(f"seen/job/{index:05d}/00000001", pack_fingerprints(shard))
        return sum(file.stat().st_size for file in Path(folder).glob("seen.db*") if file.is_file())


if __name__ == "__main__":
    print(json.dumps(one_size(int(sys.argv[1]))))
