"""The label stream as lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stream_events import INFO, label, one_of_each

from rtclassify.errors import SinkError
from rtclassify.sinks.jsonl import JsonlSink
from rtclassify.sinks.wire import Encoder
from rtclassify.testing import ManualClock


def test_lines_are_appended_to_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    for _ in range(2):
        with JsonlSink(str(path), Encoder(INFO, ManualClock())) as sink:
            sink.send([label()])

    topics = [json.loads(line)["topic"] for line in path.read_text().splitlines()]
    assert topics == ["label/main/", "label/main/"]


def test_lines_are_there_as_soon_as_send_returns(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with JsonlSink(str(path), Encoder(INFO, ManualClock())) as sink:
        for number in range(3):
            sink.send([label(number=number)])
            assert len(path.read_text().splitlines()) == number + 1


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with JsonlSink("-", Encoder(INFO, ManualClock())) as sink:
        sink.send(one_of_each())
    sys.stdout.write("still open\n")

    *lines, last = capfd.readouterr().out.splitlines()
    assert len(lines) == len(one_of_each())
    assert last == "still open"


def test_a_full_disk_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, which this system does not have")

    with (
        pytest.raises(
            SinkError, match=r"^jsonl:/dev/full takes no more labels: No space left on device"
        ),
        JsonlSink(str(full), Encoder(INFO, ManualClock())) as sink,
    ):
        sink.send([label()])


def test_a_closed_pipe_is_one_sentence() -> None:
    """The reader of standard output goes away, as ``| head`` does."""
    script = (
        "from stream_events import INFO, label\n"
        "from rtclassify.sinks.jsonl import JsonlSink\n"
        "from rtclassify.sinks.wire import Encoder\n"
        "from rtclassify.testing import ManualClock\n"
        "with JsonlSink('-', Encoder(INFO, ManualClock())) as sink:\n"
        "    while True:\n"
        "        sink.send([label()])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.readline()
        writer.stdout.close()
        last = writer.stderr.read().splitlines()[-1]

    assert last == (
        "rtclassify.errors.SinkError: standard output takes no more labels: Broken pipe; "
        "make room, or send them elsewhere."
    )
