"""``airless cost``: what a crawl will cost on AWS, or what one has cost."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from airless.cli.bills import dollars, print_bill
from airless.core.errors import ConfigError
from airless.cost.bill import Bill, bill
from airless.cost.estimate import Estimate, estimate
from airless.cost.expected import Expected
from airless.cost.prices import AWS
from airless.cost.usage import Usage

# The options, and the assumptions that they stand for.
_NAMES = {
    "pages": "pages",
    "hosts": "hosts",
    "page_size": "page_bytes",
    "latency": "latency_s",
    "links": "links",
    "memory": "memory_mb",
    "arch": "arch",
    "per_host": "per_host",
    "delay": "delay_s",
}
_DEFAULT = Expected()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stats", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[STATS]")
@click.option("--pages", metavar="N", help=f"Pages of the crawl.  [default: {_DEFAULT.pages:,}]")
@click.option("--hosts", metavar="N", help=f"Of so many hosts.  [default: {_DEFAULT.hosts:,}]")
@click.option("--page-size", metavar="BYTES", help=f"A page's size.  [default: {_DEFAULT.page_bytes:,}]")
@click.option("--latency", metavar="SECONDS", help=f"Mean, of an answer.  [default: {_DEFAULT.latency_s}]")
@click.option("--links", metavar="N", help=f"On a page.  [default: {_DEFAULT.links}]")
@click.option("--memory", metavar="MB", help=f"Of a function.  [default: {_DEFAULT.memory_mb}]")
@click.option("--arch", type=click.Choice(sorted(AWS.gb_second)), help=f"[default: {_DEFAULT.arch}]")
@click.option("--per-host", metavar="N", help=f"Requests at once to a host.  [default: {_DEFAULT.per_host}]")
@click.option("--delay", metavar="SECONDS", help="Between two requests to a host.  [default: 0]")
@click.option(
    "--assume", "assumed", multiple=True, metavar="NAME=VALUE", help="Any other assumption. May be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all assumptions.")
def cost(stats: Path | None, assumed: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Estimate what a crawl costs on AWS, or tell what one has cost.

    STATS is what `airless crawl --stats` wrote of a crawl in a cloud. Without it a crawl is estimated from how it
    works; --json shows each assumption, and --assume changes any. The prices are those of one region, without
    what is free in a month and without traffic out of the cloud.

    \b
    Examples:
      airless cost --pages 1e6 --hosts 1
      airless cost --pages 2e7 --hosts 50000 --latency 0.8 --memory 1024 --arch x86_64
      airless cost --pages 1e6 --assume batch_messages=10 --json
      airless cost stats.json
    """
    given = {_NAMES[name]: value for name, value in options.items() if value is not None}
    given.update(map(_assumption, assumed))
    if stats is None:
        made = estimate(Expected.of(**given))
        _tell_estimate(made, bill(made.usage), as_json=as_json)
        return
    if given:
        raise ConfigError(f"{stats} says what was used: nothing can be assumed beside it")
    usage, pages = _read(stats)
    _tell_usage(usage, pages, bill(usage), as_json=as_json)


def _assumption(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"--assume {text!r}: write it as NAME=VALUE")
    return name.strip().replace("-", "_"), value.strip()


def _read(stats: Path) -> tuple[Usage, int | None]:
    """The usage in a file, and how many pages were fetched where it says so. Raises ConfigError."""
    try:
        data = orjson.loads(stats.read_bytes())
    except OSError as error:
        raise ConfigError(f"{stats} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{stats} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{stats} has no record of usage")
    if "usage" not in data and "status" in data:
        raise ConfigError(f"{stats} is of a crawl that used no cloud")
    pages = data.get("fetched")
    return Usage.from_dict(data.get("usage", data)), pages if isinstance(pages, int) else None


def _tell_estimate(made: Estimate, billed: Bill, *, as_json: bool) -> None:
    expected = made.expected
    if as_json:
        figures = {
            "messages": made.messages,
            "commits": made.commits,
            "pages_an_invocation": made.pages_an_invocation,
            "invocation_s": made.invocation_s,
        }
        _write({"assumed": asdict(expected), **figures, **_priced(made.usage, billed, expected.pages)})
        return
    click.echo(
        f"{expected.pages:,} pages of {expected.hosts:,} hosts, {expected.page_bytes:,} bytes and "
        f"{expected.latency_s:g} s each; functions of {expected.memory_mb:,} MB on {expected.arch}, "
        f"{made.usage.invocations:,} times {made.invocation_s:,.1f} s"
    )
    _tell(billed, expected.pages)
    click.echo("An estimate: --json shows what it assumes, --assume changes it.")


def _tell_usage(usage: Usage, pages: int | None, billed: Bill, *, as_json: bool) -> None:
    if as_json:
        _write(_priced(usage, billed, pages))
        return
    _tell(billed, pages)


def _tell(billed: Bill, pages: int | None) -> None:
    print_bill(billed)
    if pages:
        click.echo(f"{dollars(billed.usd / pages * 1e6)} a million pages")
    click.echo(f"Prices of {AWS.gathered}, {AWS.region}, without free tiers and traffic out of the cloud.")


def _priced(usage: Usage, billed: Bill, pages: int | None) -> dict[str, Any]:
    a_million = {"usd_a_million_pages": billed.usd / pages * 1e6} if pages else {}
    return {
        "usage": usage.to_dict(),
        "cost": {**billed.to_dict(), **a_million},
        "prices": {"gathered": AWS.gathered, "region": AWS.region, "sources": AWS.sources},
    }


def _write(data: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")
