"""What the service manager and the loop see of the daemon's manners."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.config import LabelSettings, Settings
from rtclassify.errors import ConfigError
from rtclassify.events import Segment
from rtclassify.loop import run
from rtclassify.pipeline import Pipeline
from rtclassify.ring import Wakeup
from rtclassify.service import Notifier, Service
from rtclassify.stream import AudioBlock
from rtclassify.testing import EnvelopeClassifier, ManualClock, MemorySink, ScriptedSource

LONG_S = 20.0


class Manager:
    """The other end of sd_notify."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def service_of(
    manager: Manager, clock: ManualClock | None = None, *, watchdog_s: float | None = None
) -> Service:
    notifier = Notifier(manager.address, watchdog_s=watchdog_s)
    return Service(
        notifier, clock or ManualClock(), reread=lambda: Settings(model="another"), terminal=False
    )


def refusing(manager: Manager) -> Service:
    def reread() -> Settings:
        raise ConfigError("modle is not a known key; did you mean model?")

    return Service(Notifier(manager.address), ManualClock(), reread=reread, terminal=False)


def test_an_abstract_socket_is_told_as_well() -> None:
    manager = Manager(f"@rtclassify-test-{os.getpid()}")
    Notifier(manager.address).tell(READY=1, STATUS="main: speech")
    assert manager.heard() == ["READY=1\nSTATUS=main: speech"]
    manager.close()


def test_without_a_manager_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    Notifier(None).tell(READY=1)
    Notifier(str(tmp_path / "gone")).tell(READY=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_fed_by_the_process_that_it_watches(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier.from_environment(environ).watchdog_s == watchdog_s


def test_the_watchdog_is_fed_at_least_twice_in_its_time_and_only_by_turns(manager: Manager) -> None:
    clock = ManualClock()
    service = service_of(manager, clock, watchdog_s=10.0)
    fed = []
    for _ in range(400):
        service.turn()
        fed += [clock.now() for message in manager.heard() if message == "WATCHDOG=1"]
        clock.advance(0.1)

    assert max(b - a for a, b in itertools.pairwise(fed)) <= 5.0
    assert len(fed) <= 40
    clock.advance(100.0)
    assert manager.heard() == []


def test_nothing_watches_where_there_is_no_watchdog(manager: Manager) -> None:
    assert service_of(manager).turn()
    assert manager.heard() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_loop_at_the_next_turn(manager: Manager, number: signal.Signals) -> None:
    with service_of(manager) as service:
        assert service.turn()
        os.kill(os.getpid(), number)
        assert not service.turn()
        assert service.reloaded() is None
    assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]


def test_a_closed_terminal_is_a_stop() -> None:
    service = Service(Notifier(None), ManualClock(), reread=Settings, terminal=True)
    with service:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not service.turn()
        assert service.reloaded() is None


def test_a_second_interrupt_does_not_wait_for_the_turn(manager: Manager) -> None:
    with service_of(manager):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_mean_afterwards_what_they_meant_before(manager: Manager) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with service_of(manager):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def said_reloading(said: str) -> bool:
    """Tell whether it was said now, by the clock that systemd goes by."""
    usec = said.removeprefix("RELOADING=1\nMONOTONIC_USEC=")
    return abs(time.monotonic() - int(usec) / 1e6) < LONG_S


def test_a_hangup_ends_the_loop_with_new_settings_once(manager: Manager) -> None:
    with service_of(manager) as service:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not service.turn()
        assert service.reloaded() == Settings(model="another")
        assert service.reloaded() is None
        assert service.turn()
    (said,) = manager.heard()
    assert said_reloading(said)


def test_a_hangup_with_bad_settings_is_one_error_line_and_the_loop_goes_on(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing(manager) as service:
        os.kill(os.getpid(), signal.SIGHUP)
        assert service.turn()
    said, ready = manager.heard()
    assert said_reloading(said)
    assert ready == "READY=1"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "did you mean model?" in record.getMessage()


def test_a_stop_goes_before_a_reload(manager: Manager) -> None:
    with service_of(manager) as service:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not service.turn()
        os.kill(os.getpid(), signal.SIGTERM)
        assert service.reloaded() is None


@settings(deadline=None, max_examples=50)
@given(stop_at=st.integers(1, 40), sound=st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_stop_at_any_turn_closes_every_segment_that_opened(
    stop_at: int, sound: list[bool]
) -> None:
    """Thirty blocks of a second each, loud or not, and SIGTERM during one of the turns."""
    classifier = EnvelopeClassifier()
    blocks = [
        [AudioBlock("main", second * 100, np.full(100, 0.9 if loud else 0.1, np.float32))]
        for second, loud in enumerate(sound)
    ]
    sink, turns = MemorySink(), 0
    with Service(Notifier(None), ManualClock(), reread=Settings, terminal=False) as service:

        def turn() -> bool:
            nonlocal turns
            turns += 1
            if turns == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return service.turn()

        pipeline = Pipeline(classifier, ["main"], LabelSettings())
        run(
            [ScriptedSource(blocks, ["main"])], pipeline, [sink],
            clock=ManualClock(), wakeup=Wakeup(), turn=turn,
        )  # fmt: skip

    assert turns == min(stop_at, len(blocks) + 1)
    segments = [event for event in sink.events if isinstance(event, Segment)]
    opened = [segment.number for segment in segments if segment.end is None]
    closed = [segment.number for segment in segments if segment.end is not None]
    assert opened == closed == list(range(len(opened)))
