"""``airless explain``: why a crawl fetched a page, skipped it, or hasn't come to it yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import click
import orjson

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.core.targets import load_target
from airless.crawl.job import job_named, scope_of, spider_of
from airless.crawl.layout import Layout
from airless.crawl.ledger import Ledger
from airless.crawl.scope import Scope
from airless.crawl.spider import Spider
from airless.crawl.urls import seed
from airless.engines import OpenEngine, open_engine
from airless.fleet.explain import Case, Explained, explain
from airless.fleet.standing import standing_of


@click.command(name="explain", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("page_url", metavar="PAGE_URL")
@click.option("--job", required=True, metavar="NAME", help="The crawl.")
@click.option(
    "--engine",
    "url",
    envvar="AIRLESS_ENGINE",
    metavar="URL",
    help="The engine that it is on; without it, a crawl of this machine.  [env: AIRLESS_ENGINE]",
)
@click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".airless"),
    show_default=True,
    metavar="DIR",
    help="Where a crawl of this machine keeps what it has to remember.",
)
@click.option("--no-robots", is_flag=True, help="Don't ask the page's host for its robots.txt.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def explain_page(
    page_url: str, job: str, url: str | None, state_dir: Path, no_robots: bool, as_json: bool
) -> None:
    """Tell why a crawl fetched a page, skipped it, or hasn't come to it yet.

    The verdict comes first: fetched, failed, skipped, waiting, ended (but not fetched for all that can be seen), not
    met, or uncertain. Then what it rests on: the page's canonical URL and its shard, whether it is in scope and within
    the caps against endless sites, what robots.txt says now, whether the shard has seen it, how it failed, whether it
    is in the queue, and the item that names it.

    A crawl remembers of most pages 64 bits, and not every queue can be searched (that of AWS can't be): what can't be
    known is said to be so.

    \b
    Examples:
      airless explain https://example.com/a --engine redis://localhost --job weekly
      airless explain https://example.com/a --job weekly --state .airless
      airless explain https://example.com/a --engine redis://localhost --job weekly --json | jq .verdict

    \b
    Exit codes: 0 told; 1 a fault; 2 wrong usage, or there is no such job.
    """
    told = asyncio.run(_explain(seed(page_url), job, url, state_dir, robots=not no_robots))
    if as_json:
        click.echo(orjson.dumps(told.to_dict()))
        return
    click.echo(f"{told.verdict}: {told.why}")
    for name, value in {"url": told.url, **told.facts}.items():
        if value not in (None, []):
            click.echo(f"  {name}: {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


async def _explain(page: str, job: str, url: str | None, state_dir: Path, *, robots: bool) -> Explained:
    if url is None:
        database = state_dir / f"{job}.db"
        if not database.is_file():
            raise ConfigError(
                f"there is no crawl {job!r} in {state_dir}: name the folder with --state, or an engine with --engine"
            )
        url = f"sqlite:///{quote(str(database))}"
    async with await open_engine(url) as engine:
        case = await (_local(engine, job, robots) if engine.atomic else _elsewhere(engine, job, robots))
        return await explain(engine, case, page, SystemClock())


async def _elsewhere(engine: OpenEngine, name: str, robots: bool) -> Case:
    standing = await standing_of(engine, name, SystemClock())
    job = await job_named(engine, name)
    if job is None:
        raise ConfigError(f"there is no job {name!r} on this engine: airless crawls lists those that are")
    return Case(
        layout=job.layout,
        settings=job.settings,
        scope=_scope(job.spider, job.seeds, job.allowed_domains),
        seeds=job.seeds,
        private_hosts=job.private_hosts,
        status=standing.status,
        robots=robots,
    )


async def _local(engine: OpenEngine, name: str, robots: bool) -> Case:
    """A crawl of this machine, which keeps its spider and its seeds; its settings are taken to be the spider's."""
    record = await Ledger(engine, name).load()
    if record is None:
        raise ConfigError(f"there is no crawl {name!r} in this state")
    click.echo(
        "Options that the crawl was given are not kept: its spider's own settings are taken.", err=True
    )
    seeds = tuple(record.seeds)
    return Case(
        layout=Layout(name, record.shards, record.spread),
        settings=load_target(record.spider, Spider).settings,
        scope=_scope(record.spider, seeds, ()),
        seeds=seeds,
        private_hosts=frozenset(record.private_hosts),
        status=record.status,
        robots=robots,
        keeps_items=record.output is None,
    )


def _scope(target: str, seeds: tuple[str, ...], domains: tuple[str, ...]) -> Scope | None:
    """The crawl's scope; None where its spider isn't to be had here, which may name more."""
    try:
        spider = spider_of(target, seeds)
    except ConfigError as error:
        if domains:
            return Scope.of(seeds, domains)
        click.echo(f"The scope is not known, since the spider isn't here: {error}", err=True)
        return None
    return scope_of(spider, seeds, domains)
