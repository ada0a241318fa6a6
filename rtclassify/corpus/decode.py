"""Recordings of any format and rate become mono samples, once.

Short WAVs go through pydub, which reads them in this process; for all else it would start one of
its own, and it holds whole files in memory. The rest, and WAVs of kinds that pydub does not know,
are read as ``rtclassify classify`` reads them. The result is kept in a cache: one file of 16-bit
samples that grows at its end, and a table of what lies where.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydub import AudioSegment
from pydub.exceptions import CouldntDecodeError

from rtclassify.errors import DataError, SourceError
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.sources.recording import open_recording
from rtclassify.stream import AudioBlock, Samples

Stored = NDArray[np.int16]

FULL_SCALE = 32_767
SHORT_BYTES = 60 * 2 * 2 * 48_000
"""A minute of 16-bit stereo at 48 kHz: WAVs below this are short."""
WORKERS = 2
TAP = Tap("training", ())
AT_ONCE = 64


def decode(path: Path, rate: int) -> Stored:
    """Return the whole file as mono 16-bit samples at `rate`.

    Raises:
        SourceError: If it is not audio that any decoder knows.
    """
    if path.suffix.lower() == ".wav" and path.stat().st_size < SHORT_BYTES:
        with contextlib.suppress(CouldntDecodeError, IndexError):
            return stored(_by_pydub(path, rate))
    return stored(_by_source(path, rate))


def stored(audio: Samples) -> Stored:
    """Round to 16 bits."""
    return np.round(np.clip(audio, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def resampled(pieces: Iterable[Samples], own_rate: int, rate: int) -> Samples:
    """Mix pieces of shape (n, inputs) down to mono at `rate`, as live audio is."""
    converter, items, at = None, [], 0
    for frames in pieces:
        converter = converter or Converter(
            [TAP], source="a recording", inputs=frames.shape[1], rate_in=own_rate, rate=rate
        )
        items += converter.push(at, frames, None)
        at += len(frames)
    if converter:
        items += converter.finish()
    blocks = [item.samples for item in items if isinstance(item, AudioBlock)]
    return np.concatenate([np.empty(0, np.float32), *blocks])


def _by_pydub(path: Path, rate: int) -> Samples:
    with path.open("rb") as file:  # given a path, pydub would leave it open
        segment = AudioSegment.from_file(file, format="wav")
    samples = np.array(segment.get_array_of_samples()).reshape(-1, segment.channels)
    full_scale = 2.0 ** (8 * segment.sample_width - 1)
    return resampled([(samples / full_scale).astype(np.float32)], segment.frame_rate, rate)


def _by_source(path: Path, rate: int) -> Samples:
    with open_recording(str(path)) as recording:
        return resampled((piece.frames for piece in recording), recording.rate, rate)


class Cache:
    """Decoded audio on disk, shared by all trainings at one rate.

    A file is known by its path, size and time of change. The table is written after the samples,
    so whatever an interrupted run left unnamed at the end is written over.

    Args:
        folder: Where the two files are; made if it is not there.
        rate: Samples per second.
    """

    def __init__(self, folder: Path, rate: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rate = rate
        self._audio = folder / f"audio-{rate}.i16"
        self._table = folder / f"audio-{rate}.tsv"

    def take(
        self, paths: Sequence[Path], advance: Callable[[int], None]
    ) -> tuple[dict[Path, Stored], list[Path]]:
        """Return the samples of each file, mapped from disk, and the files that are unreadable.

        Args:
            paths: The files.
            advance: Called with how many more of them are done.
        """
        with self._locked():
            places = self._places()
            keys = {path: _key(path) for path in dict.fromkeys(paths)}
            wanted = [path for path, key in keys.items() if key not in places]
            advance(len(keys) - len(wanted))
            for at in range(0, len(wanted), AT_ONCE):
                some = wanted[at : at + AT_ONCE]
                self._add(some, [keys[path] for path in some], places)
                advance(len(some))
        return self._read({path: places[key] for path, key in keys.items()})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let two trainings that start together decode one after the other."""
        with self._table.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _places(self) -> dict[str, tuple[int, int]]:
        """Read the table: first sample and number of samples by key; -1 samples: unreadable."""
        places = {}
        for line in self._table.read_text("utf-8").splitlines():
            start, count, key = line.split("\t", 2)
            places[key] = int(start), int(count)
        return places

    def _add(
        self, paths: Sequence[Path], keys: Sequence[str], places: dict[str, tuple[int, int]]
    ) -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            decoded = list(pool.map(self._decoded, paths))
        end = max((start + max(count, 0) for start, count in places.values()), default=0)
        with self._audio.open("r+b" if self._audio.exists() else "w+b") as file:
            file.seek(2 * end)
            file.truncate()
            for key, audio in zip(keys, decoded, strict=True):
                places[key] = (end, -1 if audio is None else len(audio))
                if audio is not None:
                    file.write(audio.tobytes())
                    end += len(audio)
            file.flush()
            os.fsync(file.fileno())
        with self._table.open("a", encoding="utf-8") as table:
            table.writelines(f"{places[key][0]}\t{places[key][1]}\t{key}\n" for key in keys)

    def _decoded(self, path: Path) -> Stored | None:
        try:
            return decode(path, self._rate)
        except (SourceError, OSError):
            return None

    def _read(self, found: dict[Path, tuple[int, int]]) -> tuple[dict[Path, Stored], list[Path]]:
        unreadable = [path for path, (_, count) in found.items() if count <= 0]
        if len(unreadable) == len(found):
            raise DataError(f"None of the {len(found)} files is audio; {_named(unreadable)}.")
        audio = np.memmap(self._audio, np.int16, mode="r")
        heard = {path: audio[at : at + count] for path, (at, count) in found.items() if count > 0}
        return heard, unreadable


def _key(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return f"absent {path}"
    return f"{facts.st_size} {facts.st_mtime_ns} {path.resolve()}"


def _named(paths: Sequence[Path]) -> str:
    return "the first is " + str(paths[0])
