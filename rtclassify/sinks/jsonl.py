"""The label stream as lines of JSON, to a file or to standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

from rtclassify.errors import SinkError
from rtclassify.events import Event
from rtclassify.sinks.wire import Encoder


class JsonlSink:
    """Append each message as a line that also holds its topic.

    Lines are flushed with every batch. A pipe whose reader stalls holds the program back, as
    pipes do; a subscriber of the socket cannot.

    Args:
        path: A file, appended to, or ``-`` for standard output.
        encoder: Makes the messages.
    """

    def __init__(self, path: str, encoder: Encoder) -> None:
        self._path = path
        self._name = "standard output" if path == "-" else f"jsonl:{path}"
        self._encoder = encoder
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            SinkError: If that is impossible.
        """
        try:
            self._file = self._open()
        except OSError as error:
            reason = error.strerror or error
            raise SinkError(
                f"{self._name} cannot be written to: {reason}; name a file that can."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; every line is in it already."""
        if self._file is not None:
            # What `send` could not write it has reported; closing would report it again.
            with contextlib.suppress(OSError):
                self._file.close()

    def send(self, events: Sequence[Event]) -> None:
        """Write and flush one line an event.

        Raises:
            SinkError: If the disk is full or the pipe's reader has gone.
        """
        if self._file is None:
            raise AssertionError("the sink is not open")
        try:
            self._file.writelines(message.line() for message in self._encoder.messages(events))
            self._file.flush()
        except OSError as error:
            raise SinkError(
                f"{self._name} takes no more labels: {error.strerror}; make room, or send them "
                "elsewhere."
            ) from error

    def _open(self) -> BinaryIO:
        if self._path == "-":
            return open(sys.stdout.fileno(), "wb", closefd=False)
        return Path(self._path).open("ab")
