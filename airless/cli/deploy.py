"""``airless deploy``: an operator or a spider into a cloud, as a function."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airless.core.config import Config
from airless.core.errors import ConfigError

if TYPE_CHECKING:
    from airless.deploy.aws.deployment import Deployment
    from airless.deploy.aws.stack import Change, StackEvent
    from airless.deploy.package import Package

PREFIX = "airless"
_ADDS = {"Add": "+", "Remove": "-", "Modify": "~", "Import": "+"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def deploy() -> None:
    """Put an operator or a spider into a cloud, as a function with its queues, bucket and permissions."""


@deploy.command()
@click.argument("target", metavar="TARGET")
@click.option("--apply", "applied", is_flag=True, help="Create the stack or update it, and wait.")
@click.option("--plan", "planned", is_flag=True, help="Show what --apply would change.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write template.json and package.zip.",
)
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], metavar="NAME", help="Where to.")
@click.option("--name", metavar="NAME", help="The function is PREFIX-NAME.  [default: after the class]")
@click.option(
    "--prefix",
    default=PREFIX,
    show_default=True,
    metavar="TEXT",
    help="Before the names of queues and keys; deployments that exchange messages have the same.",
)
@click.option("--bucket", metavar="NAME", help="For state and objects.  [default: PREFIX-ACCOUNT-REGION]")
@click.option("--topic", metavar="TOPIC", help="The operator's topic.  [default: after the class]")
@click.option(
    "--publish-to",
    "publishes",
    multiple=True,
    metavar="TOPIC",
    help="A topic that it publishes on, beside those that the class declares. May be repeated.",
)
@click.option(
    "--schedule",
    "schedules",
    multiple=True,
    metavar="WHEN",
    help="'0 6 * * *' (UTC), with the message's JSON behind it if it has any. May be repeated.",
)
@click.option(
    "--memory", type=click.IntRange(128, 10_240), metavar="MB", help="[default: 512; a spider 1024]"
)
@click.option(
    "--timeout",
    type=click.IntRange(10, 900),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Of one invocation.",
)
@click.option(
    "--concurrency", type=click.IntRange(2, 1000), metavar="N", help="Batches of one queue at once, at most."
)
@click.option("--reserved", type=click.IntRange(0), metavar="N", help="Reserve concurrency for the function.")
@click.option("--env", "environment", multiple=True, metavar="K=V", help="For the function. May be repeated.")
@click.option(
    "--arch", type=click.Choice(["arm64", "x86_64"]), help="The processor.  [default: this machine's]"
)
@click.option(
    "--python",
    type=click.Choice(["3.11", "3.12", "3.13", "3.14"]),
    help="The function's Python.  [default: this one's]",
)
@click.option(
    "--requirements",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What the code needs beside airless, as pip takes it.",
)
@click.option(
    "--include",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A file or folder to take along that is no part of a Python package. May be repeated.",
)
@click.option("--local-platform", is_flag=True, help="Take the packages that are installed on this machine.")
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="airless's own wheel for the function's platform.  [default: airless as it is here]",
)
@click.option("--notify", metavar="ARN", help="The SNS topic that alarms tell.")
@click.option("--public-url", is_flag=True, help="Let everybody call an operator of requests.")
@click.option("--endpoint", metavar="URL", help="An emulator's, or a gateway's, in place of AWS's own.")
def aws(target: str, **options: Any) -> None:
    """Deploy TARGET, an operator or a spider: module:Class, or path/to/file.py[:Class].

    What it may do follows from what its class declares: the topics it publishes on, its buckets and secrets.
    Say at least one of --out, --plan and --apply.

    \b
    Examples:
      airless deploy aws greet.py --out build
      airless deploy aws greet.py --region eu-west-1 --plan
      airless deploy aws shop.operators:Import --topic imports --schedule '0 6 * * *' --apply
      airless deploy aws spiders/news.py --schedule '0 6 * * *' --apply
      airless deploy aws spiders/books.py --arch arm64 --requirements requirements.txt --apply

    \b
    Exit codes: 0 done; 1 a package or a stack that failed; 2 a wrong option or declaration.
    """
    if not (options["out"] or options["planned"] or options["applied"]):
        raise click.UsageError("what is to be done? --out DIR, --plan or --apply")
    from airless.deploy.aws.deploying import package_key
    from airless.deploy.aws.template import template, text_of

    deployment, package = prepare(target, options)
    click.echo(
        f"package: {package.files:,} files, {len(package.data) / 1e6:,.1f} MB "
        f"({package.unzipped_bytes / 1e6:,.1f} MB unzipped), sha256 {package.digest[:16]}"
    )
    if not package.compiled:
        click.echo("airless goes without its compiled half, more slowly: give its --wheel for the platform")
    out: Path | None = options["out"]
    if out is not None:
        from dataclasses import replace

        keyed = replace(deployment, package_key=package_key(deployment, package))
        _write(out, {"template.json": text_of(template(keyed)).encode(), "package.zip": package.data})
    if options["planned"] or options["applied"]:
        region = region_of(options["region"])
        asyncio.run(_on_aws(deployment, package, region, options["planned"], options["applied"]))


def prepare(target: str, options: dict[str, Any]) -> tuple[Deployment, Package]:
    """The deployment that a command line means, and its package. Raises ConfigError and DeployFailed."""
    from airless.deploy.aws.deployment import Deployment
    from airless.deploy.declared import declared, load
    from airless.deploy.dependencies import Platform, here, read_requirements
    from airless.deploy.package import build
    from airless.deploy.sources import sources
    from airless.engines.aws.options import AwsOptions

    environment = dict(_variable(text) for text in options["environment"])
    cls = load(target)
    own = declared(
        cls,
        Config.from_env(environment),
        topic=options["topic"],
        publishes=options["publishes"],
        schedules=options["schedules"],
    )
    machine = here()
    local = options["local_platform"] or options["endpoint"] is not None
    platform = Platform(options["arch"] or machine.arch, options["python"] or machine.python, local)
    if local and (platform.arch, platform.python) != (machine.arch, machine.python):
        raise ConfigError(
            f"this machine's packages are for {machine.arch} and Python {machine.python}: leave out --arch and "
            "--python, or take packages from the index, without --local-platform and --endpoint"
        )
    found = sources(cls, options["include"])
    # The prefix is checked where the engine's URL is.
    AwsOptions.parse(f"aws://region?bucket=bucket&prefix={options['prefix']}")
    deployment = Deployment(
        own,
        found.target,
        prefix=options["prefix"],
        name=options["name"] or "",
        bucket=options["bucket"],
        endpoint=options["endpoint"],
        arch=platform.arch,
        python=platform.python,
        memory_mb=options["memory"] or (1024 if own.kind == "crawl" else 512),
        timeout_s=options["timeout"],
        concurrency=options["concurrency"],
        reserved=options["reserved"],
        environment=environment,
        notify=options["notify"],
        public_url=options["public_url"],
    )
    requirements = read_requirements(options["requirements"]) if options["requirements"] else []
    return deployment, build(found, platform, requirements=requirements, wheel=options["wheel"])


def region_of(given: str | None) -> str:
    """The region that was named, or that the AWS configuration has. Raises ConfigError."""
    if given:
        return given
    try:
        from aiobotocore.session import get_session
    except ImportError as error:
        raise ConfigError("deploying on AWS needs aiobotocore: pip install 'airless[aws]'") from error
    region = get_session().get_config_variable("region")
    if not region:
        raise ConfigError("which region? give --region, or set AWS_REGION")
    return str(region)


def show(event: StackEvent) -> None:
    """A stack's event as one line; that a resource is begun with isn't told."""
    if event.status.endswith("_IN_PROGRESS") and event.kind != "AWS::CloudFormation::Stack":
        return
    reason = f"  {event.reason}" if event.reason else ""
    click.echo(f"{event.at}  {event.status:<24}  {event.kind}  {event.resource}{reason}", err=True)


def change_line(change: Change) -> str:
    """A planned change as one line."""
    replaced = {"True": "  (is replaced)", "Conditional": "  (may be replaced)"}.get(change.replaced, "")
    return f"  {_ADDS.get(change.action, '~')} {change.kind}  {change.resource}{replaced}"


async def _on_aws(
    deployment: Deployment, package: Package, region: str, planned: bool, applied: bool
) -> None:
    from airless.deploy.aws.deploying import Deployer
    from airless.deploy.aws.stack import Stack
    from airless.engines.aws.clients import AwsClients
    from airless.engines.aws.options import AwsOptions

    clients = AwsClients(AwsOptions(region, deployment.bucket or "", deployment.prefix, deployment.endpoint))
    try:
        stack = Stack(
            clients,
            deployment.stack,
            tell=show,
            poll_s=0.2 if deployment.endpoint else 2.0,
        )
        deployer = Deployer(clients, stack, deployment, package, lambda line: click.echo(line, err=True))
        if planned:
            plan = await deployer.plan()
            head = (
                "would be created" if plan.new else "would change" if plan.changes else "would stay as it is"
            )
            click.echo(f"the stack {deployment.stack} in {region} {head}")
            for change in plan.changes:
                click.echo(change_line(change))
        if applied:
            changed = await deployer.apply()
            click.echo(
                f"the stack {deployment.stack} in {region} {'is deployed' if changed else 'is as it should be'}"
            )
            for name, value in sorted((await stack.outputs()).items()):
                click.echo(f"  {name}: {value}")
    finally:
        await clients.aclose()


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"--env {text!r}: write it as NAME=value")
    return name, value


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise ConfigError(f"--out {folder} can't be written: {error.strerror}") from error
    click.echo(f"wrote {' and '.join(str(folder / name) for name in files)}")
