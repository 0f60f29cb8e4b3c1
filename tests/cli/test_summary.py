"""The summary tells the accounts to people, the stats tell them to scripts."""

from __future__ import annotations

from typing import Any

import pytest

from airless.cli.crawl import exit_code
from airless.cli.summary import print_summary, stats_of
from airless.cost.budget import MAX_COST
from airless.cost.usage import Usage
from airless.crawl.counts import Counts
from airless.local.crawl import Result


def result(**changes: Any) -> Result:
    counts = Counts()
    counts.discovered, counts.fetched, counts.items, counts.bytes = 2_020, 2_000, 1_999, 12_345_678
    counts.seeds = counts.seeds_fetched = 1
    for reason, number in (("http_404", 3), ("timeout", 2)):
        for _ in range(number):
            counts.fail(reason)
    counts.skip("robots", 4)
    counts.skip("offsite", 11)
    before = Counts()
    before.fetched = 1_000
    fields: dict[str, Any] = {
        "job": "weekly",
        "status": "finished",
        "reason": "finished",
        "counts": counts,
        "waiting": 0,
        "seconds": 10.0,
        "total_seconds": 25.04,
        "output": "pages.jsonl",
        "before": before,
    }
    return Result(**{**fields, **changes})


def told(capsys: pytest.CaptureFixture[str], made: Result) -> str:
    print_summary(made, resume="airless crawl https://example.com/")
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_the_summary_of_a_finished_crawl(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, result()).splitlines() == [
        "Finished in 10.0 s: 2,000 pages (100.0/s), 1,999 items, 12.3 MB",
        "  discovered 2,020 = fetched 2,000 + failed 5 + skipped 15 + waiting 0",
        "  failed: http_404 3, timeout 2",
        "  skipped: offsite 11, robots 4",
        "  items: pages.jsonl",
    ]


def test_the_summary_of_an_interrupted_crawl_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, result(status="interrupted", reason="interrupted", waiting=7))
    assert text.startswith("Interrupted in 10.0 s")
    assert text.endswith("Go on with:\n  airless crawl https://example.com/\n")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("paused", "Somebody paused it."),
        ("cancelled", "It was cancelled: what waited is dropped."),
        ("running", ""),
    ],
)
def test_the_summary_of_a_crawl_that_somebody_stopped_says_so(
    capsys: pytest.CaptureFixture[str], status: str, text: str
) -> None:
    said = told(capsys, result(status=status, reason=status, waiting=7))
    assert text in said
    assert "higher one" not in said


@pytest.mark.parametrize(
    ("reason", "limit"), [("max_pages", "the page limit"), ("max_time", "the time limit")]
)
def test_the_summary_of_a_limited_crawl_names_the_limit(
    capsys: pytest.CaptureFixture[str], reason: str, limit: str
) -> None:
    text = told(capsys, result(status="limited", reason=reason, waiting=7))
    assert f"Ended at {limit}; the same command with a higher one goes on." in text
    text = told(capsys, result(status="limited", reason=reason, waiting=7, already=True))
    assert text == f"The job weekly is at {limit} already: 2,000 pages. --restart begins anew.\n"


def test_the_summary_of_a_finished_job_run_again_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, result(already=True, seconds=0.0))
    assert text == "The job weekly is finished already: 2,000 pages. --restart begins anew.\n"


def test_items_without_an_output_are_said_to_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert "kept in the state directory: name a file with -o" in told(capsys, result(output=None))
    assert "items:" not in told(capsys, result(output="-"))


def test_accounts_that_do_not_add_up_are_not_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert "don't add up" in told(capsys, result(adds_up=False))
    assert stats_of(result(adds_up=False))["balanced"] is False


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (2_500_000_000, "2.5 GB"),
        (10**15, "1,000.0 TB"),
    ],
)
def test_sizes_are_rounded_to_what_people_read(
    capsys: pytest.CaptureFixture[str], size: int, text: str
) -> None:
    made = result()
    made.counts.bytes = size
    assert told(capsys, made).splitlines()[0].endswith(f", {text}")


def test_the_stats_are_the_jobs_over_all_its_runs_and_say_what_this_one_did() -> None:
    stats = stats_of(result(waiting=3))
    assert (stats["fetched"], stats["run_fetched"]) == (2_000, 1_000)
    assert (stats["seconds"], stats["run_seconds"], stats["pages_per_second"]) == (25.04, 10.0, 100.0)
    assert stats["waiting"] == 3
    assert stats["skipped"] == {"offsite": 11, "robots": 4}
    assert stats["failures"] == {"http_404": 3, "timeout": 2}


def test_the_stats_of_a_run_that_took_no_time_have_no_rate() -> None:
    assert stats_of(result(seconds=0.0))["pages_per_second"] == 0.0


@pytest.mark.parametrize(
    ("status", "seeds", "had", "waiting", "code"),
    [
        ("finished", 1, 1, 0, 0),
        ("finished", 3, 1, 0, 0),
        ("finished", 3, 0, 0, 1),
        ("finished", 0, 0, 0, 0),
        ("limited", 3, 0, 0, 1),
        ("limited", 3, 0, 5, 0),
        ("interrupted", 3, 0, 5, 130),
        ("interrupted", 3, 3, 0, 130),
    ],
)
def test_the_exit_code_says_how_it_ended(status: str, seeds: int, had: int, waiting: int, code: int) -> None:
    made = result(status=status, waiting=waiting)
    made.counts.seeds, made.counts.seeds_fetched = seeds, had
    assert exit_code(made) == code


def test_a_crawl_in_a_cloud_tells_what_it_used_and_what_that_cost(capsys: pytest.CaptureFixture[str]) -> None:
    usage = Usage(stored_bytes=600_000, fetched_bytes=12_345_678)
    usage.ask("s3.PutObject", times=40)
    usage.ask("sqs-fifo.SendMessageBatch", units=2, times=15)
    for _ in range(5):
        usage.invoke(8.0, 512, "arm64")
    text = told(capsys, result(usage=usage))
    assert (
        "  cost: $0.000496 ($0.248 a million pages): 5 invocations, 20 GB-s, 600.0 kB stored, 12.3 MB fetched\n"
        "  requests: s3.PutObject 40, sqs-fifo.SendMessageBatch 15\n"
    ) in text
    stats = stats_of(result(usage=usage))
    assert Usage.from_dict(stats["usage"]) == usage
    assert stats["cost"]["usd"] == pytest.approx(40 * 5e-6 + 30 * 5e-7 + 20 * 1.33334e-5 + 5 * 2e-7 + 1.38e-5)


def test_a_crawl_of_this_machine_says_nothing_of_money(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cost" not in told(capsys, result())
    assert not {"usage", "cost"} & stats_of(result()).keys()


def test_a_crawl_whose_money_is_spent_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, result(status="limited", reason=MAX_COST, waiting=7))
    assert "Ended at the cost limit; the same command with a higher one goes on." in text
