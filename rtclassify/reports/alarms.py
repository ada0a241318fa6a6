"""Alarms of a period: raised and cleared by messages, or found open in a heartbeat."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Alarm:
    """An incident; times in milliseconds since 1970.

    Args:
        channel: Whose.
        kind: Such as ``silence``.
        sentence: What was said when it was raised.
        start: When the trouble began.
        end: When it ended, or until when it is known to have lasted.
        cleared: Whether it was said to be over.
    """

    channel: str
    kind: str
    sentence: str
    start: int
    end: int
    cleared: bool


class Alarms:
    """Follow the incidents of all channels."""

    def __init__(self) -> None:
        self._known: dict[str, Alarm] = {}
        self._open: set[str] = set()

    def raised(self, incident: str, alarm: Alarm) -> None:
        """Take an alarm as open, unless it is known."""
        if incident not in self._known:
            self._known[incident] = alarm
            self._open.add(incident)

    def cleared(self, incident: str, alarm: Alarm) -> None:
        """Take an alarm as over at ``alarm.end``; when an unknown one began is not known."""
        known = self._known.setdefault(incident, alarm)
        known.end, known.cleared = max(known.start, alarm.end), True
        self._open.discard(incident)

    def end_epoch(self, at_ms: int) -> None:
        """Take it that nothing more will be said of those that are open."""
        for incident in self._open:
            known = self._known[incident]
            known.end = max(known.start, at_ms)
        self._open.clear()

    def between(self, start_ms: int, end_ms: int) -> list[Alarm]:
        """Return those that lasted at some time of the period, in order."""
        found = [a for a in self._known.values() if a.start < end_ms and a.end >= start_ms]
        return sorted(found, key=lambda alarm: (alarm.start, alarm.channel, alarm.kind))
