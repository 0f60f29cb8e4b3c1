"""The ``airless`` command. A subcommand's module is imported when it is used, so the others cost nothing."""

from __future__ import annotations

import gc
import importlib
from typing import Any, NamedTuple

import click

from airless import __version__
from airless.core.errors import AirlessError, ConfigError


class Entry(NamedTuple):
    """Where a subcommand is (``module:attribute``), and its line in the list of them."""

    target: str
    summary: str


COMMANDS = {
    "crawl": Entry("airless.cli.crawl:crawl", "Crawl a site, or run a spider."),
    "items": Entry("airless.cli.fleet:items", "Write a crawl's items into one file."),
    "crawls": Entry("airless.cli.crawls:crawls", "List the crawls on an engine, and how they stand."),
    "pause": Entry("airless.cli.stopping:pause", "Have crawls stop until they are resumed."),
    "resume": Entry("airless.cli.stopping:resume", "Have crawls go on that stand still."),
    "cancel": Entry("airless.cli.stopping:cancel", "End crawls for good, and keep their items."),
    "retry": Entry("airless.cli.retry:retry", "Bring back what a crawl has given up."),
    "explain": Entry(
        "airless.cli.explain:explain_page", "Tell why a crawl fetched a page, skipped it, or hasn't yet."
    ),
    "demo": Entry("airless.cli.demo:demo", "Crawl a bookshop that is served on this machine."),
    "new": Entry("airless.cli.new:new", "Make a project: a spider and a test of it that passes."),
    "shell": Entry("airless.cli.shell:shell", "Fetch a page and try selectors on it."),
    "send": Entry("airless.cli.send:send", "Publish messages on a topic."),
    "redrive": Entry("airless.cli.redrive:redrive", "Bring back the messages of a topic that were given up."),
    "run": Entry("airless.cli.run:run", "Run an operator on the messages of a topic."),
    "worker": Entry("airless.cli.worker:worker", "Work on the crawls and messages of a broker."),
    "cost": Entry("airless.cli.cost:cost", "Tell what a crawl costs in a cloud, before or afterwards."),
    "deploy": Entry("airless.cli.deploy:deploy", "Put an operator or a spider into a cloud."),
    "destroy": Entry("airless.cli.destroy:destroy", "Remove what was deployed."),
    "version": Entry("airless.cli.version:version", "Print the version."),
}


class Fault(click.ClickException):
    """A fault of ours as the command line shows it: one line on stderr, exit code 1."""

    def __init__(self, error: AirlessError) -> None:
        super().__init__(" ".join(str(error).split()) or type(error).__name__)


class Misuse(Fault):
    """An option or a setting that can't be used: exit code 2, as for click's own usage errors."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose commands are imported on use; an AirlessError of theirs is one line on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)
        except AirlessError as error:
            raise (Misuse if isinstance(error, ConfigError) else Fault)(error) from error


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"airless {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Crawl sites and run serverless operators; on this machine nothing needs to be set up.

    \b
    Examples:
      airless demo -o books.jsonl
      airless crawl https://books.toscrape.com -o pages.jsonl
      airless new shop
      airless send greet '{"name": "Ada"}'
      airless run greet.py:Greet --topic greet --until-idle
      airless COMMAND --help
    """
    # The command's module has been imported: what it left behind goes, the rest is never garbage.
    if not gc.isenabled():
        gc.collect()
        gc.freeze()
        # Hundreds of pages are worked on side by side, and what belongs to them is no garbage either.
        gc.set_threshold(10_000)
        gc.enable()


def main() -> None:
    """Run the command line and exit: 0 done, 1 a fault, 2 a wrong option or setting, 130 interrupted."""
    # Imports make a great deal of objects and no garbage: to look for some costs a tenth of a start.
    gc.disable()
    cli(prog_name="airless")
