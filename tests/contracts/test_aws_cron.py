"""Cron's five fields as EventBridge Scheduler's six."""

from __future__ import annotations

import random

import pytest

from airless.core.errors import ConfigError
from airless.engines.aws.cron import schedule_expression

DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@pytest.mark.parametrize(
    ("cron", "aws"),
    [
        ("* * * * *", "cron(* * * * ? *)"),
        ("0 6 * * *", "cron(0 6 * * ? *)"),
        ("0 6 * * 1-5", "cron(0 6 ? * MON-FRI *)"),
        ("0 6 * * mon-fri", "cron(0 6 ? * MON-FRI *)"),
        ("0 6 * * 0", "cron(0 6 ? * SUN *)"),
        ("0 6 * * 7", "cron(0 6 ? * SUN *)"),
        ("0 6 * * 5-7", "cron(0 6 ? * SUN,FRI-SAT *)"),
        ("0 6 * * 0-7", "cron(0 6 * * ? *)"),
        ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
        ("5/20 8-18/2 * * *", "cron(5,25,45 8,10,12,14,16,18 * * ? *)"),
        ("0 0 1,15 * *", "cron(0 0 1,15 * ? *)"),
        ("0 0 1-31 * 3", "cron(0 0 ? * WED *)"),
        ("30 4 1 jan,7 *", "cron(30 4 1 1,7 ? *)"),
        ("0 0 31 1-12 *", "cron(0 0 31 * ? *)"),
        (" 0  6 * * * ", "cron(0 6 * * ? *)"),
        ("@hourly", "cron(0 * * * ? *)"),
        ("@Daily", "cron(0 0 * * ? *)"),
        ("@weekly", "cron(0 0 ? * SUN *)"),
        ("@monthly", "cron(0 0 1 * ? *)"),
        ("@yearly", "cron(0 0 1 1 ? *)"),
        ("rate(5 minutes)", "rate(5 minutes)"),
        ("cron(0 6 ? * MON#2 *)", "cron(0 6 ? * MON#2 *)"),
        ("at(2027-01-01T00:00:00)", "at(2027-01-01T00:00:00)"),
    ],
)
def test_each_form_becomes_what_aws_takes(cron: str, aws: str) -> None:
    assert schedule_expression(cron) == aws


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no schedule: write it as cron does"),
        ("0 6 * *", "is no schedule"),
        ("0 6 * * * *", "is no schedule"),
        ("60 * * * *", "'60' is not from 0 to 59"),
        ("* 24 * * *", "'24' is not from 0 to 23"),
        ("* * 0 * *", "'0' is not from 1 to 31"),
        ("* * * 13 *", "'13' is not from 1 to 12"),
        ("* * * * 8", "'8' is not from 0 to 7"),
        ("* * * * FUN", "'FUN' is not from 0 to 7"),
        ("MON * * * *", "'MON' is not from 0 to 59"),
        ("5-1 * * * *", "'5-1' names nothing"),
        ("*/0 * * * *", "'*/0' names nothing"),
        ("-1 * * * *", "can't be read"),
        ("1,,2 * * * *", "can't be read"),
        ("* * L * *", "'L' is not from 1 to 31"),
        ("² * * * *", "is no schedule"),
        ("0 0 1 * 1", "make two schedules of it"),
        ("@reboot", "is no schedule"),
        ("rate()", "is no schedule"),
        ("cron(0 6 * * ? *) x", "is no schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_forms(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        schedule_expression(text)
    assert says in str(caught.value)


def expanded(field: str, low: int, high: int) -> set[int]:
    """A field of numbers as AWS reads it: lists and ranges."""
    if field in ("*", "?"):
        return set(range(low, high + 1))
    values: set[int] = set()
    for part in field.split(","):
        first, _, last = part.partition("-")
        values.update(range(int(first), int(last or first) + 1))
    return values


def test_the_times_are_the_same_as_cron_s() -> None:
    """Fields made at random, and what they mean written down while they are made."""
    rng = random.Random(4)

    def made(low: int, high: int) -> tuple[str, set[int]]:
        text, meant = [], set()
        for _ in range(rng.randint(1, 3)):
            first = rng.randint(low, high)
            last, step = rng.randint(first, high), rng.randint(1, 9)
            form, values = rng.choice(
                [
                    (f"{first}", {first}),
                    (f"{first}-{last}", set(range(first, last + 1))),
                    (f"{first}-{last}/{step}", set(range(first, last + 1, step))),
                    (f"{first}/{step}", set(range(first, high + 1, step))),
                    (f"*/{step}", set(range(low, high + 1, step))),
                    ("*", set(range(low, high + 1))),
                ]
            )
            text.append(form)
            meant |= values
        return ",".join(text), meant

    limits = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
    for turn in range(3000):
        fields, meant = map(list, zip(*(made(*limit) for limit in limits), strict=True))
        spared = 2 if turn % 2 else 4  # one kind of day must be free
        fields[spared], meant[spared] = "*", set(range(limits[spared][0], limits[spared][1] + 1))
        aws = schedule_expression(" ".join(fields)).removeprefix("cron(").removesuffix(")").split(" ")
        for number, name in enumerate(DAYS):
            aws[4] = aws[4].replace(name, str(number))
        assert [expanded(field, *limit) for field, limit in zip(aws, limits, strict=False)] == meant
        assert (aws[2] == "?") + (aws[4] == "?") == 1
        assert aws[5] == "*"
