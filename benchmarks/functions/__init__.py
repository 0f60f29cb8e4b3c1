"""What does a function's start cost, and an invocation, beside a handler that does nothing?

Each is a process of its own under AWS's runtime client, with SQS and S3 emulated on this machine; they take turns.
`start_ms` is from the process's start until it asks for its first event, what AWS calls the initialisation;
`first_fetch_ms` from the start until the first request of a crawl. The first invocation is cold, those that follow are
warm. Each of a crawl fetches one page and commits, each of the operator commits one object; the page is answered at
once, but the emulator takes its time. CPU time is of the whole process.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import Table
from tests.support.emulators import CREDENTIALS, ministack

from .chain import Chain
from .process import Function

NOTHING, OPERATOR, CRAWL = "nothing", "operator", "crawl"
_OURS = "airless.functions.aws_lambda.handler"
_HANDLERS = {NOTHING: "nothing.handler", OPERATOR: _OURS, CRAWL: _OURS}


def measure(*, quick: bool) -> Table:
    """A row a handler: medians over processes, and over their warm invocations."""
    starts, warm = (3, 5) if quick else (15, 20)
    os.environ.update(CREDENTIALS)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in _HANDLERS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        endpoint = stack.enter_context(ministack(folder / "log"))
        engine = f"aws://us-east-1?bucket=functions&prefix=functions&endpoint={endpoint}&create=yes"
        loop = stack.enter_context(asyncio.Runner())
        # One start more than is measured: the first writes the byte code, and sees to the crawl's seed.
        chain = stack.enter_context(Chain(loop, engine))
        for start in range(starts + 1):
            for name in _HANDLERS:
                environ = {"AIRLESS_ENGINE": engine, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
                if name == OPERATOR:
                    environ["OPERATOR_IMPORT"] = "keeping:Keep"
                taken[name].append(_once(_HANDLERS[name], environ, chain if name == CRAWL else None, warm))
                if not start:
                    taken[name].clear()
    nothing_ms = median(run["warm_ms"] for run in taken[NOTHING])
    rows = []
    for name, runs in taken.items():
        row: dict[str, Any] = {"handler": name}
        row |= {key: round(median(run[key] for run in runs), 2) for key in runs[0]}
        rows.append({**row, "warm_over_nothing_ms": round(row["warm_ms"] - nothing_ms, 2)})
    notes = {"starts": starts, "warm_invocations_each": warm}
    return Table(rows, libraries=("awslambdaric", "aiobotocore", "botocore", "aiohttp"), notes=notes)


def _once(handler: str, environ: dict[str, str], chain: Chain | None, warm: int) -> dict[str, float]:
    """One process, from its start to its last invocation."""
    events = _events() if chain is None else chain.events()
    with Function(handler, environ) as function:
        function.await_ready()
        cold_ms = function.invoke(next(events)) * 1e3
        cold_cpu_ms = function.cpu_s() * 1e3
        row = {"start_ms": function.ready_after_s * 1e3}
        if chain is not None:
            row["first_fetch_ms"] = (chain.first_fetch_since(function.started_s) - function.started_s) * 1e3
        warm_ms = [function.invoke(next(events)) * 1e3 for _ in range(warm)]
        warm_cpu_ms = (function.cpu_s() * 1e3 - cold_cpu_ms) / warm
    return row | {
        "cold_ms": cold_ms,
        "cold_cpu_ms": cold_cpu_ms,
        "warm_ms": median(warm_ms),
        "warm_cpu_ms": warm_cpu_ms,
    }


def _events() -> Iterator[dict[str, Any]]:
    """Batches of one message, as an event source mapping sends them."""
    for number in itertools.count():
        yield {
            "Records": [
                {
                    "messageId": f"m{number}",
                    "receiptHandle": f"r{number}",
                    "body": f'{{"n": {number}}}',
                    "attributes": {"ApproximateReceiveCount": "1"},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:functions-keep",
                    "awsRegion": "us-east-1",
                }
            ]
        }
