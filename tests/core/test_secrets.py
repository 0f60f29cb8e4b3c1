"""Secrets in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from airless.core.secrets import EnvironmentSecrets
from airless.engines import open_engine


async def test_a_secret_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = EnvironmentSecrets()
    assert await secrets.get("slack/bot-token") is None
    monkeypatch.setenv("AIRLESS_SECRET_SLACK_BOT_TOKEN", "xoxb ü")
    assert await secrets.get("slack/bot-token") == "xoxb ü"
    assert await secrets.get("slack_bot.token") == "xoxb ü"


async def test_no_other_variable_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert await EnvironmentSecrets().get("HOME") is None
    assert await EnvironmentSecrets({"AIRLESS_SECRET_": "empty"}).get("") == "empty"


@pytest.mark.parametrize("scheme", ["memory://", "sqlite:///{}/airless.db"])
async def test_local_engines_have_these(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRLESS_SECRET_A", "1")
    async with await open_engine(scheme.format(tmp_path)) as engine:
        assert await engine.secrets.get("a") == "1"
