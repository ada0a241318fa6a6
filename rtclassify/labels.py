"""From scores and levels to labels, segments and capture states.

One `Labeller` follows one channel. It hears every hop's level and every window's scores in the
order of their sample indices and says what changed. Each hop is labelled twice: at once, by the
window that ends with it, and for good, by all windows that heard it until enough later audio was
heard. It knows no clock; times come with the hops.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.events import (
    CaptureState,
    ChannelStatus,
    Event,
    Label,
    Level,
    Segment,
    Stamp,
    StateChange,
)
from rtclassify.finals import DecidedHop
from rtclassify.segments import SILENCES, Change, Segmenter, name_of
from rtclassify.stream import CaptureLost, Framing, Gap, Samples

DITHERED_ZERO = 2.5 / 32768
"""Peak up to which audio counts as digital zero: 16-bit dither stays within two steps."""

UNSURE = "unsure"
NAMES_WITHOUT_ANSWER = (name_of([]), UNSURE, *SILENCES)
"""What a label can be called besides the model's answers."""

HYSTERESIS_DB = 3.0
"""How far above the silence level audio must rise to end a silence."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of the framing, ``[start, end)``: how loud it is, and whether it is digital zero."""

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
    peak = max(float(samples.max()), -float(samples.min()))
    rms = math.sqrt(float(samples @ samples) / len(samples))
    level = Level(_dbfs(rms), _dbfs(peak))
    return Hop(start, start + len(samples), level, peak <= DITHERED_ZERO)


def _dbfs(amplitude: float) -> float | None:
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else None


@dataclass(slots=True)
class _Heard:
    """A hop that has no final label yet; its state is changed when a silence is dated back."""

    hop: Hop
    captured: Stamp | None
    state: CaptureState

    @property
    def silence(self) -> str | None:
        """What to call the hop if it is silent."""
        return self.state if self.state in SILENCES else None


class Labeller:
    """Follow one channel and say what changes.

    Args:
        channel: The configured name.
        answers: The model's labels, in the order of its scores.
        framing: How the classifier cuts audio.
        settings: Thresholds and durations.
    """

    def __init__(
        self, channel: str, answers: tuple[str, ...], framing: Framing, settings: LabelSettings
    ) -> None:
        self._channel = channel
        self._answers = answers
        self._names: dict[tuple[bool, ...], str] = {}
        self._threshold = settings.threshold
        self._wavering = settings.threshold - settings.doubt, settings.threshold + settings.doubt
        self._silence_dbfs = settings.silence_dbfs
        self._silent_hops = max(1, round(settings.silence_after_s * framing.rate / framing.hop))
        self._lost = 0
        self._line: Line | None = None
        self._begun: Stamp | None = None
        self._state: CaptureState = "no-capture"
        self._reason = "no audio yet"
        self._since = 0
        self._quiet_run: list[Hop] = []
        self._last: Hop | None = None
        self._end = 0
        self._label: str | None = None
        self._cell = framing.cell
        self._unlabelled: deque[_Heard] = deque(maxlen=framing.window // framing.hop)
        least, insert = (
            round(seconds * framing.rate / framing.cell)
            for seconds in (settings.min_segment_s, settings.min_insert_s)
        )
        self._segmenter = Segmenter(answers, min_cells=max(1, least), min_insert=insert)

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
        events = self._enter(self._state_of_run(), "", self._start_of_state(hop))
        if events:
            for heard in self._unlabelled:
                if heard.hop.start >= self._since:
                    heard.state = self._state
        self._unlabelled.append(_Heard(hop, self._stamp(hop.end), self._state))
        return events

    def scored(self, probs: Sequence[float], decided: Sequence[DecidedHop]) -> list[Event]:
        """Take what the window that ends with the last hop heard says.

        Args:
            probs: Mean probability of each answer over that hop.
            decided: The hops that are decided by it.
        """
        held = tuple([prob >= self._threshold for prob in probs])
        provisional = self._labelled(self._unlabelled[-1], probs, held, final=False)
        self._label = provisional.label
        return [provisional, *self._finals(decided)]

    def gap(self, gap: Gap, decided: Sequence[DecidedHop]) -> list[Event]:
        """Take a gap: what was open ends where it begins; `decided` is what is left before it."""
        closed = self.finish(decided)
        self._unlabelled.clear()
        self._lost += gap.end - gap.start
        self._end = gap.end
        self._quiet_run = []
        return closed

    def lost(self, lost: CaptureLost, decided: Sequence[DecidedHop]) -> list[Event]:
        """Take the news that capture stopped; `decided` is what is left before it."""
        closed = self.finish(decided)
        self._quiet_run = []
        self._label = None
        return closed + self._enter("no-capture", lost.reason, self._end)

    def finish(self, decided: Sequence[DecidedHop]) -> list[Event]:
        """Label the last hops for good, and close what is open."""
        finals = self._finals(decided)
        return finals + self._segments(self._segmenter.close())

    def _finals(self, decided: Sequence[DecidedHop]) -> list[Event]:
        """Label the oldest hops for good, and let segments grow by their cells."""
        events: list[Event] = []
        for hop in decided:
            heard = self._unlabelled.popleft()
            events.append(self._labelled(heard, hop.probs, hop.held, final=True))
            start = heard.hop.start
            for cells, held, probs in hop.runs:
                end = start + cells * self._cell
                label = heard.silence or self._name(held)
                changes = self._segmenter.take(start, end, label, cells=cells, probs=probs)
                events += self._segments(changes)
                start = end
        return events

    def _labelled(
        self, heard: _Heard, probs: Sequence[float], held: tuple[bool, ...], *, final: bool
    ) -> Label:
        """Label a hop; neither an answer nor `other` is earned if the likeliest one wavers."""
        low, high = self._wavering
        name = UNSURE if low < max(probs) < high else self._name(held)
        return Label(
            self._channel, heard.hop.start, heard.hop.end,
            dict(zip(self._answers, probs, strict=True)), heard.silence or name,
            final, heard.hop.level, self._lost, heard.captured,
        )  # fmt: skip

    def _name(self, held: tuple[bool, ...]) -> str:
        if held not in self._names:
            answers = zip(self._answers, held, strict=True)
            self._names[held] = name_of([answer for answer, yes in answers if yes])
        return self._names[held]

    def _is_quiet(self, hop: Hop) -> bool:
        if hop.zero or hop.level.rms_dbfs is None:
            return True
        margin = HYSTERESIS_DB if self._state == "silence" else 0.0
        return hop.level.rms_dbfs < self._silence_dbfs + margin

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
        return Stamp(line.at(sample), line.error_at(sample)) if line else None

    def _segments(self, changes: Sequence[Change]) -> list[Event]:
        segments: list[Event] = []
        for c in changes:
            if c.end is None:
                # Once and for all: the line is that of now, and a segment may last for hours.
                self._begun = self._stamp(c.start)
            ended = None if c.end is None else self._stamp(c.end)
            segments.append(
                Segment(
                    self._channel, c.number, c.label, c.start, c.end, c.probs, self._begun, ended
                )
            )
        return segments
