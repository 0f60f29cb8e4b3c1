"""A function that is given 10 s for far more work does it over several invocations, and nothing is charged for that."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import urlencode

import orjson
from support.emulators import CREDENTIALS
from support.mapping import EventSource
from support.runtime_api import Answer, function
from support.web import Web, star

from airless.core.clock import SystemClock
from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Settings
from airless.engines.aws.engine import AwsEngine
from airless.engines.aws.wire import ATTRIBUTE, tag_of
from airless.fleet.accounts import read_accounts
from airless.fleet.begin import begin

TIMEOUT_S = 10.0
WORK_S = 30.0
# So slow are pages, and so many of them are asked for at once: a process has to be there all the time.
PAGE_S, AT_ONCE = 0.5, 4


async def test_a_function_with_too_little_time_does_all_over_several_invocations(
    ministack_endpoint: str, tmp_path: Path
) -> None:
    name = f"test-{abs(hash(tmp_path)):x}"
    query = {"bucket": name, "prefix": name, "endpoint": ministack_endpoint, "create": "yes"}
    url = f"aws://us-east-1?{urlencode(query)}"
    pages = star(round(WORK_S / PAGE_S * AT_ONCE))
    settings = Settings(obey_robots=False, pace=Pace(per_host=AT_ONCE), http=Http(allow_private=True))
    answers: list[Answer] = []
    attempts: list[int] = []
    async with AwsEngine.open(url) as engine:
        with (
            Web(pages, delay_s=PAGE_S) as site,
            function(tmp_path, {**CREDENTIALS, "AIRLESS_ENGINE": url}) as api,
        ):
            job = Job("job", "support.crawling:LinkSpider", (site.url(),), settings, ("*",), shards=4)
            job, record, _ = await begin(engine, job, SystemClock())
            source = EventSource(engine.clients, job.layout.topic)
            while await source.left():
                for records in await source.batches():
                    for one in records:
                        tag = tag_of(one["messageAttributes"][ATTRIBUTE]["stringValue"])
                        assert tag is not None
                        attempts.append(tag.attempt + int(one["attributes"]["ApproximateReceiveCount"]) - 1)
                    answers.append(await source.call(api, records, timeout_s=TIMEOUT_S))
        accounts = await read_accounts(engine, job.layout)
        bodies = [await engine.objects.get(segment) for segment in accounts.segments]

    assert [answer.error for answer in answers] == [None] * len(answers)
    assert max(answer.seconds for answer in answers) < TIMEOUT_S
    assert len(answers) >= math.ceil(WORK_S / TIMEOUT_S)
    assert set(attempts) == {0}
    found = sorted(orjson.loads(line)["url"] for body in bodies for line in (body or b"").splitlines())
    assert found == sorted(site.url(path) for path in pages)
    assert accounts.published + record.messages == accounts.ended
    assert (accounts.counts.failed, accounts.counts.waiting) == (0, 0)
    print(
        f"{len(answers)} invocations, the longest of {max(a.seconds for a in answers):.2f} s, "
        f"{sum(a.seconds for a in answers):.1f} s in all; {len(site.requests())} requests for {len(pages)} pages"
    )
