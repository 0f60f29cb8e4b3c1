"""``airless demo``: a crawl to look at, of a shop that this command serves itself."""

from __future__ import annotations

import asyncio
import shlex

import click

from airless.cli.crawl import crawl
from airless.cli.signals import on_stop
from airless.local.demo import Shop, served
from airless.local.demo.shop import SMALLEST

_SPIDER = "airless.local.demo:Bookshop"


@click.command()
@click.option("-o", "--output", metavar="PATH", help=".jsonl, .csv or .parquet; - is standard output.")
@click.option(
    "--pages",
    type=click.IntRange(SMALLEST, 1_000_000),
    default=1_000,
    show_default=True,
    metavar="N",
    help="The shop's size, about.",
)
@click.option("--serve-only", is_flag=True, help="Serve the shop and crawl nothing, until Ctrl-C.")
def demo(output: str | None, pages: int, serve_only: bool) -> None:
    """Serve a made-up bookshop on this machine and crawl it. Needs no internet.

    The crawl is `airless crawl`, with the arguments that are shown; its exit codes are that command's.

    \b
    Examples:
      airless demo -o books.jsonl
      airless demo -o books.csv --pages 20000
      airless demo --serve-only
    """
    shop = Shop(pages)
    with served(shop) as url:
        if serve_only:
            _serve(url, len(shop.books))
            return
        arguments = [url, "-s", _SPIDER, *(() if output is None else ("-o", output))]
        click.echo(f"A shop with {len(shop.books):,} books is open at {url}", err=True)
        click.echo(f"$ {shlex.join(['airless', 'crawl', *arguments])}", err=True)
        crawl.main(arguments, prog_name="airless crawl")


def _serve(url: str, books: int) -> None:
    click.echo(f"A shop with {books:,} books is open at {url} until Ctrl-C. In another terminal:")
    click.echo(f"  airless crawl {url} -o pages.jsonl")
    click.echo(f"  airless crawl {url} -s {_SPIDER} -o books.csv --processes 2")
    click.echo(f"  airless shell {url}")
    asyncio.run(_until_stopped())


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    with on_stop(stopped.set):
        await stopped.wait()
