"""What the label stream's messages say of events; no other module knows it.

docs/stream.md says what each field means to a subscriber and ``schema.json``, beside this file,
says it to a machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rtclassify.clock import Clock, Timekeeping
from rtclassify.events import (
    Alarm,
    ChannelStatus,
    Event,
    Heartbeat,
    Label,
    Level,
    Loudness,
    Segment,
    Stamp,
    StateChange,
    StreamInfo,
)
from rtclassify.sinks.message import VERSION, Message

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JournalState:
    """How the journal is.

    Args:
        trouble: Why it cannot be written; empty when it can.
        waiting: Messages that wait for the disk.
        missing: Messages that could not wait and are not in it.
    """

    trouble: str
    waiting: int
    missing: int


class Encoder:
    """Turn the events of one start of the program into numbered messages.

    It counts each topic's messages, so every event must pass through it exactly once and in
    order, and remembers what newcomers need to be told by heartbeats. All sinks share one, so
    that what is published and what is journalled are the same bytes. Owned by one thread.

    Args:
        info: What holds for every event.
        clock: Tells the latency at the time of encoding, and UTC.

    Attributes:
        timekeeping: Tells heartbeats whether the machine's clock is right; nobody does at first.
        journal: Tells them how the journal is; None without one.
    """

    def __init__(self, info: StreamInfo, clock: Clock) -> None:
        self.info = info
        self.timekeeping: Callable[[], Timekeeping] = Timekeeping
        self.journal: Callable[[], JournalState] | None = None
        self._clock = clock
        self._seqs: dict[str, int] = {}
        self._since_utc: dict[str, str | None] = {}
        self._open_segments: dict[str, Fields] = {}
        self._raised_utc: dict[str, str | None] = {}
        self._turn: tuple[Sequence[Event], Sequence[Message]] = ((), ())
        self._dates: dict[float, str] = {}

    def messages(self, events: Sequence[Event]) -> Sequence[Message]:
        """Return the messages that say the events of a turn.

        The loop hands every sink the very same sequence: the first one that asks has it encoded,
        and the others get the same messages.
        """
        if events is not self._turn[0]:
            self._dates.clear()
            self._turn = (events, [self.encode(event) for event in events])
        return self._turn[1]

    def encode(self, event: Event) -> Message:
        """Return the message that says `event`; send it at once, it tells its own latency."""
        match event:
            case Label():
                return self._message(f"label/{event.channel}/", self._label(event))
            case Segment():
                return self._message(f"segment/{event.channel}/", self._segment(event))
            case StateChange():
                return self._message(f"state/{event.channel}/", self._state(event))
            case Alarm():
                return self._message(f"alarm/{event.channel}/", self._alarm(event))
            case Heartbeat():
                return self._message("heartbeat/", self._heartbeat(event))

    def _message(self, topic: str, fields: Fields) -> Message:
        seq = self._seqs.get(topic, -1) + 1
        self._seqs[topic] = seq
        return Message(topic, {"v": VERSION, "epoch": self.info.epoch, "seq": seq, **fields})

    def _label(self, label: Label) -> Fields:
        return {
            "channel": label.channel,
            "start": label.start,
            "end": label.end,
            "rate": self.info.rate,
            **self._time(label.captured),
            "probs": _probs(label.probs),
            "label": label.label,
            "final": label.final,
            **_level(label.level),
            "model": self.info.model,
            "latency_ms": self._latency_ms(label.captured),
            "lost": label.lost,
        }

    def _segment(self, segment: Segment) -> Fields:
        is_open = segment.end is None
        fields = {
            "channel": segment.channel,
            "id": f"{self.info.epoch}-{segment.channel}-{segment.number}",
            "state": "open" if is_open else "closed",
            "label": segment.label,
            "start": segment.start,
            "end": segment.end,
            "rate": self.info.rate,
            "utc_start": self._utc(segment.begun),
            **self._time(segment.begun if is_open else segment.ended),
            "probs": _probs(segment.probs),
            "model": self.info.model,
        }
        if is_open:
            kept = ("id", "label", "start", "utc_start")
            self._open_segments[segment.channel] = {key: fields[key] for key in kept}
        else:
            self._open_segments.pop(segment.channel, None)
        return fields

    def _state(self, change: StateChange) -> Fields:
        time = self._time(change.captured)
        self._since_utc[change.channel] = time["utc"]
        return {
            "channel": change.channel,
            "state": change.state,
            "reason": change.reason,
            "since": change.start,
            "rate": self.info.rate,
            **time,
        }

    def _alarm(self, alarm: Alarm) -> Fields:
        limits, incident, time = alarm.limits, self._incident(alarm), self._time(alarm.captured)
        if alarm.raised:
            self._raised_utc[incident] = time["utc"]
        else:
            self._raised_utc.pop(incident, None)
        return {
            "channel": alarm.channel,
            "incident": incident,
            "kind": alarm.kind,
            "state": "raised" if alarm.raised else "cleared",
            "since": alarm.since,
            "rate": self.info.rate,
            **time,
            "sentence": alarm.sentence,
            "measured": _measured(alarm),
            "trigger": limits.trigger,
            "trigger_s": limits.trigger_s,
            "release": limits.release,
            "release_s": limits.release_s,
        }

    def _raised_alarm(self, alarm: Alarm) -> Fields:
        incident = self._incident(alarm)
        return {
            "incident": incident,
            "kind": alarm.kind,
            "since": alarm.since,
            "utc_since": self._raised_utc.get(incident),
            "sentence": alarm.sentence,
            "measured": _measured(alarm),
        }

    def _incident(self, alarm: Alarm) -> str:
        return f"{self.info.epoch}-{alarm.channel}-{alarm.incident}"

    def _heartbeat(self, beat: Heartbeat) -> Fields:
        info = self.info
        return {
            "utc": _rfc3339(self._clock, self._clock.now()),
            "model": info.model,
            "labels": list(info.labels),
            "rate": info.rate,
            "window": info.window,
            "hop": info.hop,
            "clock": _clock(self.timekeeping()),
            "journal": asdict(self.journal()) if self.journal else None,
            "channels": [self._status(status) for status in beat.channels],
            "seqs": {topic: seq for topic, seq in self._seqs.items() if topic != "heartbeat/"},
        }

    def _status(self, status: ChannelStatus) -> Fields:
        return {
            "channel": status.channel,
            "state": status.state,
            "reason": status.reason,
            "since": status.since,
            "utc_since": self._since_utc.get(status.channel),
            "label": status.label,
            **_level(status.level),
            "end": status.end,
            "lost": status.lost,
            "segment": self._open_segments.get(status.channel),
            "alarms": [self._raised_alarm(alarm) for alarm in status.alarms],
            "loudness": _loudness(status.loudness),
        }

    def _time(self, stamp: Stamp | None) -> Fields:
        error_ms = None if stamp is None else round(stamp.error_s * 1000, 1)
        return {"utc": self._utc(stamp), "utc_err_ms": error_ms}

    def _utc(self, stamp: Stamp | None) -> str | None:
        """Return when it was; the channels of one card are dated alike, so once a turn will do."""
        if stamp is None:
            return None
        if stamp.clock_s not in self._dates:
            self._dates[stamp.clock_s] = _rfc3339(self._clock, stamp.clock_s)
        return self._dates[stamp.clock_s]

    def _latency_ms(self, captured: Stamp | None) -> float | None:
        return None if captured is None else round((self._clock.now() - captured.clock_s) * 1e3, 1)


def _rfc3339(clock: Clock, at: float) -> str:
    return clock.utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(timekeeping: Timekeeping) -> Fields:
    error_s = timekeeping.error_s
    error_ms = None if error_s is None else round(error_s * 1000, 1)
    return {"synchronised": timekeeping.synchronised, "error_ms": error_ms}


def _probs(probs: Mapping[str, float]) -> dict[str, float]:
    if not math.isfinite(sum(probs.values())):  # which orjson would tell as null
        raise ValueError(f"{dict(probs)} are no probabilities")
    return {answer: round(prob, 4) for answer, prob in probs.items()}


def _level(level: Level) -> dict[str, float | None]:
    return {"level_dbfs": _decibels(level.rms_dbfs), "peak_dbfs": _decibels(level.peak_dbfs)}


def _measured(alarm: Alarm) -> float | None:
    return None if alarm.measured is None else round(alarm.measured, 4)


def _loudness(loudness: Loudness | None) -> Fields | None:
    if loudness is None:
        return None
    return {
        "momentary_lufs": _decibels(loudness.momentary),
        "short_term_lufs": _decibels(loudness.short_term),
        "integrated_lufs": _decibels(loudness.integrated),
        "momentary_max_lufs": _decibels(loudness.momentary_max),
        "short_term_max_lufs": _decibels(loudness.short_term_max),
        "integrated_since": loudness.since,
    }


def _decibels(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
