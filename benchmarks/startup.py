"""What does `import airless` cost over bare Python, and what does `airless version` cost?

Fresh processes, taken in turn so that a busy moment hits them alike; medians. The target: `import airless`
adds less than 60 ms.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks.record import Table

BARE = "python -c pass"
COMMANDS = {
    BARE: ["-c", "pass"],
    "import airless": ["-c", "import airless"],
    "import airless, Spider": ["-c", "from airless import Spider"],
    "import airless.operators": ["-c", "import airless.operators"],
    "import airless.cli.crawl": ["-c", "import airless.cli.crawl"],
    "airless version": ["-m", "airless", "version"],
    "airless --help": ["-m", "airless", "--help"],
    "airless crawl --help": ["-m", "airless", "crawl", "--help"],
}


def measure(*, quick: bool) -> Table:
    runs = 7 if quick else 41
    taken_ms: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for name, arguments in COMMANDS.items():
        run_ms(arguments)  # the first run writes the byte code
        taken_ms[name] = []
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            taken_ms[name].append(run_ms(arguments))
    bare_ms = median(taken_ms[BARE])
    rows = [
        {
            "what": name,
            "median_ms": round(median(times), 2),
            "fastest_ms": round(min(times), 2),
            "over_bare_ms": round(median(times) - bare_ms, 2),
            "ratio": round(median(times) / bare_ms, 2),
        }
        for name, times in taken_ms.items()
    ]
    return Table(rows, libraries=("click", "orjson"), notes={"runs": runs})


def run_ms(arguments: list[str]) -> float:
    """Milliseconds from start to exit of a fresh Python."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1_000
