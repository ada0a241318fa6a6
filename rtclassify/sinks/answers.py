"""What the journal answers to requests; docs/stream.md says it to those who ask.

Each request is one JSON object and each answer is bounded: a slow or greedy client gets the next
piece when it asks for it, and nothing is remembered between requests.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rtclassify.sinks.chain import CHAIN
from rtclassify.sinks.message import VERSION

MESSAGES = 500
BYTES = 256_000
SCANNED = 2_000
"""The most messages and bytes of an answer, and the most rows that are looked at for it."""

LAST = (1 << 63) - 1
PREFIXES = 100

Header = dict[str, Any]
Row = tuple[str, bytes]
"""A topic and a body, as sent."""


def answer(db: sqlite3.Connection, payload: bytes, *, epoch: str) -> list[bytes]:
    """Answer one request, whatever its bytes are.

    Args:
        db: The journal.
        payload: The request as it came.
        epoch: The start of the program that is being journalled now.

    Returns:
        Frames: a header, then topic and body of each message.

    Raises:
        sqlite3.Error: If the journal cannot be read now.
    """
    try:
        request = _read(payload)
        header, rows = _ask(request)(db, request, epoch)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        return [refusal(f"this is not a request of version {VERSION}: {error}")]
    said = {"v": VERSION, "id": request.get("id"), "epoch": epoch, "count": len(rows), "next": None}
    return [
        _json({**said, **header, "oldest": _oldest(db)}),
        *(frame for topic, body in rows for frame in (topic.encode(), body)),
    ]


def refusal(reason: str) -> bytes:
    """Return the header that says why there is no answer."""
    return _json({"v": VERSION, "id": None, "error": reason})


def _topic(db: sqlite3.Connection, request: Header, current: str) -> tuple[Header, list[Row]]:
    """Return messages of one topic of one epoch by their numbers, and which of them are gone."""
    topic, epoch = _text(request, "topic"), _text(request, "epoch")
    start, end = _int(request, "from"), _int(request, "to", LAST)
    found = db.execute(
        "SELECT seq, body FROM message WHERE topic = ? AND epoch = ? AND seq >= ? AND seq < ? "
        "ORDER BY seq LIMIT ?",
        (topic, epoch, start, end, MESSAGES + 1),
    )
    taken, more = _fitting(found)
    seqs = [seq for seq, _ in taken]
    rows = [(topic, body) for _, body in taken]
    after = seqs[-1] + 1 if seqs else start
    if more:
        return {"gone": _holes(start, seqs, after), "next": {**request, "from": after}}, rows
    if epoch == current:
        # What was sent last may not be in the journal yet.
        return {"gone": _holes(start, seqs, after)}, rows
    header: Header = {
        "gone": _holes(start, seqs, after if end == LAST else end),
        "then": _following(db, topic, epoch),
    }
    if end == LAST and after == start > 0 and not _exists(db, topic, epoch, start - 1):
        header["gone"] = [[start, None]]
    return header, rows


def _utc(db: sqlite3.Connection, request: Header, _current: str) -> tuple[Header, list[Row]]:
    """Return messages of any topics by the time at which they were sent."""
    start, end = _time(request, "from"), _time(request, "to", LAST)
    topics = request.get("topics", [""])
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise ValueError("topics must be a list of texts")
    after = request.get("after", [start, 0])
    if not isinstance(after, list) or [type(n) for n in after] != [int, int] or max(after) > LAST:
        raise ValueError("after must be what an answer's next said")
    found = db.execute(
        "SELECT utc_ms, id, topic, body FROM message WHERE (utc_ms, id) > (?, ?) AND utc_ms < ? "
        "ORDER BY utc_ms, id LIMIT ?",
        (*after, end, SCANNED + 1),
    )
    prefixes = tuple(topics[:PREFIXES])
    rows: list[Row] = []
    size = scanned = 0
    for utc_ms, row, topic, body in found:
        if scanned == SCANNED or len(rows) == MESSAGES or size > BYTES:
            return {"next": {**request, "after": after}}, rows
        after, scanned = [utc_ms, row], scanned + 1
        if topic != CHAIN and topic.startswith(prefixes):
            rows.append((topic, body))
            size += len(body)
    return {}, rows


def _snapshot(db: sqlite3.Connection, _request: Header, epoch: str) -> tuple[Header, list[Row]]:
    """Return the last heartbeat and what said that a segment which is still open had opened."""
    beat = _latest(db, "heartbeat/", epoch)
    if beat is None:
        return {}, []
    rows = [beat]
    for status in json.loads(beat[1])["channels"]:
        segment = _latest(db, f"segment/{status['channel']}/", epoch)
        if segment is not None and json.loads(segment[1])["state"] == "open":
            rows.append(segment)
    return {}, rows


_ASKS = {"topic": _topic, "utc": _utc, "snapshot": _snapshot}


def _ask(request: Header) -> Callable[[sqlite3.Connection, Header, str], tuple[Header, list[Row]]]:
    name = _text(request, "ask")
    if name not in _ASKS:
        raise ValueError(f"ask must be one of {', '.join(_ASKS)}")
    return _ASKS[name]


def _fitting(found: Iterable[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], bool]:
    """Return the rows that fit into an answer, and whether there are more."""
    taken: list[tuple[int, bytes]] = []
    size = 0
    for row in found:
        if len(taken) == MESSAGES or size > BYTES:
            return taken, True
        taken.append(row)
        size += len(row[1])
    return taken, False


def _holes(start: int, seqs: Sequence[int], end: int) -> list[list[int | None]]:
    """Return the intervals of ``[start, end)`` that are not among `seqs`."""
    edges = itertools.pairwise([start - 1, *seqs, end])
    return [[before + 1, after] for before, after in edges if after > before + 1]


def _exists(db: sqlite3.Connection, topic: str, epoch: str, seq: int) -> bool:
    found = db.execute(
        "SELECT 1 FROM message WHERE topic = ? AND epoch = ? AND seq = ?", (topic, epoch, seq)
    )
    return found.fetchone() is not None


def _following(db: sqlite3.Connection, topic: str, epoch: str) -> str | None:
    """Return the epoch that the journal goes on with after the last message of `epoch`."""
    found = db.execute(
        "SELECT epoch FROM message WHERE topic = :chain AND epoch != :epoch AND id > max("
        "coalesce((SELECT max(id) FROM message WHERE topic = :chain AND epoch = :epoch), 0), "
        "coalesce((SELECT id FROM message WHERE topic = :topic AND epoch = :epoch "
        "ORDER BY seq DESC LIMIT 1), 0)) ORDER BY id LIMIT 1",
        {"chain": CHAIN, "topic": topic, "epoch": epoch},
    ).fetchone()
    return found[0] if found else None


def _latest(db: sqlite3.Connection, topic: str, epoch: str) -> Row | None:
    found: Row | None = db.execute(
        "SELECT topic, body FROM message WHERE topic = ? AND epoch = ? ORDER BY seq DESC LIMIT 1",
        (topic, epoch),
    ).fetchone()
    return found


def _oldest(db: sqlite3.Connection) -> str | None:
    found = db.execute("SELECT utc_ms FROM message ORDER BY id LIMIT 1").fetchone()
    if found is None:
        return None
    utc = datetime.fromtimestamp(found[0] / 1000, UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(payload: bytes) -> Header:
    request = json.loads(payload)
    if not isinstance(request, dict) or request.get("v") != VERSION:
        raise ValueError(f'it is no JSON object with "v": {VERSION}')
    if not isinstance(request.get("id"), int | str | None):
        raise TypeError("id must be a number or a text")
    return request


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a text")
    value.encode()  # lone surrogates are no text
    return value


def _int(request: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = request.get(key, default)
    if type(value) is not int or not 0 <= value <= LAST:
        raise ValueError(f"{key} must be a number from 0 on")
    return value


def _time(request: Mapping[str, Any], key: str, default: int | None = None) -> int:
    if default is not None and key not in request:
        return default
    moment = datetime.fromisoformat(_text(request, key))
    if moment.tzinfo is None:
        raise ValueError(f"{key} must end in Z")
    return round(moment.timestamp() * 1000)


def _json(said: Header) -> bytes:
    return json.dumps(said, ensure_ascii=True, separators=(",", ":")).encode()
