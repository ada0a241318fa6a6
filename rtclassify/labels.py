"""From scores and levels to labels, segments and capture states.

One `Labeller` follows one channel. It hears every hop's level and every window's scores in the
order of their sample indices and says what changed. It knows no clock; times come with the hops.

A window's label speaks for its five seconds, so a boundary shows as a change of label when it
passes the window's middle. Segments are therefore made of *middles*: each window answers for the
one hop at its middle, and the silence of that hop itself counts, which is known by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.stream import (
    CaptureLost,
    CaptureState,
    ChannelStatus,
    Event,
    Gap,
    Label,
    Level,
    Samples,
    Segment,
    Stamp,
    StateChange,
)

DITHERED_ZERO = 2.5 / 32768
"""Peak up to which audio counts as digital zero: 16-bit dither stays within two steps."""

HYSTERESIS_DB = 3.0
"""How far above the silence level audio must rise to end a silence."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of the grid, ``[start, end)``: how loud it is, and whether it is digital zero."""

    start: int
    end: int
    level: Level
    zero: bool


def measure(samples: Samples, *, start: int) -> Hop:
    """Measure one hop of audio.

    Args:
        samples: Mono, shape (hop,).
        start: Index of its first sample.
    """
    peak = float(np.max(np.abs(samples)))
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    level = Level(_dbfs(rms), _dbfs(peak))
    return Hop(start, start + len(samples), level, peak <= DITHERED_ZERO)


def _dbfs(amplitude: float) -> float | None:
    return 20.0 * float(np.log10(amplitude)) if amplitude > 0.0 else None


def name_of(answers: Sequence[str]) -> str:
    """Name the combination of answers that are yes: ``speech+music``, or ``other`` for none."""
    return "+".join(answers) or "other"


class Labeller:
    """Follow one channel and say what changes.

    Args:
        channel: The configured name.
        answers: The model's labels, in the order of its scores.
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next.
        settings: Thresholds and durations.
    """

    def __init__(
        self,
        channel: str,
        answers: tuple[str, ...],
        *,
        rate: int,
        window: int,
        hop: int,
        settings: LabelSettings,
    ) -> None:
        self._channel = channel
        self._answers = answers
        self._settings = settings
        self._silent_hops = max(1, round(settings.silence_after_s * rate / hop))
        self._lost = 0
        self._line: Line | None = None
        self._state: CaptureState = "no-capture"
        self._reason = "no audio yet"
        self._since = 0
        self._quiet_run: list[Hop] = []
        self._last: Hop | None = None
        self._end = 0
        self._label: str | None = None
        self._segmenter = Segmenter(
            answers,
            middle=window - -(-window // (2 * hop)) * hop,
            hop=hop,
            window=window,
            min_hops=max(1, round(settings.min_segment_s * rate / hop)),
            settings=settings,
        )

    @property
    def status(self) -> ChannelStatus:
        """What is true of the channel now."""
        level = self._last.level if self._last else Level(None, None)
        return ChannelStatus(
            self._channel, self._state, self._reason, self._since, self._label, level,
            self._end, self._lost,
        )  # fmt: skip

    def heard(self, hop: Hop, *, line: Line | None) -> list[Event]:
        """Take the next hop of contiguous audio; `line` dates it."""
        self._line = line
        self._end = hop.end
        quiet = self._is_quiet(hop)
        self._quiet_run = [*self._quiet_run, hop][-self._silent_hops :] if quiet else []
        self._last = hop
        self._segmenter.heard(hop, quiet=quiet)
        return self._enter(self._state_of_run(), "", self._start_of_state(hop))

    def scored(self, start: int, end: int, probs: Sequence[float]) -> list[Event]:
        """Take the scores of the window that ends with the last hop heard."""
        if self._last is None:
            raise AssertionError("a window was scored before any hop of it was heard")
        named = dict(zip(self._answers, probs, strict=True))
        yes = [a for a, p in named.items() if p >= self._settings.threshold]
        silent = self._state in ("silence", "digital-silence")
        self._label = self._state if silent else name_of(yes)
        label = Label(
            self._channel, start, end, named, self._label, False, self._last.level, self._lost,
            self._stamp(end),
        )  # fmt: skip
        return [label, *self._segments(self._segmenter.scored(start, end, named))]

    def gap(self, gap: Gap) -> list[Event]:
        """Take a gap: what was open closes where it begins."""
        closed = self._segments(self._segmenter.close())
        self._lost += gap.end - gap.start
        self._end = gap.end
        self._quiet_run = []
        return closed

    def lost(self, lost: CaptureLost) -> list[Event]:
        """Take the news that capture stopped."""
        closed = self._segments(self._segmenter.close())
        self._quiet_run = []
        self._label = None
        return closed + self._enter("no-capture", lost.reason, self._end)

    def finish(self) -> list[Event]:
        """Close what is open; nothing may follow."""
        return self._segments(self._segmenter.close())

    def _is_quiet(self, hop: Hop) -> bool:
        if hop.zero or hop.level.rms_dbfs is None:
            return True
        margin = HYSTERESIS_DB if self._state == "silence" else 0.0
        return hop.level.rms_dbfs < self._settings.silence_dbfs + margin

    def _state_of_run(self) -> CaptureState:
        run = self._quiet_run
        fresh = self._state == "no-capture"
        if not run:
            return "programme"
        if len(run) < self._silent_hops and not fresh:
            return self._state if self._state != "digital-silence" or run[-1].zero else "silence"
        return "digital-silence" if all(hop.zero for hop in run) else "silence"

    def _start_of_state(self, hop: Hop) -> int:
        return self._quiet_run[0].start if self._quiet_run else hop.start

    def _enter(self, state: CaptureState, reason: str, start: int) -> list[Event]:
        if (state, reason) == (self._state, self._reason):
            return []
        self._state, self._reason, self._since = state, reason, start
        return [StateChange(self._channel, state, reason, start, self._stamp(start))]

    def _stamp(self, sample: int) -> Stamp | None:
        line = self._line
        return Stamp(line.at(sample), line.error_s) if line else None

    def _segments(self, changes: Sequence[Change]) -> list[Event]:
        return [
            Segment(
                self._channel, c.number, c.label, c.start, c.end, c.probs,
                self._stamp(c.start), None if c.end is None else self._stamp(c.end),
            )
            for c in changes
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A segment that opens (`end` is None) or closes."""

    number: int
    label: str
    start: int
    end: int | None
    probs: Mapping[str, float]


class Segmenter:
    """Join the middles of windows into segments, with hysteresis and a minimum duration.

    A new label must hold for `min_hops` middles; then the segment before it closes where the new
    one began. The first segment after a gap reaches back to the first window's start and the last
    before a gap forward to the last window's end, so that segments cover what was classified.
    """

    def __init__(
        self,
        answers: tuple[str, ...],
        *,
        middle: int,
        hop: int,
        window: int,
        min_hops: int,
        settings: LabelSettings,
    ) -> None:
        self._answers = answers
        self._middle = middle
        self._min_hops = min_hops
        self._on = settings.threshold + settings.hysteresis
        self._off = settings.threshold - settings.hysteresis
        self._threshold = settings.threshold
        self._quiet: deque[tuple[int, str | None]] = deque(maxlen=window // hop + 2)
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        self._yes: dict[str, bool] | None = None
        self._open: tuple[str, int] | None = None
        self._mean = _Mean()
        self._candidate: tuple[str, int] | None = None
        self._candidate_mean = _Mean()
        self._end: int | None = None

    def heard(self, hop: Hop, *, quiet: bool) -> None:
        """Remember whether the hop at `hop.start` is silent, and how."""
        silence = "digital-silence" if hop.zero else "silence"
        self._quiet.append((hop.start, silence if quiet else None))

    def scored(self, start: int, end: int, probs: Mapping[str, float]) -> list[Change]:
        """Take one window; return the segments that close and open by it, in that order."""
        first = self._end is None
        at = start if first else start + self._middle
        label = self._decide(start + self._middle, probs)
        self._end = end
        if self._open and label == self._open[0]:
            self._mean.add(probs)
            self._mean.absorb(self._candidate_mean)
            self._candidate = None
            return []
        if self._candidate is None or self._candidate[0] != label:
            self._mean.absorb(self._candidate_mean)
            begun = self._first_start(at)
            self._candidate = (label, begun)
        self._candidate_mean.add(probs)
        if self._candidate_mean.count < self._min_hops:
            return []
        return self._switch()

    def close(self) -> list[Change]:
        """Close what is open at the end of the last window, and start afresh."""
        changes: list[Change] = []
        if self._open is None and self._candidate is not None:
            changes = self._switch()
        if self._open is not None and self._end is not None:
            self._mean.absorb(self._candidate_mean)
            changes = [*changes, self._change(end=self._end)]
            self._number += 1
        self._forget()
        return changes

    def _first_start(self, at: int) -> int:
        """Return where a candidate begins: nothing before the first segment is left out."""
        return self._candidate[1] if self._open is None and self._candidate else at

    def _switch(self) -> list[Change]:
        if self._candidate is None:
            raise AssertionError("there is nothing to switch to")
        label, start = self._candidate
        changes: list[Change] = []
        if self._open is not None:
            changes.append(self._change(end=start))
            self._number += 1
        self._open = (label, start)
        self._mean, self._candidate_mean, self._candidate = self._candidate_mean, _Mean(), None
        return [*changes, self._change(end=None)]

    def _change(self, *, end: int | None) -> Change:
        if self._open is None:
            raise AssertionError("no segment is open")
        label, start = self._open
        return Change(self._number, label, start, end, self._mean.probs)

    def _decide(self, middle: int, probs: Mapping[str, float]) -> str:
        self._yes = {answer: self._is_yes(answer, p) for answer, p in probs.items()}
        silence = next((s for start, s in self._quiet if start == middle), None)
        return silence or name_of([answer for answer in self._answers if self._yes[answer]])

    def _is_yes(self, answer: str, prob: float) -> bool:
        if self._yes is None:
            return prob >= self._threshold
        return prob >= (self._off if self._yes[answer] else self._on)


class _Mean:
    """Running mean of probabilities."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, float] = {}

    def add(self, probs: Mapping[str, float]) -> None:
        for answer, prob in probs.items():
            self._sums[answer] = self._sums.get(answer, 0.0) + prob
        self.count += 1

    def absorb(self, other: _Mean) -> None:
        """Take over what `other` counted and leave it empty."""
        for answer, total in other._sums.items():
            self._sums[answer] = self._sums.get(answer, 0.0) + total
        self.count += other.count
        other._sums, other.count = {}, 0

    @property
    def probs(self) -> Mapping[str, float]:
        return {answer: total / self.count for answer, total in self._sums.items()}
