"""What an operator reads: one line a change, in the journal or on a terminal."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TextIO

from rtclassify.clock import Clock
from rtclassify.events import Alarm, Event, Heartbeat, Label, Segment, Stamp, StateChange
from rtclassify.segments import SILENCES

log = logging.getLogger(__name__)


class LogSink:
    """A sink for the operator: one line of log a change, and a status line.

    Args:
        clock: Dates what is logged.
        rate: Samples per second, to date audio that has no clock.
        show: Gets the status line when it changes: what each channel is now.
    """

    def __init__(self, clock: Clock, *, rate: int, show: Callable[[str], None]) -> None:
        self._show = show
        self._clock = clock
        self._rate = rate
        self._status = ""
        self._lost: set[str] = set()

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def send(self, events: Sequence[Event]) -> None:
        """Log what changed; a segment that another one follows at once shares its line."""
        closed: dict[str, Segment] = {}
        verbose = log.isEnabledFor(logging.DEBUG)
        for event in events:
            match event:
                case Segment(end=None):
                    self._opened(event, closed.pop(event.channel, None))
                case Segment():
                    closed[event.channel] = event
                case StateChange():
                    self._changed(event)
                case Alarm(raised=True):
                    since = self._when(event.captured, event.since)
                    log.warning("%s: ALARM %s, since %s", event.channel, event.sentence, since)
                case Alarm():
                    log.info("%s: alarm %s cleared: %s", event.channel, event.kind, event.sentence)
                case Label(final=False) if verbose:
                    log.debug("%s: %s %s", event.channel, event.label, _percent(event.probs))
                case Heartbeat():
                    self._tell(event)
        for segment in closed.values():
            log.info("%s: closed after %s", segment.channel, self._span(segment))

    def _opened(self, segment: Segment, before: Segment | None) -> None:
        if before is None and segment.label in SILENCES:
            return  # its capture state said so already
        since = self._when(segment.begun, segment.start)
        after = f", after {self._span(before)}" if before else ""
        log.info("%s: %s since %s%s", segment.channel, segment.label, since, after)

    def _changed(self, change: StateChange) -> None:
        if change.state == "no-capture":
            self._lost.add(change.channel)
            log.warning("%s: no capture: %s", change.channel, change.reason)
            return
        back = "audio is back, " if change.channel in self._lost else ""
        self._lost.discard(change.channel)
        since = self._when(change.captured, change.start)
        log.info("%s: %s%s since %s", change.channel, back, change.state, since)

    def _tell(self, heartbeat: Heartbeat) -> None:
        status = ", ".join(f"{c.channel}: {c.label or c.state}" for c in heartbeat.channels)
        if status != self._status:
            self._status = status
            self._show(status)

    def _when(self, captured: Stamp | None, sample: int) -> str:
        if captured is None:
            return _duration(sample / self._rate)
        return self._clock.utc(captured.clock_s).astimezone().strftime("%H:%M:%S")

    def _span(self, closed: Segment) -> str:
        end = closed.start if closed.end is None else closed.end
        return f"{_duration((end - closed.start) / self._rate)} of {closed.label}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _percent(probs: Mapping[str, float]) -> str:
    return " ".join(f"{name} {prob:.0%}" for name, prob in probs.items())


class JournalFormatter(logging.Formatter):
    """Prefix every line with its level as sd-daemon(3) defines it; the journal adds the time."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines, each with a prefix such as ``<6>``."""
        priority = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6}.get(record.levelname, 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class TerminalFormatter(logging.Formatter):
    """The time and the message; a level only where something is wrong."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line such as ``14:03:07 warning: main: no capture: …``."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{super().format(record)}"


def start_logging(stream: TextIO, environ: Mapping[str, str], *, verbose: bool) -> None:
    """Send this program's log, and other libraries' warnings, to `stream`.

    A copy of the stream's descriptor is written to, so the log goes on while TensorFlow's
    greetings are kept from the original.

    Args:
        stream: Standard error; the journal is recognised as its other end.
        environ: systemd's variables.
        verbose: Whether every label is logged as well.
    """
    status = os.fstat(stream.fileno())
    journal = environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    handler = logging.StreamHandler(os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8"))
    handler.setFormatter(JournalFormatter() if journal else TerminalFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("rtclassify").setLevel(logging.DEBUG if verbose else logging.INFO)
