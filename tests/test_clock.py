"""Sample indices become clock seconds by a fit, and clock seconds become UTC at the edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rtclassify.clock import Line, SystemClock, Timeline
from rtclassify.testing import ManualClock

RATE = 48_000
BLOCK = 1024


def marks(seconds: float, *, ppm: float, jitter_s: float, seed: int = 0) -> list[tuple[int, float]]:
    """ADC marks of a card that is off by `ppm` and jittered."""
    rng = np.random.default_rng(seed)
    samples = np.arange(0, int(seconds * RATE), BLOCK)
    true = 100.0 + samples / (RATE * (1 + ppm * 1e-6))
    return list(zip(samples.tolist(), (true + rng.normal(0, jitter_s, len(samples))).tolist(),
                    strict=True))  # fmt: skip


@pytest.mark.parametrize("ppm", [-50.0, 0.0, 50.0])
def test_the_fit_follows_a_card_that_is_off(ppm: float) -> None:
    timeline = Timeline(RATE)
    for mark in marks(120.0, ppm=ppm, jitter_s=0.0024):
        timeline.mark(*mark)

    assert timeline.line is not None
    at = 120 * RATE
    truth = 100.0 + at / (RATE * (1 + ppm * 1e-6))
    assert abs(timeline.line.at(at) - truth) < 0.001
    assert abs(timeline.line.at(at) - truth) <= timeline.line.error_s


def test_the_error_bound_holds_from_the_first_mark_on() -> None:
    misses = total = 0
    for seed in range(20):
        timeline = Timeline(RATE)
        for sample, seconds in marks(20.0, ppm=30.0, jitter_s=0.0024, seed=seed):
            timeline.mark(sample, seconds)
            assert timeline.line is not None
            truth = 100.0 + sample / (RATE * (1 + 30e-6))
            misses += abs(timeline.line.at(sample) - truth) > timeline.line.error_s
            total += 1

    assert misses / total < 0.01


def test_a_device_opened_anew_forgets_the_old_marks() -> None:
    timeline = Timeline(RATE)
    timeline.mark(0, 1.0)
    timeline.reset()
    assert timeline.line is None

    timeline.mark(RATE, 500.0)

    assert timeline.line is not None
    assert timeline.line.at(RATE) == pytest.approx(500.0)


def test_marks_are_thinned_and_bounded() -> None:
    timeline = Timeline(RATE, span_s=10.0, marks=100)
    for mark in marks(60.0, ppm=0.0, jitter_s=0.0):
        timeline.mark(*mark)

    assert len(timeline._marks) == 100
    assert timeline._marks[-1][1] - timeline._marks[0][1] == pytest.approx(10.0, rel=0.2)


def test_a_line_can_be_read_at_another_rate() -> None:
    line = Line(48_000.0, 10.0, 48_000.0, 0.001)

    assert line.rescaled(1 / 3).at(32_000) == pytest.approx(line.at(96_000))


def test_utc_of_the_past_is_in_the_past() -> None:
    clock = SystemClock()
    age = clock.utc(clock.now()) - clock.utc(clock.now() - 3.0)

    assert abs(age - timedelta(seconds=3)) < timedelta(seconds=1)


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(5.0, datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)

    assert clock.now() == 6.5
    assert clock.utc(6.5) == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
