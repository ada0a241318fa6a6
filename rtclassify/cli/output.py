"""Where commands write labels: standard output or a file, line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rtclassify.errors import SinkError


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """Open `path`, or standard output for None; every line goes out as soon as it is written.

    Names that are not Unicode, as files may have, are written as backslash escapes.

    Raises:
        SinkError: If it cannot be opened or, at the end, closed.
    """
    name = str(path or "standard output")
    with delivering(name):
        out = open(  # noqa: SIM115 - a descriptor is no Path; closed below
            path or sys.stdout.fileno(),
            "w",
            buffering=1,
            encoding="utf-8",
            errors="backslashreplace",
            closefd=path is not None,
        )
    try:
        yield out
    finally:
        with delivering(name):
            out.close()


@contextmanager
def delivering(name: str) -> Iterator[None]:
    """Turn an operating system's refusal to write to `name` into a sentence.

    A pipe whose reader went away, as ``head`` does, is no such case: it ends the program quietly.

    Raises:
        SinkError: If the disk is full or the place is not one to write to.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(
            f"labels cannot be written to {name}: {error.strerror}; "
            "make room there or write elsewhere with --output."
        ) from error
