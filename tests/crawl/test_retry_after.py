"""Retry-After, by the examples of RFC 9110 §10.2.3 and §5.6.7."""

import pytest

from airless.crawl.retry_after import parse_http_date, parse_retry_after

# Fri, 31 Dec 1999 23:59:59 GMT and Sun, 06 Nov 1994 08:49:37 GMT
DECEMBER_1999 = 946_684_799.0
NOVEMBER_1994 = 784_111_777.0


def test_a_date_is_the_time_until_then() -> None:
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", DECEMBER_1999 - 60) == 60.0


def test_a_number_is_seconds() -> None:
    assert parse_retry_after("120", DECEMBER_1999) == 120.0
    assert parse_retry_after(" 0 ", DECEMBER_1999) == 0.0


def test_a_date_that_has_passed_asks_for_nothing() -> None:
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", DECEMBER_1999 + 60) == 0.0


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_of_a_date_are_one_time(value: str) -> None:
    assert parse_http_date(value, NOVEMBER_1994) == NOVEMBER_1994


def test_a_two_digit_year_is_never_more_than_50_years_ahead() -> None:
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", 1_700_000_000.0) == NOVEMBER_1994
    assert parse_http_date("Friday, 01-Jan-30 00:00:00 GMT", 1_700_000_000.0) == 1_893_456_000.0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "120 seconds",
        "\u0661\u0662",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Wed, 30 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
    ],
)
def test_junk_says_nothing(value: str) -> None:
    assert parse_retry_after(value, NOVEMBER_1994) is None


def test_an_absurd_number_stays_finite() -> None:
    assert parse_retry_after("9" * 5_000, 0.0) == 2.0**31
    assert parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", 0.0) == 2.0**31
