"""What an operator reads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from stream_events import alarm, label

from rtclassify.cli.log import JournalFormatter, LogSink, TerminalFormatter
from rtclassify.config import LabelSettings
from rtclassify.events import ChannelStatus, Event, Heartbeat, Level, Segment, Stamp, StateChange
from rtclassify.pipeline import Pipeline
from rtclassify.stream import AudioBlock
from rtclassify.testing import EnvelopeClassifier, ManualClock

RATE = 100
PROBS = {"speech": 1.0, "music": 0.0}
LOCAL_MIDNIGHT = datetime(2026, 1, 1).astimezone()


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def sink(shown: list[str], caplog: pytest.LogCaptureFixture) -> Iterator[LogSink]:
    caplog.set_level(logging.INFO, "rtclassify")
    clock = ManualClock(start_s=0.0, utc=LOCAL_MIDNIGHT)
    with LogSink(clock, rate=RATE, show=shown.append) as sink:
        yield sink


def opened(number: int, label: str, start_s: int, *, live: bool = True) -> Segment:
    begun = Stamp(float(start_s), 0.001) if live else None
    return Segment("main", number, label, start_s * RATE, None, PROBS, begun, None)


def closed(number: int, label: str, start_s: int, end_s: int) -> Segment:
    return Segment("main", number, label, start_s * RATE, end_s * RATE, PROBS, None, None)


def beat(*channels: ChannelStatus) -> Heartbeat:
    return Heartbeat(channels)


def channel(name: str, label: str | None, state: str = "programme") -> ChannelStatus:
    return ChannelStatus(name, state, "", 0, label, Level(None, None), 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([opened(0, "speech", 3661)], ["main: speech since 01:01:01"]),
        ([opened(0, "speech", 61, live=False)], ["main: speech since 0:01:01"]),
        (
            [closed(0, "speech", 0, 75), opened(1, "music", 75)],
            ["main: music since 00:01:15, after 0:01:15 of speech"],
        ),
        ([closed(0, "speech", 0, 7325)], ["main: closed after 2:02:05 of speech"]),
        ([opened(0, "silence", 3)], []),
        (
            [closed(0, "music", 0, 3), opened(1, "silence", 3)],
            ["main: silence since 00:00:03, after 0:00:03 of music"],
        ),
        (
            [StateChange("main", "digital-silence", "", 300, Stamp(3.0, 0.001))],
            ["main: digital-silence since 00:00:03"],
        ),
        ([beat(channel("main", "speech"))], []),
        (
            [alarm(captured=Stamp(3.0, 0.001))],
            ["main: ALARM silence at -71.2 dBFS, since 00:00:03"],
        ),
        ([alarm(raised=False)], ["main: alarm silence cleared: the silence is over"]),
    ],
)
def test_a_change_is_one_line(
    sink: LogSink, caplog: pytest.LogCaptureFixture, events: list[Event], lines: list[str]
) -> None:
    sink.send(events)
    assert caplog.messages == lines


def test_a_lost_channel_is_a_warning_and_its_return_is_said(
    sink: LogSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.send([StateChange("main", "no-capture", "the sound card stopped", 300, None)])
    sink.send([StateChange("main", "programme", "", 500, Stamp(5.0, 0.001))])
    sink.send([StateChange("main", "silence", "", 900, Stamp(9.0, 0.001))])

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "main: no capture: the sound card stopped"),
        (logging.INFO, "main: audio is back, programme since 00:00:05"),
        (logging.INFO, "main: silence since 00:00:09"),
    ]


def test_the_status_line_is_shown_when_it_changes(sink: LogSink, shown: list[str]) -> None:
    here, away = channel("main", "speech"), channel("relay", None, "no-capture")
    for status in (beat(here, away), beat(here, away), beat(channel("main", "music"), away)):
        sink.send([status])

    assert shown == ["main: speech, relay: no-capture", "main: music, relay: no-capture"]


def test_labels_are_logged_once_when_every_label_is_asked_for(
    sink: LogSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rtclassify")

    sink.send([label(), label(final=True)])

    assert caplog.messages == ["main: speech speech 99% music 1%"]


def test_an_hour_of_steady_speech_is_two_lines(
    sink: LogSink, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = EnvelopeClassifier(rate=RATE)
    pipeline = Pipeline(classifier, ["main"], LabelSettings())
    for start in range(0, 3600 * RATE, 10 * RATE):
        samples = np.full(10 * RATE, 0.3, np.float32)
        sink.send(pipeline.push([AudioBlock("main", start, samples)]))

    assert caplog.messages == ["main: programme since 0:00:00", "main: speech since 0:00:00"]


@pytest.mark.parametrize(
    ("level", "prefix"),
    [("CRITICAL", "<2>"), ("ERROR", "<3>"), ("WARNING", "<4>"), ("INFO", "<6>"), ("DEBUG", "<7>")],
)
def test_the_journal_reads_the_level_of_every_line(level: str, prefix: str) -> None:
    record = logging.LogRecord("x", getattr(logging, level), "", 0, "one\ntwo", (), None)
    assert JournalFormatter().format(record) == f"{prefix}one\n{prefix}two"


def test_a_terminal_shows_the_time_and_only_bad_levels() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "main: no capture", (), None)
    record.created = LOCAL_MIDNIGHT.timestamp() + 3661
    assert TerminalFormatter().format(record) == "01:01:01 warning: main: no capture"
    record.levelno = logging.INFO
    assert TerminalFormatter().format(record) == "01:01:01 main: no capture"


@pytest.mark.parametrize("journal", [True, False])
def test_the_journal_is_recognised_by_its_own_socket(tmp_path: Path, *, journal: bool) -> None:
    """JOURNAL_STREAM is inherited by children whose standard error goes elsewhere."""
    program = (
        "import logging, os, sys; from rtclassify.cli.log import start_logging;"
        "start_logging(sys.stderr, os.environ, verbose=False);"
        "logging.getLogger('rtclassify').info('hello')"
    )
    with (tmp_path / "stderr").open("w") as stderr:
        status = os.fstat(stderr.fileno())
        stream = f"{status.st_dev}:{status.st_ino + (0 if journal else 1)}"
        environ = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", program], stderr=stderr, env=environ, check=True)

    assert (tmp_path / "stderr").read_text().startswith("<6>hello") is journal
