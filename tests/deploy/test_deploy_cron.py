"""Schedules: what cron's five fields become on EventBridge Scheduler."""

from __future__ import annotations

import pytest

from airless.core.errors import ConfigError
from airless.deploy.cron import schedule_expression


@pytest.mark.parametrize(
    ("cron", "aws"),
    [
        ("0 6 * * *", "cron(0 6 * * ? *)"),
        ("0 6 * * 1-5", "cron(0 6 ? * MON-FRI *)"),
        ("0 6 * * MON-FRI", "cron(0 6 ? * MON-FRI *)"),
        ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
        ("5 0 1 * *", "cron(5 0 1 * ? *)"),
        ("30 4 1,15 jan *", "cron(30 4 1,15 1 ? *)"),
        ("0 0 * * 0", "cron(0 0 ? * SUN *)"),
        ("0 0 * * 7", "cron(0 0 ? * SUN *)"),
        ("0 0 * * 5-7", "cron(0 0 ? * SUN,FRI-SAT *)"),
        ("0 0 * * 0-6", "cron(0 0 * * ? *)"),
        ("10-20/5 8-18 * * *", "cron(10,15,20 8-18 * * ? *)"),
        ("0 */1 * * *", "cron(0 * * * ? *)"),
        ("rate(5 minutes)", "rate(5 minutes)"),
        (" cron(0 6 * * ? *) ", "cron(0 6 * * ? *)"),
        ("at(2026-12-24T18:00:00)", "at(2026-12-24T18:00:00)"),
    ],
)
def test_a_schedule_becomes_aws_own(cron: str, aws: str) -> None:
    assert schedule_expression(cron) == aws


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "* * * *",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "a * * * *",
        "5-1 * * * *",
        "*/0 * * * *",
    ],
)
def test_what_is_no_schedule_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match="write it as cron does"):
        schedule_expression(text)


def test_days_of_the_month_and_of_the_week_are_two_schedules() -> None:
    with pytest.raises(ConfigError, match="make two schedules"):
        schedule_expression("0 0 13 * FRI")
