"""What is told at the end of a crawl: the accounts, for people and for scripts."""

from __future__ import annotations

from typing import Any

import click

from airless.local.crawl import Result
from airless.local.crawl.ledger import FINISHED, INTERRUPTED

_LIMITS = {"max_pages": "the page limit", "max_time": "the time limit"}


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
    if not result.adds_up:
        lines.append("  The accounts don't add up: please report this as a bug.")
    if result.status == INTERRUPTED:
        lines.append(f"Go on with:\n  {resume}")
    elif result.waiting:
        limit = _LIMITS.get(result.reason, result.reason)
        lines.append(f"  Ended at {limit}; the same command with a higher one goes on.")
    for line in lines:
        click.echo(line, err=True)


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
