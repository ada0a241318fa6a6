"""The journal on real files: what is kept, what a full disk does, and what is removed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_events import INFO, events, label, one_of_each
from test_run import started

from rtclassify.config import JournalSettings
from rtclassify.errors import SinkError
from rtclassify.events import Event, Heartbeat
from rtclassify.sinks import journal as sinks_journal
from rtclassify.sinks.chain import CHAIN, Entry
from rtclassify.sinks.journal import JournalSink
from rtclassify.sinks.ledger import STEP, Ledger
from rtclassify.sinks.proof import verify
from rtclassify.sinks.reading import open_for_reading
from rtclassify.sinks.wire import Encoder, JournalState
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.testing import ManualClock

NAMED = {"model": "envelope@" + "0" * 64, "config": "1" * 64}
PATIENCE_S = 20.0
DAY_MS = 86_400_000
NUMBERS = itertools.count()


def journal(path: Path, encoder: Encoder | None = None, **changed: Any) -> JournalSink:
    settings = JournalSettings(str(path), **changed)
    clock = ManualClock()
    return JournalSink(settings, encoder or Encoder(INFO, clock), clock, named=NAMED)


def kept(path: Path) -> list[tuple[str, bytes]]:
    db = open_for_reading(path)
    rows = db.execute("SELECT topic, body FROM message WHERE topic != ? ORDER BY id", (CHAIN,))
    messages = rows.fetchall()
    db.close()
    return messages


def await_(claim: Callable[[], Any]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.02)


def entries(count: int, *, first: int = 0, utc_ms: int = 0, body: bytes = b"{}") -> list[Entry]:
    return [Entry(utc_ms, "label/a/", "e", first + n, body) for n in range(count)]


def test_journal_and_socket_carry_the_same_bytes(tmp_path: Path) -> None:
    encoder = Encoder(INFO, ManualClock())
    with (
        ZmqSink(f"ipc://{tmp_path}/labels", encoder) as published,
        journal(tmp_path / "journal", encoder) as sink,
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
    ):
        subscriber.subscribe("")
        subscriber.connect(published.address)
        assert published._open_socket.poll(10_000)
        for turn in (one_of_each("a"), [label("b")], one_of_each("a")):
            for each in (published, sink):
                each.send(turn)
        received = [subscriber.recv_multipart() for _ in range(2 * len(one_of_each()) + 1)]

    assert [(t.decode(), b) for t, b in received] == kept(tmp_path / "journal")


@settings(deadline=None, max_examples=20)
@given(sent=st.lists(events, max_size=20))
def test_every_message_is_kept_byte_for_byte_in_order(memory: Path, sent: list[Event]) -> None:
    path, encoder = memory / str(next(NUMBERS)), Encoder(INFO, ManualClock())
    with journal(path, encoder) as sink:
        sink.send(sent)

    assert kept(path) == [(m.topic, m.payload) for m in encoder.messages(sent)]


def test_a_message_is_on_the_disk_soon_although_nothing_is_closed(tmp_path: Path) -> None:
    with journal(tmp_path / "journal") as sink:
        sink.send([label()])
        await_(lambda: kept(tmp_path / "journal"))
        assert sink.state.waiting == 0


def test_the_next_start_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for epoch in ("a", "b"):
        encoder = Encoder(dataclasses.replace(INFO, epoch=epoch), ManualClock())
        with journal(tmp_path / "journal", encoder) as sink:
            sink.send(one_of_each())

    (day,) = verify(tmp_path / "journal")
    assert (day.messages, day.whole) == (2 * len(one_of_each()), True)


@contextmanager
def full_disk(at: int) -> Iterator[None]:
    """Let no file of this process grow beyond `at` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_nothing_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with journal(tmp_path / "journal") as sink:
        with full_disk(300_000):
            for _ in range(1_000):
                sink.send(one_of_each())
            await_(lambda: "cannot be written" in caplog.text)
            sink.send([label()])
        await_(lambda: "written again" in caplog.text)

    assert len(kept(tmp_path / "journal")) == 1_000 * len(one_of_each()) + 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert (
        sum(day.messages for day in verify(tmp_path / "journal")) == 1_000 * len(one_of_each()) + 1
    )


def test_what_the_queue_cannot_hold_is_counted_said_and_a_hole_in_seq(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks_journal, "QUEUE", 50)
    sink = journal(tmp_path / "journal")
    with sink:
        with full_disk(1):
            for number in range(200):
                sink.send([label(number=number)])
                if number == 0:
                    await_(lambda: "cannot be written" in caplog.text)
        await_(lambda: "missing" in caplog.text)
        sink.send([label()])

    seqs = [int(body.partition(b'"seq":')[2].partition(b",")[0]) for _, body in kept(sink._path)]
    assert sink.state.missing == 201 - len(seqs) > 0
    assert f"{sink.state.missing} messages are missing from the journal" in caplog.text
    assert seqs == [*range(len(seqs) - 1), 200]
    assert list(verify(sink._path))


def beat(encoder: Encoder) -> Any:
    """Return what a heartbeat says of the journal now."""
    return encoder.encode(Heartbeat(())).body["journal"]


def test_heartbeats_tell_of_trouble_and_of_its_end(tmp_path: Path) -> None:
    encoder = Encoder(INFO, ManualClock())
    without = beat(encoder)
    with journal(tmp_path / "journal", encoder) as sink:
        calm = beat(encoder)
        with full_disk(1):
            sink.send([label()])
            await_(lambda: beat(encoder)["trouble"])
            sink.send([label()])
            full = beat(encoder)
        await_(lambda: not beat(encoder)["trouble"])

    assert without is None
    assert calm == {"trouble": "", "waiting": 0, "missing": 0}
    assert full["trouble"] in ("disk I/O error", "database or disk is full")
    assert full["waiting"] >= 1


@pytest.mark.parametrize("comes_back", ["folder", "file"])
def test_a_journal_that_is_removed_is_said_and_begun_anew(tmp_path: Path, comes_back: str) -> None:
    folder, encoder = tmp_path / "kept", Encoder(INFO, ManualClock())
    folder.mkdir()
    with journal(folder / "journal", encoder) as sink:
        sink.send([label(number=0)])
        await_(lambda: kept(folder / "journal"))
        if comes_back == "folder":
            folder.rename(tmp_path / "moved away")
            sink.send([label(number=1)])
            await_(lambda: beat(encoder)["trouble"])
            folder.mkdir()
        else:
            (folder / "journal").unlink()
            sink.send([label(number=1)])
        await_(lambda: not beat(encoder)["waiting"] and not beat(encoder)["trouble"])

    assert [json.loads(body)["seq"] for _, body in kept(folder / "journal")][:1] == [1]
    assert list(verify(folder / "journal"))
    assert sink.state == JournalState("", 0, 0)


def test_one_journal_has_one_writer_under_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "other name").symlink_to(tmp_path / "journal")
    with journal(tmp_path / "journal") as first:
        first.send([label()])
        with (
            pytest.raises(SinkError, match=r"of another rtclassify that is running; stop that one"),
            journal(tmp_path / "other name"),
        ):
            pass
    with journal(tmp_path / "other name") as second:
        second.send([label()])

    assert list(verify(tmp_path / "journal"))


def test_a_disk_that_is_full_at_the_start_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with full_disk(1), journal(tmp_path / "journal") as sink:
        sink.send([label()])
        await_(lambda: "cannot be written" in caplog.text)
        resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
        await_(lambda: "written again" in caplog.text)

    assert len(kept(tmp_path / "journal")) == 1


def no_directory(folder: Path) -> Path:
    return folder / "nowhere" / "journal"


def a_thesis(folder: Path) -> Path:
    (folder / "thesis.txt").write_text("ten years of work" * 1_000)
    return folder / "thesis.txt"


def anothers_database(folder: Path) -> Path:
    db = sqlite3.connect(folder / "bookmarks")
    db.execute("CREATE TABLE bookmark (url)")
    db.commit()
    db.close()
    return folder / "bookmarks"


@pytest.mark.parametrize("place", [no_directory, a_thesis, anothers_database])
def test_what_cannot_be_the_journal_is_refused_and_left_alone(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    path = place(tmp_path)
    before = path.read_bytes() if path.exists() else b""
    with pytest.raises(SinkError, match=r"cannot be the journal: .*; name a file"), journal(path):
        pass

    assert before == (path.read_bytes() if path.exists() else b"")


def rows(ledger: Ledger) -> int:
    return int(ledger._db.execute("SELECT count(*) FROM message").fetchone()[0])


def test_days_that_are_too_old_go_in_small_steps_and_the_rest_still_verifies(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "journal", NAMED)
    for day in range(3):
        ledger.append(entries(3_000, first=3_000 * day, utc_ms=day * DAY_MS + 5))
    counts = [rows(ledger)]
    for _ in range(4):
        ledger.trim(oldest_ms=DAY_MS, most_bytes=1 << 40)
        counts.append(rows(ledger))
        days = list(verify(tmp_path / "journal"))
    ledger.close()

    assert counts == [9_003, 9_003 - STEP, 6_002, 6_002, 6_002]
    assert [(day.day, day.whole) for day in days] == [("1970-01-02", True), ("1970-01-03", True)]


def test_above_its_size_the_oldest_go_and_their_space_is_used_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "journal", NAMED)
    for batch in range(30):
        ledger.append(entries(1_000, first=batch * 1_000, body=b"x" * 500))
        ledger.trim(oldest_ms=0, most_bytes=5_000_000)
    used, last = ledger._bytes(), rows(ledger)
    ledger.close()

    assert used <= 5_000_000
    assert (tmp_path / "journal").stat().st_size < 7_000_000
    assert last < 10_000
    (day,) = verify(tmp_path / "journal")
    assert not day.whole
    assert kept_seqs(tmp_path / "journal")[-1] == 29_999


def kept_seqs(path: Path) -> Sequence[int]:
    db = open_for_reading(path)
    seqs = [seq for (seq,) in db.execute("SELECT seq FROM message WHERE topic != ?", (CHAIN,))]
    db.close()
    return seqs


def test_what_is_written_twice_after_an_unclear_failure_is_kept_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "journal", NAMED)
    ledger.append(entries(3))
    ledger.append(entries(5))
    ledger.close()

    assert list(kept_seqs(tmp_path / "journal")) == [0, 1, 2, 3, 4]
    assert list(verify(tmp_path / "journal"))


@pytest.mark.timeout(200)
def test_a_second_daemon_on_a_journal_ends_with_one_sentence_and_harms_nothing(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    path, elsewhere = tmp_path / "journal", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (tmp_path, elsewhere):
        (folder / "rtclassify.toml").write_text(
            f'replay = "tcp://127.0.0.1:*"\n[journal]\npath = "{path}"\n'
        )
    command = (*light_model, "--source", "demo")
    with started(tmp_path, *command) as first:
        first.await_(lambda: first.messages("label/"), "a label")
        with started(elsewhere, *command) as second:
            code = second.ended()
        before = len(first.messages())
        first.await_(lambda: len(first.messages()) > before, "more labels")
        first.signal(signal.SIGTERM)
        assert first.ended() == 0

    assert code == 6, second.log
    assert second.log.count("\n") == 1
    assert f"{path} is the journal of another rtclassify that is running" in second.log
    assert len(kept(path)) == len(first.messages())
    assert list(verify(path))


@pytest.mark.timeout(200)
def test_the_daemon_journals_what_it_publishes(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    path = tmp_path / "journal"
    recording = tmp_path / "noise.wav"
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 3 * 16_000)
    soundfile.write(recording, noise, 16_000)
    (tmp_path / "rtclassify.toml").write_text(
        f'replay = "tcp://127.0.0.1:*"\n[journal]\npath = "{path}"\n'
    )
    with started(tmp_path, *light_model, "--source", str(recording)) as daemon:
        assert daemon.ended() == 0, daemon.log

    published = [{**m, "topic": None} for m in daemon.messages()]
    assert [{**json.loads(body), "topic": None} for _, body in kept(path)] == published
    (day, *_) = verify(path)
    assert day.whole
    assert f"the journal is {path}, and answers on tcp://127.0.0.1:" in daemon.log
