"""Segments of a period, from their messages; what no message closed ends with what was heard."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtclassify.reports.accounts import PROVISIONAL, milliseconds
from rtclassify.sinks.chain import Entry


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment, or what of it lies in the period; ``[start, end)`` in milliseconds since 1970.

    Args:
        start: First instant.
        end: The one after the last.
        label: As in the message.
        probs: Mean probability of each answer over the whole segment; empty if it was not closed.
    """

    start: int
    end: int
    label: str
    probs: Mapping[str, float]


@dataclass(slots=True)
class _Channel:
    pieces: list[Piece] = field(default_factory=list)
    open: Mapping[str, Any] | None = None
    heard: bytes | None = None
    """The last final label of this start of the daemon."""


def segments(rows: Iterable[Entry], start_ms: int, end_ms: int) -> dict[str, list[Piece]]:
    """Return the segments of each channel in a period, in order and without overlaps.

    Args:
        rows: The messages about it, in the order of sending.
        start_ms: Where the period begins; what began before is cut.
        end_ms: Where it ends.

    Raises:
        ValueError: If a message is none of this stream's; so do LookupError and TypeError.
    """
    channels: defaultdict[str, _Channel] = defaultdict(_Channel)
    epoch, greeted = "", False
    for row in rows:
        if row.epoch != epoch:
            _end_epoch(channels.values())
            epoch, greeted = row.epoch, False
        kind, _, name = row.topic.rstrip("/").partition("/")
        if kind == "segment":
            _take(channels[name], json.loads(row.body))
        elif kind == "label" and PROVISIONAL not in row.body:
            channels[name].heard = row.body
        elif kind == "heartbeat" and not greeted:
            greeted = True
            for status in json.loads(row.body)["channels"]:
                channels[status["channel"]].open = status["segment"]
    _end_epoch(channels.values())
    return {name: _cut(c.pieces, start_ms, end_ms) for name, c in sorted(channels.items())}


def _take(channel: _Channel, body: Mapping[str, Any]) -> None:
    if body["state"] == "closed":
        channel.open = None
        if body["utc_start"] is not None and body["utc"] is not None:
            start, end = milliseconds(body["utc_start"]), milliseconds(body["utc"])
            channel.pieces.append(Piece(start, end, body["label"], body["probs"]))
    else:
        _close(channel)
        channel.open = body


def _end_epoch(channels: Iterable[_Channel]) -> None:
    for channel in channels:
        _close(channel)
        channel.heard = None


def _close(channel: _Channel) -> None:
    """End a segment that nobody closed with the last label."""
    body, channel.open = channel.open, None
    if body is None or body["utc_start"] is None or channel.heard is None:
        return
    heard = json.loads(channel.heard)["utc"]
    if heard is not None:
        start, end = milliseconds(body["utc_start"]), milliseconds(heard)
        channel.pieces.append(Piece(start, end, body["label"], {}))


def _cut(pieces: Iterable[Piece], start_ms: int, end_ms: int) -> list[Piece]:
    cut, at = [], start_ms
    for piece in pieces:
        start, end = max(piece.start, at), min(piece.end, end_ms)
        if start < end:
            cut.append(Piece(start, end, piece.label, piece.probs))
            at = end
    return cut
