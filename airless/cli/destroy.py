"""``airless destroy``: what was deployed, away again."""

from __future__ import annotations

import asyncio

import click

from airless.cli.deploy import PREFIX, region_of, show


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def destroy() -> None:
    """Remove what ``airless deploy`` made."""


@destroy.command()
@click.argument("stack")
@click.option("--delete-data", is_flag=True, help="Delete state, items and all else in its bucket too.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], metavar="NAME", help="Where it is.")
@click.option(
    "--prefix", default=PREFIX, show_default=True, metavar="TEXT", help="Where the stack is gone already."
)
@click.option("--bucket", metavar="NAME", help="Where the stack is gone already.")
@click.option("--endpoint", metavar="URL", help="An emulator's, or a gateway's, in place of AWS's own.")
def aws(
    stack: str,
    delete_data: bool,
    yes: bool,
    region: str | None,
    prefix: str,
    bucket: str | None,
    endpoint: str | None,
) -> None:
    """Remove the stack STACK: its function, queues with what waits in them, schedules, alarms, logs and package.

    A bucket that holds data is kept, until the same command comes with --delete-data. Queues on which the
    function of another stack works are kept too.

    \b
    Examples:
      airless destroy aws airless-greet
      airless destroy aws airless-greet --delete-data --yes

    \b
    Exit codes: 0 gone; 1 it could not be removed; 2 a wrong option, or no such stack.
    """
    place = region_of(region)
    if not yes:
        data = " and all its data" if delete_data else ""
        click.confirm(f"Remove the stack {stack} in {place}{data}?", abort=True)
    asyncio.run(_destroy(stack, place, delete_data, prefix, bucket, endpoint))
    click.echo(f"the stack {stack} in {place} is gone")


async def _destroy(
    name: str, region: str, delete_data: bool, prefix: str, bucket: str | None, endpoint: str | None
) -> None:
    from airless.deploy.aws.destroying import destroy as remove
    from airless.deploy.aws.stack import Stack
    from airless.engines.aws.clients import AwsClients
    from airless.engines.aws.options import AwsOptions

    clients = AwsClients(AwsOptions(region, bucket or "", prefix, endpoint))
    try:
        stack = Stack(
            clients,
            name,
            tell=show,
            poll_s=0.2 if endpoint else 2.0,
        )
        await remove(
            clients,
            stack,
            delete_data=delete_data,
            prefix=prefix,
            bucket=bucket,
            say=lambda line: click.echo(line, err=True),
        )
    finally:
        await clients.aclose()
