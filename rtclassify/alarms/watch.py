"""The watch over one channel: what its audio, labels, device and silence say, as alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from rtclassify.alarm_kinds import EXPECTED, KINDS, Limits
from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.expected import Expectation
from rtclassify.alarms.loop import EVERY_STEPS, LoopFinder
from rtclassify.alarms.loudness import LoudnessMeter
from rtclassify.alarms.monitor import Figure, Monitor, Turn
from rtclassify.alarms.readings import Meter, Reading
from rtclassify.clock import Line
from rtclassify.stream import Alarm, AudioBlock, Label, Loudness, Opened, Stamp

FIGURES: Mapping[str, Callable[[Reading], Figure]] = {
    "digital-silence": lambda reading: reading.zero,
    "silence": lambda reading: None if reading.zero else reading.level_dbfs,
    "clipping": lambda reading: reading.clipped_percent,
    "leg-missing": lambda reading: reading.balance_db,
    "out-of-phase": lambda reading: reading.correlation,
    "test-tone": lambda reading: reading.tone,
    "hiss": lambda reading: reading.flatness,
}
"""What each kind of alarm judges of a step of audio."""

AT_ONCE = Limits(None, 0.0, None, 0.0)
NEVER_HEARD, UNEXPLAINED = "no audio yet", "the source does not say why"
ENDED = "the watch ends while it lasts: "


class Watch:
    """Watch one channel.

    Owned by one thread; it knows no clock: what time it is comes with audio and `beat`.

    Args:
        channel: The configured name.
        rate: Samples per second, at least 8,000.
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
        self._expectations = [
            (
                Expectation(rule, zone=ZoneInfo(settings.time_zone), rate=rate),
                Monitor(AT_ONCE, rate=rate, rises=True),
            )
            for rule in settings.expected
            if channel in (rule.channels or (channel,))
        ]
        self._meter = Meter(rate)
        self._loudness = LoudnessMeter(cell=self._meter.cell)
        self._loop = LoopFinder()
        self._open: dict[object, Alarm] = {}
        self._incidents = 0
        self._end = 0
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

    @property
    def loudness(self) -> Loudness:
        """How loud the channel is."""
        return self._loudness.value

    def measure(self, block: AudioBlock) -> list[Reading]:
        """Take the next block; return the readings that it completes, to be judged in order."""
        self._arrived = True
        return self._meter.push(block)

    def judge(self, reading: Reading) -> list[Alarm]:
        """Take the next reading."""
        if reading.start != self._end:
            self._loudness.restart()
            self._loop.restart()
        self._line, self._end = reading.line, reading.end
        self._reason = UNEXPLAINED
        length = reading.end - reading.start
        self._loudness.add(reading.start, reading.cells)
        alarms = self._judged("no-capture", False, start=reading.start, length=length)
        alarms += self._suspected(reading.start, length)
        for name, figure in FIGURES.items():
            alarms += self._judged(
                name, figure(reading), start=reading.start, length=length, tone_hz=reading.tone_hz
            )
        likeness = self._loop.add(reading.cells)
        length *= EVERY_STEPS
        return alarms + self._judged(
            "stuck-loop", likeness, start=reading.end - length, length=length,
            period_s=self._loop.period_s,
        )  # fmt: skip

    def opened(self, opened: Opened) -> list[Alarm]:
        """Take the news which device delivers from now on."""
        self._device, self._first_device = opened.device, self._first_device or opened.device
        return self._suspected(self._end, 0)

    def lost(self, reason: str) -> None:
        """Take the news why nothing arrives, to be told when that has lasted."""
        self._reason = reason

    def labelled(self, label: Label) -> list[Alarm]:
        """Take the next final label."""
        if label.captured is None:
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
            "no-capture", not arrived, start=self._meter.end, length=length, reason=self._reason
        )

    def finish(self) -> list[Alarm]:
        """Clear what is still raised: nobody will watch it any more."""
        return [
            self._said(key, alarm.kind, self._meter.end, raised=False, measured=None,
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
