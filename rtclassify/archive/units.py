"""The work that an archive holds: one unit a recording, and what became of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".bwf", ".caf", ".eac3",
    ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3", ".mpga", ".oga", ".ogg", ".opus", ".rf64",
    ".snd", ".spx", ".tta", ".w64", ".wav", ".wave", ".wma", ".wv",
})  # fmt: skip
"""What the names of recordings end in, in lower case."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One recording as it was found.

    Args:
        name: Its path within the folder.
        size: Bytes.
        modified_ns: When it was last written, in nanoseconds since 1970.
    """

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit.

    Args:
        seconds: Audio that was labelled.
        error: Why there are no labels; None where there are.
        warnings: What is wrong with a recording that has labels all the same.
    """

    seconds: float = 0.0
    error: str | None = None
    warnings: tuple[str, ...] = ()


def find(folder: Path) -> tuple[list[Unit], list[OSError]]:
    """Return the recordings below `folder`, sorted by name, and what could not be looked at.

    Whatever begins with a dot is left out, and links to folders are not followed.
    """
    units: list[Unit] = []
    refused: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in files if not name.startswith(".")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            try:
                status = path.stat()
            except OSError as error:
                refused.append(error)
                continue
            if stat.S_ISREG(status.st_mode):
                name = str(path.relative_to(folder))
                units.append(Unit(name, status.st_size, status.st_mtime_ns))
    return sorted(units, key=lambda unit: unit.name), refused
