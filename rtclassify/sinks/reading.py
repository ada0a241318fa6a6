"""A journal's file as others read it, while the daemon may write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtclassify.errors import JournalError, UsageError
from rtclassify.sinks.chain import Mark

APPLICATION = 0x72746A6C
VERSION = 1
BUSY_S = 5.0


def file_at(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from one that takes its place; None if none is there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a journal that may be written meanwhile.

    Raises:
        sqlite3.Error: If there is none at `path`, or it is no journal of this version.
    """
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        check_kind(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def as_it_stands(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a journal as it is at this moment, whatever is written meanwhile.

    Raises:
        UsageError: If there is none at `path`.
        JournalError: If it is damaged, then or while it is read.
    """
    try:
        db = open_for_reading(path)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
            raise _damaged(path, error) from error
        raise UsageError(
            f"{path} cannot be read as a journal: {error}; give the path that the settings have "
            "under [journal]."
        ) from error
    try:
        db.execute("BEGIN")
        yield db
    except (sqlite3.Error, UnicodeError) as error:
        raise _damaged(path, error) from error
    finally:
        db.close()


def _damaged(path: Path, error: Exception) -> JournalError:
    return JournalError(f"{path} is damaged: {error}; take a whole copy.")


def check_kind(db: sqlite3.Connection) -> None:
    """Make sure that a database is a journal of this version.

    Raises:
        sqlite3.DatabaseError: If it is something else.
    """
    kinds = [
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    ]
    if kinds != [APPLICATION, VERSION]:
        raise sqlite3.DatabaseError("it is no journal of this version")


def mark(db: sqlite3.Connection, name: str) -> Mark:
    """Return the mark ``before`` (of the oldest row) or ``last``.

    Raises:
        sqlite3.DatabaseError: If it is not there.
    """
    found = db.execute("SELECT id, digest FROM mark WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise sqlite3.DatabaseError("a mark is missing")
    return Mark(*found)
