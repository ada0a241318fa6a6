"""What every source promises, whatever it listens to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rigs.hearing import Hearing, check_indices
from rigs.icecast import Radio
from rigs.pulse import missing

from rtclassify.config import ChannelSettings
from rtclassify.errors import SourceError
from rtclassify.ring import Wakeup
from rtclassify.sources import SOURCES, Request, Tap, kind_of
from rtclassify.sources.demo import DemoSource
from rtclassify.stream import AudioBlock, Opened
from rtclassify.testing import ManualClock

RATE = 16_000
RIGS = {"soundcard": "pulse", "url": "radio"}
AWAY = {
    "soundcard": "soundcard:there is no such card",
    "url": "http://127.0.0.1:9/nothing.mp3",
    "file": "/there/is/no/such/file.wav",
}
KINDS = [pytest.param(k, marks=[pytest.mark.rig] if k in RIGS else []) for k in SOURCES]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two seconds of stereo noise at 44.1 kHz."""
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, (2 * 44_100, 2)), 44_100)
    return path


@pytest.fixture
def text_of(request: pytest.FixtureRequest, recording: Path) -> Callable[[str], str]:
    """Gives the text that names a source of a kind that is there and delivers audio."""

    def text(kind: str) -> str:
        rig = request.getfixturevalue(RIGS[kind]) if kind in RIGS else None
        if isinstance(rig, Radio):
            rig.feed(recording, "live", "mp3")
            return rig.url("live")
        return {"soundcard": "soundcard:rtc_air", "file": str(recording), "demo": "demo"}[kind]

    return text


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_keeps_the_contract(kind: str, text_of: Callable[[str], str]) -> None:
    """Two channels of one source: named, whole, dated, alike, in time, and let go at the end."""
    text = text_of(kind)
    assert kind_of(text)[0] == kind
    first, second = ChannelSettings("first", text), ChannelSettings("second", text, (1,))
    with Hearing(first, second) as hearing:
        began_s = hearing.clock.now()
        hearing.until(lambda: hearing.heard_s("second") > 1.5)
        passed_s = hearing.clock.now() - began_s
        (source,) = hearing.sources
        assert source.channels == ("first", "second")
        assert not source.ended
    assert hearing.closing_s < 2.0

    for item in hearing.items:
        if isinstance(item, Opened):
            continue
        assert isinstance(item, AudioBlock)
        assert item.samples.dtype == np.float32
        assert item.samples.ndim == 1
        assert np.isfinite(item.samples).all()
        assert item.line is not None
    spans = {name: [(b.start, b.end) for b in hearing.blocks(name)] for name in source.channels}
    assert spans["first"] == spans["second"]
    assert check_indices(hearing.items, "first") == len(hearing.audio("first"))
    if kind != "url":  # servers send what was before one came
        assert hearing.heard_s("first") < passed_s + 0.1


@pytest.mark.rig
@pytest.mark.parametrize("kind", ["soundcard", "url"])
def test_what_is_live_and_away_is_said_once_and_awaited(kind: str) -> None:
    if kind == "soundcard" and (reason := missing()):
        pytest.skip(f"no virtual sound card: {reason}")
    with Hearing(ChannelSettings("a", AWAY[kind]), ChannelSettings("b", AWAY[kind])) as hearing:
        hearing.until(lambda: bool(hearing.losses("b")))
        until_s = hearing.clock.now() + 2.5
        hearing.until(lambda: hearing.clock.now() > until_s)
        assert not hearing.sources[0].ended
    assert len(hearing.losses("a")) == len(hearing.losses("b")) == 1
    assert hearing.closing_s < 2.0


def test_a_recording_that_is_away_is_an_error() -> None:
    with pytest.raises(SourceError), Hearing(ChannelSettings("a", AWAY["file"])):
        pass


def test_a_recording_ends_and_then_says_nothing(recording: Path) -> None:
    with Hearing(ChannelSettings("a", str(recording))) as hearing:
        source = hearing.sources[0]
        hearing.until(lambda: source.ended)
        assert not source.read()
    assert len(hearing.audio("a")) == 2 * RATE


def test_the_demo_begins_again_without_a_break() -> None:
    def audio(*, live: bool, seconds: float) -> np.ndarray:
        clock = ManualClock()
        demo = DemoSource(Request("demo", (Tap("a", ()),), RATE, clock, Wakeup(), live))
        heard = [np.empty(0, np.float32)]
        with demo:
            while not demo.ended and sum(map(len, heard)) < seconds * RATE:
                clock.advance(0.5)
                heard += [i.samples for i in demo.read() if isinstance(i, AudioBlock)]
        return np.concatenate(heard)

    once = audio(live=False, seconds=1e9)
    assert 55 * RATE < len(once) < 65 * RATE
    looped = audio(live=True, seconds=2.1 * len(once) / RATE)
    edge = len(once) - RATE
    assert np.array_equal(looped[:edge], once[:edge])
    # The clip's length is no whole number of output samples, so the second lap is a hair off.
    assert np.corrcoef(looped[len(once) : len(once) + edge], once[:edge])[0, 1] > 0.99
