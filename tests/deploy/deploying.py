"""What the tests of deploying share: classes in files, and deployments of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from airless.core.config import Config
from airless.deploy.aws.deployment import Deployment
from airless.deploy.aws.template import template
from airless.deploy.declared import declared, load
from airless.deploy.sources import sources


def written(folder: Path, name: str, text: str) -> Path:
    """A file of Python, whose name is no other test's: modules are imported once."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
    return file


def deployment_of(
    file: Path | str, *, environment: dict[str, str] | None = None, **options: Any
) -> Deployment:
    cls = load(str(file))
    words = {name: options.pop(name) for name in ("topic", "publishes", "schedules") if name in options}
    own = declared(cls, Config.from_env(environment or {}), **words)
    return Deployment(own, sources(cls).target, environment=environment or {}, **options)


def resources_of(deployment: Deployment, kind: str) -> list[dict[str, Any]]:
    """The properties of a template's resources of one type."""
    found = template(deployment)["Resources"].values()
    return [entry["Properties"] for entry in found if entry["Type"] == kind]
