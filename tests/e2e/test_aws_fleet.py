"""A fleet of functions that are killed, given batches twice and refused by their cloud loses no page."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.emulators import REGION
from support.faulty_proxy import FaultyProxy, some
from support.lambdas import Functions
from support.many_hosts import ManyHosts

from airless.core.clock import SystemClock
from airless.engines import open_engine
from airless.engines.aws.options import AwsOptions
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.local.crawl.run import Control

SITE = ManyHosts(hosts=20, each=100)
DELAY_S = 0.05


async def test_a_fleet_under_fire_brings_every_page_once_and_asks_no_host_too_fast(
    ministack_endpoint: str, tmp_path: Path
) -> None:
    options = AwsOptions(REGION, "fleet-under-fire", "fire")
    url = f"aws://{REGION}?bucket={options.bucket}&prefix={options.prefix}&endpoint={{}}"
    with SITE.serve() as pages, FaultyProxy(ministack_endpoint, some(0.05)) as proxy:
        job = SITE.job("fire", pages, DELAY_S)
        async with await open_engine(url.format(ministack_endpoint) + "&create=yes") as engine:
            job, record, ledger = await begin(engine, job, SystemClock())
            # Both queues are there: nothing is made by a function.
            functions = Functions(
                tmp_path,
                ministack_endpoint,
                {"AIRLESS_ENGINE": url.format(proxy.url) + "&create=yes"},
                options=options,
                number=8,
                timeout_s=10,
                visibility_s=12,
                doubled=0.05,
            )
            follower = Follower(engine, job, record, ledger, control=Control(), clock=SystemClock())
            async with asyncio.timeout(400), functions.at_work("frontier"):
                following = asyncio.create_task(follower.run())
                while not following.done():
                    await asyncio.wait([following], timeout=2)
                    await functions.kill_one()
                result, accounts = await following
            output = tmp_path / "items.jsonl"
            await write_items(engine, accounts.segments, str(output))
    SITE.check_items(output, pages)
    SITE.check_pace(pages, DELAY_S)
    assert (result.status, result.adds_up, result.waiting) == ("finished", True, 0)
    assert functions.kills > 3
    assert functions.doubles > 0
    assert sum(proxy.injected.values()) > 10
