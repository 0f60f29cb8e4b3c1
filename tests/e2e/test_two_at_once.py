"""Two crawls in one state directory: of one job the second is refused; of two jobs neither minds the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from support.site import Site


def _crawl(site: Site, folder: Path, job: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "airless", "crawl", site.url, "--job", job, "--quiet"]
    command += ["--state", str(folder / "state"), "-o", str(folder / f"{job}.jsonl")]
    command += ["--stats", str(folder / f"{job}.json")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _urls(folder: Path, job: str) -> list[str]:
    return [json.loads(line)["url"] for line in (folder / f"{job}.jsonl").read_text().splitlines()]


def test_a_job_that_is_being_crawled_is_refused_and_comes_to_no_harm(tmp_path: Path) -> None:
    with Site(300, delay_s=0.05) as site:
        first = _crawl(site, tmp_path, "same")
        while not (tmp_path / "same.jsonl").exists():
            assert first.poll() is None
            time.sleep(0.02)
        second = _crawl(site, tmp_path, "same")
        _, told = second.communicate()
        assert second.returncode == 1
        assert "'same'" in told
        assert "another process" in told
        assert "--job" in told
        _, told = first.communicate()
        assert first.returncode == 0, told
        urls = _urls(tmp_path, "same")
        assert len(urls) == len(set(urls))
        assert set(urls) == site.urls()


def test_two_jobs_in_one_state_directory_both_end_complete(tmp_path: Path) -> None:
    with Site(300, delay_s=0.01) as site:
        crawls = {job: _crawl(site, tmp_path, job) for job in ("one", "two")}
        for job, crawl in crawls.items():
            _, told = crawl.communicate()
            assert crawl.returncode == 0, told
            urls = _urls(tmp_path, job)
            assert len(urls) == len(set(urls))
            assert set(urls) == site.urls()
            assert json.loads((tmp_path / f"{job}.json").read_text())["balanced"]
