"""What a subscription yields, messages as dataclasses and gaps, and what it asks the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the stream; kinds that have no class of their own come as this one.

    docs/stream.md says what each field means.

    Args:
        topic: Such as ``label/main/``.
        epoch: The start of the daemon that sent it.
        seq: Its number within topic and epoch.
        body: The whole JSON object.
    """

    topic: str
    epoch: str
    seq: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Label(Message):
    """What one hop of audio is; ``[start, end)`` in samples at `rate`, `utc` is of `end`."""

    channel: str
    start: int
    end: int
    rate: int
    utc: datetime | None
    utc_err_ms: float | None
    probs: Mapping[str, float]
    label: str
    final: bool
    level_dbfs: float | None
    peak_dbfs: float | None
    model: str
    latency_ms: float | None
    lost: int


@dataclass(frozen=True, slots=True)
class Segment(Message):
    """A stretch of one label opened or closed; `state` says which."""

    channel: str
    id: str
    state: str
    label: str
    start: int
    end: int | None
    rate: int
    utc_start: datetime | None
    utc: datetime | None
    utc_err_ms: float | None
    probs: Mapping[str, float]
    model: str


@dataclass(frozen=True, slots=True)
class State(Message):
    """A channel's capture state changed."""

    channel: str
    state: str
    reason: str
    since: int
    rate: int
    utc: datetime | None
    utc_err_ms: float | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that are lost to this subscriber: those with `start` <= seq < `end`.

    Args:
        topic: Their topic.
        epoch: The start of the daemon that sent them.
        start: The first one's number.
        end: The number after the last one's; None where the daemon ended and nobody can tell how
            many it sent from `start` on, perhaps none.
        reason: Why they cannot be had, for people to read.
    """

    topic: str
    epoch: str
    start: int
    end: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """A question: messages ``[start, end)`` of a topic in an epoch; `end` None asks for all."""

    id: int
    topic: str
    epoch: str
    start: int
    end: int | None

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send."""
        said = {"v": 1, "id": self.id, "ask": "topic", "topic": self.topic, "epoch": self.epoch}
        return {**said, "from": self.start} | ({} if self.end is None else {"to": self.end})


Item = Message | Gap

_KINDS: Mapping[str, type[Message]] = {"label": Label, "segment": Segment, "state": State}


def message(topic: str, body: Mapping[str, Any]) -> Message:
    """Make the dataclass of a message's kind; fields that it does not know stay in `body`.

    Raises:
        KeyError: If the body lacks a field that its kind has.
        ValueError: If a time is none.
    """
    kind = _KINDS.get(topic.partition("/")[0], Message)
    own = {f.name for f in fields(kind)} - {"topic", "body"}
    said = {name: body[name] for name in own}
    for name in own & {"utc", "utc_start"}:
        said[name] = None if said[name] is None else datetime.fromisoformat(said[name])
    return kind(topic=topic, body=body, **said)
