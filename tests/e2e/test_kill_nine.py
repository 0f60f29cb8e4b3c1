"""A crawl that is killed with SIGKILL at any moment loses no page, and none comes twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.killing import kill_and_resume
from support.site import Site

PAGES = 600


@pytest.mark.parametrize(
    ("processes", "kills", "victim", "seed"), [(1, 4, "main", 11), (2, 3, "main", 23), (2, 1, "child", 5)]
)
def test_a_killed_crawl_holds_every_page_exactly_once(
    tmp_path: Path, processes: int, kills: int, victim: str, seed: int
) -> None:
    with Site(PAGES, delay_s=0.03) as site:
        report = kill_and_resume(
            site, tmp_path, kills=kills, processes=processes, seed=seed, longest_s=2.5, victim=victim
        )
        report.check(site)
    assert report.kills >= 1
