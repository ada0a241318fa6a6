"""What a subscriber knows of a label stream: the memory behind ``rtclassify watch``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rtclassify.sinks.message import Message


@dataclass(slots=True)
class Row:
    """What is known of one channel; times of day are None where nobody knows them.

    Args:
        channel: Its name.
        state: Its capture state; who speaks of labels before telling it captures a programme.
        reason: Why nothing is captured.
        state_since: When that state began.
        label: Its last provisional label: what it is now.
        label_since: When that label was first heard.
        segment: Label and beginning of the open segment, which dates a label better than the
            label itself: boundaries are dated back.
        probs: Its last probabilities, empty before the first and while nothing is captured.
        level_dbfs: RMS of its newest hop; None for digital zero.
        latency_ms: Of its last label.
        lost: Samples lost so far.
        alarms: Sentence of each alarm that is raised, by incident.
    """

    channel: str
    state: str = "programme"
    reason: str = ""
    state_since: datetime | None = None
    label: str | None = None
    label_since: datetime | None = None
    segment: tuple[str, datetime | None] | None = None
    probs: Mapping[str, float] = field(default_factory=dict)
    level_dbfs: float | None = None
    latency_ms: float | None = None
    lost: int = 0
    alarms: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str | None:
        """What to call the channel's condition: its label, unless its state says more."""
        return self.label if self.state == "programme" else self.state

    @property
    def since(self) -> datetime | None:
        """When what is `shown` began."""
        if self.state != "programme":
            return self.state_since
        if self.segment and self.segment[0] == self.label:
            return self.segment[1]
        return self.label_since


class Board:
    """Every channel of a stream as its messages tell it, and how many messages were missed.

    Owned by one thread.

    Args:
        address: Where the stream is published.
        channels: The channels to follow; empty for all of them.
    """

    def __init__(self, address: str, channels: Collection[str] = ()) -> None:
        self.address = address
        self.heard: datetime | None = None
        self.channels = channels
        self._begin("")

    def _begin(self, epoch: str) -> None:
        self.epoch = epoch
        self.model = ""
        self.labels: tuple[str, ...] = ()
        self.rate = 0
        self.window = 0
        self.hop = 0
        self.missed = 0
        self.published: tuple[str, ...] = ()
        self.journal: Mapping[str, Any] | None = None
        self.rows: dict[str, Row] = {}
        self._joined = False
        self._next: dict[str, int] = {}

    def hear(self, message: Message, now: datetime) -> None:
        """Take a message that arrived `now`."""
        body = message.body
        if body["epoch"] != self.epoch:
            self._begin(body["epoch"])
        self.heard = now
        self._count(message.topic, body["seq"])
        if message.kind == "heartbeat":
            self._hear_heartbeat(body)
        elif self._follows(body["channel"]):
            row = self.rows.setdefault(body["channel"], Row(body["channel"]))
            if message.kind == "label" and not body["final"]:
                _hear_label(row, body)
            elif message.kind == "segment":
                _hear_segment(row, body)
            elif message.kind == "state":
                _hear_state(row, body)
            elif message.kind == "alarm":
                _hear_alarm(row, body)

    def _follows(self, channel: str) -> bool:
        return not self.channels or channel in self.channels

    def _count(self, topic: str, seq: int) -> None:
        """Note that `seq` is there; what lies between it and the last one was missed.

        What was sent before the first heartbeat heard was not missed but before our time.
        """
        due = self._next.get(topic, 0 if self._joined else seq)
        self.missed += max(0, seq - due)
        self._next[topic] = seq + 1

    def _hear_heartbeat(self, body: Mapping[str, Any]) -> None:
        self.model, self.labels = body["model"], tuple(body["labels"])
        self.rate, self.window, self.hop = body["rate"], body["window"], body["hop"]
        for topic, seq in body["seqs"].items():
            if self._follows(topic.split("/")[1]) and self._next.get(topic) != seq + 1:
                self._count(topic, seq + 1)
                self._next[topic] = seq + 1
        self._joined = True
        self.journal = body.get("journal")
        self.published = tuple(status["channel"] for status in body["channels"])
        followed = [status for status in body["channels"] if self._follows(status["channel"])]
        rows = {s["channel"]: self.rows.get(s["channel"], Row(s["channel"])) for s in followed}
        for status in followed:
            _hear_status(rows[status["channel"]], status)
        self.rows = rows


def _hear_label(row: Row, body: Mapping[str, Any]) -> None:
    if body["label"] != row.label:
        row.label, row.label_since = body["label"], _moment(body["utc"])
    row.probs = body["probs"]
    row.level_dbfs = body["level_dbfs"]
    row.latency_ms = body["latency_ms"]
    row.lost = body["lost"]


def _hear_segment(row: Row, body: Mapping[str, Any]) -> None:
    is_open = body["state"] == "open"
    row.segment = (body["label"], _moment(body["utc_start"])) if is_open else None


def _hear_state(row: Row, body: Mapping[str, Any]) -> None:
    row.state, row.reason = body["state"], body["reason"]
    row.state_since = _moment(body["utc"])
    if row.state == "no-capture":
        row.label, row.probs, row.level_dbfs, row.latency_ms = None, {}, None, None


def _hear_alarm(row: Row, body: Mapping[str, Any]) -> None:
    if body["state"] == "raised":
        row.alarms[body["incident"]] = body["sentence"]
    else:
        row.alarms.pop(body["incident"], None)


def _hear_status(row: Row, status: Mapping[str, Any]) -> None:
    _hear_state(row, {**status, "utc": status["utc_since"]})
    if status["label"] != row.label:
        row.label, row.label_since = status["label"], None
    segment = status["segment"]
    row.segment = (segment["label"], _moment(segment["utc_start"])) if segment else None
    row.level_dbfs = status["level_dbfs"]
    row.lost = status["lost"]
    row.alarms = {alarm["incident"]: alarm["sentence"] for alarm in status.get("alarms", ())}


def _moment(utc: str | None) -> datetime | None:
    return None if utc is None else datetime.fromisoformat(utc)
