"""On what terms a function on AWS crawls: by the price table and the memory that it was given."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from airless.cost.prices import AWS
from airless.cost.waiting import wait_at_most_s
from airless.functions.crawl import Terms

_MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
_LEAST_MEMORY_MB = 128


def terms_of(environ: Mapping[str, str]) -> Terms:
    """The terms in Lambda's environment ("Defined runtime environment variables")."""
    memory_mb = int(environ.get(_MEMORY) or _LEAST_MEMORY_MB)
    arch = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    wait_s = wait_at_most_s(AWS, memory_mb=memory_mb, arch=arch)
    return Terms(wait_at_most_s=wait_s, memory_mb=memory_mb, arch=arch)
