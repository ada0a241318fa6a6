"""From scores and levels to labels, segments and capture states.

One `Labeller` follows one channel. It hears every hop's level and every window's scores in the
order of their sample indices and says what changed. Each hop is labelled twice: at once, by the
window that ends with it, and for good, by all windows that heard it until enough later audio was
heard. It knows no clock; times come with the hops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.decoding import Decoder
from rtclassify.overlap import Agreed, Answers, Overlap
from rtclassify.segments import SILENCES, Change, Segmenter, name_of
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

UNSURE = "unsure"
NAMES_WITHOUT_ANSWER = (name_of([]), UNSURE, *SILENCES)
"""What a label can be called besides the model's answers."""

MOSTLY = 0.5
"""Share of a hop's cells in which an answer is yes, from which on it is for the hop."""

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
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next, a multiple of `cell`.
        cell: Samples that one score speaks for.
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
        cell: int,
        settings: LabelSettings,
    ) -> None:
        self._channel = channel
        self._answers = answers
        self._settings = settings
        self._silent_hops = max(1, round(settings.silence_after_s * rate / hop))
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
        self._cell = cell
        self._hop_cells = hop // cell
        self._unlabelled: deque[_Heard] = deque(maxlen=window // hop)
        self._overlap = Overlap(
            cells=window // cell,
            hop=self._hop_cells,
            lag=min(round(settings.final_after_s * rate / hop), window // hop - 1),
            labels=len(answers),
        )
        self._decoder = Decoder(len(answers), threshold=settings.threshold, cell_s=cell / rate)
        self._segmenter = Segmenter(
            answers, min_cells=max(1, round(settings.min_segment_s * rate / cell))
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
        events = self._enter(self._state_of_run(), "", self._start_of_state(hop))
        self._unlabelled.append(_Heard(hop, self._stamp(hop.end), self._state))
        for heard in self._unlabelled:
            if heard.hop.start >= self._since:
                heard.state = self._state
        return events

    def scored(self, scores: Samples) -> list[Event]:
        """Take the scores of the window that ends with the last hop heard.

        Args:
            scores: Probabilities of its cells, shape (window // cell, labels).
        """
        newest = scores[-self._hop_cells :].astype(np.float64)
        yes = newest.mean(axis=0) >= self._settings.threshold
        provisional = self._labelled(self._unlabelled[-1], newest, yes, final=False)
        self._label = provisional.label
        return [provisional, *self._finals(self._overlap.add(scores))]

    def gap(self, gap: Gap) -> list[Event]:
        """Take a gap: what was open ends where it begins."""
        closed = self.finish()
        self._overlap.reset()
        self._decoder.reset()
        self._unlabelled.clear()
        self._lost += gap.end - gap.start
        self._end = gap.end
        self._quiet_run = []
        return closed

    def lost(self, lost: CaptureLost) -> list[Event]:
        """Take the news that capture stopped."""
        closed = self.finish()
        self._quiet_run = []
        self._label = None
        return closed + self._enter("no-capture", lost.reason, self._end)

    def finish(self) -> list[Event]:
        """Make final what was classified, and close what is open."""
        finals = self._finals(self._overlap.flush())
        return finals + self._segments(self._segmenter.close())

    def _finals(self, agreed: Agreed) -> list[Event]:
        """Label the oldest hops for good, and let segments grow by their cells."""
        shape = (-1, self._hop_cells, len(self._answers))
        hops = agreed.answers[: agreed.final].reshape(shape)
        decided = self._decoder.decide(agreed.answers, final=agreed.final).reshape(shape)
        events: list[Event] = []
        for answers, yes in zip(hops, decided, strict=True):
            heard = self._unlabelled.popleft()
            mostly = yes.mean(axis=0) >= MOSTLY
            events.append(self._labelled(heard, answers, mostly, final=True))
            start = heard.hop.start
            for probs, held in zip(answers.tolist(), yes.tolist(), strict=True):
                events += self._segments(
                    self._segmenter.take(
                        start, start + self._cell, probs, held, silence=heard.silence
                    )
                )
                start += self._cell
        return events

    def _labelled(
        self, heard: _Heard, answers: Answers, yes: NDArray[np.bool_], *, final: bool
    ) -> Label:
        """Label a hop by its cells' answers, shape (cells, labels), and which of them are yes."""
        probs = dict(zip(self._answers, answers.mean(axis=0).tolist(), strict=True))
        return Label(
            self._channel, heard.hop.start, heard.hop.end, probs,
            heard.silence or self._name(probs, yes),
            final, heard.hop.level, self._lost, heard.captured,
        )  # fmt: skip

    def _name(self, probs: Mapping[str, float], yes: NDArray[np.bool_]) -> str:
        """Name what is heard; neither an answer nor `other` is earned if the likeliest wavers."""
        threshold, doubt = self._settings.threshold, self._settings.doubt
        if threshold - doubt < max(probs.values()) < threshold + doubt:
            return UNSURE
        return name_of([answer for answer, held in zip(probs, yes, strict=True) if held])

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
