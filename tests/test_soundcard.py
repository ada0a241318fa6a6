"""A real PortAudio capture from a private sound server."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rigs.hearing import Hearing, check_indices
from rigs.pulse import SoundServer, add_card

from rtclassify.config import ChannelSettings
from rtclassify.errors import SourceError
from rtclassify.ring import Wakeup
from rtclassify.sources import Request, Tap
from rtclassify.sources.cards import Card, find_card, list_cards
from rtclassify.sources.live import Capture
from rtclassify.sources.soundcard import CardFit
from rtclassify.testing import ManualClock

AIR = ChannelSettings("air", "soundcard:rtc_air")
LEAD = 24_000
"""The sound server drops some hundred samples while a player starts; what follows is exact."""
SECOND = ChannelSettings("second", "soundcard:rtc_second")


def noise(seconds: float, channels: int = 1) -> np.ndarray:
    """Samples of which no two hundred in a row come twice; never zero."""
    random = np.random.default_rng(7)
    samples = random.integers(1, 20_000, (round(seconds * 48_000), channels), dtype=np.int16)
    return samples[:, 0] if channels == 1 else samples


def found_in(heard: np.ndarray, played: np.ndarray) -> np.ndarray:
    """Return the stretch of `heard`, in int16, that begins where `played` begins."""
    scaled = np.round(heard * 32768).astype(np.int16)
    for start in np.flatnonzero(scaled[: len(scaled) - 200] == played[0]):
        if np.array_equal(scaled[start : start + 200], played[:200]):
            return scaled[start : start + len(played)]
    raise AssertionError("what was played was never heard")


def more_than(hearing: Hearing, count: int) -> bool:
    return len(hearing.blocks("air")) > count


@pytest.mark.rig
def test_exactly_the_samples_that_were_played_come_out(pulse: SoundServer) -> None:
    played = noise(2.0)
    with Hearing(AIR, rate=48_000) as hearing:
        hearing.until(lambda: bool(hearing.blocks("air")))
        pulse.play(played, "air")
        enough = hearing.heard_s("air", rate=48_000) + 3.5
        hearing.until(lambda: hearing.heard_s("air", rate=48_000) > enough)

    played = played[LEAD:]
    assert np.array_equal(found_in(hearing.audio("air"), played), played)
    assert check_indices(hearing.items, "air") == len(hearing.audio("air"))


@pytest.mark.rig
def test_inputs_three_and_four_of_a_card_with_four(pulse: SoundServer) -> None:
    """Two channels of one card: one hears input 3, the other the mean of 3 and 4."""
    played = noise(2.0, channels=4)
    third = ChannelSettings("third", "soundcard:rtc_quad", (3,))
    both = ChannelSettings("both", "soundcard:rtc_quad", (3, 4))
    with Hearing(third, both, rate=48_000) as hearing:
        hearing.until(lambda: bool(hearing.blocks("both")))
        pulse.play(played, "quad")
        enough = hearing.heard_s("both", rate=48_000) + 3.5
        hearing.until(lambda: hearing.heard_s("both", rate=48_000) > enough)

    assert len(hearing.sources) == 1
    played = played[LEAD:]
    assert np.array_equal(found_in(hearing.audio("third"), played[:, 2]), played[:, 2])
    mean = (played[:, 2].astype(np.int32) + played[:, 3]) / 2
    heard = hearing.audio("both") * 32768
    starts = np.flatnonzero(heard[: len(heard) - len(mean)] == mean[0])
    assert any(np.array_equal(heard[start : start + len(mean)], mean) for start in starts)


@pytest.mark.rig
@pytest.mark.usefixtures("second_pulse")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_dies_is_lost_and_comes_back(
    pulse: SoundServer, number: signal.Signals
) -> None:
    with Hearing(AIR, SECOND) as hearing:
        hearing.until(lambda: min(map(hearing.heard_s, ("air", "second"))) > 0.5)
        pulse.signal(number)
        hearing.until(lambda: bool(hearing.losses("air")))
        lost_s = hearing.clock.now()
        pulse.start()
        seen = len(hearing.items)
        hearing.until(lambda: hearing.heard_s("air", seen) > 0.5)
        back = hearing.blocks("air", seen)[0]

    assert len(hearing.losses("air")) == 1
    (gap,) = hearing.gaps("air")
    assert back.line is not None
    away_s = back.line.at(back.start) - lost_s
    assert abs((gap.end - gap.start) / 16_000 - away_s) < 1.0
    check_indices(hearing.items, "air")
    assert not hearing.losses("second")
    assert not hearing.gaps("second")


@pytest.mark.rig
@pytest.mark.usefixtures("second_pulse")
def test_a_stalled_server_is_lost_without_hanging(
    pulse: SoundServer,
) -> None:
    """Nothing is flagged when a server stalls, and closing its stream hangs until it goes on."""
    with Hearing(AIR, SECOND) as hearing:
        hearing.until(lambda: min(map(hearing.heard_s, ("air", "second"))) > 0.5)
        pulse.signal(signal.SIGSTOP)
        seen = len(hearing.items)
        hearing.until(lambda: bool(hearing.losses("air")), limit_s=5.0)
        hearing.until(lambda: hearing.heard_s("second", seen) > 2.5)
        pulse.signal(signal.SIGCONT)
        seen = len(hearing.items)
        hearing.until(lambda: hearing.heard_s("air", seen) > 0.5)

    assert len(hearing.losses("air")) == 1
    assert len(hearing.gaps("air")) == 1
    assert not hearing.losses("second")
    assert not hearing.gaps("second")
    assert hearing.closing_s < 4.0


@pytest.mark.rig
def test_a_stalled_server_does_not_hold_up_the_end(pulse: SoundServer) -> None:
    with Hearing(AIR) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 0.5)
        pulse.signal(signal.SIGSTOP)
    assert hearing.closing_s < 2.0


@pytest.mark.rig
def test_a_card_that_is_unplugged_comes_back(pulse: SoundServer) -> None:
    pulse.unplug("quad")  # else the stream would silently move there
    with Hearing(AIR) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 0.5)
        pulse.unplug("air")
        hearing.until(lambda: bool(hearing.losses("air")))
        pulse.plug("air")
        seen = len(hearing.items)
        hearing.until(lambda: hearing.heard_s("air", seen) > 0.5)

    assert len(hearing.losses("air")) == 1
    assert len(hearing.gaps("air")) == 1
    check_indices(hearing.items, "air")


@pytest.mark.rig
@pytest.mark.usefixtures("pulse")
def test_a_card_that_appears_late_costs_the_others_one_counted_gap(
    second_pulse: SoundServer, sound_folder: Path
) -> None:
    """PortAudio sees a new card when it is initialised again, which ends its streams."""
    add_card(sound_folder / "asound.conf", "rtc_late", sound_folder / "b", "second")
    second_pulse.signal(signal.SIGTERM)
    with Hearing(AIR, ChannelSettings("late", "soundcard:rtc_late")) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 0.5 and bool(hearing.losses("late")))
        second_pulse.start()
        hearing.until(lambda: hearing.heard_s("late") > 0.5)
        seen = len(hearing.items)
        hearing.until(lambda: hearing.heard_s("air", seen) > 0.5)

    assert not hearing.losses("air")
    assert len(hearing.gaps("air")) == 1
    check_indices(hearing.items, "air")


@pytest.mark.rig
@pytest.mark.usefixtures("pulse")
def test_sample_times_are_the_clock_s() -> None:
    """Audio arrives after it was captured, and not long after."""
    delays = []
    with Hearing(AIR) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 1.0)
        for count in range(len(hearing.blocks("air")) + 1, len(hearing.blocks("air")) + 21):
            hearing.until(functools.partial(more_than, hearing, count))
            block = hearing.blocks("air")[-1]
            assert block.line is not None
            delays.append(hearing.clock.now() - block.line.at(block.end))
    assert -0.05 < np.median(delays) < 0.5


@pytest.mark.rig
@pytest.mark.usefixtures("pulse")
def test_the_cards_are_listed_by_name() -> None:
    names = [card.name for card in list_cards()]
    assert {"rtc_air", "rtc_quad"} <= set(names)
    shown = subprocess.run(
        [sys.executable, "-m", "rtclassify", "devices"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "soundcard:rtc_air" in shown


def card(name: str, *, default: bool = False) -> Card:
    return Card(name, "ALSA", 2, 48_000, default)


def test_part_of_a_name_finds_a_card_and_the_whole_name_wins() -> None:
    cards = [card("USB Audio"), card("USB Audio 2", default=True), card("Line In")]
    assert find_card("line", cards).name == "Line In"
    assert find_card("usb audio", cards).name == "USB Audio"
    assert find_card("", cards).name == "USB Audio 2"
    assert find_card("default", cards).name == "USB Audio 2"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("usb", r"'usb' fits 2 sound cards \(USB A, ALSA; USB B, ALSA\)"),
        ("hdmi", r"no sound card 'hdmi'; there are: USB A, ALSA; USB B, ALSA; "),
        ("", "no sound card 'default'"),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused_with_the_list(name: str, said: str) -> None:
    cards = [card("USB A"), card("USB B"), card("Line")]
    with pytest.raises(SourceError, match=said):
        find_card(name, cards)


def test_without_any_card_the_sentence_says_what_to_do() -> None:
    with pytest.raises(SourceError, match="no sound card with inputs; connect one"):
        find_card("air", [])


def test_without_portaudio_the_package_to_install_is_named() -> None:
    """In a child, because this process may have loaded PortAudio already."""
    script = """
import ctypes.util
ctypes.util.find_library = lambda name: None
from rigs.hearing import Hearing
from rtclassify.config import ChannelSettings
from rtclassify.errors import DependencyError
try:
    with Hearing(ChannelSettings("a", "soundcard:")) as hearing:
        hearing.until(lambda: bool(hearing.items))
except DependencyError as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.strip().endswith("is not installed; run: apt install libportaudio2")


def test_once_adc_times_have_settled_they_alone_make_the_line() -> None:
    """In the first three seconds arrival counts, here 40 ms late."""
    fit = CardFit(1000)
    for sample in range(0, 3_001, 50):
        fit.mark(sample, sample / 1000 + 0.040)
    early = fit.line
    for sample in range(3_050, 20_000, 50):
        fit.mark(sample, sample / 1000)
    late = fit.line
    assert early is not None
    assert late is not None
    assert early.at(3_000) == pytest.approx(3.040)
    assert late.at(20_000) == pytest.approx(20.0)
    assert late.rate == pytest.approx(1000.0)


def test_an_overflow_is_counted_by_the_adc_s_clock() -> None:
    """The flag says that audio was lost but not how much; half a second passed here."""
    from rtclassify.sources.portaudio import Stream

    clock = ManualClock()
    stream = Stream.__new__(Stream)
    request = Request("card", (Tap("air", ()),), 48_000, clock, Wakeup(), live=True)
    stream._clock, stream._expected_s, stream._error = clock, None, None
    stream.capture = Capture(request, device="card", rate=48_000, inputs=1)
    block = np.zeros((48_000, 1), np.float32)
    for overflow in (False, False, False, False, True):
        clock.advance(1.5 if overflow else 1.0)
        times = SimpleNamespace(currentTime=clock.now(), inputBufferAdcTime=clock.now() - 1.0)
        stream._note(block, times, overflow=overflow)
    assert stream.capture.ring.captured == 5 * 48_000 + 24_000
