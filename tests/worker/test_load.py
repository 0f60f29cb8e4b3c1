"""How busy a process is: by what it computes, and by what it would if it were given a processor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from airless.worker import load as module
from airless.worker.load import Load


class Machine:
    """In each look, a second in which the process computes so long, and waits for a processor so long."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, scheduled: Path, seconds: Sequence[tuple[float, float]]
    ) -> None:
        self._left = list(seconds)
        self._scheduled = scheduled
        self._at_s, self._cpu_s, self._waited_s = 100.0, 7.0, 3.0
        clock = SimpleNamespace(monotonic=lambda: self._at_s, process_time=lambda: self._cpu_s)
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "_LOOK_S", 1.0)
        monkeypatch.setattr(module, "_SCHEDULED", scheduled)
        self.load = Load(self)  # type: ignore[arg-type]  # nothing but its sleep is asked for
        self.busy: list[bool] = []
        self._tell()

    async def sleep(self, seconds: float) -> None:
        self.busy.append(self.load.busy)
        if not self._left:
            raise asyncio.CancelledError
        cpu_s, waited_s = self._left.pop(0)
        self._at_s += seconds
        self._cpu_s += cpu_s
        self._waited_s += waited_s
        self._tell()

    def _tell(self) -> None:
        self._scheduled.write_text(f"{self._cpu_s * 1e9:.0f} {self._waited_s * 1e9:.0f} 12\n")

    async def looks(self) -> list[bool]:
        """Whether the process was busy, after each look."""
        with pytest.raises(asyncio.CancelledError):
            await self.load.run()
        return self.busy[1:]


async def test_a_process_is_busy_while_it_uses_up_its_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path / "schedstat", [(0.5, 0.0), (0.95, 0.0), (0.1, 0.0)])
    assert await machine.looks() == [False, True, False]


async def test_who_shares_a_processor_is_busy_when_he_would_use_it_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path / "schedstat", [(0.6, 0.1), (0.6, 0.35), (0.1, 0.1)])
    assert await machine.looks() == [False, True, False]


@pytest.mark.parametrize("told", ["", "nothing of that kind"])
async def test_where_the_system_does_not_tell_what_was_waited_for_the_rest_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str
) -> None:
    machine = Machine(monkeypatch, tmp_path / "schedstat", [(0.6, 0.35), (0.95, 0.0)])
    monkeypatch.setattr(machine, "_tell", lambda: None)
    (tmp_path / "schedstat").write_text(told)
    assert await machine.looks() == [False, True]


async def test_a_system_without_such_a_file_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path / "schedstat", [(0.6, 0.35), (0.95, 0.0)])
    monkeypatch.setattr(module, "_SCHEDULED", tmp_path / "nowhere")
    assert await machine.looks() == [False, True]
