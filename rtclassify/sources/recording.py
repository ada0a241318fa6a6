"""Recordings as a stream of pieces: soundfile for plain PCM, PyAV for everything else.

PyAV plays around damage in compressed files, where libsndfile gives up.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self

import soundfile

from rtclassify.errors import SourceError
from rtclassify.sources.decoder import Decoder, Piece

PIPE = "-"
PLAIN = {b"RIFF", b"RF64", b"riff", b"FORM", b"caff", b".snd"}
OPEN_ENDED = 0x7FFF0000
"""Writers that could not go back to fill in the length leave one about this big or bigger."""


class Recording(Protocol, AbstractContextManager["Recording"]):
    """Audio with an end, open until ``with`` is left."""

    @property
    def rate(self) -> int:
        """Frames per second."""

    @property
    def inputs(self) -> int:
        """Samples in a frame."""

    @property
    def duration_s(self) -> float | None:
        """Seconds that the recording claims to hold; None where it does not say."""

    def __iter__(self) -> Iterator[Piece]:
        """Return the audio in order, up to a second at a time.

        Raises:
            SourceError: If the recording turns out to be unreadable.
        """


def open_recording(name: str) -> Recording:
    """Open the recording at the path `name`, or standard input for ``-``.

    Raises:
        SourceError: If it does not exist, may not be read, or holds no audio.
    """
    if name != PIPE and _first_bytes(name) in PLAIN:
        with contextlib.suppress(soundfile.LibsndfileError):
            return PlainRecording(name)
    try:
        if name == PIPE:
            return Decoder(sys.stdin.buffer, name="standard input")
        return Decoder(name, name=name)
    except SourceError as error:
        raise SourceError(f"{error}; name a recording that FFmpeg can decode.") from error


class PlainRecording:
    """A file of PCM samples.

    Raises:
        soundfile.LibsndfileError: If libsndfile does not know what it is.
    """

    def __init__(self, name: str) -> None:
        # By descriptor, so that what the file holds counts and not what it is called.
        descriptor = os.open(name, os.O_RDONLY)
        self._file = soundfile.SoundFile(descriptor, closefd=True)
        self.rate: int = self._file.samplerate
        self.inputs: int = self._file.channels
        self.duration_s: float | None = self._promised() / self.rate

    def __enter__(self) -> Self:
        """Return itself: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Piece]:
        """Return the audio in order, a second at a time."""
        while len(frames := self._file.read(self.rate, dtype="float32", always_2d=True)):
            yield Piece(self.rate, frames, 0)

    def _promised(self) -> int:
        """Return the frames that the header speaks of, also where the file is cut short."""
        cut = re.search(r"^data : (\d+) \(should be (\d+)\)", self._file.extra_info, re.MULTILINE)
        if cut is None or int(cut[1]) >= OPEN_ENDED or int(cut[2]) == 0:
            return int(self._file.frames)
        return int(self._file.frames) * int(cut[1]) // int(cut[2])


def _first_bytes(name: str) -> bytes:
    """Return what tells the kind of file, whatever it is called."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a folder; name the recordings in it.") from error
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist; name a recording that does.") from error
    except PermissionError as error:
        raise SourceError(f"{path} may not be read by this user; change its mode.") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if not first:
        raise SourceError(f"{path} is empty (0 bytes); name a recording that is not.")
    return first
