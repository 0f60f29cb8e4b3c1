"""How much memory, time and disk does a seen URL take?

Random fingerprints go into one `SeenSet` in a process of its own. Resident is what the process grew by, held
is the set's own arrays; a hit is looking up one that is there. Disk is the SQLite engine's file with the same
fingerprints in one segment for each of 64 shards, as a crawl keeps them.
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
from array import array
from pathlib import Path
from typing import Any

from airless.crawl.seen import SeenSet, pack_fingerprints
from airless.engines import open_engine
from benchmarks.record import Table

SHARDS = 64
CHUNK = 100_000


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
    chunk = fingerprints(rng)
    SeenSet(chunk[:1_000])  # what the first use costs is not what a URL costs
    gc.collect()
    before = resident_bytes()
    seen = SeenSet()
    add_s = 0.0
    for _ in range(urls // CHUNK):
        chunk = fingerprints(rng)
        started = time.perf_counter()
        for fingerprint in chunk:
            seen.add(fingerprint)
        add_s += time.perf_counter() - started
    gc.collect()
    resident = resident_bytes() - before
    started = time.perf_counter()
    for fingerprint in chunk:
        assert fingerprint in seen
    hit_s = time.perf_counter() - started
    return {
        "urls": len(seen),
        "resident_bytes_a_url": round(resident / urls, 2),
        "held_bytes_a_url": round(held_bytes(seen) / urls, 2),
        "resident_mb": round(resident / 1e6, 1),
        "add_us": round(add_s / urls * 1e6, 3),
        "hit_us": round(hit_s / CHUNK * 1e6, 3),
        "disk_bytes_a_url": round(disk_bytes(seen) / urls, 2),
    }


def fingerprints(rng: random.Random) -> array[int]:
    return array("Q", rng.randbytes(8 * CHUNK))


def held_bytes(holder: object) -> int:
    """The size of an object and of the lists and arrays that it holds."""
    inner = (each for each in gc.get_referents(holder) if isinstance(each, (list, array)))
    return sys.getsizeof(holder) + sum(map(held_bytes, inner))


def resident_bytes() -> int:
    """This process's resident set, from /proc (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def disk_bytes(seen: SeenSet) -> int:
    """The size of the engine's file with the fingerprints in one segment a shard."""
    shards: list[array[int]] = [array("Q") for _ in range(SHARDS)]
    for fingerprint in seen:
        shards[fingerprint % SHARDS].append(fingerprint)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(put(f"sqlite:///{folder}/seen.db", shards))
        return sum(file.stat().st_size for file in Path(folder).glob("seen.db*") if file.is_file())


async def put(url: str, shards: list[array[int]]) -> None:
    async with await open_engine(url) as engine:
        for index, shard in enumerate(shards):
            await engine.objects.put(f"seen/job/{index:05d}/00000001", pack_fingerprints(shard))


if __name__ == "__main__":
    print(json.dumps(one_size(int(sys.argv[1]))))
