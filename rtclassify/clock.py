"""Three times, never mixed: sample indices, clock seconds, UTC.

A *sample index* is the truth about where something is in a channel's audio. *Clock seconds* are
monotonic and serve latency and time-outs. *UTC* exists only at the edge, for people. A `Timeline`
ties the first to the second by a fit, and a `Clock` ties the second to the third.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np


class Clock(Protocol):
    """A monotonic clock that also knows what UTC it was."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""

    def utc(self, at: float) -> datetime:
        """Return the UTC of the clock reading `at`, which lies near `now`."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return `time.monotonic`."""
        return time.monotonic()

    def utc(self, at: float) -> datetime:
        """Return the system's UTC, moved back by the monotonic age of `at`."""
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - at)


@dataclass(frozen=True, slots=True)
class Line:
    """A straight piece of a timeline: which clock second a sample was captured at.

    Args:
        sample: The reference sample index.
        clock_s: Clock seconds at which that sample was captured.
        rate: Samples per clock second as fitted, close to the nominal rate.
        error_s: How far `at` may be off.
    """

    sample: float
    clock_s: float
    rate: float
    error_s: float

    def at(self, sample: int) -> float:
        """Return the clock seconds at which `sample` was captured."""
        return self.clock_s + (sample - self.sample) / self.rate

    def rescaled(self, ratio: float) -> Line:
        """Return the same line for indices multiplied by `ratio` (after resampling)."""
        return Line(self.sample * ratio, self.clock_s, self.rate * ratio, self.error_s)


class Timeline:
    """Fit clock seconds to sample indices as marks come in.

    Marks are pairs (sample index, clock seconds) from the capture device; each is jittered by
    milliseconds, and the card's crystal is off by some tens of ppm. The fit is a least-squares
    line over the last `span_s` of marks, and its error bound is three times the standard
    deviation of the residuals. With fewer than `SETTLED` marks, or marks spread over less than
    `SETTLED_S`, the slope stays nominal: a short baseline would turn jitter into drift.

    Owned by one thread.
    """

    SETTLED = 8
    SETTLED_S = 5.0

    def __init__(self, rate: int, *, span_s: float = 300.0, marks: int = 600) -> None:
        self._rate = rate
        self._spacing_s = span_s / marks
        self._marks: deque[tuple[int, float]] = deque(maxlen=marks)
        self._line: Line | None = None

    def mark(self, sample: int, clock_s: float) -> None:
        """Note that `sample` was captured at `clock_s`; marks too close together are dropped."""
        settling = len(self._marks) < self.SETTLED
        if settling or clock_s - self._marks[-1][1] >= self._spacing_s:
            self._marks.append((sample, clock_s))
            self._line = self._fit()

    def reset(self) -> None:
        """Forget every mark: the device was opened anew."""
        self._marks.clear()
        self._line = None

    @property
    def line(self) -> Line | None:
        """The current fit, or None before the first mark."""
        return self._line

    def _fit(self) -> Line:
        samples = np.array([sample for sample, _ in self._marks], np.float64)
        clock = np.array([seconds for _, seconds in self._marks], np.float64)
        centre, middle = samples.mean(), clock.mean()
        rate = float(self._rate)
        if len(samples) >= self.SETTLED and clock[-1] - clock[0] >= self.SETTLED_S:
            away = samples - centre
            rate = 1.0 / float(away @ (clock - middle) / (away @ away))
        residuals = clock - (middle + (samples - centre) / rate)
        return Line(float(centre), float(middle), rate, 3.0 * float(residuals.std()) + 1e-3)
