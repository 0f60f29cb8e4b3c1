"""``airless version``."""

from __future__ import annotations

import platform

import click

from airless import __version__


@click.command()
def version() -> None:
    """Print the version of airless and of the Python it runs on.

    \b
    Example:
      airless version
    """
    click.echo(f"airless {__version__}, Python {platform.python_version()}")
