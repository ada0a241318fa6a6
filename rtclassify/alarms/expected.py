"""What a channel should hold at certain hours: a share of one answer in any so many minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from rtclassify.alarm_settings import DAY_MIN, DAYS, Expected
from rtclassify.events import Label

HEARD_SHARE = 0.5
"""Less than this of the minutes heard says nothing about them."""


@dataclass(slots=True)
class _Minute:
    number: int
    start: int
    found: int = 0
    heard: int = 0


class Expectation:
    """Follow one channel's final labels against one rule, minute by minute.

    Owned by one thread.

    Args:
        rule: What is expected, and when.
        zone: The time zone of its hours.
        rate: Samples per second.
    """

    def __init__(self, rule: Expected, *, zone: ZoneInfo, rate: int) -> None:
        self.rule = rule
        self._zone = zone
        self._rate = rate
        self._whole: deque[_Minute] = deque()
        self._now: _Minute | None = None
        self._first = 0
        self.share: float | None = None
        self.since = 0

    def take(self, label: Label, utc: datetime) -> bool | None:
        """Take the next final label, which ends at `utc`.

        Returns:
            At the end of a minute whether too little was found (or False outside the hours);
            None where that cannot be told. `share` and `since` then say what of, and from where.
        """
        length = label.end - label.start
        number = int(utc.timestamp() - length / self._rate / 2) // 60
        if self._now is None:
            # The minute that is under way was not heard whole.
            self._first, self._now = number + 1, _Minute(number, label.start)
        done, fresh = self._now, number != self._now.number
        if fresh:
            self._now = _Minute(number, label.start)
        self._now.heard += length
        self._now.found += length if self.rule.label in label.label.split("+") else 0
        return self._judged(done) if fresh else None

    def _judged(self, done: _Minute) -> bool | None:
        self.share = None
        if not self._expects(done.number):
            self._whole.clear()
            return False
        self._whole.append(done)
        first = done.number - self.rule.in_any_min + 1
        while self._whole[0].number < first:
            self._whole.popleft()
        heard = sum(minute.heard for minute in self._whole)
        enough = HEARD_SHARE * self.rule.in_any_min * 60 * self._rate
        if first < self._first or not self._expects(first) or heard < enough:
            return None
        self.share = sum(minute.found for minute in self._whole) / heard
        self.since = self._whole[0].start
        return self.share < self.rule.at_least

    def _expects(self, minute: int) -> bool:
        """Say whether a minute, counted from 1970, lies in the rule's hours."""
        local = datetime.fromtimestamp(60 * minute, self._zone)
        of_day = 60 * local.hour + local.minute
        rule, today = self.rule, local.weekday()
        yesterday = (today - 1) % len(DAYS)
        return (today in rule.days and rule.start_min <= of_day < rule.end_min) or (
            yesterday in rule.days and rule.start_min <= of_day + DAY_MIN < rule.end_min
        )
