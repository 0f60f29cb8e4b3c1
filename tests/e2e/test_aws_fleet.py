"""A fleet of functions that are killed, given batches twice and refused by their cloud loses no page."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import orjson
from aiohttp import web
from support.emulators import REGION
from support.faulty_proxy import FaultyProxy, some
from support.lambdas import Functions
from support.web import Web

from airless.core.clock import SystemClock
from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Settings
from airless.engines import open_engine
from airless.engines.aws.options import AwsOptions
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.local.crawl.plan import SITE_SPIDER
from airless.local.crawl.run import Control

HOSTS, EACH, DELAY_S = 20, 100, 0.05
# What the server's own thread may be late with a request's time.
SLACK_S = 0.5


def site() -> Web:
    """2,000 pages over twenty hosts; each links on within its host, and to the same page of the next."""

    def page(request: web.Request) -> web.Response:
        host, number = int(request.host.partition(".")[0][1:]), int(request.path[1:])
        port = request.host.partition(":")[2]
        near = [number * 2 + 1, number * 2 + 2, number + 1]
        links = [f"/{n}" for n in near if n < EACH]
        links += [f"http://h{(host + step) % HOSTS}.test:{port}/{number}" for step in (1, 7)]
        body = f"<title>{host}/{number}</title>" + "".join(f'<a href="{link}">x</a>' for link in links)
        return web.Response(text=body, content_type="text/html")

    return Web({f"/{number}": page for number in range(EACH)})


async def test_a_fleet_under_fire_brings_every_page_once_and_asks_no_host_too_fast(
    ministack_endpoint: str, tmp_path: Path
) -> None:
    options = AwsOptions(REGION, "fleet-under-fire", "fire")
    url = f"aws://{REGION}?bucket={options.bucket}&prefix={options.prefix}&endpoint={{}}"
    hosts = [f"h{n}.test" for n in range(HOSTS)]
    with site() as pages, FaultyProxy(ministack_endpoint, some(0.05)) as proxy:
        job = Job(
            "fire",
            SITE_SPIDER,
            (pages.url("/0", "h0.test"),),
            Settings(
                pace=Pace(delay_s=DELAY_S, jitter=0.0),
                http=Http(resolve=dict.fromkeys(hosts, "127.0.0.1"), allow_private=True),
                obey_robots=False,
            ),
            allowed_domains=("test",),
        )
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
        asked = pages.requests()
    urls = sorted(orjson.loads(line)["url"] for line in output.read_bytes().splitlines())
    assert urls == sorted(pages.url(f"/{n}", host) for n in range(EACH) for host in hosts)
    assert (result.status, result.adds_up, result.waiting) == ("finished", True, 0)
    assert functions.kills > 3
    assert functions.doubles > 0
    assert sum(proxy.injected.values()) > 10
    times: dict[str, list[float]] = defaultdict(list)
    for request in asked:
        times[request.headers["host"]].append(request.began_s)
    for host, began in times.items():
        began.sort()
        worst = max(n * DELAY_S - (time - began[0]) for n, time in enumerate(began))
        assert worst < SLACK_S, f"{host} was asked {worst:.2f} s ahead of its pace"
