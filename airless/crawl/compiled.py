"""The compiled half of the hot path, `airless._speed`, where it is installed and not turned off.

It is an optional part of the package, and the rest gives the same answers without it: on a machine without a
compiler, or with ``AIRLESS_PURE=1``.
"""

from __future__ import annotations

import os
from types import ModuleType

speed: ModuleType | None
try:
    from airless import _speed as speed
except ImportError:
    speed = None
if os.environ.get("AIRLESS_PURE"):
    speed = None
