"""Secrets in the environment."""

from __future__ import annotations

import pytest

from airless.core.secrets import EnvironmentSecrets


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
