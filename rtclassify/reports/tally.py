"""The figures of one channel: time by label and hour, silences, losses, clock error."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from rtclassify.reports.tracks import Stretch

HOUR_MS = 3_600_000
SILENCES = ("silence", "digital-silence")
MOST_SILENCES = 10


class Tally:
    """Count the stretches of one channel within ``[start_ms, end_ms)``.

    They come in order. Memory grows with the changes of label, not with the labels.

    Args:
        day_ms: Where the first hour begins.
        start_ms: Where counting begins.
        end_ms: Where it ends.
    """

    def __init__(self, day_ms: int, start_ms: int, end_ms: int) -> None:
        self._day_ms = day_ms
        self._start, self._end = start_ms, end_ms
        self.hours: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """Milliseconds by label, of each hour counted from 0."""
        self.runs: list[Stretch] = []
        """What held, without two neighbours of one label."""
        self.errors: Counter[float] = Counter()
        """How often each `utc_err_ms` was said."""
        self.undated = 0
        """Final labels that tell no time."""
        self.lost = 0
        """Samples."""

    def add(self, stretches: Iterable[Stretch]) -> None:
        """Count stretches; what lies outside is left out."""
        for stretch in stretches:
            start, end = max(stretch.start, self._start), min(stretch.end, self._end)
            if start < end:
                self._count(Stretch(start, end, stretch.label))

    def total(self) -> Counter[str]:
        """Return milliseconds by label."""
        return sum(self.hours.values(), Counter())

    def silences(self) -> list[Stretch]:
        """Return the longest silences, the longest first; digital where nothing else is."""
        return heapq.nlargest(MOST_SILENCES, self._silences(), key=lambda s: s.end - s.start)

    def error_ms(self) -> tuple[float | None, float | None]:
        """Return the median and the greatest error of the time that labels tell."""
        if not self.errors:
            return None, None
        half, seen = (self.errors.total() + 1) // 2, 0
        for error in sorted(self.errors):
            seen += self.errors[error]
            if seen >= half:
                return error, max(self.errors)
        raise AssertionError("half of the errors are below their greatest")

    def _count(self, stretch: Stretch) -> None:
        last = self.runs[-1] if self.runs else None
        if last is not None and last.label == stretch.label:
            self.runs[-1] = Stretch(last.start, stretch.end, stretch.label)
        else:
            self.runs.append(stretch)
        at = stretch.start
        while at < stretch.end:
            hour = (at - self._day_ms) // HOUR_MS
            border = min(stretch.end, self._day_ms + (hour + 1) * HOUR_MS)
            self.hours[hour][stretch.label] += border - at
            at = border

    def _silences(self) -> Iterator[Stretch]:
        quiet: Stretch | None = None
        for run in self.runs:
            if run.label not in SILENCES:
                if quiet is not None:
                    yield quiet
                quiet = None
            elif quiet is None:
                quiet = run
            else:
                quiet = Stretch(quiet.start, run.end, SILENCES[0])
        if quiet is not None:
            yield quiet
