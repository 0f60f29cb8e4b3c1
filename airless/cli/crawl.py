"""``airless crawl``: a site, or a spider, from the command line."""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from airless.cli.signals import on_stop
from airless.core.errors import AirlessError, ConfigError, OutputError, StorageFull
from airless.core.targets import load_target
from airless.crawl.ledger import FINISHED, INTERRUPTED, LIMITED, RUNNING, Record
from airless.crawl.orders import CANCELLED, PAUSED
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider
from airless.crawl.urls import seed
from airless.local.crawl import Plan, Result, run
from airless.local.crawl.plan import SITE_SPIDER
from airless.local.crawl.run import Control

INTERRUPTED_CODE = 130

_JOB_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("seeds", nargs=-1, metavar="SEED_URL...")
@click.option(
    "-s",
    "--spider",
    "target",
    metavar="TARGET",
    default=SITE_SPIDER,
    show_default=True,
    help="module:Class, or path/to/file.py[:Class].",
)
@click.option("-o", "--output", metavar="PATH", help=".jsonl, .csv or .parquet; - is standard output.")
@click.option("--max-pages", type=click.IntRange(1), metavar="N", help="Stop after N pages.")
@click.option(
    "--max-depth", type=click.IntRange(0), metavar="N", help="Follow links N deep; 0 is the seeds alone."
)
@click.option(
    "--max-time", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop after this long."
)
@click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="USD",
    help="Stop after that much money, with --engine.",
)
@click.option(
    "--allow-domain",
    "domains",
    multiple=True,
    metavar="HOST",
    help="May be repeated. By default the seeds' hosts and their subdomains; * is anywhere.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Requests at once.  [default: as many as do best, up to 1,000]",
)
@click.option(
    "--per-host", type=click.IntRange(1, 10_000), metavar="N", help="Of these, to one host.  [default: 8]"
)
@click.option("--delay", type=click.FloatRange(0), metavar="SECONDS", help="Between two requests to a host.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For one fetch, whole."
)
@click.option("--max-bytes", type=click.IntRange(1), metavar="N", help="A page's size, decompressed.")
@click.option("--user-agent", metavar="TEXT", help="What the crawler calls itself.")
@click.option("--http2", is_flag=True, help="Offer HTTP/2 to servers over TLS (needs airless[http2]).")
@click.option("--ignore-robots", is_flag=True, help="Don't read robots.txt.")
@click.option("--sitemap", is_flag=True, help="Start from the sites' sitemaps too.")
@click.option("--allow-private", is_flag=True, help="Fetch from private addresses, whoever names them.")
@click.option(
    "--resolve",
    "resolve",
    multiple=True,
    metavar="HOST=ADDRESS",
    help="Use this address for a host. May be repeated.",
)
@click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".airless"),
    show_default=True,
    metavar="DIR",
    help="Where a crawl keeps what it has to remember.",
)
@click.option(
    "--engine",
    "engine_url",
    metavar="URL",
    help="Leave the work to the functions or workers of this engine, and follow it: aws://REGION?bucket=NAME.",
)
@click.option(
    "--detach", is_flag=True, help="With --engine: begin the crawl, say its name, and leave it to itself."
)
@click.option("--job", metavar="NAME", help="A second run with the same name and state resumes it.")
@click.option("--restart", is_flag=True, help="Begin the job anew.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, metavar="N", help="Crawl in N processes.")
@click.option(
    "--stats",
    "stats_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Write the accounts as JSON.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="warning",
    show_default=True,
    help="What is told on standard error.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def crawl(seeds: tuple[str, ...], **options: Any) -> None:
    """Crawl a site, or run a spider.

    Without --spider, the pages of the seeds' sites are visited, one item each: its URL, status, title, depth,
    size and where it was linked from. Robots files are obeyed. A crawl that was interrupted, even by a power
    cut, goes on with the same command.

    \b
    Examples:
      airless crawl https://books.toscrape.com -o pages.jsonl
      airless crawl https://example.com --max-pages 100 --stats stats.json
      airless crawl -s spiders/books.py -o books.csv
      airless crawl https://example.com --job weekly -o weekly.parquet
      airless crawl https://example.com -o - | jq .title
      airless crawl https://example.com --engine redis://localhost -o pages.jsonl
      airless crawl https://example.com --engine redis://localhost --detach

    \b
    Exit codes: 0 done; 1 ended, but every seed failed; 2 wrong usage; 130 interrupted (with --engine also paused or
    cancelled by somebody), and can be resumed if it wasn't cancelled.
    """
    level = getattr(logging, options["log_level"].upper())
    _log_to_stderr(level)
    plan = make_plan(seeds, options)
    stats_path: Path | None = options["stats_path"]
    if stats_path is not None:
        _check_writable(stats_path)
    quiet = bool(options["quiet"])
    try:
        if options["engine_url"] is None and options["max_cost"] is not None:
            raise ConfigError("--max-cost is for crawls with --engine: what this machine does costs nothing")
        if options["engine_url"] is None and options["detach"]:
            raise ConfigError("--detach is for crawls with --engine: here nobody else goes on with it")
        if options["engine_url"] is None:
            result = asyncio.run(_crawl(plan, level=level, quiet=quiet))
        else:
            from airless.cli import fleet

            if options["detach"]:
                fleet.detach(plan, options, again=_resume(), quiet=quiet)
                return
            result = fleet.crawl_elsewhere(plan, options, again=_resume(), quiet=quiet)
    except (OutputError, StorageFull) as error:
        click.echo(f"Error: {error}", err=True)
        click.echo("The crawl stopped; nothing is lost. When that is put right, go on with:", err=True)
        click.echo(f"  {_resume()}", err=True)
        sys.exit(INTERRUPTED_CODE)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo(f"\nStopped at once. Go on with:\n  {_resume()}", err=True)
        sys.exit(INTERRUPTED_CODE)
    if stats_path is not None:
        _write_stats(stats_path, result)
    if not quiet:
        from airless.cli.summary import print_summary

        print_summary(result, resume=_resume())
    sys.exit(exit_code(result))


def exit_code(result: Result) -> int:
    """The contract's: 130 interrupted, 1 every seed failed, else 0."""
    if result.status in {INTERRUPTED, RUNNING, PAUSED, CANCELLED}:
        return INTERRUPTED_CODE
    if result.status in {FINISHED, LIMITED} and result.counts.seeds and not result.counts.seeds_fetched:
        waiting_seeds = result.status == LIMITED and result.waiting
        return 0 if waiting_seeds else 1
    return 0


def make_plan(seeds: tuple[str, ...], options: dict[str, Any]) -> Plan:
    """The plan that a command line means. Raises ConfigError."""
    spider_class = load_target(options["target"], Spider)
    job: str | None = options["job"]
    if job is not None and (not job or job.startswith(".") or not _JOB_NAME.issuperset(job)):
        raise ConfigError(f"--job {job!r}: a name has letters, digits, '.', '-' and '_', and no '.' in front")
    if options["target"] == SITE_SPIDER and not seeds:
        raise ConfigError(
            "what is to be crawled? airless crawl https://example.com (or --spider; see --help)"
        )
    if not seeds and not spider_class.start_urls and spider_class.start is Spider.start:
        raise ConfigError(f"{options['target']} names no start_urls: airless crawl -s … https://example.com")
    return Plan(
        seeds=tuple(dict.fromkeys(seed(url) for url in seeds)),
        settings=_settings(spider_class.settings, options),
        spider=options["target"],
        allowed_domains=tuple(options["domains"]),
        output=options["output"],
        state_dir=options["state_dir"],
        job=job,
        restart=options["restart"],
        processes=options["processes"],
    )


def _settings(settings: Settings, options: dict[str, Any]) -> Settings:
    """The spider's settings, with what the command line names in their place."""

    def given(**names: str) -> dict[str, Any]:
        return {field: options[name] for field, name in names.items() if options[name] is not None}

    http = given(timeout_s="timeout", user_agent="user_agent")
    for flag in ("allow_private", "http2"):
        if options[flag]:
            http[flag] = True
    if options["resolve"]:
        http["resolve"] = {**settings.http.resolve, **dict(map(_pin, options["resolve"]))}
    return replace(
        settings,
        pace=replace(settings.pace, **given(concurrency="concurrency", per_host="per_host", delay_s="delay")),
        limits=replace(
            settings.limits,
            **given(pages="max_pages", depth="max_depth", time_s="max_time", page_bytes="max_bytes"),
        ),
        http=replace(settings.http, **http),
        obey_robots=settings.obey_robots and not options["ignore_robots"],
        sitemaps=settings.sitemaps or options["sitemap"],
    )


def _pin(text: str) -> tuple[str, str]:
    host, separator, address = text.partition("=")
    if not separator or not host or not address:
        raise ConfigError(f"--resolve {text!r}: write it as example.com=127.0.0.1")
    return host.lower(), address


async def _crawl(plan: Plan, *, level: int, quiet: bool) -> Result:
    from airless.cli.progress import make_display

    display = make_display(plan.settings.limits, quiet=quiet)
    control = Control(on_progress=display.update)
    control.resumed = lambda record: display.say(_going_on(record))

    def interrupt() -> None:
        control.interrupt()
        display.say("Finishing what is under way; Ctrl-C again stops at once.")

    with on_stop(interrupt), display:
        return await run(plan, control, log_level=level)


def _going_on(record: Record) -> str:
    return f"Going on with a crawl that was {record.status} ({record.seconds:.0f} s so far)."


def _resume() -> str:
    """The command that goes on from here: this one, less its --restart or --detach."""
    words = [word for word in sys.argv[1:] if word not in {"--restart", "--detach"}]
    return shlex.join(["airless", *words])


def _check_writable(path: Path) -> None:
    """Raises ConfigError where the accounts could not be written in the end; leaves no empty file behind."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = not path.exists()
        with path.open("a"):
            if made:
                path.unlink()
    except OSError as error:
        raise ConfigError(f"--stats {path} can't be written: {error.strerror}") from error


def _write_stats(path: Path, result: Result) -> None:
    import orjson

    from airless.cli.summary import stats_of

    try:
        path.write_bytes(orjson.dumps(stats_of(result), option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise AirlessError(f"--stats {path} can't be written: {error.strerror}") from error


def _log_to_stderr(level: int) -> None:
    handler = _Echo()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _Echo(logging.Handler):
    """Writes to what standard error is at the time: while a live line is shown, that line makes room."""

    def emit(self, record: logging.LogRecord) -> None:
        # click.echo would find the terminal behind what a live line puts in its place.
        print(self.format(record), file=sys.stderr)
