"""The journal: every message is kept in a file, by a thread that labelling never waits for.

Messages go into a bounded queue and from there, a few times a second, to the disk. While a disk
is full or failing, labelling goes on, the queue fills, and the writer tries again; what the queue
could not hold is counted, logged, and missing from the journal as a hole in ``seq``. See
docs/journal.md.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Self

from rtclassify.clock import Clock
from rtclassify.config import JournalSettings
from rtclassify.errors import SinkError
from rtclassify.events import Event
from rtclassify.sinks.chain import Entry
from rtclassify.sinks.ledger import Ledger
from rtclassify.sinks.locks import sole_owner
from rtclassify.sinks.wire import Encoder, JournalState

QUEUE = 20_000
"""Messages that wait for the disk, some 10 MB: an hour of one channel."""

BATCH = 1_000
COMMIT_S = 0.4
RETRY_S = 1.0
CLOSE_S = 5.0
"""How long closing waits for the disk; a socket's queue may be dropped sooner, a record not."""

_TEMPORARY = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)

log = logging.getLogger(__name__)


class JournalSink:
    """Keep each message of the stream in the journal at ``settings.path``.

    Args:
        settings: Where, and for how long.
        encoder: Makes the messages; shared with the sockets, so that both have the same.
        clock: Dates the messages.
        named: Digests of the model and the settings, for the rows that open a day.
    """

    def __init__(
        self,
        settings: JournalSettings,
        encoder: Encoder,
        clock: Clock,
        *,
        named: Mapping[str, str],
    ) -> None:
        self._path = Path(settings.path)
        self._keep = timedelta(days=settings.keep_days)
        self._most_bytes = round(settings.keep_mb * 1e6)
        self._encoder = encoder
        self._clock = clock
        self._named = named
        self._waiting: queue.Queue[Entry] = queue.Queue(QUEUE)
        self._batch: list[Entry] = []
        self._missing = 0
        self._told = 0
        self._trouble = ""
        self._closing = threading.Event()
        self._ledger: Ledger | None = None
        self._thread: threading.Thread | None = None
        self._stack = ExitStack()

    @property
    def state(self) -> JournalState:
        """How the journal is."""
        waiting = len(self._batch) + self._waiting.qsize()
        return JournalState(self._trouble, waiting, self._missing)

    def __enter__(self) -> Self:
        """Open the journal, or make it, and begin to write.

        Raises:
            SinkError: If that is impossible for good, or another program writes it; a full disk is
                waited for.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(sole_owner(self._path.resolve()))
                self._ledger = Ledger(self._path, self._named)
            except BlockingIOError as error:
                raise SinkError(
                    f"{self._path} is the journal of another rtclassify that is running; stop that "
                    "one, or name another file."
                ) from error
            except (sqlite3.Error, OSError) as error:
                if not _is_temporary(error):
                    raise self._refusal(error) from error
            self._stack = stack.pop_all()
        self._encoder.journal = lambda: self.state
        self._closing.clear()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is pending, for at most five seconds, and close the file."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
            self._thread = None
        self._stack.close()

    def _refusal(self, error: Exception) -> SinkError:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else error
        return SinkError(
            f"{self._path} cannot be the journal: {why}; name a file in a directory that can be "
            "written to, or move away what is there."
        )

    def send(self, events: Sequence[Event]) -> None:
        """Queue the messages that say `events`; never waits."""
        if self._thread is None:
            raise AssertionError("the sink is not open")
        utc_ms = round(self._clock.utc(self._clock.now()).timestamp() * 1000)
        for message in self._encoder.messages(events):
            body = message.body
            entry = Entry(utc_ms, message.topic, body["epoch"], body["seq"], message.payload)
            try:
                self._waiting.put_nowait(entry)
            except queue.Full:
                self._missing += 1

    def _write(self) -> None:
        """Commit what waits, a few times a second, until the sink closes; the writer's thread."""
        while True:
            closing = self._closing.is_set()
            self._batch += self._take(BATCH - len(self._batch))
            busy = len(self._batch) == BATCH
            if self._commits(self._batch):
                self._batch = []
            if closing and (self._trouble or not busy):
                break
            if self._trouble or not busy:
                self._closing.wait(RETRY_S if self._trouble else COMMIT_S)
        self._missing += self.state.waiting
        self._batch = []
        self._tell_missing()
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _take(self, most: int) -> list[Entry]:
        return [self._waiting.get_nowait() for _ in range(min(most, self._waiting.qsize()))]

    def _commits(self, batch: Sequence[Entry]) -> bool:
        if not batch:
            return True
        oldest = self._clock.utc(self._clock.now()) - self._keep
        midnight = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            if self._ledger is None:
                self._ledger = Ledger(self._path, self._named)
            self._ledger.append(batch)
            self._ledger.trim(
                oldest_ms=round(midnight.timestamp() * 1000), most_bytes=self._most_bytes
            )
        except sqlite3.Error as error:
            self._fail(error)
            return False
        if self._trouble:
            self._trouble = ""
            log.info("the journal is written again")
        if len(batch) < BATCH:
            self._tell_missing()
        return True

    def _fail(self, error: sqlite3.Error) -> None:
        """Say it once, and begin anew with a fresh connection: the old one may be spoilt."""
        if not self._trouble:
            log.error("the journal cannot be written (%s); labels go on, it tries again", error)
        self._trouble = str(error)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _tell_missing(self) -> None:
        if self._missing > self._told:
            log.warning("%d messages are missing from the journal", self._missing - self._told)
            self._told = self._missing


def _is_temporary(error: sqlite3.Error | OSError) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in _TEMPORARY
