"""The ``airless crawl`` command as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SOURCE = str(Path(__file__).resolve().parents[2])
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A working directory in which crawls are run; ``stats.json`` in it has the accounts of the last one."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "airless", "crawl", "--stats", "stats.json", *map(str, words)]

    def crawl(self, *words: object, expect: int | None = 0) -> Done:
        """Run a crawl to its end; with `expect` its exit code must be that."""
        ran = subprocess.run(
            self.command(*words),
            cwd=self.path,
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            stdin=subprocess.DEVNULL,
        )
        assert expect is None or ran.returncode == expect, (ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr or expect is None, ran.stderr
        return Done(ran.returncode, ran.stdout, ran.stderr)

    @contextmanager
    def crawling(self, *words: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A crawl under way in a process group of its own; it is gone in the end, whatever happens."""
        process = subprocess.Popen(
            self.command(*words),
            cwd=self.path,
            env=self._env(),
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "start_new_session": True,
                **options,
            },
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def items(self, name: str = "pages.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]

    def paths(self, name: str = "pages.jsonl") -> list[str]:
        """The paths of the items' URLs, sorted: an item that stands twice is there twice."""
        return sorted("/" + item["url"].split("/", 3)[3] for item in self.items(name))

    def stats(self) -> dict[str, Any]:
        """The accounts, which have to add up."""
        stats: dict[str, Any] = json.loads((self.path / "stats.json").read_text())
        ended = stats["fetched"] + stats["failed"] + sum(stats["skipped"].values()) + stats["waiting"]
        assert stats["discovered"] == ended, stats
        assert stats["balanced"] is True, stats
        return stats

    def spider(self, source: str, name: str = "spider.py") -> str:
        """A file with a spider in it."""
        (self.path / name).write_text(f"from airless import *\n\n{source}")
        return name

    def _env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": _SOURCE, "PYTHONDONTWRITEBYTECODE": "1", **self.environment}
