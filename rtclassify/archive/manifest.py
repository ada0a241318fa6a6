"""What became of each recording of an archive: a file of JSON lines beside the labels.

The first line says what labels whose recordings with what. Every other one speaks of one
recording, and the last that speaks of it counts. A line is on the disk before the next recording
is taken in hand, so a kill or a power cut loses at most what was in hand; a line that it cut short
is removed, and its recording labelled again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from rtclassify import __version__
from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import UsageError

NAME = "manifest.jsonl"


class Manifest:
    """The manifest of one folder of labels; open, it keeps every other run away.

    Owned by one thread. Operations of the disk fail with `OSError`.

    Args:
        output: The folder of labels, which exists.
        made: What must be the same for all of it, such as the model: names and values.
        suffix: What the name of a recording's labels adds to its own.
    """

    def __init__(self, output: Path, made: Mapping[str, Any], suffix: str) -> None:
        self._output = output
        self._path = output / NAME
        self._made = made
        self._suffix = suffix
        self._done: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        """Open the file, or begin one.

        Raises:
            UsageError: If another run has it open, or it is of other labels than these.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            self._read()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._file)

    def is_done(self, unit: Unit) -> bool:
        """Say whether the recording has labels and is as it was when it got them."""
        as_it_was = self._done.get(unit.name) == (unit.size, unit.modified_ns)
        return as_it_was and self._labels(unit.name).exists()

    def add(self, unit: Unit, outcome: Outcome) -> None:
        """Write what became of a unit; the disk has it on return."""
        labels = None if outcome.error else str(self._labels(unit.name).relative_to(self._output))
        self._write({**asdict(unit), "labels": labels, **asdict(outcome)})

    def _labels(self, name: str) -> Path:
        return self._output / f"{name}{self._suffix}"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"Another run is writing to {self._output}; wait for it, or name another --output."
            ) from error

    def _read(self) -> None:
        with os.fdopen(self._file, "rb", closefd=False) as file:
            *lines, torn = file.read().split(b"\n")
        if torn:
            os.ftruncate(self._file, os.fstat(self._file).st_size - len(torn))
        if not lines:
            self._write({"rtclassify": __version__, **self._made})
            return
        self._refuse_other_labels(_parsed(lines[0]))
        for said in map(_parsed, lines[1:]):
            if said.get("labels"):
                self._done[said["name"]] = (said["size"], said["modified_ns"])
            else:
                self._done.pop(said.get("name", ""), None)

    def _refuse_other_labels(self, said: Mapping[str, Any]) -> None:
        if "rtclassify" not in said:
            raise UsageError(f"{self._path} is not of rtclassify; name another --output.")
        for name, wanted in self._made.items():
            if said.get(name) != wanted:
                raise UsageError(
                    f"{self._output} has labels whose {name} is {said.get(name)}, and this run's "
                    f"is {wanted}; name another --output, or remove {NAME} there to label "
                    "everything anew."
                )

    def _write(self, said: Mapping[str, Any]) -> None:
        line = json.dumps(said).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        os.fsync(self._file)


def _parsed(line: bytes) -> dict[str, Any]:
    """Return what a line says; one that a disk has garbled says nothing."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
