"""EBU R128, on those signals of EBU Tech 3341 that docs/alarms.md lists.

Levels are those of sines in both legs, at 16 kHz, which holds all of them.
"""

from __future__ import annotations

import numpy as np
import pytest
from alarm_audio import RATE, STEP, heard, noise, sine, stereo, watch

from rtclassify.events import Loudness
from rtclassify.stream import AudioBlock, Samples

WITHIN_LU = 0.1

each_maximum = pytest.mark.parametrize(
    ("figure", "sounding_s", "later_s"),
    [("short_term_max", 3.0, 0.15), ("momentary_max", 0.4, 0.02)],
)
"""Which one, how long the tones sound that it is proven on, and by how much each is later."""


def tones(*levels_and_seconds: tuple[float, float]) -> Samples:
    return np.concatenate([sine(level, seconds) for level, seconds in levels_and_seconds])


def loudness(samples: Samples) -> list[Loudness]:
    return heard(stereo(samples))[1]


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_cases_1_and_2_a_steady_tone_is_as_loud_in_every_way(level: float) -> None:
    last = loudness(sine(level, 20.0))[-1]

    figures = [last.momentary, last.short_term, last.integrated]
    assert figures == pytest.approx([level] * 3, abs=WITHIN_LU)


@pytest.mark.parametrize(
    "parts",
    [
        [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)],
        [(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)],
        [(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)],
    ],
)
def test_cases_3_to_5_the_gates_leave_out_what_is_quiet(parts: list[tuple[float, float]]) -> None:
    assert loudness(tones(*parts))[-1].integrated == pytest.approx(-23.0, abs=WITHIN_LU)


def test_case_9_the_short_term_window_is_three_seconds() -> None:
    measured = loudness(tones(*[(-20.0, 1.34), (-30.0, 1.66)] * 5))

    short_term = [at.short_term for at in measured if at.short_term is not None]
    assert len(short_term) > 20
    assert short_term == pytest.approx([-23.0] * len(short_term), abs=WITHIN_LU)


def pieces(level: float, silent_s: float, sounding_s: float) -> Samples:
    """A tone after a silence and before a second of it."""
    silence = np.zeros(round(silent_s * RATE), np.float32)
    return np.concatenate([silence, sine(level, sounding_s), np.zeros(RATE, np.float32)])


@each_maximum
def test_cases_10_and_13_no_tone_falls_between_two_windows(
    figure: str, sounding_s: float, later_s: float
) -> None:
    found = [
        getattr(loudness(pieces(-23.0, number * later_s, sounding_s))[-1], figure)
        for number in range(20)
    ]

    assert found == pytest.approx([-23.0] * 20, abs=WITHIN_LU)


@each_maximum
def test_cases_11_and_14_each_louder_tone_is_the_new_maximum(
    figure: str, sounding_s: float, later_s: float
) -> None:
    tones = [pieces(number - 38.0, number * later_s, sounding_s) for number in range(20)]

    measured = loudness(np.concatenate(tones))

    told = {round(at, 1) for at in (getattr(each, figure) for each in measured) if at is not None}
    wanted = np.arange(-38.0, -18.0)
    assert [min(told, key=lambda at: abs(at - each)) for each in wanted] == pytest.approx(
        wanted.tolist(), abs=WITHIN_LU
    )


def test_case_12_the_momentary_window_is_four_tenths_of_a_second() -> None:
    measured = loudness(tones(*[(-20.0, 0.18), (-30.0, 0.22)] * 25))

    momentary = [at.momentary for at in measured if at.momentary is not None]
    assert len(momentary) > 18
    assert momentary == pytest.approx([-23.0] * len(momentary), abs=WITHIN_LU)


@pytest.mark.parametrize("hz", [25.0, 40.0, 100.0, 500.0, 2000.0, 5000.0])
def test_the_weighting_is_that_of_the_standard(hz: float) -> None:
    """BS.1770-4 gives the coefficients of both filters at 48 kHz."""
    z = np.exp(-2j * np.pi * hz / 48_000 * np.arange(3))
    shelf = (z @ [1.53512485958697, -2.69169618940638, 1.19839281085285]) / (
        z @ [1.0, -1.69065929318241, 0.73248077421585]
    )
    high_pass = (z @ [1.0, -2.0, 1.0]) / (z @ [1.0, -1.99004745483398, 0.99007225036621])

    measured = loudness(sine(-23.0, 5.0, hz))[-1].short_term

    gain_db = 20 * np.log10(abs(shelf * high_pass))
    assert measured == pytest.approx(-23.0 - 0.691 + gain_db, abs=WITHIN_LU)


def test_one_leg_or_mono_is_3_lu_quieter_than_two() -> None:
    tone = sine(-23.0, 10.0)
    one = heard(stereo(tone, np.zeros_like(tone)))[1][-1].integrated
    mono = heard(tone[:, np.newaxis])[1][-1].integrated

    assert [one, mono] == pytest.approx([-26.0, -26.0], abs=WITHIN_LU)


def test_legs_that_differ_are_summed_in_energy_not_in_sound() -> None:
    left, right = noise(-30.0, 10.0, seed=1), noise(-30.0, 10.0, seed=2)
    apart, alike = (heard(stereo(left, leg))[1][-1].integrated for leg in (right, left))

    assert apart == pytest.approx(alike, abs=WITHIN_LU)


def test_legs_that_cancel_each_other_are_about_as_loud_as_others() -> None:
    tone = sine(-23.0, 10.0)

    assert heard(stereo(tone, -tone))[1][-1].integrated == pytest.approx(-23.0, abs=1.0)


def test_nothing_is_told_before_a_window_is_full_nor_of_silence() -> None:
    assert loudness(np.zeros(10 * RATE, np.float32))[-1] == Loudness(
        None, None, None, None, None, 0
    )
    early = loudness(sine(-23.0, 2.0))[-1]
    assert (early.momentary is None, early.short_term) == (False, None)


def test_no_window_reaches_across_a_gap() -> None:
    watching, tone = watch(), sine(-23.0, 10.0)
    for block in (AudioBlock("a", 0, tone), AudioBlock("a", 11 * RATE, tone[: 2 * RATE])):
        watching.measure([block])

    (now,) = watching.loudness
    assert now.short_term is None
    assert [now.momentary, now.integrated] == pytest.approx([-26.0, -26.0], abs=WITHIN_LU)


def test_the_integrated_figure_begins_anew_with_each_hour_of_audio() -> None:
    """What was loud before the hour is forgotten after it."""
    watching = watch()
    hour, tone = 3600 * RATE, sine(-23.0, 10.0)
    for start, gain in ((hour - len(tone), 10.0), (hour, 1.0)):
        for at in range(0, len(tone), STEP):
            samples = np.float32(gain) * tone[at : at + STEP]
            watching.measure([AudioBlock("a", start + at, samples)])

    (now,) = watching.loudness
    assert now.since == hour
    assert now.integrated == pytest.approx(-26.0, abs=WITHIN_LU)
