"""Outputs: where a crawl's items go, chosen by the name's suffix, each item exactly once.

A crawl commits its items as *segments* (JSON lines) into the engine. A deliverer gives them in order to a
sink, makes the sink durable (`flush`), records what `flush` returned in the engine's commit, and only then
lets go of the segments. After a crash in between, the next run calls `restore` with what was recorded last:
it takes back what was written after that, and the segments come again.
"""

from __future__ import annotations

from airless.local.outputs.choose import open_sink
from airless.local.outputs.port import Sink, WholeSink

__all__ = ["Sink", "WholeSink", "open_sink"]
