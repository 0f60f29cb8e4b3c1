"""A fleet of workers that are killed, on a broker that is killed too, loses no page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.brokers import BROKERS
from support.fire import under_fire
from support.many_hosts import ManyHosts


@pytest.mark.parametrize("broker", BROKERS)
async def test_workers_under_fire_bring_every_page_once_and_ask_no_host_too_fast(
    broker: str, tmp_path: Path
) -> None:
    with BROKERS[broker](tmp_path) as server:
        async with asyncio.timeout(300):
            fired = await under_fire(
                server,
                ManyHosts(hosts=20, each=100),
                tmp_path,
                workers=4,
                delay_s=0.1,
                kill_every_s=2.0,
                broker_dies_at=(0.2, 0.6),
            )
    assert (fired.result.status, fired.result.adds_up, fired.result.waiting) == ("finished", True, 0)
    assert fired.kills > 3
    assert fired.broker_kills == 2
