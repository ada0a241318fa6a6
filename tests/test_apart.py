"""What has a process of its own does what it does here, and is missed when it dies."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from alarm_audio import RATE, blocks, programme, stereo
from archives import alive, until
from test_engine import noise
from test_run import PATIENCE_S, started

from rtclassify import litert
from rtclassify.alarms.readings import Meters, Reading
from rtclassify.apart.meters import MetersApart
from rtclassify.apart.network import EngineApart
from rtclassify.apart.worker import ROOM, batches
from rtclassify.cli.driving import MANY
from rtclassify.clock import Line
from rtclassify.engine import Engine
from rtclassify.errors import BundleError, WorkerError
from rtclassify.events import Loudness
from rtclassify.stream import AudioBlock, Window

CHANNELS = ("a", "b")
LINE = Line(0.0, 5.0, RATE, 0.001)


@pytest.fixture(scope="module")
def opening(light_model: tuple[str, ...]) -> partial[Engine]:
    return partial(litert.open_engine, light_model[1])


@pytest.fixture(scope="module")
def apart(opening: partial[Engine]) -> Iterator[EngineApart]:
    with EngineApart(opening) as apart:
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
    apart: EngineApart, opening: partial[Engine]
) -> None:
    engine = opening()
    apart.reset()
    for batch in windows(engine, hops=[(0,), (1, 2), (5,), (6,), (6,), (7, 8, 9)]):
        assert np.array_equal(apart.scores(batch), engine.scores(batch))
    engine.reset()
    apart.reset()
    (batch,) = windows(engine, hops=[(3,)])
    assert np.array_equal(apart.scores(batch), engine.scores(batch))


def test_it_tells_of_itself_what_the_engine_does(
    apart: EngineApart, opening: partial[Engine]
) -> None:
    engine = opening()
    for name in ("runs_on", "name", "labels", "rate", "window", "hop", "cell"):
        assert getattr(apart, name) == getattr(engine, name)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        EngineApart(partial(litert.open_engine, str(tmp_path / "nowhere")))


def test_a_process_that_is_killed_is_missed_in_one_sentence(opening: partial[Engine]) -> None:
    engine = opening()
    with EngineApart(opening) as apart:
        os.kill(children_of(os.getpid())[-1], signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"has ended \(exit code -9\); see the system's log"):
            apart.scores(windows(engine, hops=[(0,)])[0])


def batches_of_two() -> list[list[AudioBlock]]:
    """Return batches of two channels' blocks: one has two legs and a line, one comes in pieces."""
    two = blocks(stereo(programme(3.0), programme(3.0, seed=1)))
    one = blocks(programme(3.0, seed=2)[:, np.newaxis], length=7_000)
    named = [replace(block, channel="b") for block in one]
    return [[replace(block, line=LINE), piece] for block, piece in zip(two, named, strict=False)]


def read(meters: Meters | MetersApart, heard: list[list[AudioBlock]]) -> str:
    """Return what is read of two channels, however late."""
    ends = [AudioBlock(block.channel, block.end, np.zeros(0, np.float32)) for block in heard[-1]]
    told: list[list[Reading]] = [[], []]
    until_s = time.monotonic() + PATIENCE_S
    for batch in itertools.chain(heard, itertools.repeat(ends)):
        for of_one, readings in zip(told, meters.push(batch), strict=True):
            of_one.extend(readings)
        if sum(map(len, told)) == 11 or time.monotonic() > until_s:
            return repr(told)
    raise AssertionError


def test_it_measures_as_meters_do_here() -> None:
    heard, here = batches_of_two(), Meters(CHANNELS, RATE)
    with MetersApart(CHANNELS, RATE) as apart:
        assert read(apart, heard) == read(here, heard)
        until(lambda: apart.loudness == here.loudness)


def test_meters_that_are_killed_are_missed_and_their_last_loudness_stays() -> None:
    with MetersApart(CHANNELS, RATE) as apart:
        os.kill(children_of(os.getpid())[-1], signal.SIGKILL)
        said = r"process of the alarms has ended \(exit code -9\)"
        with pytest.raises(WorkerError, match=said):
            read(apart, batches_of_two())
        assert apart.loudness == apart.loudness == [Loudness(None, None, None, None, None, 0)] * 2


def test_audio_that_is_more_than_there_is_room_for_goes_in_parts() -> None:
    sizes = [ROOM // 2, ROOM // 2, 1, ROOM, 5, 6]
    assert [sizes[some] for some in batches(sizes)] == [
        sizes[:2],
        sizes[2:3],
        sizes[3:4],
        sizes[4:],
    ]
    assert [*batches([])] == []


def children_of(process: int) -> list[int]:
    """Return the processes that another one has started, the newest last."""
    return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]


@pytest.fixture
def many(tmp_path: Path, light_model: tuple[str, ...]) -> tuple[str, ...]:
    """Options for as many channels as it takes, all of the demo."""
    channel = '[[channel]]\nname = "c{}"\nsource = "demo"\nchannels = [1]\n'
    settings = tmp_path / "settings.toml"
    settings.write_text("".join(channel.format(number) for number in range(MANY)))
    return (*light_model, "--config", str(settings))


def test_many_channels_have_both_and_stop_them(tmp_path: Path, many: tuple[str, ...]) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        workers = children_of(daemon.process.pid)[-2:]
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        heard = len(daemon.messages("label/c0/"))
        daemon.await_(lambda: len(daemon.messages("label/c0/")) > heard, "another label")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0

    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert [segment["state"] for segment in daemon.messages("segment/")][-1] == "closed"


@pytest.mark.parametrize(("name", "newest"), [("network", -2), ("alarms", -1)])
def test_the_daemon_ends_in_order_when_one_dies(
    tmp_path: Path, many: tuple[str, ...], name: str, newest: int
) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        os.kill(children_of(daemon.process.pid)[newest], signal.SIGKILL)
        assert daemon.ended() == WorkerError.exit_code

    assert "Traceback" not in daemon.log
    assert f"error: The process of the {name} has ended (exit code -9)" in daemon.log
    assert [segment["state"] for segment in daemon.messages("segment/")][-1] == "closed"


def test_they_end_with_a_daemon_that_is_killed(tmp_path: Path, many: tuple[str, ...]) -> None:
    with started(tmp_path, *many) as daemon:
        daemon.await_(lambda: daemon.messages(f"label/c{MANY - 1}/"), "a label")
        workers = children_of(daemon.process.pid)[-2:]
        daemon.process.kill()
        daemon.process.wait()
        until(lambda: not any(map(alive, workers)))
        assert not any(map(alive, workers))
