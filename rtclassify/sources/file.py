"""Recordings: as fast as they can be read, or live, paced by the clock like a card."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

from rtclassify.clock import Line
from rtclassify.errors import SourceError
from rtclassify.sources import Request
from rtclassify.sources.convert import Converter
from rtclassify.sources.decoder import Piece
from rtclassify.sources.recording import Recording, open_recording
from rtclassify.stream import Item

READ_S = 32.0
"""64 hops of half a second: fewer cost the engine more each, more cost memory."""
LIVE_BLOCK_S = 0.05
LIVE_ERROR_S = 0.001
SHORTFALL_S = 0.5
"""Headers of intact compressed files are off by less."""

log = logging.getLogger(__name__)


class FileSource:
    """One recording, or standard input for ``-``, in constant memory.

    Owned by the thinking thread. Reading blocks on the disk, or on whoever writes the pipe.

    Args:
        request: Its name is the path.
        loop: Whether to begin again at the end, for ever.
    """

    def __init__(self, request: Request, *, loop: bool = False) -> None:
        self._request = request
        self._loop = loop
        self._open = ExitStack()
        self._ended = False
        self._began_s = 0.0
        self._heard = 0
        self._lap = 0
        self._held: Piece | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(tap.channel for tap in self._request.taps)

    @property
    def ended(self) -> bool:
        """Whether everything was read."""
        return self._ended

    @property
    def duration_s(self) -> float | None:
        """Seconds that the recording claims to hold; None where it does not say."""
        return self._recording.duration_s

    @property
    def position_s(self) -> float:
        """Seconds read so far."""
        return self._heard / self._rate

    def __enter__(self) -> Self:
        """Open the recording.

        Raises:
            SourceError: If it does not exist, may not be read, holds no audio, or lacks an input.
        """
        self._begin()
        self._rate, self._inputs = self._recording.rate, self._recording.inputs
        self._converter = Converter(
            self._request.taps,
            source=self._request.name,
            inputs=self._inputs,
            rate_in=self._rate,
            rate=self._request.rate,
            legs=self._request.live,
        )
        self._began_s = self._request.clock.now()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the recording."""
        self._open.close()

    def read(self) -> list[Item]:
        """Return the next `READ_S`, or when live what has become due.

        Raises:
            SourceError: If the recording turns out to be unreadable.
        """
        items: list[Item] = []
        due = self._due()
        while self._heard < due and not self._ended:
            piece = self._next(due - self._heard)
            if piece is None:
                items += self._finish()
            else:
                items += self._hear(piece)
        return items

    def _due(self) -> int:
        """Return the frame up to which to read now."""
        if not self._request.live:
            return self._heard + round(READ_S * self._rate)
        block = round(LIVE_BLOCK_S * self._rate)
        passed_s = self._request.clock.now() - self._began_s
        return min(round(passed_s * self._rate) // block * block, self._heard + self._rate)

    def _next(self, most: int) -> Piece | None:
        """Return the next frames, not more than `most`, or None at the end."""
        piece = self._held or next(self._pieces, None)
        self._held = None
        if piece is not None and len(piece.frames) > most:
            self._held = Piece(piece.rate, piece.frames[most:], 0)
            piece = Piece(piece.rate, piece.frames[:most], piece.missing)
        return piece

    def _hear(self, piece: Piece) -> list[Item]:
        if (piece.rate, piece.frames.shape[1]) != (self._rate, self._inputs):
            raise SourceError(
                f"{self._request.name} changes its format after {self.position_s:.1f} s; "
                "cut it there and name the parts."
            )
        start = self._heard + piece.missing
        self._heard = start + len(piece.frames)
        line = None
        if self._request.live:
            line = Line(0.0, self._began_s, float(self._rate), LIVE_ERROR_S)
        return self._converter.push(start, piece.frames, line)

    def _finish(self) -> list[Item]:
        if self._heard == self._lap:
            raise SourceError(f"{self._request.name} holds no audio; name a recording that does.")
        if self._loop:
            self._open.close()
            self._begin()
            return []
        promised_s = self.duration_s or 0.0
        if self.position_s < promised_s - SHORTFALL_S:
            log.warning(
                "%s is damaged or cut short: it holds %.1f s of %.1f s",
                self._request.name, self.position_s, promised_s,
            )  # fmt: skip
        self._ended = True
        return [*self._converter.finish()]

    def _begin(self) -> None:
        self._recording: Recording = self._open.enter_context(open_recording(self._request.name))
        self._pieces: Iterator[Piece] = iter(self._recording)
        self._lap = self._heard
