"""Each item stands in the output exactly once, whatever happened to the process, the disk or the file."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pyarrow.parquet as pq
import pytest

from airless.core.errors import ConfigError, OutputError
from airless.crawl.items import encode
from airless.local import outputs
from airless.local.outputs import Sink, WholeSink, open_sink
from airless.local.outputs.stdout import StdoutSink

ENV = {**os.environ, "PYTHONPATH": str(Path(outputs.__file__).parents[3])}


def segment(*items: dict[str, Any]) -> bytes:
    return b"".join(map(encode, items))


def opened(path: Path) -> Sink:
    sink = open_sink(str(path))
    assert not sink.keeps_segments
    return sink


def whole(path: Path) -> WholeSink:
    sink = open_sink(str(path))
    assert sink.keeps_segments
    return sink


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


# Which output a name means


@pytest.mark.parametrize("name", ["out.xml", "out", "out.jsonl.gz", ""])
def test_an_unknown_format_names_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\.jsonl.*\.csv.*\.parquet.*standard output"):
        open_sink(name)


def test_json_is_answered_with_jsonl() -> None:
    with pytest.raises(ConfigError, match=r"write a/out\.jsonl"):
        open_sink("a/out.json")


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".csv", ".parquet", ".JSONL"])
def test_missing_directories_are_made(tmp_path: Path, suffix: str) -> None:
    open_sink(str(tmp_path / "a" / "b" / f"out{suffix}")).abort()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_place_that_cant_be_a_file_is_told_at_once(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"dir{suffix}").mkdir()
    with pytest.raises(ConfigError, match="it is a directory"):
        open_sink(str(tmp_path / f"dir{suffix}"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        open_sink(str(tmp_path / "file" / f"out{suffix}"))
    with pytest.raises(ConfigError, match="is not a directory"):
        open_sink(str(tmp_path / "file" / "deeper" / f"out{suffix}"))
    os.mkfifo(tmp_path / f"fifo{suffix}")
    with pytest.raises(ConfigError, match="no ordinary file"):
        open_sink(str(tmp_path / f"fifo{suffix}"))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_place_that_refuses_is_told_at_once_with_the_reason(suffix: str) -> None:
    with pytest.raises(OutputError, match=r"/proc/out.*: .*; the items are kept.*run the same command again"):
        open_sink(f"/proc/out{suffix}")


def test_opening_changes_nothing(tmp_path: Path) -> None:
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = tmp_path / f"out{suffix}"
        path.write_bytes(b"precious")
        open_sink(str(path)).close()
        assert path.read_bytes() == b"precious"


def test_parquet_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('not installed')")
    code = (
        "from airless.core.errors import ConfigError\nfrom airless.local.outputs import open_sink\n"
        "try:\n    open_sink('out.parquet')\nexcept ConfigError as error:\n    print(error)"
    )
    env = {**ENV, "PYTHONPATH": f"{tmp_path}:{ENV['PYTHONPATH']}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "pip install airless[parquet]" in done.stdout


# Files that grow


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_no_crash_loses_or_doubles_an_item(tmp_path: Path, suffix: str) -> None:
    program = Path(__file__).with_name("killed_delivery.py")
    done = subprocess.run(
        [sys.executable, str(program), suffix, str(tmp_path)],
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_lines_are_appended_and_cut_back_to_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("from an earlier crawl\n")
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"a": 1}, {"a": "é"}))
    state = json.loads(json.dumps(sink.flush()))
    assert state["length"] == path.stat().st_size
    sink.write(segment({"a": 3}))
    sink.close()
    sink.close()
    again = opened(path)
    again.restore(state)
    again.write(segment({"a": 4}))
    again.flush()
    again.close()
    assert path.read_text() == '{"a":1}\n{"a":"é"}\n{"a":4}\n'


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_output_that_is_gone_is_not_begun_anew_silently(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"a": 1}))
    state = sink.flush()
    sink.close()
    path.unlink()
    again = opened(path)
    with pytest.raises(OutputError, match=r"it is gone.*--restart"):
        again.restore(state)
    assert not path.exists()
    again.restore(None)
    again.write(segment({"a": 1}))
    assert again.flush() == state
    again.close()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 bytes"),
        (b"a\r\n1\r\n", "had been written"),
        (b"x" * 100, "had been written"),
        (b"a,b\r\n" + b"x" * 100, "had been written"),
        (b'"' * 101, "had been written"),
        (b"\xff\r\n" * 60, "had been written"),
    ],
)
def test_an_output_that_was_changed_is_left_alone(
    tmp_path: Path, suffix: str, content: bytes, reason: str
) -> None:
    path = tmp_path / f"out{suffix}"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"a": "one"}, {"a": "two"}))
    state = sink.flush()
    sink.close()
    path.write_bytes(content)
    again = opened(path)
    with pytest.raises(OutputError, match=f"{reason}.*--restart"):
        again.restore(state)
    assert path.read_bytes() == content
    again.close()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("state", [{}, {"format": "csv"}, {"format": "jsonl", "length": -1}])
def test_a_state_that_cant_be_read_is_refused(tmp_path: Path, suffix: str, state: dict[str, Any]) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"precious")
    sink = opened(path)
    with pytest.raises(OutputError, match="recorded"):
        sink.restore({"x": 1, **state})
    sink.abort()
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_second_writer_is_found_out(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"a": 1}))
    state = sink.flush()
    with path.open("ab") as other:
        other.write(b"mine\n")
    with pytest.raises(OutputError, match="somebody else writes to it"):
        sink.write(segment({"a": 2}))
    with pytest.raises(OutputError, match="somebody else writes to it"):
        sink.flush()
    sink.restore(state)
    sink.write(segment({"a": 2}))
    path.unlink()
    with pytest.raises(OutputError, match="removed or replaced"):
        sink.flush()
    with pytest.raises(OutputError, match="it is gone"):
        sink.restore(state)
    sink.close()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_full_disk_is_told_and_can_be_recovered_from(tmp_path: Path, suffix: str) -> None:
    """A limit on the size of files stands in for the disk: the same partial write, with another reason."""
    code = f"""
import resource
from airless.core.errors import OutputError
from airless.local.outputs import open_sink
sink = open_sink({str(tmp_path / f"out{suffix}")!r})
sink.restore(None)
sink.write(b'{{"a":"one"}}\\n')
state = sink.flush()
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
for big in (b'{{"a":"' + b"x" * 200 + b'"}}\\n', b'{{"b":"' + b"x" * 200 + b'"}}\\n'):
    try:
        sink.write(big)
    except OutputError as error:
        print(error)
sink.restore(state)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.write(b'{{"a":"two"}}\\n')
sink.flush()
sink.close()
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("File too large; the items are kept in the state directory") == 2
    assert os.listdir(tmp_path) == [f"out{suffix}"]
    made = (tmp_path / f"out{suffix}").read_bytes()
    assert made == (b'{"a":"one"}\n{"a":"two"}\n' if suffix == ".jsonl" else b"a,b\r\none,\r\ntwo,\r\n")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.csv"
    link.symlink_to(tmp_path / "real" / "data.csv")
    sink = opened(link)
    sink.restore(None)
    sink.write(segment({"a": 1}))
    sink.write(segment({"b": 2}))
    sink.close()
    assert link.is_symlink()
    assert (tmp_path / "real" / "data.csv").read_bytes() == b"a,b\r\n1,\r\n,2\r\n"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_aborting_waits_for_a_write_that_still_runs(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = opened(path)
    sink.restore(None)
    one = segment({"a": "x" * 100_000})
    first = Event()
    faults: list[OutputError] = []

    def write_until_aborted() -> None:
        try:
            while True:
                sink.write(one)
                first.set()
        except OutputError as error:
            faults.append(error)

    writing = Thread(target=write_until_aborted)
    writing.start()
    first.wait()
    sink.abort()
    writing.join()
    assert len(faults) == 1
    assert path.read_bytes().endswith(one if suffix == ".jsonl" else b"x\r\n")


# Tables


def test_a_table_is_as_rfc_4180_writes_it(tmp_path: Path) -> None:
    """The examples of RFC 4180 §2, items 5 to 7."""
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"field_name": "aaa", "f2": "b\r\nbb", "f3": "ccc"}))
    sink.write(segment({"field_name": "aaa", "f2": 'b"bb', "f3": "ccc"}))
    sink.close()
    assert path.read_bytes() == b'field_name,f2,f3\r\naaa,"b\r\nbb",ccc\r\naaa,"b""bb",ccc\r\n'


def test_values_of_a_table_stand_as_in_json(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    item = {
        "n": None,
        "t": True,
        "i": 2**70,
        "f": 1.5,
        "l": [1, "é"],
        "o": {"big": 2**65},
        "s": "=1+1",
        "p": Decimal("1.0"),
    }
    sink.write(segment(item))
    sink.close()
    assert rows(path) == [
        {
            "n": "",
            "t": "true",
            "i": str(2**70),
            "f": "1.5",
            "l": '[1,"é"]',
            "o": f'{{"big":{2**65}}}',
            "s": "=1+1",
            "p": "1.0",
        }
    ]


def test_a_new_field_widens_the_table_and_keeps_every_row(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    texts = ['line\nbreak "quoted"', "\r\n", '"', ",", "plain\r", ""]
    sink.write(segment(*({"a": text} for text in texts)))
    path.chmod(0o640)
    sink.write(segment({"b,\n": 1}, {"c": 2, "a": "x"}))
    sink.write(segment({"d": 3}))
    sink.close()
    header = ["a", "b,\n", "c", "d"]
    expected = [[text, "", "", ""] for text in texts] + [
        ["", "1", "", ""],
        ["x", "", "2", ""],
        ["", "", "", "3"],
    ]
    assert list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))) == [header, *expected]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_table_widened_after_the_record_is_cut_at_the_recorded_row(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"": 1}, {"": None}))
    state = sink.flush()
    sink.write(segment({"": 2}))
    sink.write(segment({"b": 3}))
    sink.write(segment({"c": 4}))
    sink.flush()
    sink.close()
    again = opened(path)
    again.restore(state)
    assert path.read_bytes() == b',b,c\r\n1,,\r\n"",,\r\n'
    again.write(segment({"": 2}))
    again.flush()
    again.close()
    assert len(rows(path)) == 3


def test_a_table_widened_by_hand_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({"a": "one"}))
    state = sink.flush()
    sink.close()
    content = b"a,notes\r\none,mine\r\nand more of it\r\n"
    path.write_bytes(content)
    again = opened(path)
    with pytest.raises(OutputError, match="not those that had been written"):
        again.restore(state)
    again.close()
    assert path.read_bytes() == content


def test_items_without_a_field_are_rows_too(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = opened(path)
    sink.restore(None)
    sink.write(segment({}, {}))
    state = sink.flush()
    sink.close()
    again = opened(path)
    again.restore(state)
    again.write(segment({"a": 1}, {}))
    again.close()
    assert path.read_bytes() == b'a\r\n""\r\n""\r\n1\r\n""\r\n'


@pytest.mark.parametrize("line", [b"{\n", b"[1]\n"])
def test_a_segment_that_cant_be_read_is_an_error(tmp_path: Path, line: bytes) -> None:
    sink = opened(tmp_path / "out.csv")
    sink.restore(None)
    with pytest.raises(OutputError, match="segment"):
        sink.write(line)
    sink.abort()
    assert not (tmp_path / "out.csv").exists()


# Standard output


def test_standard_output_gets_the_lines() -> None:
    code = (
        "from airless.local.outputs import open_sink; print('before')\n"
        "sink = open_sink('-'); sink.restore(None)\n"
        "sink.write(b'{\"a\":1}\\n'); assert sink.flush() == {'length': 8}\n"
        "sink.restore({'length': 8}); sink.write(b'{}\\n')\n"
        "assert sink.flush() == {'length': 11}; sink.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, check=True)
    assert done.stdout == 'before\n{"a":1}\n{}\n'


def test_a_reader_that_went_away_is_an_error_and_not_a_traceback_at_the_end() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stream:
        sink = StdoutSink(stream)
        with pytest.raises(OutputError, match=r"standard output: Broken pipe; the items are kept"):
            sink.write(b"{}\n")
        sink.abort()


def test_a_full_pipe_is_waited_for() -> None:
    lines = b'{"a":1}\n' * 50_000
    code = "import sys; print(len(sys.stdin.buffer.read()))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        os.set_blocking(reader.stdin.fileno(), False)
        StdoutSink(reader.stdin).write(lines)
        reader.stdin.close()
        assert int(reader.stdout.read()) == len(lines)


# Parquet


def test_parquet_is_made_whole_with_the_narrowest_types(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    path.write_bytes(b"of an earlier crawl")
    items: list[dict[str, Any]] = [
        {
            "i": 1,
            "f": 1,
            "s": "a",
            "t": True,
            "mixed": 1,
            "l": [1],
            "o": {"x": 1},
            "big": 2**62,
            "huge": 2**64,
        },
        {
            "i": None,
            "f": 2.5,
            "s": "b",
            "mixed": "x",
            "l": [],
            "o": {"y": [{"z": 1.5}]},
            "big": 1,
            "exact": 2**60,
        },
        {
            "late": "l",
            "mixed": None,
            "null": None,
            "empty": {},
            "nothing": [],
            "exact": 0.5,
            "lists": [1, "a"],
        },
    ]
    sink = whole(path)
    sink.restore(None)
    assert path.read_bytes() == b"of an earlier crawl"
    segments = [segment(*items[:2]), segment(items[2])]
    state = sink.finish(segments)
    assert state == sink.finish(segments)
    sink.close()
    assert state == {"format": "parquet", "length": path.stat().st_size, "rows": 3}
    table = pq.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "i": "int64",
        "f": "double",
        "s": "string",
        "t": "bool",
        "mixed": "string",
        "l": "list<element: int64>",
        "o": "struct<x: int64, y: list<element: struct<z: double>>>",
        "big": "int64",
        "huge": "string",
        "exact": "string",
        "late": "string",
        "null": "string",
        "empty": "string",
        "nothing": "list<element: string>",
        "lists": "list<element: string>",
    }
    made = table.to_pylist()
    assert [row["mixed"] for row in made] == ["1", '"x"', None]
    assert made[0]["huge"] == str(2**64)
    assert [row["exact"] for row in made] == [None, str(2**60), "0.5"]
    assert made[1]["o"] == {"x": None, "y": [{"z": 1.5}]}
    assert made[2]["lists"] == ["1", '"a"']
    assert [row["f"] for row in made] == [1.0, 2.5, None]


def test_parquet_keeps_its_row_groups_bounded(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    big = segment({"t": "x" * 1_000_000})
    whole(path).finish([segment({"t": "a"}) * 60_000, *[big] * 40])
    meta = pq.read_metadata(path)
    groups = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert groups[0] == 50_000
    assert len(groups) == 3
    assert sum(groups) == 60_040


def test_objects_with_open_keys_and_deep_lists_are_json_text(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    items = [{"m": {f"k{i}": 1 for i in range(200)}}, {"m": {f"q{i}": 1 for i in range(200)}, "deep": deep}]
    whole(path).finish([segment(*items)])
    made = pq.read_table(path).to_pylist()
    assert [json.loads(row["m"]) for row in made] == [item["m"] for item in items]


def test_a_crawl_without_items_gives_an_empty_parquet(tmp_path: Path) -> None:
    assert whole(tmp_path / "out.parquet").finish([])["rows"] == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_a_finished_parquet_stays_when_its_segments_were_let_go(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    state = whole(path).finish([segment({"a": 1})])
    again = whole(path)
    again.restore(state)
    assert again.finish([]) == state
    assert pq.read_table(path).to_pylist() == [{"a": 1}]
    assert again.finish([segment({"a": 1}), segment({"a": 2})])["rows"] == 2
    path.unlink()
    with pytest.raises(OutputError, match=r"it is gone.*--restart"):
        again.finish([])


def test_a_parquet_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    sink = whole(path)
    path.mkdir()
    with pytest.raises(OutputError, match="Is a directory; the items are kept"):
        sink.finish([segment({"a": 1})])
    with pytest.raises(TypeError, match="gone through twice"):
        sink.finish(iter([b""]))
    with pytest.raises(OutputError, match="segment"):
        sink.finish([b"[]\n"])
    sink.abort()
    assert os.listdir(tmp_path) == ["out.parquet"]
