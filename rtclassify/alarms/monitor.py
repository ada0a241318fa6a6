"""From a figure to an alarm: it must lie beyond a level for a time, and be back for a time."""

from __future__ import annotations

from dataclasses import dataclass

from rtclassify.alarm_kinds import Limits

Figure = float | bool | None
"""What is judged: yes or no where there is no level; None where it cannot be told now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An alarm is raised or cleared; its cause, or its end, began at sample `since`."""

    raised: bool
    since: int


class Monitor:
    """Follow one figure of one channel.

    Time counts in audio that could be judged: what could not leaves everything as it is.

    Args:
        limits: What raises and clears.
        rate: Samples per second.
        rises: Whether trouble lies at the trigger and above.
    """

    def __init__(self, limits: Limits, *, rate: int, rises: bool) -> None:
        self._limits = limits
        self._rate = rate
        self._sign = 1.0 if rises else -1.0
        self.raised = False
        self._since = 0
        self._lasted: int | None = None

    @property
    def idle(self) -> bool:
        """Whether all is well and was so."""
        return not self.raised and self._lasted is None

    def take(self, figure: Figure, *, start: int, length: int) -> Turn | None:
        """Judge `figure`, which holds for `length` samples from `start` on."""
        if figure is None:
            return None
        if not (self._is_well(figure) if self.raised else self._is_trouble(figure)):
            self._lasted = None
            return None
        if self._lasted is None:
            self._since, self._lasted = start, 0
        self._lasted += length
        wanted_s = self._limits.release_s if self.raised else self._limits.trigger_s
        if self._lasted < wanted_s * self._rate:
            return None
        self.raised, self._lasted = not self.raised, None
        return Turn(self.raised, self._since)

    def _is_trouble(self, figure: float) -> bool:
        if self._limits.trigger is None:
            return bool(figure)
        return self._sign * (figure - self._limits.trigger) >= 0

    def _is_well(self, figure: float) -> bool:
        if self._limits.release is None:
            return not figure
        # Where both levels are one, what raised the alarm does not clear it.
        return self._sign * (figure - self._limits.release) <= 0 and not self._is_trouble(figure)
