"""Sample indices become clock seconds by a fit, and clock seconds become UTC at the edge."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from clocks import SETTLED_S, STEP_S, WORLDS, card, play
from hypothesis import given
from hypothesis import strategies as st

from rtclassify.clock import Line, SystemClock, Timekeeping, Timeline, timekeeping
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


def test_marks_that_fit_perfectly_for_a_day_are_not_trusted_beyond_reason() -> None:
    timeline = Timeline(RATE)
    for second in range(86_400):
        timeline.mark(second * RATE, 1e8 + second)
    timeline.mark(86_400 * RATE, 1e8 + 86_400 + 2e-5)

    assert timeline.line is not None
    assert timeline.line.error_s < 1.2e-3
    assert timeline.line.at(86_400 * RATE) == pytest.approx(1e8 + 86_400, abs=2e-5)


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


def told(touched: Path, *, forbidden: bool) -> str:
    """Say what a process is told of the machine's clock."""
    code = f"""
import ctypes, pathlib, struct
from rtclassify import clock
number = [(0x20, 0, 0, 0)]
is_adjtimex = [(0x15, 1, 0, 159), (0x15, 0, 1, 305)]
eperm, allow = [(0x06, 0, 0, 0x50001)], [(0x06, 0, 0, 0x7FFF0000)]
steps = b"".join(struct.pack("HBBI", *step) for step in number + is_adjtimex + eperm + allow)
kept = ctypes.create_string_buffer(steps)
program = ctypes.create_string_buffer(struct.pack("HP", 5, ctypes.addressof(kept)))
libc = ctypes.CDLL(None)
if {forbidden}:
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, program, 0, 0) == 0
clock.TIMESYNCD = pathlib.Path({str(touched)!r})
print(clock.timekeeping())
"""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is that of x86-64")
@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(60.0, Timekeeping(True)), (10_800.0, Timekeeping(False)), (None, Timekeeping())],
)
def test_where_a_filter_forbids_to_ask_the_kernel_the_last_synchronisation_counts(
    tmp_path: Path, age_s: float | None, expected: Timekeeping
) -> None:
    """The service's own sandbox refuses adjtimex(2) with EPERM, as this one does."""
    touched = tmp_path / "synchronized"
    if age_s is not None:
        touched.touch()
        os.utime(touched, (time.time() - age_s,) * 2)

    assert told(touched, forbidden=True) == f"{expected}\n"


def test_the_kernel_goes_before_what_a_program_left_behind(tmp_path: Path) -> None:
    """It tells at least whether, and if so how well."""
    if timekeeping().synchronised is None:
        pytest.skip("this machine's own sandbox forbids to ask the kernel")
    said = told(tmp_path / "none", forbidden=False)

    assert "synchronised=None" not in said
    assert ("synchronised=True" in said) == ("error_s=None" not in said)


def test_utc_of_the_past_is_in_the_past() -> None:
    clock = SystemClock()
    age = clock.utc(clock.now()) - clock.utc(clock.now() - 3.0)

    assert abs(age - timedelta(seconds=3)) < timedelta(seconds=1)


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(5.0, datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)

    assert clock.now() == 6.5
    assert clock.utc(6.5) == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
