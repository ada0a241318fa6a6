"""An engine in a process of its own scores as it does here, and is missed when it dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from archives import alive, until
from test_engine import noise
from test_run import started

from rtclassify import litert
from rtclassify.apart import Apart
from rtclassify.cli.driving import MANY
from rtclassify.engine import Engine
from rtclassify.errors import BundleError, WorkerError
from rtclassify.stream import Window

CHANNELS = ("a", "b")


@pytest.fixture(scope="module")
def opening(light_model: tuple[str, ...]) -> partial[Engine]:
    return partial(litert.open_engine, light_model[1])


@pytest.fixture(scope="module")
def apart(opening: partial[Engine]) -> Iterator[Apart]:
    with Apart(opening) as apart:
        yield apart


def windows(engine: Engine, *, hops: list[tuple[int, ...]]) -> list[list[Window]]:
    """Return, batch by batch, the windows that begin at so many hops of each channel."""
    audio = {name: noise(seed, engine.window + 9 * engine.hop) for seed, name in enumerate("ab")}
    return [
        [
            Window(name, hop * engine.hop, audio[name][hop * engine.hop :][: engine.window])
            for hop in batch
            for name in CHANNELS
        ]
        for batch in hops
    ]


def test_it_scores_as_the_engine_does_whether_windows_follow_or_not(
    apart: Apart, opening: partial[Engine]
) -> None:
    engine = opening()
    apart.reset()
    for batch in windows(engine, hops=[(0,), (1, 2), (5,), (6,), (6,), (7, 8, 9)]):
        assert np.array_equal(apart.scores(batch), engine.scores(batch))
    engine.reset()
    apart.reset()
    (batch,) = windows(engine, hops=[(3,)])
    assert np.array_equal(apart.scores(batch), engine.scores(batch))


def test_it_tells_of_itself_what_the_engine_does(apart: Apart, opening: partial[Engine]) -> None:
    engine = opening()
    for name in ("runs_on", "name", "labels", "rate", "window", "hop", "cell"):
        assert getattr(apart, name) == getattr(engine, name)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        Apart(partial(litert.open_engine, str(tmp_path / "nowhere")))


def test_a_process_that_is_killed_is_missed_in_one_sentence(opening: partial[Engine]) -> None:
    engine = opening()
    with Apart(opening) as apart:
        os.kill(child_of(os.getpid()), signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"has ended \(exit code -9\); see the system's log"):
            apart.scores(windows(engine, hops=[(0,)])[0])


def child_of(process: int) -> int:
    """Return the newest process that another one has started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return max(map(int, children))


@pytest.fixture
def many(tmp_path: Path, light_model: tuple[str, ...]) -> tuple[str, ...]:
    """Options for as many channels as it takes, all of the demo."""
    channel = '[[channel]]\nname = "c{}"\nsource = "demo"\nchannels = [1]\n'
    settings = tmp_path / "settings.toml"
    settings.write_text("".join(channel.format(number) for number in range(MANY)))
    return (*light_model, "--config", str(settings))


def test_many_channels_have_it_and_stop_it(tmp_path: Path, many: tuple[str, ...]) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        network = child_of(daemon.process.pid)
        os.kill(network, signal.SIGTERM)
        heard = len(daemon.messages("label/c0/"))
        daemon.await_(lambda: len(daemon.messages("label/c0/")) > heard, "another label")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0

    assert not Path(f"/proc/{network}").exists()
    assert [segment["state"] for segment in daemon.messages("segment/")][-1] == "closed"


def test_the_daemon_ends_in_order_when_it_dies(tmp_path: Path, many: tuple[str, ...]) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        os.kill(child_of(daemon.process.pid), signal.SIGKILL)
        assert daemon.ended() == WorkerError.exit_code

    assert "Traceback" not in daemon.log
    assert "error: The process of the network has ended (exit code -9)" in daemon.log
    assert [segment["state"] for segment in daemon.messages("segment/")][-1] == "closed"


def test_it_ends_with_a_daemon_that_is_killed(tmp_path: Path, many: tuple[str, ...]) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        network = child_of(daemon.process.pid)
        daemon.process.kill()
        daemon.process.wait()
        until(lambda: not alive(network))
        assert not alive(network)
