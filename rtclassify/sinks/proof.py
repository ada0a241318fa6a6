"""Proof that a journal is what was written to it: every digest is computed anew.

What it proves and what it cannot is said in docs/journal.md.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtclassify.errors import JournalError
from rtclassify.sinks.chain import CHAIN, Entry, Mark, day_of, digest_of
from rtclassify.sinks.reading import as_it_stands, mark


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day of a journal, verified.

    Args:
        day: Such as 2026-03-14.
        whole: Whether its beginning is there, or was removed with what came before.
        messages: How many there are.
        head: Digest of its last row, in hex; whoever publishes it fixes the day and all before.
    """

    day: str
    whole: bool
    messages: int
    head: str


def verify(path: Path) -> Iterator[Day]:
    """Check a journal from its oldest row to its last; it may be written meanwhile.

    Yields:
        The days, as each is verified.

    Raises:
        JournalError: At the first row that was changed, put in or taken out.
        UsageError: If there is no journal at `path`.
    """
    with as_it_stands(path) as db:
        _check_file(db, path)
        yield from _days(db, path)


def _check_file(db: sqlite3.Connection, path: Path) -> None:
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise JournalError(f"{path} is damaged: {found}; take a whole copy.")


def _days(db: sqlite3.Connection, path: Path) -> Iterator[Day]:
    before, last = mark(db, "before"), mark(db, "last")
    day: Day | None = None
    stretch: tuple[str, str] | None = None
    rows = db.execute("SELECT id, digest, utc_ms, topic, epoch, seq, body FROM message ORDER BY id")
    for number, digest, *fields in rows:
        entry = Entry(*fields)
        try:
            opening = _checked(before, Mark(number, digest), entry, stretch)
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
            raise JournalError(_where(path, number, entry, error)) from error
        stretch = (entry.epoch, day_of(entry.utc_ms))
        before = Mark(number, digest)
        if day is None or day.day != stretch[1]:
            if day is not None:
                yield day
            whole = opening is not None and opening["opens"] == "day"
            day = Day(stretch[1], whole, 0, "")
        day = Day(day.day, day.whole, day.messages + (opening is None), digest.hex())
    if before != last:
        raise JournalError(
            f"the newest rows of {path} are missing: it says that there were {last.id} rows, and "
            f"they end with {before.id}; compare it with a copy."
        )
    if day is not None:
        yield day


def _checked(
    before: Mark, here: Mark, entry: Entry, stretch: tuple[str, str] | None
) -> dict[str, Any] | None:
    """Check one row; return what it says if it opens a day or a start.

    Raises:
        ValueError: If it does not follow from the row before it; so do others for garbled rows.
    """
    if here.id != before.id + 1:
        raise ValueError(f"rows {before.id + 1} to {here.id - 1} are missing before it")
    if not isinstance(entry.body, bytes):
        raise TypeError("its body is not bytes")
    if digest_of(before.digest, entry) != here.digest:
        raise ValueError("its digest does not follow from the row before and its content")
    now = (entry.epoch, day_of(entry.utc_ms))
    if entry.topic != CHAIN:
        if stretch not in (None, now):
            raise ValueError("no row opens its day")
        return None
    opening: dict[str, Any] = json.loads(entry.body)
    if opening["before"] != before.digest.hex() or (opening["epoch"], opening["day"]) != now:
        raise ValueError("it opens a day that it does not belong to")
    return opening


def _where(path: Path, number: int, entry: Entry, error: Exception) -> str:
    try:
        sent = datetime.fromtimestamp(entry.utc_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError):
        sent = "an impossible time"
    return (
        f"{path} was changed at row {number} ({entry.topic}, sent at {sent}): {error}; compare it "
        "with a copy."
    )
