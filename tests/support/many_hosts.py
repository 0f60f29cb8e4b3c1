"""A site over many hosts, for crawls by a fleet: what a crawl of it must give, and whether it was asked too fast."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web
from support.web import Web

from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Settings
from airless.local.crawl.plan import SITE_SPIDER

# What the server's own thread may be late with a request's time.
_SLACK_S = 0.5


@dataclass(frozen=True, slots=True)
class ManyHosts:
    """`hosts` of `each` pages. A page links on within its host, and to the same page of two others."""

    hosts: int
    each: int

    @property
    def names(self) -> list[str]:
        return [f"h{n}.test" for n in range(self.hosts)]

    def serve(self) -> Web:
        return Web({f"/{number}": self._page for number in range(self.each)})

    def job(self, name: str, served: Web, delay_s: float) -> Job:
        """A crawl of all of it, from its first page, that asks each host every `delay_s`."""
        settings = Settings(
            pace=Pace(delay_s=delay_s, jitter=0.0),
            http=Http(resolve=dict.fromkeys(self.names, "127.0.0.1"), allow_private=True),
            obey_robots=False,
        )
        seeds = (served.url("/0", "h0.test"),)
        return Job(name, SITE_SPIDER, seeds, settings, allowed_domains=("test",))

    def check_items(self, output: Path, served: Web) -> None:
        """Fail unless there is an item of every page, once."""
        urls = sorted(orjson.loads(line)["url"] for line in output.read_bytes().splitlines())
        assert urls == sorted(served.url(f"/{n}", host) for n in range(self.each) for host in self.names)

    @staticmethod
    def check_pace(served: Web, delay_s: float) -> None:
        """Fail where a host was asked ahead of its pace, by the server's own times."""
        times: dict[str, list[float]] = defaultdict(list)
        for request in served.requests():
            times[request.headers["host"]].append(request.began_s)
        for host, began in times.items():
            began.sort()
            worst = max(n * delay_s - (time - began[0]) for n, time in enumerate(began))
            assert worst < _SLACK_S, f"{host} was asked {worst:.2f} s ahead of its pace"

    def _page(self, request: web.Request) -> web.Response:
        host, number = int(request.host.partition(".")[0][1:]), int(request.path[1:])
        port = request.host.partition(":")[2]
        near = [number * 2 + 1, number * 2 + 2, number + 1]
        links = [f"/{n}" for n in near if n < self.each]
        links += [f"http://h{(host + step) % self.hosts}.test:{port}/{number}" for step in (1, 7)]
        body = f"<title>{host}/{number}</title>" + "".join(f'<a href="{link}">x</a>' for link in links)
        return web.Response(text=body, content_type="text/html")
