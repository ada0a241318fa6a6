"""Alarms to commands and webhooks: real programs, a real HTTP server that behaves badly."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from stream_events import INFO, alarm, label
from stream_schema import strict_validator

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.sinks.deliveries import QUEUE, AlarmSink, Delivery, open_deliveries, post, run
from rtclassify.sinks.message import Message
from rtclassify.sinks.wire import Encoder
from rtclassify.testing import ManualClock

PATIENCE_S = 10.0


def message() -> Message:
    return Encoder(INFO, ManualClock()).encode(alarm())


def until(claim: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


class Desk:
    """An HTTP server on loopback that answers as told and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.attempts = 0
        self.answer = "take"
        self.let_go = threading.Event()
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                desk.attempts += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if desk.answer == "stall":
                    desk.let_go.wait(PATIENCE_S)
                elif desk.answer == "garbage":
                    self.wfile.write(b"nonsense\r\n\r\n")
                elif desk.answer == "die":
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    if desk.answer == "take":
                        desk.bodies.append(body)
                    self.send_response(204 if desk.answer == "take" else 500)
                    self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alarms"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def posting(url: str, *, waits_s: tuple[float, ...] = (0.01,) * 3) -> Delivery:
    return Delivery("webhook", lambda m: post(url, m, timeout_s=0.2), waits_s=waits_s)


def test_a_webhook_receives_each_alarm_as_the_stream_says_it(desk: Desk) -> None:
    settings = AlarmSettings(webhook=desk.url)
    with open_deliveries(settings, Encoder(INFO, ManualClock())) as sink:
        sink.send([label(), alarm(), alarm(raised=False)])
        until(lambda: len(desk.bodies) == 2)

    for body in desk.bodies:
        assert body.pop("topic") == "alarm/main/"
        strict_validator("alarm").validate(body)
    assert [body["state"] for body in desk.bodies] == ["raised", "cleared"]
    assert [body["seq"] for body in desk.bodies] == [0, 1]


def test_a_command_receives_the_alarm_on_standard_input_and_in_its_environment(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told"
    program = (
        "import os, sys; e = os.environ; open(sys.argv[1], 'a').write("
        "' '.join([e['RTCLASSIFY_KIND'], e['RTCLASSIFY_CHANNEL'], e['RTCLASSIFY_STATE']]) + ' ' "
        "+ sys.stdin.read())"
    )
    settings = AlarmSettings(command=(sys.executable, "-c", program, str(told)))
    with open_deliveries(settings, Encoder(INFO, ManualClock())) as sink:
        sink.send([alarm()])
        until(lambda: told.exists() and told.read_text().endswith("\n"))

    kind, channel, state, body = told.read_text().split(" ", 3)
    assert (kind, channel, state) == ("silence", "main", "raised")
    assert json.loads(body)["incident"] == "9f31c07a-main-0"


@pytest.mark.parametrize("answer", ["stall", "refuse", "garbage", "die"])
def test_a_webhook_that_behaves_badly_gets_the_alarm_once_it_behaves(
    desk: Desk, answer: str
) -> None:
    desk.answer = answer
    with AlarmSink(
        [posting(desk.url, waits_s=(0.05,) * 100)], Encoder(INFO, ManualClock())
    ) as sink:
        sink.send([alarm(), alarm(raised=False)])
        until(lambda: desk.attempts >= 2)
        desk.answer = "take"
        until(lambda: len(desk.bodies) >= 2)

    assert [body["state"] for body in desk.bodies] == ["raised", "cleared"]


def test_sending_never_waits_for_a_webhook_that_stalls(desk: Desk) -> None:
    """A thousand alarms are queued in less time than the webhook takes to time out once."""
    desk.answer = "stall"
    delivery = Delivery("webhook", lambda m: post(desk.url, m, timeout_s=5.0), waits_s=())
    with AlarmSink([delivery], Encoder(INFO, ManualClock())) as sink:
        began = time.monotonic()
        sink.send([alarm(incident=number) for number in range(1_000)])
        assert time.monotonic() - began < 4.0
        assert delivery.dropped >= 1_000 - QUEUE - 1
        desk.let_go.set()


def test_when_too_many_wait_the_oldest_are_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivered: list[Message] = []
    delivery = Delivery("webhook", delivered.append, waits_s=())
    encoder = Encoder(INFO, ManualClock())
    messages = [encoder.encode(alarm(incident=number)) for number in range(QUEUE + 3)]
    for sent in messages:
        delivery.put(sent)
    delivery.start()
    delivery.close(PATIENCE_S)

    assert delivery.dropped == 3
    assert delivered == messages[3:]
    assert len(caplog.messages) == 3
    assert "silence raised of main not delivered: too many wait (3 so far)" in caplog.messages[-1]


def test_what_is_given_up_is_counted_and_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.answer = "refuse"
    delivery = posting(desk.url)
    with AlarmSink([delivery], Encoder(INFO, ManualClock())) as sink:
        sink.send([alarm()])
        until(lambda: delivery.dropped)

    assert desk.attempts == 4
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "500" in caplog.messages[1]


def test_one_way_that_hangs_does_not_hold_up_the_other(desk: Desk) -> None:
    stuck = threading.Event()

    def hang(_: Message) -> None:
        stuck.wait(PATIENCE_S)

    hanging = Delivery("command", hang, waits_s=())
    with AlarmSink([hanging, posting(desk.url)], Encoder(INFO, ManualClock())) as sink:
        sink.send([alarm()])
        until(lambda: desk.bodies)
        assert not stuck.is_set()
        stuck.set()


def test_closing_takes_about_a_second_however_the_webhook_hangs(desk: Desk) -> None:
    desk.answer = "stall"
    delivery = Delivery("webhook", lambda m: post(desk.url, m, timeout_s=60.0), waits_s=())
    with AlarmSink([delivery], Encoder(INFO, ManualClock())) as sink:
        sink.send([alarm(), alarm(raised=False)])
        until(lambda: desk.attempts)
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    assert delivery.dropped >= 1


@pytest.mark.parametrize(
    "argv", [("/nowhere/program",), (sys.executable, "-c", "raise SystemExit(3)")]
)
def test_a_command_that_cannot_be_run_or_fails_is_tried_again(argv: tuple[str, ...]) -> None:
    attempts = []

    def deliver(m: Message) -> None:
        attempts.append(m)
        run(argv, m)

    delivery = Delivery("command", deliver, waits_s=(0.0, 0.0))
    delivery.start()
    delivery.put(message())
    until(lambda: delivery.dropped)
    assert len(attempts) == 3
    delivery.close(PATIENCE_S)


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid}; wait"
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run(("/bin/sh", "-c", script), message(), timeout_s=0.5)

    assert time.monotonic() - began < PATIENCE_S
    until(lambda: not _lives(int(pid.read_text())))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" and os.getpgid(pid) > 0
    except (FileNotFoundError, ProcessLookupError):
        return False
