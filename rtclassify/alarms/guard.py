"""The guard of one channel: what audio, labels, device and silence say, as alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rtclassify.alarm_kinds import EXPECTED, KINDS, Limits
from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.expected import Expectation
from rtclassify.alarms.loop import EVERY_STEPS
from rtclassify.alarms.monitor import Figure, Monitor, Turn
from rtclassify.alarms.readings import FIGURES, Reading
from rtclassify.clock import Line
from rtclassify.events import Alarm, Label, Stamp
from rtclassify.stream import Opened

AT_ONCE = Limits(None, 0.0, None, 0.0)
NEVER_HEARD, UNEXPLAINED = "no audio yet", "the source does not say why"
ENDED = "the watch ends while it lasts: "


class Guard:
    """Judge what is measured and told of one channel.

    It knows no clock: what time it is comes with audio and `beat`.

    Args:
        channel: The configured name.
        rate: Samples per second.
        settings: What raises alarms.
        utc: Tells the UTC of clock seconds.
    """

    def __init__(
        self,
        channel: str,
        *,
        rate: int,
        settings: AlarmSettings,
        utc: Callable[[float], datetime],
    ) -> None:
        self._channel = channel
        self._rate = rate
        self._limits = settings.kinds
        self._utc = utc
        self._monitors = {
            name: Monitor(limits, rate=rate, rises=KINDS[name].rises)
            for name, limits in settings.kinds.items()
        }
        self._triggers = [_trigger(name, settings.kinds.get(name)) for name in FIGURES]
        self._expectations = [
            (
                Expectation(rule, zone=ZoneInfo(settings.time_zone), rate=rate),
                Monitor(AT_ONCE, rate=rate, rises=True),
            )
            for rule in settings.expected
            if channel in (rule.channels or (channel,))
        ]
        self._open: dict[object, Alarm] = {}
        self._incidents = 0
        self._heard = self._end = 0
        self._line: Line | None = None
        self._device: str | None = None
        self._first_device: str | None = None
        self._reason = NEVER_HEARD
        self._arrived = False
        self._beat_s: float | None = None

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """The alarms that are raised, the oldest first."""
        return tuple(self._open.values())

    def arrived(self, end: int) -> None:
        """Take the news that audio is there up to sample `end`."""
        self._arrived, self._heard = True, end

    def judge(self, reading: Reading) -> list[Alarm]:
        """Take the next reading."""
        self._line, self._end = reading.line, reading.end
        self._reason = UNEXPLAINED
        length = reading.end - reading.start
        alarms = [] if self._all_well(reading.figures) else self._judged_step(reading, length)
        length *= EVERY_STEPS
        return alarms + self._judged(
            "stuck-loop", _figure("stuck-loop", reading.likeness), start=reading.end - length,
            length=length, period_s=reading.period_s,
        )  # fmt: skip

    def _all_well(self, figures: Sequence[float]) -> bool:
        """Say whether nothing is wrong and nothing was: then there is nothing to judge."""
        return not any(
            sign * figure >= trigger
            for figure, (sign, trigger) in zip(figures, self._triggers, strict=True)
        ) and all(monitor.idle for monitor in self._monitors.values())

    def _judged_step(self, reading: Reading, length: int) -> list[Alarm]:
        alarms = self._judged("no-capture", False, start=reading.start, length=length)
        alarms += self._suspected(reading.start, length)
        for name, figure in zip(FIGURES, reading.figures, strict=True):
            alarms += self._judged(
                name, _figure(name, figure), start=reading.start, length=length,
                tone_hz=reading.tone_hz,
            )  # fmt: skip
        return alarms

    def opened(self, opened: Opened) -> list[Alarm]:
        """Take the news which device delivers from now on."""
        self._device, self._first_device = opened.device, self._first_device or opened.device
        return self._suspected(self._end, 0)

    def lost(self, reason: str) -> None:
        """Take the news why nothing arrives, to be told when that has lasted."""
        self._reason = reason

    def labelled(self, label: Label) -> list[Alarm]:
        """Take the next final label."""
        if label.captured is None or not self._expectations:
            return []
        utc = self._utc(label.captured.clock_s)
        alarms: list[Alarm] = []
        for expectation, monitor in self._expectations:
            turn = monitor.take(expectation.take(label, utc), start=label.start, length=0)
            if turn:
                alarms.append(self._expected(expectation, turn))
        return alarms

    def beat(self, now_s: float) -> list[Alarm]:
        """Take the time, about once a second, in clock seconds."""
        passed_s = 0.0 if self._beat_s is None else now_s - self._beat_s
        arrived, self._arrived, self._beat_s = self._arrived, False, now_s
        length = 0 if arrived else round(passed_s * self._rate)
        return self._judged(
            "no-capture", not arrived, start=self._heard, length=length, reason=self._reason
        )

    def finish(self) -> list[Alarm]:
        """Clear what is still raised: nobody will watch it any more."""
        return [
            self._said(key, alarm.kind, self._heard, raised=False, measured=None,
                       limits=alarm.limits, sentence=ENDED + alarm.sentence)
            for key, alarm in list(self._open.items())
        ]  # fmt: skip

    def _judged(
        self, name: str, figure: Figure, *, start: int, length: int, **more: object
    ) -> list[Alarm]:
        monitor = self._monitors.get(name)
        turn = monitor.take(figure, start=start, length=length) if monitor else None
        if turn is None:
            return []
        words = KINDS[name].trouble if turn.raised else KINDS[name].over
        measured = None if figure is None or isinstance(figure, bool) else float(figure)
        sentence = words.format(measured, **more)
        return [self._said(name, name, turn.since, raised=turn.raised, measured=measured,
                           limits=self._limits[name], sentence=sentence)]  # fmt: skip

    def _suspected(self, start: int, length: int) -> list[Alarm]:
        return self._judged(
            "device-changed", self._device != self._first_device, start=start, length=length,
            device=self._device, first=self._first_device,
        )  # fmt: skip

    def _expected(self, expectation: Expectation, turn: Turn) -> Alarm:
        rule, share = expectation.rule, expectation.share
        limits = Limits(rule.at_least, 60.0 * rule.in_any_min, rule.at_least, 0.0)
        sentence = f"the hours in which {rule.label} is expected are over"
        if share is not None:
            sentence = (
                f"{rule.label} {share:.0%} of the last {rule.in_any_min} minutes, at least "
                f"{rule.at_least:.0%} is expected"
            )
        since = expectation.since if turn.raised else turn.since
        return self._said(expectation, EXPECTED, since, raised=turn.raised, measured=share,
                          limits=limits, sentence=sentence)  # fmt: skip

    def _said(
        self,
        key: object,
        kind: str,
        since: int,
        *,
        raised: bool,
        measured: float | None,
        limits: Limits,
        sentence: str,
    ) -> Alarm:
        if raised:
            incident, self._incidents = self._incidents, self._incidents + 1
        else:
            incident = self._open.pop(key).incident
        line = self._line
        captured = Stamp(line.at(since), line.error_at(since)) if line else None
        alarm = Alarm(
            self._channel, incident, kind, raised, since, sentence, measured, limits, captured
        )
        if raised:
            self._open[key] = alarm
        return alarm


def _trigger(name: str, limits: Limits | None) -> tuple[float, float]:
    """Return the sign of a kind of alarm and the figure from which, times it, there is trouble."""
    if limits is None:
        return 1.0, math.inf
    if limits.trigger is None:
        return 1.0, 1.0
    sign = 1.0 if KINDS[name].rises else -1.0
    return sign, sign * limits.trigger


def _figure(name: str, figure: float) -> Figure:
    """Return a figure as monitors know it."""
    if math.isnan(figure):
        return None
    return figure if KINDS[name].limits.trigger is not None else bool(figure)
