"""Secrets from the environment, for engines without a store of secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_PREFIX = "AIRLESS_SECRET_"
_OTHER = re.compile(r"[^A-Z0-9]")


class EnvironmentSecrets:
    """`Secrets` in environment variables: ``slack/bot-token`` is ``AIRLESS_SECRET_SLACK_BOT_TOKEN``."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    async def get(self, name: str) -> str | None:
        return self._environment.get(variable(name))


def variable(name: str) -> str:
    """The variable that holds a secret: upper case, and ``_`` for what is neither letter nor digit."""
    return _PREFIX + _OTHER.sub("_", name.upper())
