"""Join cells into segments: stretches of one label.

Cells come decided for good, so a boundary is where the decision changes. A new label must last
before it is believed, and last longer if the one before it comes back: doubt looks like that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """Follow one channel's cells; say which segments open and close.

    Silence goes before answers. A label that holds for `min_cells` cells makes a segment, and the
    one before it ends where that label began to hold. The first segment after a gap reaches back
    to the first cell, so that segments cover what was classified.

    Args:
        answers: The model's labels, in the order in which a combination names them.
        min_cells: How many cells make a segment.
        min_insert: How many make one between two of the same label, silence excepted: that is
            measured, and no answer in doubt.
    """

    def __init__(self, answers: tuple[str, ...], *, min_cells: int, min_insert: int = 0) -> None:
        self._answers = answers
        self._min_cells = min_cells
        self._min_insert = max(min_cells, min_insert)
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        self._open: _Stretch | None = None
        self._candidate: _Stretch | None = None
        self._end = 0

    def take(
        self, start: int, end: int, label: str, *, cells: int, probs: Sequence[float]
    ) -> list[Change]:
        """Take the next cells; return the segments that close and open by them, in that order.

        Args:
            start: First sample of the cells, where those before them ended.
            end: The index after their last sample.
            label: What all of them are.
            cells: How many.
            probs: Mean final scores, in the order of `answers`.
        """
        self._end = end
        if self._open is not None and label == self._open.label:
            self._absorb_candidate(self._open)
            self._open.add(cells, probs)
            return []
        changes: list[Change] = []
        if self._candidate is None or label != self._candidate.label:
            changes = self._passed()
            self._candidate = self._begun(label, start)
        self._candidate.add(cells, probs)
        sure = self._open is None or label in SILENCES
        if self._candidate.lasted >= (self._min_cells if sure else self._min_insert):
            changes += self._switch()
        return changes

    def close(self) -> list[Change]:
        """Close what is open at the end of the last cell, and start afresh."""
        changes = self._switch() if self._open is None else self._passed()
        if self._open is not None:
            self._absorb_candidate(self._open)
            changes.append(self._change(self._open, end=self._end))
            self._number += 1
        self._forget()
        return changes

    def _passed(self) -> list[Change]:
        """Believe a candidate that was long enough: it is over, and the open label is not back."""
        long_enough = self._candidate and self._candidate.lasted >= self._min_cells
        return self._switch() if long_enough else []

    def _begun(self, label: str, start: int) -> _Stretch:
        """Begin a candidate; what did not last belongs to what is open, or to the first one."""
        if self._open is not None:
            self._absorb_candidate(self._open)
        elif self._candidate is not None:
            start = self._candidate.start
        begun = _Stretch(label, start, [0.0] * len(self._answers))
        self._absorb_candidate(begun)
        return begun

    def _absorb_candidate(self, stretch: _Stretch) -> None:
        if self._candidate is not None:
            stretch.absorb(self._candidate)
        self._candidate = None

    def _switch(self) -> list[Change]:
        """Make the candidate, if there is one, the open segment."""
        if self._candidate is None:
            return []
        changes: list[Change] = []
        if self._open is not None:
            changes.append(self._change(self._open, end=self._candidate.start))
            self._number += 1
        self._open, self._candidate = self._candidate, None
        return [*changes, self._change(self._open, end=None)]

    def _change(self, stretch: _Stretch, *, end: int | None) -> Change:
        means = [total / stretch.cells for total in stretch.sums]
        probs = dict(zip(self._answers, means, strict=True))
        return Change(self._number, stretch.label, stretch.start, end, probs)


@dataclass(slots=True, eq=False)
class _Stretch:
    """Cells that are a segment or may become one: how long it lasted, what they say in all."""

    label: str
    start: int
    sums: list[float]
    cells: int = 0
    lasted: int = 0

    def add(self, cells: int, probs: Sequence[float]) -> None:
        self.sums = [total + cells * prob for total, prob in zip(self.sums, probs, strict=True)]
        self.cells += cells
        self.lasted += cells

    def absorb(self, other: _Stretch) -> None:
        self.sums = [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)]
        self.cells += other.cells
