"""Each kind of alarm: what raises it, what clears it, and what must not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from alarm_audio import (
    RATE,
    blocks,
    heard,
    judged,
    noise,
    pink,
    programme,
    said,
    sine,
    stereo,
    watch,
)

from rtclassify.alarm_kinds import KINDS, Limits
from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.monitor import Monitor, Turn
from rtclassify.alarms.readings import Meters
from rtclassify.clock import Line
from rtclassify.stream import AudioBlock, Gap, Opened, Samples
from rtclassify.testing import ManualClock
from rtclassify.training.tune import played

LASTS_S = 40.0
BEFORE = stereo(programme(20.0))
AFTER = stereo(programme(30.0, seed=1))
TALK = programme(LASTS_S, seed=2)
ZEROS = np.zeros_like(TALK)
WRONG: dict[str, Samples] = {
    "digital-silence": stereo(ZEROS),
    "silence": stereo(noise(-70.0, LASTS_S)),
    "clipping": stereo(np.clip(300.0 * TALK, -1.0, 1.0)),
    "leg-missing": stereo(TALK, 0.001 * TALK),
    "out-of-phase": stereo(TALK, -TALK),
    "test-tone": stereo(sine(-18.0, LASTS_S)),
    "hiss": stereo(noise(-30.0, LASTS_S)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_trouble_is_raised_and_cleared_where_it_began_and_ended(kind: str) -> None:
    alarms, _ = heard(np.concatenate([BEFORE, WRONG[kind], AFTER]))

    assert [(alarm.kind, alarm.raised) for alarm in alarms] == [(kind, True), (kind, False)]
    began, ended = (alarm.since / RATE for alarm in alarms)
    assert began == pytest.approx(20.0, abs=1.0)
    assert ended == pytest.approx(60.0, abs=11.0 if kind == "clipping" else 1.0)
    assert alarms[0].incident == alarms[1].incident == 0
    assert alarms[0].sentence != alarms[1].sentence


@pytest.mark.parametrize("kind", ["silence", "digital-silence", "hiss", "test-tone"])
def test_it_is_raised_when_it_has_lasted_and_not_a_step_before(kind: str) -> None:
    watching, limits = watch(), KINDS[kind].limits
    trouble = np.concatenate([BEFORE, WRONG[kind]])
    for block in blocks(trouble):
        for reading, alarms in judged(watching, block):
            if alarms:
                (alarm,) = alarms
                assert reading.end - alarm.since == limits.trigger_s * RATE
                return
    pytest.fail("it was not raised")


@pytest.mark.parametrize("kind", WRONG)
def test_trouble_that_does_not_last_raises_nothing(kind: str) -> None:
    averaged_s = 10.0 if kind == "clipping" else 0.0
    lasts_s = KINDS[kind].limits.trigger_s - averaged_s - 1.0
    short = WRONG[kind][: round(lasts_s * RATE)]

    assert heard(np.concatenate([BEFORE, short, AFTER]))[0] == []


@pytest.mark.parametrize("seed", [1, 2, 4, 11, 18])
def test_music_with_a_beat_raises_nothing(seed: int) -> None:
    music = played(60 * RATE, RATE, np.random.default_rng(seed))
    music *= np.float32(0.9) / np.abs(music).max()

    assert heard(stereo(music))[0] == []
    assert max(likenesses(music)) < KINDS["stuck-loop"].limits.trigger  # type: ignore[operator]


def likenesses(samples: Samples) -> list[float]:
    (readings,) = Meters(["a"], RATE).push([AudioBlock("a", 0, samples)])
    return [reading.likeness for reading in readings if not math.isnan(reading.likeness)]


@pytest.mark.parametrize(
    "loop",
    [
        programme(0.7),
        programme(7.003),
        noise(-26.0, 1.466),
        programme(58.01),
        0.1 * played(13 * RATE + 77, RATE, np.random.default_rng(3)),
    ],
)
def test_a_stuck_loop_is_raised_whatever_its_period_and_cleared_when_it_goes_on(
    loop: Samples,
) -> None:
    """The way here adds noise, as a sound card does."""
    again = np.resize(loop, 230 * RATE) + noise(-80.0, 230.0)
    alarms, _ = heard(np.concatenate([stereo(again), stereo(programme(60.0, seed=5))]))

    stuck = [alarm for alarm in alarms if alarm.kind == "stuck-loop"]
    assert [alarm.raised for alarm in stuck] == [True, False]
    assert stuck[1].since / RATE == pytest.approx(230.0 + 5.0, abs=5.0)


def test_a_loop_tells_its_period() -> None:
    loop = np.resize(programme(31.5), 80 * RATE)
    (readings,) = Meters(["a"], RATE).push([AudioBlock("a", 0, loop)])

    assert readings[-1].period_s == pytest.approx(31.5, abs=0.01)


def test_an_advertisement_that_comes_twice_is_no_loop() -> None:
    spot = programme(30.0, seed=7)
    hour = [programme(45.0, seed=8), spot, spot, programme(120.0, seed=9), spot]

    assert heard(stereo(np.concatenate(hour)))[0] == []


def test_pink_noise_and_a_hum_are_told_too() -> None:
    assert said(heard(stereo(pink(-30.0, 40.0)))[0]) == [("hiss", True, 0.5)]
    assert said(heard(stereo(sine(-30.0, 40.0, 50.0)))[0]) == [("test-tone", True, 0.5)]


def test_legs_that_cancel_each_other_are_no_silence() -> None:
    """Their mix is digital zero; the audio is there all the same."""
    alarms, _ = heard(stereo(TALK, -TALK))

    assert [alarm.kind for alarm in alarms] == ["out-of-phase"]


def test_a_mono_channel_has_no_legs_to_judge() -> None:
    assert heard(TALK[:, np.newaxis])[0] == []


def test_quiet_between_trigger_and_release_keeps_an_alarm_raised() -> None:
    parts = [noise(-70.0, 15.0), noise(-58.5, 15.0), noise(-50.0, 15.0)]
    alarms, _ = heard(stereo(np.concatenate(parts)))

    assert said(alarms) == [("silence", True, 0.0), ("silence", False, 30.0)]


def test_an_alarm_is_dated_by_the_line_of_its_audio() -> None:
    watching, line = watch(), Line(15.0 * RATE, 65.0, float(RATE), 0.002, rate_error=1e-3)
    quiet = noise(-70.0, 15.0)
    told = judged(watching, AudioBlock("a", 0, quiet, line))
    (alarm,) = [alarm for _, alarms in told for alarm in alarms]

    assert alarm.captured is not None
    assert (alarm.captured.clock_s, alarm.captured.error_s) == pytest.approx((50.0, 0.017))


def test_no_capture_is_raised_by_the_clock_and_cleared_by_audio() -> None:
    clock, watching = ManualClock(), watch()
    alarms = []
    for _ in range(20):
        clock.advance(1.0)
        alarms += watching.beat(clock.now())
    (raised,) = alarms
    assert (raised.kind, raised.sentence) == ("no-capture", "no audio arrives: no audio yet")
    assert list(watching["a"].alarms) == [raised]

    cleared, _ = heard(stereo(programme(2.0)), watching)

    assert said(cleared) == [("no-capture", False, 0.0)]
    assert list(watching["a"].alarms) == []


def test_audio_that_arrives_in_bursts_is_capture() -> None:
    clock, watching = ManualClock(), watch()
    for second in range(0, 60, 8):
        watching.measure([AudioBlock("a", second * RATE, programme(8.0))])
        for _ in range(8):
            assert watching.beat(clock.now()) == []
            clock.advance(1.0)


def test_another_device_is_suspected_until_the_first_one_is_back() -> None:
    watching = watch()
    names = ["Scarlett 2i2, ALSA", "Scarlett 2i2, ALSA", "HDMI, ALSA", "Scarlett 2i2, ALSA"]
    alarms = [watching["a"].opened(Opened("a", name)) for name in names]

    assert [len(said) for said in alarms] == [0, 0, 1, 1]
    assert "HDMI, ALSA" in alarms[2][0].sentence
    assert "Scarlett 2i2, ALSA" in alarms[2][0].sentence
    assert not alarms[3][0].raised


def test_what_is_still_raised_at_the_end_is_cleared_and_says_why() -> None:
    watching = watch()
    (raised,), _ = heard(WRONG["silence"], watching)

    (cleared,) = watching.finish()

    assert (cleared.raised, cleared.incident) == (False, raised.incident)
    assert cleared.sentence.startswith("the watch ends while it lasts")
    assert watching.finish() == []


def test_a_gap_changes_nothing_that_is_raised() -> None:
    watching = watch()
    quiet = noise(-70.0, 15.0)
    alarms = []
    for start in (0, Gap("a", len(quiet), len(quiet) + 999, "lost").end):
        for _, of_reading in judged(watching, AudioBlock("a", start, quiet)):
            alarms += of_reading

    assert said(alarms) == [("silence", True, 0.0)]


def test_what_was_heard_before_a_gap_is_no_part_of_a_loop() -> None:
    """Half a minute, a loss, and the same half minute again: as much as a repeated spot."""
    eager = replace(KINDS["stuck-loop"].limits, trigger_s=5.0)
    settings = AlarmSettings({"stuck-loop": eager})
    watching = watch(settings)
    spot = programme(35.0)
    alarms = []
    for start in (0, len(spot) + 100):
        for _, of_reading in judged(watching, AudioBlock("a", start, spot)):
            alarms += of_reading

    assert alarms == []
    assert said(heard(stereo(np.resize(spot, 70 * RATE)), watch(settings))[0])


def test_where_both_levels_are_one_the_figure_at_it_is_trouble_and_no_release() -> None:
    monitor = Monitor(Limits(-60.0, 1.0, -60.0, 1.0), rate=1, rises=False)

    turns = [monitor.take(figure, start=at, length=1) for at, figure in enumerate([-60.0] * 3)]
    assert turns == [Turn(raised=True, since=0), None, None]
    assert monitor.take(-59.9, start=3, length=1) == Turn(raised=False, since=3)
