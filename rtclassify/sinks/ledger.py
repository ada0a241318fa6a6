"""The journal's file: every message of the stream in an SQLite database, a chain of rows.

The file has the whole truth about itself: two marks say which digest came before the oldest row
and which row is the last, and each transaction that adds or removes rows moves them along.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rtclassify.sinks.chain import CHAIN, START, Entry, Mark, day_of, digest_of
from rtclassify.sinks.reading import APPLICATION, BUSY_S, VERSION, check_kind, file_at, mark

STEP = 2_000
"""Rows that are removed at once: more than are added at once, so that removal keeps up."""

LARGEST_WAL = 16_000_000

_TABLES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    utc_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE UNIQUE INDEX message_by_seq ON message (topic, epoch, seq);
CREATE INDEX message_by_utc ON message (utc_ms);
CREATE TABLE mark (name TEXT PRIMARY KEY, id INTEGER NOT NULL, digest BLOB NOT NULL);
"""


class Ledger:
    """The journal's file, open for writing; used by one thread at a time.

    A commit waits until the disk has the rows (``synchronous=FULL``), so a power cut loses no
    more than a kill does.

    Args:
        path: The file; it is made if it is not there.
        named: What the rows that open a day name beside it: the model and the settings.

    Raises:
        sqlite3.Error: If the file cannot be opened or is no journal of this version.
    """

    def __init__(self, path: Path, named: Mapping[str, str]) -> None:
        self._path = path
        self._named = named
        self._opened: tuple[str, str] | None = None
        self._db = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except sqlite3.Error:
            self._db.close()
            raise
        self._file = file_at(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries after the last row, all or none; those that are there already are skipped.

        Raises:
            sqlite3.Error: If the disk does not take them, or the file is there no more; nothing
                was added then.
        """
        if file_at(self._path) != self._file:
            raise sqlite3.OperationalError("it was removed or replaced")
        opened = self._opened
        with self._transaction():
            last = mark(self._db, "last")
            for entry in entries:
                stretch = (entry.epoch, day_of(entry.utc_ms))
                if stretch != opened:
                    opened = stretch
                    last = self._insert(last, self._opening(entry, last))
                last = self._insert(last, entry)
            self._move("last", last)
        self._opened = opened

    def trim(self, *, oldest_ms: int, most_bytes: int) -> None:
        """Remove a few of the oldest rows if they are too old or there are too many.

        Args:
            oldest_ms: Rows that were sent before it are too old.
            most_bytes: Bytes that rows may take; the space of removed ones is used again.

        Raises:
            sqlite3.Error: If the disk does not allow it.
        """
        first = self._db.execute("SELECT id, utc_ms FROM message ORDER BY id LIMIT 1").fetchone()
        if first is None:
            return
        too_old = first[1] < oldest_ms
        if not too_old and self._bytes() <= most_bytes:
            return
        before_ms = oldest_ms if too_old else 1 << 62
        cut = self._db.execute(
            "SELECT id, digest FROM message WHERE id < ? AND utc_ms < ? ORDER BY id DESC LIMIT 1",
            (first[0] + STEP, before_ms),
        ).fetchone()
        with self._transaction():
            self._db.execute("DELETE FROM message WHERE id <= ?", (cut[0],))
            self._move("before", Mark(*cut))

    def _prepare(self) -> None:
        new = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        if not new:
            check_kind(self._db)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {LARGEST_WAL}")
        if new:
            with self._transaction():
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {VERSION}")
                self._move("before", START)
                self._move("last", START)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _opening(self, entry: Entry, last: Mark) -> Entry:
        day = day_of(entry.utc_ms)
        found = self._db.execute("SELECT utc_ms FROM message WHERE id = ?", (last.id,)).fetchone()
        same = found is not None and day_of(found[0]) == day
        said = {
            "v": VERSION,
            "opens": "start" if same else "day",
            "day": day,
            "epoch": entry.epoch,
            **self._named,
            "before": last.digest.hex(),
        }
        return Entry(entry.utc_ms, CHAIN, entry.epoch, last.id + 1, json.dumps(said).encode())

    def _insert(self, last: Mark, entry: Entry) -> Mark:
        digest = digest_of(last.digest, entry)
        row = (last.id + 1, entry.utc_ms, entry.topic, entry.epoch, entry.seq, entry.body, digest)
        done = self._db.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (topic, epoch, seq) DO NOTHING",
            row,
        )
        return Mark(last.id + 1, digest) if done.rowcount else last

    def _move(self, name: str, to: Mark) -> None:
        self._db.execute("REPLACE INTO mark VALUES (?, ?, ?)", (name, to.id, to.digest))

    def _bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)
