"""Sample indices become clock seconds by a fit, and clock seconds become UTC at the edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from clocks import SETTLED_S, STEP_S, WORLDS, card, play
from hypothesis import given
from hypothesis import strategies as st

from rtclassify.clock import Line, SystemClock, Timeline
from rtclassify.testing import ManualClock

RATE = 48_000
SEEDS = range(2)


@pytest.mark.parametrize("name", WORLDS)
def test_the_error_that_is_stated_covers_the_true_one_and_is_of_use(name: str) -> None:
    outcomes = [play(WORLDS[name](np.random.default_rng(seed))) for seed in SEEDS]

    assert min(outcome.covered for outcome in outcomes) >= 0.99
    assert max(np.median(outcome.stated_s) for outcome in outcomes) < 8e-3


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
def test_a_card_that_is_off_is_followed_within_five_milliseconds(ppm: float) -> None:
    outcome = play(card(np.random.default_rng(0), ppm=ppm))

    assert outcome.off_s[round(SETTLED_S / STEP_S) :].max() < 5e-3


@given(
    ppm=st.floats(-100.0, 100.0),
    start=st.integers(0, 10**12),
    clock_s=st.floats(0.0, 1e8),
    steps=st.lists(st.integers(1, 10 * RATE), min_size=1, max_size=50),
)
def test_marks_without_jitter_are_followed_wherever_they_begin(
    ppm: float, start: int, clock_s: float, steps: list[int]
) -> None:
    timeline, sample, rate = Timeline(RATE), start, RATE * (1 + ppm * 1e-6)
    timeline.mark(start, clock_s)
    for step in steps:
        sample += step
        timeline.mark(sample, clock_s + (sample - start) / rate)

    assert timeline.line is not None
    off_s = abs(timeline.line.at(sample) - (clock_s + (sample - start) / rate))
    assert off_s <= timeline.line.error_at(sample)


def test_one_late_mark_moves_nothing_and_is_stated() -> None:
    timeline = Timeline(RATE)
    for second in range(60):
        timeline.mark(second * RATE, float(second))
    calm = timeline.line
    timeline.mark(60 * RATE, 60.3)
    late = timeline.line

    assert calm is not None
    assert late is not None
    assert late.at(60 * RATE) == pytest.approx(60.0, abs=1e-4)
    assert late.error_s == pytest.approx(0.3, abs=0.01)


def test_a_clock_that_jumped_is_followed_after_ten_marks_and_said_until_then() -> None:
    timeline, stated = Timeline(RATE), []
    for second in range(60):
        timeline.mark(second * RATE, float(second))
    for second in range(60, 70):
        timeline.mark(second * RATE, second + 3600.0)
        assert timeline.line is not None
        stated.append(timeline.line.error_s)

    assert stated[:-1] == pytest.approx([3600.0] * 9, abs=0.01)
    assert timeline.line is not None
    assert timeline.line.at(69 * RATE) == pytest.approx(3669.0)


def test_the_farther_away_the_larger_the_error() -> None:
    line = Line(48_000.0, 10.0, 48_000.0, 0.001, rate_error=1e-5)

    assert line.error_at(48_000) == 0.001
    assert line.error_at(48_000 - 100 * 48_000) == pytest.approx(0.002)
    assert line.error_at(48_000 + 100 * 48_000) == pytest.approx(0.002)


def test_marks_close_together_are_dropped() -> None:
    timeline = Timeline(RATE)
    timeline.mark(0, 0.0)
    first = timeline.line
    timeline.mark(RATE // 2 - 1, 77.0)

    assert timeline.line is first


def test_a_line_can_be_read_at_another_rate_from_another_origin() -> None:
    line = Line(48_000.0, 10.0, 48_000.0, 0.001, rate_error=1e-5)
    delivered = line.delivered(1 / 3, origin=500)

    assert delivered.at(32_500) == pytest.approx(line.at(96_000))
    assert delivered.error_at(32_500) == pytest.approx(line.error_at(96_000))


def test_the_clock_goes_on_while_the_machine_is_suspended() -> None:
    """Linux counts that in `CLOCK_BOOTTIME` alone, which /proc/uptime shows."""
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])

    assert SystemClock().now() == pytest.approx(uptime_s, abs=5.0)


def test_utc_of_the_past_is_in_the_past() -> None:
    clock = SystemClock()
    age = clock.utc(clock.now()) - clock.utc(clock.now() - 3.0)

    assert abs(age - timedelta(seconds=3)) < timedelta(seconds=1)


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(5.0, datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)

    assert clock.now() == 6.5
    assert clock.utc(6.5) == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
