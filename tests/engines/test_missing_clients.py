"""An engine whose client library isn't installed says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("scheme", "library"), [("redis", "redis-py"), ("nats", "nats-py")])
def test_without_its_library_it_is_said_what_to_install(scheme: str, library: str) -> None:
    code = (
        f"import asyncio, sys; sys.modules[{scheme!r}] = None\n"
        "from airless.engines import open_engine\n"
        f"try: asyncio.run(open_engine('{scheme}://localhost'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told == f"ConfigError the {scheme} engine needs {library}: pip install 'airless[{scheme}]'\n"
