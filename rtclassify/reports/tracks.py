"""What one channel held, instant by instant, made of its messages.

Times are milliseconds since 1970. A track moves forward only: whatever the clocks did, no instant
is told twice and none is left out, so that sums over labels are lengths of time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NO_CAPTURE = "no-capture"
UNKNOWN = "unknown"
"""What is neither labelled nor said to be without audio: nobody knows."""

SLACK_MS = 250
"""How far the times of neighbouring hops may differ from their lengths: a fit moves, a clock
that was set jumps."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """``[start, end)`` held `label`, or was without capture, or is unknown."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Hop:
    """A final label: its samples, and when its last one was captured."""

    epoch: str
    start: int
    end: int
    rate: int
    utc_ms: int
    label: str


class Track:
    """Put a channel's labels and states in a row.

    Args:
        start_ms: Where it begins.
    """

    def __init__(self, start_ms: int) -> None:
        self._until = start_ms
        self._last: Hop | None = None
        self._away: list[tuple[int, int]] = []
        self._away_since: int | None = None

    def hop(self, hop: Hop) -> Iterator[Stretch]:
        """Yield what came before a hop, and the hop, as far as that was not told yet."""
        start = self._start_of(hop)
        self._last = hop
        if hop.utc_ms > self._until:
            yield from self._fill(start)
            yield Stretch(self._until, hop.utc_ms, hop.label)
            self._until = hop.utc_ms

    def state(self, state: str, at_ms: int) -> None:
        """Take it that the channel's capture state is `state` from `at_ms` on."""
        if state != NO_CAPTURE:
            self.end_epoch(at_ms)
        elif self._away_since is None:
            self._away_since = at_ms

    def end_epoch(self, at_ms: int) -> None:
        """Take it that the word of a lost capture, if that was the last, holds until `at_ms`."""
        if self._away_since is not None and self._away_since < at_ms:
            self._away.append((self._away_since, at_ms))
        self._away_since = None

    def finish(self, end_ms: int) -> Iterator[Stretch]:
        """Yield what is left until `end_ms`."""
        self.end_epoch(end_ms)
        yield from self._fill(end_ms)

    def _start_of(self, hop: Hop) -> int:
        """Return when a hop began: where the one before it ended, if no sample lies between."""
        last = self._last
        start = hop.utc_ms - round((hop.end - hop.start) * 1000 / hop.rate)
        follows = last is not None and (last.epoch, last.end) == (hop.epoch, hop.start)
        if last is not None and follows and abs(start - last.utc_ms) <= SLACK_MS:
            return last.utc_ms
        return start

    def _fill(self, end: int) -> Iterator[Stretch]:
        away = [*self._away, *([] if self._away_since is None else [(self._away_since, end)])]
        for start, over in sorted(away):
            yield from self._stretch(min(start, end), UNKNOWN)
            yield from self._stretch(min(over, end), NO_CAPTURE)
        yield from self._stretch(end, UNKNOWN)
        self._away = [each for each in self._away if each[1] > self._until]

    def _stretch(self, end: int, label: str) -> Iterator[Stretch]:
        if end > self._until:
            yield Stretch(self._until, end, label)
            self._until = end
