"""Audio of anything that FFmpeg reads, decoded frame by frame through PyAV."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Self, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from rtclassify.errors import SourceError
from rtclassify.stream import Samples

LENIENT: dict[str, Any] = {}
"""Tags in other alphabets must not cost the audio; since PyAV 19 they never do."""
if int(av.__version__.partition(".")[0]) < 19:  # noqa: PLR2004 - a version
    LENIENT["metadata_errors"] = "replace"

JITTER_S = 0.010
"""Timestamps of containers are rounded, to a millisecond at worst."""

LONGEST_HOLE_S = 60.0
"""A longer jump of the timestamps is a clock that was set, not audio that is missing."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Consecutive frames.

    Args:
        rate: Frames per second.
        frames: Shape (n, inputs).
        missing: Frames that should have come between the last piece and this one.
    """

    rate: int
    frames: Samples
    missing: int


class Decoder:
    """The first audio stream of a file, a pipe or an address, opened by ``with``.

    What cannot be decoded is left out; the next piece counts it as missing where timestamps tell.
    Opening and iterating block on the disk or the network; one thread at a time.

    Args:
        origin: A path, an address, or an open binary file, which need not be seekable.
        name: What to call it in messages.
        timeout_s: How long opening, and each read, may take; None for no limit.
        options: FFmpeg's, for the container.

    Raises:
        SourceError: If it cannot be opened or holds no audio.
    """

    def __init__(
        self,
        origin: str | BinaryIO,
        *,
        name: str,
        timeout_s: tuple[float, float] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        try:
            opened = av.open(origin, "r", timeout=timeout_s, options=dict(options or {}), **LENIENT)
        except (FFmpegError, OSError) as error:
            raise SourceError(f"{name} cannot be played: {_reason(error)}") from error
        self._container = cast("InputContainer", opened)
        if not self._container.streams.audio:
            self._container.close()
            raise SourceError(f"{name} holds no audio")
        self._stream = self._container.streams.audio[0]
        self._expected_s: float | None = None
        self._damaged = 0

    def __enter__(self) -> Self:
        """Return itself: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the container; say how much of it was left out."""
        self._container.close()
        if self._damaged:
            log.warning("%s: %d damaged packets were left out", self._name, self._damaged)

    @property
    def rate(self) -> int:
        """Frames per second, as the header says."""
        return self._stream.rate

    @property
    def inputs(self) -> int:
        """Samples in a frame, as the header says."""
        return self._stream.channels

    @property
    def duration_s(self) -> float | None:
        """Seconds of the whole, as the header says; None where it does not."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        duration = self._container.duration
        return duration / av.time_base if duration is not None else None

    def __iter__(self) -> Iterator[Piece]:
        """Decode to the end.

        Raises:
            SourceError: If reading fails: the server is gone, or the disk.
        """
        for packets in self.gathered(0.0):
            yield from self.pieces(packets)

    def _packets(self) -> Iterator[Packet[AudioStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                yield next(packets)
            except (StopIteration, av.EOFError):
                return
            except av.InvalidDataError:
                self._damaged += 1
                return
            except (FFmpegError, OSError) as error:
                raise SourceError(f"{self._name} broke off: {_reason(error)}") from error

    def gathered(self, least_s: float) -> Iterator[list[Packet[AudioStream]]]:
        """Read to the end without decoding; yield packets once they hold `least_s` of audio.

        One that does not say how long it is waits for no other.

        Raises:
            SourceError: If reading fails; what was gathered comes before.
        """
        some: list[Packet[AudioStream]] = []
        held_s = 0.0
        try:
            for packet in self._packets():
                some.append(packet)
                held_s += _seconds(packet) or least_s
                if held_s >= least_s:
                    yield some
                    some, held_s = [], 0.0
        except SourceError:
            yield some
            raise
        yield some

    def pieces(self, packets: Iterable[Packet[AudioStream]]) -> Iterator[Piece]:
        """Decode the next packets, which never blocks."""
        for frame in itertools.chain.from_iterable(map(self._decoded, packets)):
            missing_s = 0.0
            if self._expected_s is not None and frame.time is not None:
                missing_s = frame.time - self._expected_s
            if not JITTER_S < missing_s < LONGEST_HOLE_S:
                missing_s = 0.0
            yield Piece(frame.sample_rate, _samples(frame), round(missing_s * frame.sample_rate))
            length_s = frame.samples / frame.sample_rate
            if frame.time is not None:
                self._expected_s = frame.time + length_s
            elif self._expected_s is not None:
                self._expected_s += length_s

    def _decoded(self, packet: Packet[AudioStream]) -> list[AudioFrame]:
        try:
            return packet.decode()
        except FFmpegError:
            self._damaged += 1
            return []


def _seconds(packet: Packet[AudioStream]) -> float | None:
    if packet.duration is None or packet.time_base is None:
        return None
    return float(packet.duration * packet.time_base)


def _reason(error: FFmpegError | OSError) -> str:
    """Say why, without the address, which may hold a password."""
    text = error.strerror or type(error).__name__
    return "it did not answer in time" if "Immediate exit" in text else text.lower()


def _samples(frame: AudioFrame) -> Samples:
    """Return a decoded frame as float32 in [-1, 1], shape (n, inputs)."""
    raw = frame.to_ndarray()
    interleaved = raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)
    if raw.dtype.kind == "f":
        return np.ascontiguousarray(interleaved, np.float32)
    silence = 128 if raw.dtype.kind == "u" else 0
    scale = float(2 ** (8 * raw.dtype.itemsize - 1))
    return ((interleaved - np.float64(silence)) / scale).astype(np.float32)
