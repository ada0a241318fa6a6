"""``rtclassify watch``: what it remembers, how it looks, and how it behaves as a program."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from stream_events import INFO, alarm, events, label, one_of_each, status

from rtclassify.cli.board import Board
from rtclassify.cli.screen import render
from rtclassify.events import Event, Heartbeat, Level, Segment, Stamp, StateChange
from rtclassify.sinks.wire import Encoder, JournalState
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.testing import ManualClock

ADDRESS = "tcp://127.0.0.1:5565"
NOON = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
COMMAND = str(Path(sys.executable).with_name("rtclassify"))


def board_of(sent: Sequence[Event], *, missing: Sequence[int] = (), late: int = 0) -> Board:
    """Return what a subscriber knows that joined after `late` events and missed some."""
    encoder = Encoder(INFO, ManualClock(utc=NOON))
    board = Board(ADDRESS)
    for number, event in enumerate(sent):
        message = encoder.encode(event)
        if number >= late and number not in missing:
            board.hear(message, NOON)
    return board


def drawn(board: Board, now: datetime = NOON, *, width: int = 120, height: int = 24) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(render(board, now, width=width, height=height))
    return capture.get()


def captured(seconds_ago: float) -> Stamp:
    return Stamp(ManualClock().now() - seconds_ago, 0.001)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (JournalState("", 12, 0), None),
        (
            JournalState("disk full", 1_200, 0),
            "journal: disk full; 1,200 messages wait, 0 are missing from it",
        ),
        (
            JournalState("", 0, 7),
            "journal: it is written again; 0 messages wait, 7 are missing from it",
        ),
    ],
)
def test_trouble_with_the_journal_is_a_line(state: JournalState, line: str | None) -> None:
    encoder, board = Encoder(INFO, ManualClock()), Board(ADDRESS)
    encoder.journal = lambda: state
    board.hear(encoder.encode(Heartbeat((status("main"),))), NOON)

    lines = [text.strip() for text in drawn(board).splitlines() if text.startswith("journal")]
    assert lines == ([line] if line else [])


def test_an_alarm_that_is_raised_stands_on_its_channels_line() -> None:
    sent: list[Event] = [Heartbeat((status("main"), status("other"))), alarm("main")]
    shown = drawn(board_of(sent)).splitlines()

    (line,) = [line for line in shown if "silence at -71.2 dBFS" in line]
    assert line.startswith("main")
    cleared = drawn(board_of([*sent, alarm("main", raised=False)]))
    assert "silence at" not in cleared


def test_who_joins_late_learns_from_the_heartbeat_which_alarms_are_raised() -> None:
    sent: list[Event] = [alarm("main"), Heartbeat((status("main", alarms=(alarm("main"),)),))]

    assert "silence at -71.2 dBFS" in drawn(board_of(sent, late=1))


@settings(deadline=None)
@given(sent=st.lists(events, max_size=40), late=st.integers(0, 40))
def test_who_hears_everything_since_joining_missed_nothing(sent: list[Event], late: int) -> None:
    assert board_of(sent, late=late).missed == 0


@settings(deadline=None)
@given(sent=st.lists(events, max_size=30), draw=st.data())
def test_after_a_heartbeat_every_missed_message_is_counted_once(
    sent: list[Event], draw: st.DataObject
) -> None:
    """The first heartbeat says what there was; the last one, what the very end of it was."""
    beat = Heartbeat(())
    missing = draw.draw(st.sets(st.integers(1, len(sent)))) if sent else set()

    board = board_of([beat, *sent, beat], missing=sorted(missing))

    assert board.missed == len(missing)


def test_a_restart_is_no_loss() -> None:
    board = board_of([label(number=number) for number in range(5)])
    restarted = Encoder(dataclasses.replace(INFO, epoch="00000001"), ManualClock())

    board.hear(restarted.encode(label("other")), NOON)

    assert board.missed == 0
    assert list(board.rows) == ["other"]


def test_what_is_not_followed_is_neither_shown_nor_missed() -> None:
    encoder = Encoder(INFO, ManualClock())
    board = Board(ADDRESS, ["b"])
    sent: list[Event] = [Heartbeat(()), label("a"), label("b")]
    for event in [*sent, Heartbeat((status("a"), status("b")))]:
        message = encoder.encode(event)
        if message.topic != "label/a/":
            board.hear(message, NOON)

    assert list(board.rows) == ["b"]
    assert board.missed == 0


def test_one_heartbeat_tells_a_newcomer_everything_that_is_shown_but_scores() -> None:
    start = captured(83.0)
    sent: list[Event] = [
        StateChange("air", "programme", "", 0, start),
        Segment("air", 0, "music", 0, None, {"speech": 0.0, "music": 1.0}, start, None),
        StateChange("sat", "no-capture", "unplugged", 0, captured(7200.0)),
        Heartbeat(
            (
                status("air", label="music", lost=8_000, level=Level(-20.0, -10.0)),
                status("sat", label=None, state="no-capture", reason="unplugged"),
            )
        ),
    ]

    air, sat = (line.split() for line in drawn(board_of(sent, late=3)).splitlines()[5:7])

    assert air[:2] == ["air", "music"]
    assert air[-5:] == ["-20.0", "11:58:37", "1m23s", "0.5", "s"]
    assert sat == ["sat", "no-capture", "10:00:00", "2h00m", "–"]


def test_a_label_is_dated_by_the_open_segment_if_that_has_the_same_label() -> None:
    sent: list[Event] = [
        label(captured=captured(0.0)),
        Segment("main", 0, "speech", 0, None, {"speech": 1.0}, captured(9.0), None),
    ]

    before, after = board_of(sent[:1]).rows["main"], board_of(sent).rows["main"]

    assert before.since == NOON
    assert after.since == NOON - timedelta(seconds=9)


def test_a_new_label_is_shown_before_its_segment_opens() -> None:
    sent: list[Event] = [
        Segment("main", 0, "music", 0, None, {"music": 1.0}, captured(9.0), None),
        StateChange("main", "programme", "", 0, captured(9.0)),
        label(captured=captured(0.0)),
    ]

    row = board_of(sent).rows["main"]

    assert (row.shown, row.since) == ("speech", NOON)


def test_what_is_shown_is_the_provisional_label_whatever_final_ones_say_of_before() -> None:
    now = label(number=6, captured=captured(0.1))
    before = label(number=1, name="music", final=True, captured=captured(2.6))

    board = board_of([Heartbeat(()), now, before, Heartbeat((status(),))])

    row = board.rows["main"]
    assert (row.shown, row.since, row.latency_ms) == ("speech", NOON - timedelta(seconds=0.1), 100)
    assert board.missed == 0


def test_lost_capture_shows_no_old_scores() -> None:
    sent: list[Event] = [
        label(),
        StateChange("main", "no-capture", "unplugged", 80_000, captured(0.0)),
    ]

    row = board_of(sent).rows["main"]

    assert (row.shown, row.probs, row.latency_ms) == ("no-capture", {}, None)
    assert "main: unplugged" in drawn(board_of(sent))


def test_before_the_first_message_it_says_what_to_do() -> None:
    assert drawn(Board(ADDRESS)).strip() == (
        f"waiting for {ADDRESS} – is `rtclassify run` running?"
    )


def test_channels_are_marked_stale_when_heartbeats_stop() -> None:
    board = board_of(one_of_each())

    fresh, stale = (
        drawn(board, NOON + timedelta(seconds=3)),
        drawn(board, NOON + timedelta(seconds=4)),
    )

    assert "● live" in fresh
    assert "stale" not in fresh
    assert "nothing heard for 4s" in stale
    assert "stale" in stale


def test_missed_messages_are_told() -> None:
    beat = Heartbeat((status(),))
    sent: list[Event] = [beat, *(label(number=number) for number in range(12)), beat]

    assert "missed 12" in drawn(board_of(sent, missing=range(1, 13)))


def test_a_channel_that_is_not_there_is_named_with_those_that_are() -> None:
    board = Board(ADDRESS, ["studio3"])
    beat = Heartbeat((status("studio1"), status("studio2")))
    board.hear(Encoder(INFO, ManualClock()).encode(beat), NOON)

    assert "there is no channel studio3; there is studio1, studio2" in drawn(board)


def test_times_are_shown_where_the_viewer_is() -> None:
    board = board_of([StateChange("main", "silence", "", 0, captured(0.0)), label()])

    assert "12:00:00" in drawn(board, NOON)
    assert "07:00:00" in drawn(board, NOON.astimezone(timezone(timedelta(hours=-5))))


@pytest.mark.parametrize("width", [80, 109, 110, 200])
@pytest.mark.parametrize("count", [1, 40])
def test_every_width_holds_every_column(width: int, count: int) -> None:
    names = [f"channel-with-a-long-name-{number}" for number in range(count)]
    sent: list[Event] = []
    for name in names:
        sent += one_of_each(name, captured=captured(90.0))[:3:2]
        sent.append(label(name, captured=captured(0.0214)))
    sent.append(Heartbeat(tuple(status(name, lost=16_000) for name in names)))

    lines = drawn(board_of(sent), width=width, height=60).splitlines()

    rows = [line for line in lines if line.startswith("channel-w")]
    assert len(rows) == count
    assert all(len(line) <= width for line in lines)
    for row in rows:
        for part in ("speech", "-23.5", "11:58:30", "1m30s", "21 ms", "1.0 s"):
            assert part in row


def test_channels_that_do_not_fit_are_counted() -> None:
    beat = Heartbeat(tuple(status(f"ch{number}") for number in range(40)))

    lines = drawn(board_of([beat]), height=24).splitlines()

    shown = [line for line in lines if line.startswith("ch") and not line.startswith("channel")]
    assert len(lines) <= 24
    assert f"and {40 - len(shown)} more" in lines[-1]


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are started as most people start them, whatever these tests run under."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def sink() -> Iterator[ZmqSink]:
    with ZmqSink("tcp://127.0.0.1:*", Encoder(INFO, ManualClock())) as opened:
        opened._open_socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        yield opened


@contextlib.contextmanager
def watching(sink: ZmqSink, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Start the program and wait for its subscription."""
    with subprocess.Popen(
        [COMMAND, "watch", sink.address], stdout=stdout, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            await_subscription(sink)
            yield process
        finally:
            process.kill()


def await_subscription(sink: ZmqSink) -> None:
    assert sink._open_socket.poll(20_000), "the subscription did not arrive"


@pytest.mark.timeout(60)
def test_into_a_pipe_it_prints_messages_as_lines_and_ctrl_c_ends_it_well(sink: ZmqSink) -> None:
    with watching(sink) as process:
        assert process.stdout is not None
        sink.send(one_of_each())
        lines = [json.loads(process.stdout.readline()) for _ in one_of_each()]
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate()

    encoder = Encoder(INFO, ManualClock())
    messages = [encoder.encode(event) for event in one_of_each()]
    assert lines == [{"topic": message.topic, **message.body} for message in messages]
    assert (process.returncode, rest, complaints) == (0, "", "")


@pytest.mark.timeout(60)
def test_a_reader_that_has_seen_enough_ends_it_quietly(sink: ZmqSink) -> None:
    with watching(sink) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        sink.send([label()])
        process.stdout.readline()
        process.stdout.close()
        sink.send([label()])
        complaints = process.stderr.read()

    assert complaints == ""


@pytest.mark.timeout(60)
def test_a_terminal_shows_the_board_and_ctrl_c_ends_it_well(
    sink: ZmqSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real terminal: what the program writes to it, and the key pressed on it."""
    terminal, of_the_program = pty.openpty()
    for name, setting in {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "24"}.items():
        monkeypatch.setenv(name, setting)
    with watching(sink, of_the_program) as process:
        sink.send(one_of_each("studio1"))
        seen = b""
        while b"studio1" not in seen:
            seen += os.read(terminal, 65_536)
        process.send_signal(signal.SIGINT)
        threading.Thread(target=drain, args=(terminal,), daemon=True).start()
        process.wait()
    os.close(of_the_program)

    assert b"waiting for" in seen
    assert b"speech-music@0123456789ab" in seen
    assert process.returncode == 0


def drain(terminal: int) -> None:
    """Read what is written to the terminal, lest its writer wait."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        os.close(terminal)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "'nowhere' is not an address to subscribe to; write tcp://"),
        (["--channel", "Studio 1"], "is not made of a-z, 0-9, '_' and '-' alone"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence(arguments: list[str], sentence: str) -> None:
    ended = subprocess.run(
        [COMMAND, "watch", *arguments], capture_output=True, text=True, check=False
    )

    assert ended.returncode in (2, 3)
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
