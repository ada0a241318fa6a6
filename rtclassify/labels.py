"""From scores and levels to labels, segments and capture states.

One `Labeller` follows one channel. It hears every hop's level and every window's scores in the
order of their sample indices and says what changed. It knows no clock; times come with the hops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.segments import Change, Segmenter, name_of
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
            window=window,
            hop=hop,
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
        silence = "digital-silence" if hop.zero else "silence"
        self._segmenter.heard(hop.start, silence if quiet else None)
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
        grows_louder = not self._quiet_run or self._state == "digital-silence"
        return hop.start if grows_louder else self._quiet_run[0].start

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
