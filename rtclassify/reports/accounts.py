"""The account of a day: every message is taken once, in the journal's order, and counted."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtclassify.reports.alarms import Alarm, Alarms
from rtclassify.reports.tally import Tally
from rtclassify.reports.tracks import Hop, Track
from rtclassify.sinks.chain import Entry

PROVISIONAL = b'"final":false'


@dataclass(frozen=True, slots=True)
class Period:
    """What is accounted for, in milliseconds since 1970.

    Args:
        day_ms: Where its first hour begins.
        start_ms: Where the account begins: there, or where the journal does.
        end_ms: Where it ends.
    """

    day_ms: int
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Start:
    """A start of the daemon, and the times of its first and last message in the period."""

    epoch: str
    first_ms: int
    last_ms: int


class Account:
    """Count what happened in a period.

    Args:
        period: Which.
        channels: Those to count; none for all.
    """

    def __init__(self, period: Period, channels: Collection[str] = ()) -> None:
        self._period = period
        self._wanted = frozenset(channels)
        self._tracks: dict[str, Track] = {}
        self.tallies: dict[str, Tally] = {}
        self.alarms = Alarms()
        self.starts: list[Start] = []
        self.missing = 0
        """Messages that the numbers of others say there were."""
        self._epoch: str | None = None
        self._last_ms = period.start_ms
        self._seqs: dict[str, int] = {}
        self._lost: dict[str, int] = {}

    def take(self, row: Entry) -> None:
        """Count one message.

        Raises:
            ValueError: If it is none of this stream's; so do LookupError and TypeError.
        """
        if row.epoch != self._epoch:
            self._end_epoch()
            self._epoch = row.epoch
        inside = self._period.start_ms <= row.utc_ms < self._period.end_ms
        if inside:
            self._note(row)
        self._seqs[row.topic] = row.seq
        self._last_ms = row.utc_ms
        kind, _, channel = row.topic.partition("/")
        if kind == "heartbeat":
            self._heartbeat(row, inside=inside)
        elif self._counts(channel.rstrip("/")):
            self._channel(kind, channel.rstrip("/"), row, inside=inside)

    def finish(self) -> None:
        """Count what is left of the period after the last message."""
        for name, track in self._tracks.items():
            self.tallies[name].add(track.finish(self._period.end_ms))
        self.alarms.end_epoch(self._period.end_ms)

    def _note(self, row: Entry) -> None:
        if row.topic in self._seqs:
            self.missing += max(0, row.seq - self._seqs[row.topic] - 1)
        if not self.starts or self.starts[-1].epoch != row.epoch:
            self.starts.append(Start(row.epoch, row.utc_ms, row.utc_ms))
        self.starts[-1].last_ms = row.utc_ms

    def _counts(self, channel: str) -> bool:
        if self._wanted and channel not in self._wanted:
            return False
        if channel not in self._tracks:
            period = self._period
            self._tracks[channel] = Track(period.start_ms)
            self.tallies[channel] = Tally(period.day_ms, period.start_ms, period.end_ms)
        return True

    def _channel(self, kind: str, channel: str, row: Entry, *, inside: bool) -> None:
        if kind == "label" and PROVISIONAL not in row.body:
            self._label(channel, row, json.loads(row.body), inside=inside)
        elif kind == "state":
            body = json.loads(row.body)
            self._tracks[channel].state(body["state"], _at(body["utc"], row))
        elif kind == "alarm":
            self._alarm(channel, row, json.loads(row.body))

    def _label(self, channel: str, row: Entry, body: Mapping[str, Any], *, inside: bool) -> None:
        if not body["final"]:
            return
        tally = self.tallies[channel]
        if inside:
            tally.errors.update([] if body["utc_err_ms"] is None else [body["utc_err_ms"]])
        if body["utc"] is None:
            tally.undated += inside
            return
        utc_ms = milliseconds(body["utc"])
        hop = Hop(row.epoch, body["start"], body["end"], body["rate"], utc_ms, body["label"])
        tally.add(self._tracks[channel].hop(hop))

    def _alarm(self, channel: str, row: Entry, body: Mapping[str, Any]) -> None:
        at_ms = _at(body["utc"], row)
        is_over = body["state"] == "cleared"
        alarm = Alarm(channel, body["kind"], body["sentence"], at_ms, at_ms, cleared=is_over)
        if is_over:
            self.alarms.cleared(body["incident"], alarm)
        else:
            self.alarms.raised(body["incident"], alarm)

    def _heartbeat(self, row: Entry, *, inside: bool) -> None:
        for status in json.loads(row.body)["channels"]:
            name = status["channel"]
            if not self._counts(name):
                continue
            self._tracks[name].state(status["state"], _at(status["utc_since"], row))
            before = self._lost.get(name, 0 if row.seq == 0 else status["lost"])
            if inside:
                self.tallies[name].lost += max(0, status["lost"] - before)
            self._lost[name] = status["lost"]
            for said in status.get("alarms", ()):
                at_ms = _at(said["utc_since"], row)
                alarm = Alarm(name, said["kind"], said["sentence"], at_ms, at_ms, cleared=False)
                self.alarms.raised(said["incident"], alarm)

    def _end_epoch(self) -> None:
        self._seqs.clear()
        self._lost.clear()
        for track in self._tracks.values():
            track.end_epoch(self._last_ms)
        self.alarms.end_epoch(self._last_ms)


def milliseconds(utc: str) -> int:
    """Return milliseconds since 1970.

    Raises:
        ValueError: If `utc` is no time.
    """
    return round(datetime.fromisoformat(utc).timestamp() * 1000)


def _at(utc: str | None, row: Entry) -> int:
    return row.utc_ms if utc is None else milliseconds(utc)
