"""The watch over many channels: measured together, judged one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.guard import Guard
from rtclassify.alarms.readings import Meters, Reading
from rtclassify.events import Alarm, Loudness
from rtclassify.stream import AudioBlock


class Measuring(Protocol):
    """Measures many channels' audio, here or elsewhere."""

    @property
    def loudness(self) -> list[Loudness]:
        """How loud each channel is."""

    def push(self, blocks: Sequence[AudioBlock]) -> list[list[Reading]]:
        """Take the next blocks of any channels; return what was read, in order of each channel.

        With each block come readings of its channel: those that it completes, or earlier ones
        where measuring takes longer.
        """


class Watch:
    """Watch many channels: their audio together, what it means one by one.

    Owned by one thread; it knows no clock: what time it is comes with audio and `beat`.

    Args:
        settings: What raises alarms, by the names of the channels.
        rate: Samples per second, at least 8,000.
        utc: Tells the UTC of clock seconds.
        meters: What measures; None for `Meters`.
    """

    def __init__(
        self,
        settings: Mapping[str, AlarmSettings],
        *,
        rate: int,
        utc: Callable[[float], datetime],
        meters: Measuring | None = None,
    ) -> None:
        self._meters = meters or Meters([*settings], rate)
        self._guards = {
            name: Guard(name, rate=rate, settings=of_channel, utc=utc)
            for name, of_channel in settings.items()
        }

    def __getitem__(self, channel: str) -> Guard:
        """Return what watches one channel."""
        return self._guards[channel]

    @property
    def loudness(self) -> list[Loudness]:
        """How loud each channel is."""
        return self._meters.loudness

    def measure(self, blocks: Sequence[AudioBlock]) -> list[list[Reading]]:
        """Take the next blocks; return the readings that come with each, to be judged in order."""
        for block in blocks:
            self._guards[block.channel].arrived(block.end)
        return self._meters.push(blocks)

    def beat(self, now_s: float) -> list[Alarm]:
        """Take the time, about once a second, in clock seconds."""
        return [alarm for guard in self._guards.values() for alarm in guard.beat(now_s)]

    def finish(self) -> list[Alarm]:
        """Clear what is still raised: nobody will watch it any more."""
        return [alarm for guard in self._guards.values() for alarm in guard.finish()]
