"""A recording as the commands that label files see it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from rtclassify.clock import SystemClock
from rtclassify.errors import SourceError
from rtclassify.ring import Wakeup
from rtclassify.sources import Request, Tap
from rtclassify.sources.file import FileSource
from rtclassify.stream import AudioBlock, Gap, Item, Samples

CHANNEL = "recording"

SHORTEST_S = 0.5
"""Less than this is refused: repeated to fill a window, it would say little about anything."""


class Recording:
    """A source of one channel that holds at least one window.

    A file shorter than a window is repeated until it fills one, so that it gets labels; `length`
    stays what the file really holds, and times are cut to it.

    Args:
        path: The file, or ``-`` for a WAV on standard input.
        rate: Samples per second to deliver.
        window: Samples that a classifier needs.
    """

    def __init__(self, path: str, *, rate: int, window: int) -> None:
        request = Request(path, (Tap(CHANNEL, ()),), rate, SystemClock(), Wakeup(), live=False)
        self._source = FileSource(request)
        self._path = path
        self._rate = rate
        self._window = window
        self._opening: list[Samples] = []
        self._complete = False
        self.length = 0

    @property
    def channels(self) -> tuple[str, ...]:
        """`CHANNEL` alone."""
        return (CHANNEL,)

    @property
    def seconds(self) -> float:
        """Seconds of audio read so far."""
        return self.length / self._rate

    @property
    def duration_s(self) -> float | None:
        """Seconds of audio as the file declares them; None where it does not."""
        return self._source.duration_s

    @property
    def ended(self) -> bool:
        """Whether everything was read."""
        return self._complete

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            SourceError: If that is impossible.
        """
        self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._source.__exit__(kind, error, trace)

    def read(self) -> Sequence[Item]:
        """Return the next audio.

        Raises:
            SourceError: If the file turns out to be unreadable, or too short to be repeated.
        """
        items = self._source.read()
        for item in items:
            self._keep(item)
        self._complete = self._source.ended
        return [*items, self._repeats()] if self._needs_more() else items

    def _keep(self, item: Item) -> None:
        if isinstance(item, AudioBlock | Gap):
            self.length = item.end
        if isinstance(item, AudioBlock) and self.length < self._window:
            self._opening.append(item.samples)

    def _needs_more(self) -> bool:
        return self._complete and self.length < self._window

    def _repeats(self) -> AudioBlock:
        if self.seconds < SHORTEST_S:
            raise SourceError(
                f"{self._path} holds {self.seconds:.2f} s of audio, too little to label; "
                f"give at least {SHORTEST_S:g} s."
            )
        heard = np.concatenate(self._opening)
        return AudioBlock(CHANNEL, self.length, np.resize(heard, self._window)[len(heard) :])
