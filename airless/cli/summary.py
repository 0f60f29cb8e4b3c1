"""What is told at the end of a crawl: the accounts, for people and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airless.crawl.ledger import FINISHED, INTERRUPTED, LIMITED
from airless.crawl.orders import CANCELLED, PAUSED
from airless.local.crawl import Result

if TYPE_CHECKING:
    from airless.cost.usage import Usage

_LIMITS = {"max_pages": "the page limit", "max_time": "the time limit", "max_cost": "the cost limit"}


def stats_of(result: Result) -> dict[str, Any]:
    """The accounts as JSON data; the counters are the job's, over all its runs."""
    counts = result.counts.to_dict()
    return {
        "job": result.job,
        "status": result.status,
        "reason": result.reason,
        **counts,
        "waiting": result.waiting,
        "balanced": result.adds_up,
        "seconds": round(result.total_seconds, 3),
        "run_seconds": round(result.seconds, 3),
        "run_fetched": result.counts.fetched - result.before.fetched,
        "pages_per_second": round(_rate(result), 2),
        "output": result.output,
        **_used(result.usage),
    }


def print_summary(result: Result, *, resume: str) -> None:
    counts = result.counts
    skipped = sum(counts.skipped.values())
    if result.already:
        ended = "finished" if result.status == FINISHED else f"at {_LIMITS.get(result.reason, result.reason)}"
        click.echo(
            f"The job {result.job} is {ended} already: {counts.fetched:,} pages. --restart begins anew.",
            err=True,
        )
        return
    lines = [
        f"{result.status.capitalize()} in {result.seconds:.1f} s: {counts.fetched:,} pages "
        f"({_rate(result):,.1f}/s), {counts.items:,} items, {_size(counts.bytes)}",
        f"  discovered {counts.discovered:,} = fetched {counts.fetched:,} + failed {counts.failed:,} "
        f"+ skipped {skipped:,} + waiting {result.waiting:,}",
    ]
    if counts.failures:
        lines.append(f"  failed: {_reasons(counts.failures)}")
    if skipped:
        lines.append(f"  skipped: {_reasons(counts.skipped)}")
    if result.output and result.output != "-":
        lines.append(f"  items: {result.output}")
    elif result.output is None and counts.items:
        lines.append("  The items are kept in the state directory: name a file with -o to have them.")
    if result.usage is not None:
        lines += _cost(result.usage, counts.fetched)
    if not result.adds_up:
        lines.append("  The accounts don't add up: please report this as a bug.")
    if result.status == INTERRUPTED:
        lines.append(f"Go on with:\n  {resume}")
    elif result.status == CANCELLED:
        lines.append("  It was cancelled: what waited is dropped.")
    elif result.status == PAUSED:
        lines.append("  Somebody paused it.")
    elif result.status == LIMITED and result.waiting:
        limit = _LIMITS.get(result.reason, result.reason)
        lines.append(f"  Ended at {limit}; the same command with a higher one goes on.")
    for line in lines:
        click.echo(line, err=True)


def _used(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    from airless.cost.bill import bill

    return {"usage": usage.to_dict(), "cost": bill(usage).to_dict()}


def _cost(usage: Usage, pages: int) -> list[str]:
    """What a crawl used of a cloud, and what that comes to."""
    # Not at the top: most crawls use no cloud.
    from airless.cli.bills import amount, dollars
    from airless.cost.bill import bill

    made = bill(usage)
    a_million = f" ({dollars(made.usd / pages * 1e6)} a million pages)" if pages else ""
    gb_s = sum(usage.gb_s.values())
    lines = [
        f"  cost: {dollars(made.usd)}{a_million}: {usage.invocations:,} invocations, {amount(gb_s)} GB-s, "
        f"{_size(usage.stored_bytes)} stored, {_size(usage.fetched_bytes)} fetched"
    ]
    if usage.requests:
        lines.append(f"  requests: {_reasons(dict(usage.requests))}")
    return lines


def _rate(result: Result) -> float:
    return (result.counts.fetched - result.before.fetched) / result.seconds if result.seconds else 0.0


def _reasons(reasons: dict[str, int]) -> str:
    ranked = sorted(reasons.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{reason} {number:,}" for reason, number in ranked if number)


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"
