"""Join the answers of windows into segments: stretches of one label.

A window speaks for the five seconds that it hears, so a boundary shows as a change of answer
when it passes the window's middle. Segments are therefore made of *middles*: each window answers
for a hop at its middle. The silence of that hop itself is known by then and goes before scores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtclassify.config import LabelSettings

SILENCES = ("silence", "digital-silence")


def name_of(answers: Sequence[str]) -> str:
    """Name the combination of answers that are yes: ``speech+music``, or ``other`` for none."""
    return "+".join(answers) or "other"


@dataclass(frozen=True, slots=True)
class Change:
    """A segment that opens (`end` is None) or closes."""

    number: int
    label: str
    start: int
    end: int | None
    probs: Mapping[str, float]


class Segmenter:
    """Follow one channel's windows; say which segments open and close.

    A new label must hold for `min_hops` windows, and by a margin: an answer that was no counts as
    yes from threshold + hysteresis, one that was yes as no below threshold - hysteresis. Then the
    segment before it closes where the new label began. The first segment after a gap reaches back
    to the first window's start and the last one before a gap forward to the last window's end, so
    that segments cover what was classified.

    Args:
        answers: The model's labels, in the order in which a combination names them.
        window: Samples in a window.
        hop: Samples from one window to the next.
        min_hops: How many windows make a segment.
        settings: The thresholds.
    """

    def __init__(
        self,
        answers: tuple[str, ...],
        *,
        window: int,
        hop: int,
        min_hops: int,
        settings: LabelSettings,
    ) -> None:
        self._answers = answers
        self._middle_hop = window - -(-window // (2 * hop)) * hop
        self._boundary = (window - hop) // 2
        self._min_hops = min_hops
        self._settings = settings
        self._quiet: deque[tuple[int, str | None]] = deque(maxlen=window // hop + 2)
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        self._held: dict[str, bool] = {}
        self._open: tuple[str, int] | None = None
        self._mean = _Mean()
        self._candidate: tuple[str, int] | None = None
        self._candidate_mean = _Mean()
        self._end: int | None = None

    def heard(self, start: int, silence: str | None) -> None:
        """Remember whether the hop at `start` is silent, and how."""
        self._quiet.append((start, silence))

    def scored(self, start: int, end: int, probs: Mapping[str, float]) -> list[Change]:
        """Take one window; return the segments that close and open by it, in that order."""
        silence = next((s for at, s in self._quiet if at == start + self._middle_hop), None)
        label = silence or self._named({a: self._exceeds(p) for a, p in probs.items()})
        self._held = {answer: self._holds(answer, p) for answer, p in probs.items()}
        begun = start if self._end is None else self._begin(start, label)
        self._end = end
        if self._open and label == self._open[0]:
            self._mean.add(probs)
            self._mean.absorb(self._candidate_mean)
            self._candidate = None
            return []
        if self._candidate is None or self._candidate[0] != label:
            self._mean.absorb(self._candidate_mean)
            self._candidate = (label, begun)
        self._candidate_mean.add(probs)
        lasts = self._candidate_mean.count >= self._min_hops
        return self._switch() if lasts and label in (silence, self._named(self._held)) else []

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

    def _begin(self, start: int, label: str) -> int:
        """Date a label that begins with the window at `start`.

        Silence begins and ends with a hop. Between sounds, the boundary passed the middle
        between this window and the one before.
        """
        if self._open is None and self._candidate is not None:
            return self._candidate[1]
        open_label = self._open[0] if self._open else ""
        silent = label in SILENCES or open_label in SILENCES
        return start + (self._middle_hop if silent else self._boundary)

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

    def _named(self, yes: Mapping[str, bool]) -> str:
        return name_of([answer for answer in self._answers if yes[answer]])

    def _exceeds(self, prob: float, *, by: float = 0.0) -> bool:
        return prob >= self._settings.threshold + by

    def _holds(self, answer: str, prob: float) -> bool:
        if not self._held:
            return self._exceeds(prob)
        margin = self._settings.hysteresis
        return self._exceeds(prob, by=-margin if self._held[answer] else margin)


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
