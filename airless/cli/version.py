"""``airless version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version

import click


def installed_version() -> str:
    """The version of the installed package; a plain word where the source tree is run uninstalled."""
    try:
        return distribution_version("airless")
    except PackageNotFoundError:
        return "(not installed: running from its source tree)"


@click.command()
def version() -> None:
    """Print the version of airless and of the Python it runs on.

    \b
    Example:
      airless version
    """
    click.echo(f"airless {installed_version()}, Python {platform.python_version()}")
