"""Three times, never mixed: sample indices, clock seconds, UTC.

A *sample index* is the truth about where something is in a channel's audio. *Clock seconds* are
monotonic and serve latency and time-outs. *UTC* exists only at the edge, for people. A `Timeline`
ties the first to the second by a fit, and a `Clock` ties the second to the third.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

WRITTEN_S = 1e-3
"""UTC is written down to the millisecond."""

TIMEX, MAXERROR, TIME_ERROR = 32, 3, 5
"""Of adjtimex(2): more than its structure's longs, one of them, and what says unsynchronised."""

TIMESYNCD = Path("/run/systemd/timesync/synchronized")
TIMESYNCD_S = 7200.0
"""It is touched each time, which is every 34 minutes at the latest."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's CLOCK_MONOTONIC stands still while the machine is suspended."""


class Clock(Protocol):
    """A monotonic clock that also knows what UTC it was."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""

    def utc(self, at: float) -> datetime:
        """Return the UTC of the clock reading `at`, which lies near `now`."""


class SystemClock:
    """The machine's clock; it goes on while the machine is suspended, as the day does."""

    def now(self) -> float:
        """Return seconds since the machine was started."""
        return time.clock_gettime(_STEADY)

    def utc(self, at: float) -> datetime:
        """Return the system's UTC, moved back by the age of `at`."""
        return datetime.now(UTC) - timedelta(seconds=self.now() - at)


@dataclass(frozen=True, slots=True)
class Timekeeping:
    """Whether the machine's clock is kept right by others, as far as this process may know.

    Args:
        synchronised: None where nobody tells.
        error_s: How far UTC may be off by the kernel's account; None where it does not tell.
    """

    synchronised: bool | None = None
    error_s: float | None = None


def timekeeping() -> Timekeeping:
    """Ask the kernel, or, where a sandbox forbids that, see what systemd-timesyncd leaves behind.

    Takes microseconds.
    """
    if sys.platform == "linux":
        timex = (ctypes.c_long * TIMEX)()
        state = ctypes.CDLL(None).adjtimex(timex)
        if state == TIME_ERROR:
            return Timekeeping(synchronised=False)
        if state >= 0:
            return Timekeeping(synchronised=True, error_s=timex[MAXERROR] / 1e6)
    try:
        age_s = time.time() - TIMESYNCD.stat().st_mtime
    except OSError:
        return Timekeeping()
    return Timekeeping(synchronised=age_s < TIMESYNCD_S)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight piece of a timeline: which clock second a sample was captured at.

    Args:
        sample: The reference sample index.
        clock_s: Clock seconds at which that sample was captured.
        rate: Samples per clock second as fitted, close to the nominal rate.
        error_s: How far `clock_s` may be off.
        rate_error: How far `rate` may be off, as a share of it.
    """

    sample: float
    clock_s: float
    rate: float
    error_s: float
    rate_error: float = 0.0

    def at(self, sample: int) -> float:
        """Return the clock seconds at which `sample` was captured."""
        return self.clock_s + (sample - self.sample) / self.rate

    def error_at(self, sample: int) -> float:
        """Return how far `at` may be off, in seconds: the farther away, the more."""
        return self.error_s + self.rate_error * abs(sample - self.sample) / self.rate

    def delivered(self, ratio: float, *, origin: int) -> Line:
        """Return the same line for indices times `ratio` plus `origin`, as after resampling."""
        return replace(self, sample=self.sample * ratio + origin, rate=self.rate * ratio)


class Timeline:
    """Follow a card: fit clock seconds to sample indices as marks come in.

    Marks are pairs (sample index, clock seconds) from the capture device; each is jittered by
    milliseconds, and the card's crystal is off by some tens of ppm, which change with its
    temperature. A delay-locked loop follows both: a Kalman filter whose state is an offset and a
    skew, and whose noise is how marks differ from those just before them, so that a clock that runs
    away from the fit is not taken for noise.

    A mark that is off by more than `UNLIKELY` times the spread of the marks counts for nothing: it
    is late, as those of a stalled callback are. If `LATE_MARKS` in a row are, it is the clock that
    jumped, and the fit begins anew with the last one.

    The error bound is three standard deviations of the fit, plus the spread of the marks (they may
    all be late by that much), plus twice what the last ones were off by on average (they may wander
    together), plus the millisecond to which UTC is written; and while marks are left out, plus
    what the last of them was off. A delay that all marks share stays unknown.

    Owned by one thread; a mark costs microseconds, however many there were.

    Args:
        rate: Samples per second, nominally.
    """

    SPACING_S = 0.5
    """Marks closer together than this are dropped: neighbours tell the same."""

    JITTER_S = 5e-3
    SKEW = 1e-4
    """One standard deviation of what is thought before the first mark."""

    FINEST_S = 1e-5
    """No marks are thought to be better than that, however well they fit."""

    WANDER = 1e-7
    """By how much the skew changes in a second; it is a random walk."""

    REMEMBERED = 128
    BELIEVED = 8
    """Marks that tell the spread, and how many of them `JITTER_S` counts for at the start."""

    UNLIKELY = 4.0
    LATE_MARKS = 10

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._line: Line | None = None
        self._left_out = 0

    def mark(self, sample: int, clock_s: float) -> None:
        """Note that `sample` was captured at `clock_s`; marks too close together are dropped."""
        if self._line is None:
            self._begin(sample, clock_s)
        elif sample - self._sample >= self.SPACING_S * self._rate:
            self._predict(sample)
            self._correct(clock_s)

    @property
    def line(self) -> Line | None:
        """The current fit, or None before the first mark."""
        return self._line

    def _begin(self, sample: int, clock_s: float) -> None:
        self._sample, self._clock_s, self._skew = sample, clock_s, 0.0
        self._spread = self._noise = self.JITTER_S**2
        self._marks = self._left_out = 0
        self._bias_s = 0.0
        self._offset_var, self._shared_var, self._skew_var = self._spread, 0.0, self.SKEW**2
        self._say(0.0)

    def _predict(self, sample: int) -> None:
        """Move the state on to `sample`."""
        passed_s = (sample - self._sample) / self._rate
        self._sample = sample
        self._clock_s += passed_s * (1.0 + self._skew)
        wander = self.WANDER**2 * passed_s
        self._offset_var += passed_s * (
            2 * self._shared_var + passed_s * (self._skew_var + wander / 3)
        )
        self._shared_var += passed_s * (self._skew_var + wander / 2)
        self._skew_var += wander

    def _correct(self, clock_s: float) -> None:
        """Take what the mark at the predicted sample says."""
        off_s = clock_s - self._clock_s
        if abs(off_s) > self.UNLIKELY * math.sqrt(self._offset_var + self._spread):
            self._left_out += 1
            if self._left_out == self.LATE_MARKS:
                self._begin(self._sample, clock_s)
            else:
                self._say(abs(off_s))
            return
        self._left_out = 0
        self._marks += 1
        self._bias_s += (off_s - self._bias_s) / self.BELIEVED
        share = 1 / min(self._marks + self.BELIEVED, self.REMEMBERED)
        finest = self.FINEST_S**2 * share
        self._noise += ((off_s - self._bias_s) ** 2 - self._noise) * share + finest
        self._spread += (off_s**2 - self._spread) * share + finest
        expected = self._offset_var + self._noise
        gain, skew_gain = self._offset_var / expected, self._shared_var / expected
        self._clock_s += gain * off_s
        self._skew += skew_gain * off_s
        self._skew_var -= skew_gain * self._shared_var
        self._shared_var *= 1.0 - gain
        self._offset_var *= 1.0 - gain
        self._say(0.0)

    def _say(self, left_out_s: float) -> None:
        bound_s = 3 * math.sqrt(self._offset_var) + math.sqrt(self._spread) + 2 * abs(self._bias_s)
        self._line = Line(
            self._sample,
            self._clock_s,
            self._rate / (1.0 + self._skew),
            bound_s + left_out_s + WRITTEN_S,
            3 * math.sqrt(self._skew_var),
        )
