"""The compiled half of the hot path, `airless._speed`, where it is installed and not turned off.

It is an optional part of the package, and the rest gives the same answers without it: on a machine without a
compiler, or with ``AIRLESS_PURE=1``.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from importlib import import_module
from types import ModuleType

_API = 8

speed: ModuleType | None = None
with suppress(ImportError):
    speed = import_module("airless._speed")

if speed is not None:
    if os.environ.get("AIRLESS_PURE"):
        speed = None
    elif getattr(speed, "api", 0) != _API:
        logging.getLogger("airless").warning(
            "airless._speed was built for another version and isn't used: install airless again"
        )
        speed = None
