"""Messages out of a journal's file, as a stream, while the daemon may write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rtclassify.errors import JournalError, UsageError
from rtclassify.reports.days import bounds, day_of
from rtclassify.sinks.chain import CHAIN, Entry
from rtclassify.sinks.reading import as_it_stands

LATE_MS = 60_000
"""How much later than it was heard audio may get its final label; and how much earlier than a
period reading begins, so that its first hop has a neighbour."""


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """Open a journal for reading, as it is at this moment.

    Raises:
        UsageError: If there is none at `path`, or it holds nothing.
        JournalError: If it is damaged, then or while it is read.
    """
    with as_it_stands(path) as db:
        yield Journal(db, path)


class Journal:
    """A journal that is open for reading.

    Raises:
        UsageError: If it holds nothing.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self.path = path
        first, last = db.execute(
            "SELECT (SELECT min(utc_ms) FROM message), (SELECT max(utc_ms) FROM message)"
        ).fetchone()
        if first is None:
            raise UsageError(f"{path} holds no messages yet; wait until the daemon has labelled.")
        self.first_ms: int = first
        self.last_ms: int = last

    def choose(self, day: date | None, tz: ZoneInfo, *, today: date) -> date:
        """Return `day`, or for None yesterday, or if the journal lacks that the newest day.

        Raises:
            UsageError: If the journal has nothing of `day`.
        """
        yesterday = today - timedelta(days=1)
        if day is None:
            return yesterday if self._has(*bounds(yesterday, tz)) else day_of(self.last_ms, tz)
        self.require(*bounds(day, tz), tz)
        return day

    def require(self, start_ms: int, end_ms: int, tz: ZoneInfo) -> None:
        """Make sure that something was sent in a period.

        Raises:
            UsageError: If nothing was.
        """
        if not self._has(start_ms, end_ms):
            first, last = day_of(self.first_ms, tz), day_of(self.last_ms, tz)
            raise UsageError(
                f"{self.path} has nothing of that time; it holds messages from {first} to {last}."
            )

    def covered(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return what of a period lies between the oldest and the newest message."""
        start = max(start_ms, self.first_ms)
        return start, max(start, min(end_ms, self.last_ms))

    def rows(self, start_ms: int, end_ms: int) -> Iterator[Entry]:
        """Yield the messages about a period, and those around it, in the order of sending."""
        first, last = self._db.execute(
            "SELECT min(id), max(id) FROM message WHERE utc_ms >= ? AND utc_ms < ?",
            (start_ms - LATE_MS, end_ms + LATE_MS),
        ).fetchone()
        found = self._db.execute(
            "SELECT utc_ms, topic, epoch, seq, body FROM message "
            "WHERE id BETWEEN ? AND ? AND topic != ? ORDER BY id",
            (first, last, CHAIN),
        )
        for fields in found:
            yield Entry(*fields)

    def _has(self, start_ms: int, end_ms: int) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM message WHERE utc_ms >= ? AND utc_ms < ? LIMIT 1", (start_ms, end_ms)
        )
        return found.fetchone() is not None


@contextmanager
def garbled(path: Path) -> Iterator[None]:
    """Turn what a message that is none leads to into a sentence.

    Raises:
        JournalError: If there is one.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise JournalError(
            f"{path} holds a message that cannot be read ({error!r}); `rtclassify verify` tells "
            "whether somebody changed it."
        ) from error
