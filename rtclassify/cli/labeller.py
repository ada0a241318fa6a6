"""Label one recording of an archive, wherever a worker does it."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from rich.console import Console

from rtclassify.archive.units import Outcome, Unit
from rtclassify.cli.formats import FORMATS
from rtclassify.cli.labelling import label
from rtclassify.cli.loading import open_engine
from rtclassify.cli.output import delivering, opened
from rtclassify.config import Device, Runtime
from rtclassify.errors import BundleError, SourceError

UNFINISHED = ".unfinished"
"""Folder within the output for what is being written."""

LONGEST_NAME = 255
"""Bytes that file systems allow."""

MOST_WARNINGS = 100

ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
"""More threads gain less than more workers."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all recordings of an archive have in common; all paths are absolute.

    Args:
        folder: The recordings.
        output: Their labels, in a tree of the same shape.
        form: Format of the labels, a key of `FORMATS`.
        model: The bundle's folder.
        tag: The bundle's name and digest.
        hop_s: Seconds from one label to the next.
        device: What the network runs on.
        runtime: What runs it.
    """

    folder: Path
    output: Path
    form: str
    model: str
    tag: str
    hop_s: float
    device: Device
    runtime: Runtime

    @property
    def made(self) -> Mapping[str, Any]:
        """What labels depend on."""
        return {
            "folder": str(self.folder),
            "format": self.form,
            "model": self.tag,
            "hop": self.hop_s,
        }

    @property
    def suffix(self) -> str:
        """What is added to a recording's name to make that of its labels."""
        return FORMATS[self.form].suffix


class Labeller:
    """Label recordings one after the other, with one engine on one core.

    Owned by one thread.

    Raises:
        BundleError: If the model cannot be used, or is not the job's.
        UsageError: If there is no such device.
    """

    def __init__(self, job: Job) -> None:
        # TensorFlow reads these when it is imported or first used.
        os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", **ONE_CORE})
        self._job = job
        self._engine = open_engine(
            job.model, hop_s=job.hop_s, device=job.device, runtime=job.runtime
        )
        if self._engine.name != job.tag:
            raise BundleError(
                f"{job.model} is {self._engine.name} for a worker, and {job.tag} was asked for; "
                "give all machines the same models."
            )

    def __call__(self, unit: Unit) -> Outcome:
        """Write the labels of a recording whole, or none.

        Raises:
            SinkError: If they cannot be written.
        """
        with _warnings() as heard:
            try:
                outcome = Outcome(self._write(unit))
            except SourceError as error:
                outcome = Outcome(error=str(error))
        return replace(outcome, warnings=tuple(record.getMessage() for record in heard))

    def _write(self, unit: Unit) -> float:
        """Write to a name that nobody reads, and rename; return the seconds of audio."""
        labels = self._job.output / f"{unit.name}{self._job.suffix}"
        if len(os.fsencode(labels.name)) > LONGEST_NAME:
            raise SourceError(f"{unit.name} has too long a name for its labels; shorten it.")
        unfinished = self._job.output / UNFINISHED / secrets.token_hex(8)
        try:
            with opened(unfinished) as out:
                console = Console(file=out)
                writer = FORMATS[self._job.form](console, self._engine.labels, self._engine.rate)
                writer.head()
                path = str(self._job.folder / unit.name)
                seconds = label(path, self._engine, writer, console, name=unit.name)
                with delivering(str(labels)):
                    os.fsync(out.fileno())
            with delivering(str(labels)):
                labels.parent.mkdir(parents=True, exist_ok=True)
                unfinished.replace(labels)
        finally:
            unfinished.unlink(missing_ok=True)
        return seconds


def work(job: Job, unit: Unit) -> Outcome:
    """Label a recording with an engine that is kept for the next; any thread may call.

    Raises:
        RtclassifyError: As `Labeller` does.
    """
    with _one_at_a_time:
        return _kept(job)(unit)


_one_at_a_time = threading.Lock()


@lru_cache(maxsize=1)
def _kept(job: Job) -> Labeller:
    return Labeller(job)


@contextmanager
def _warnings() -> Iterator[list[logging.LogRecord]]:
    """Gather what the program warns of."""
    held = MemoryHandler(MOST_WARNINGS)
    held.setLevel(logging.WARNING)
    log = logging.getLogger("rtclassify")
    log.addHandler(held)
    try:
        yield held.buffer
    finally:
        log.removeHandler(held)
