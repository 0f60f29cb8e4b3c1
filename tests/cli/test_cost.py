"""``airless cost`` tells what a crawl will cost, and what one has cost."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from airless.cli import cli
from airless.cli.bills import amount, dollars
from airless.cost.bill import bill
from airless.cost.estimate import estimate
from airless.cost.expected import Expected
from airless.cost.usage import Usage


def cost(*words: str) -> Result:
    return CliRunner().invoke(cli, ["cost", *words])


def used() -> Usage:
    usage = Usage(stored_bytes=2_000_000_000)
    usage.ask("s3.PutObject", times=10_000)
    usage.ask("sqs-fifo.ReceiveMessage", units=2, times=5_000)
    for _ in range(4):
        usage.invoke(250.0, 1024, "x86_64")
    return usage


def test_an_estimate_is_a_table_of_its_lines_and_their_sum() -> None:
    done = cost("--pages", "1e6", "--hosts", "1")
    made = bill(estimate(Expected(pages=1_000_000, hosts=1)).usage)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1,000,000 pages of 1 hosts")
    assert lines[1].split() == ["what", "amount", "unit", "US", "dollars", "share"]
    assert [line.split()[0] for line in lines[2:4]] == ["lambda", "s3.PutObject"]
    assert lines[-4].split() == ["all", dollars(made.usd)]
    assert f"{dollars(made.usd)} a million pages" in lines
    assert "Prices of 2026-11, us-east-1" in done.stdout


def test_every_option_changes_what_is_assumed() -> None:
    words = "--pages 2e5 --hosts 40 --page-size 30000 --latency 0.3 --links 70 --memory 256 --arch x86_64"
    words += " --per-host 16 --delay 0.1 --assume batch-messages=10 --assume shards=16 --json"
    done = cost(*words.split())
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    expected = {
        "pages": 200_000,
        "hosts": 40,
        "page_bytes": 30_000,
        "latency_s": 0.3,
        "links": 70,
        "memory_mb": 256,
        "arch": "x86_64",
        "per_host": 16,
        "delay_s": 0.1,
        "batch_messages": 10.0,
        "shards": 16,
    }
    assert data["assumed"] == {**data["assumed"], **expected}
    made = estimate(Expected.of(**expected))
    assert data["usage"] == made.usage.to_dict()
    assert data["cost"]["usd"] == pytest.approx(bill(made.usage).usd)
    assert data["cost"]["usd_a_million_pages"] == pytest.approx(5 * bill(made.usage).usd)
    assert data["prices"]["gathered"] == "2026-11"


@pytest.mark.parametrize("recorded", [used().to_dict(), {"fetched": 500_000, "usage": used().to_dict()}])
def test_what_a_crawl_used_is_priced(tmp_path: Path, recorded: dict[str, Any]) -> None:
    stats = tmp_path / "stats.json"
    stats.write_text(json.dumps(recorded))
    done = cost(str(stats))
    assert done.exit_code == 0
    # 0.05 of PUTs, 0.046 of storage, 1,000 GB-s, 10,000 units of FIFO receives.
    assert "$0.0500" in done.stdout
    assert "$0.0167" in done.stdout
    assert ("$0.235 a million pages" in done.stdout) == ("fetched" in recorded)
    as_json = json.loads(cost(str(stats), "--json").stdout)
    assert as_json["cost"]["usd"] == pytest.approx(0.05 + 0.046 + 0.0166667 + 0.005 + 0.0000008, rel=1e-6)
    assert as_json["usage"] == used().to_dict()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("[]", "has no record of usage"),
        ("{}", "no record of usage"),
        ('{"status": "finished", "fetched": 3}', "used no cloud"),
    ],
)
def test_a_file_without_usage_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "stats.json").write_text(text)
    done = cost(str(tmp_path / "stats.json"))
    assert (done.exit_code, says in done.stderr) == (2, True)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = cost(str(tmp_path / "none.json"))
    assert done.exit_code == 2
    assert "none.json can't be read: No such file" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--pages", "many"], "pages can't be 'many'"),
        (["--memory", "64"], "128 to 10,240 MB"),
        (["--assume", "shoes=2"], "knows no 'shoes'"),
        (["--assume", "shards"], "write it as NAME=VALUE"),
        (["stats.json", "--pages", "3"], "nothing can be assumed beside it"),
    ],
)
def test_what_cannot_be_assumed_is_named(words: list[str], says: str) -> None:
    done = cost(*words)
    assert (done.exit_code, says in done.stderr) == (2, True)


def test_on_a_terminal_the_table_is_drawn() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "airless", "cost", "--pages", "1e6"]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "COLUMNS": "100"}) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(ours)
    assert "━" in said.decode() or "─" in said.decode()
    assert "s3.PutObject" in said.decode()


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.6834, "$0.683"),
        (0.0595, "$0.0595"),
        (0.0051, "$0.00510"),
        (0.00000251, "$0.00000251"),
    ],
)
def test_money_has_three_figures_or_cents(usd: float, text: str) -> None:
    assert dollars(usd) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (12, "12"), (12.34, "12.3"), (0.00482, "0.00482"), (98765.4, "98,765")]
)
def test_amounts_are_rounded_to_what_people_read(number: float, text: str) -> None:
    assert amount(number) == text
