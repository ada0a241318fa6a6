"""What flows in: what sources yield and classifiers see.

Every interval is half-open, ``[start, end)``, and counts samples at the pipeline's rate since the
channel's epoch began. Values are frozen and safe to hand between threads; arrays in them are
never written after they were handed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rtclassify.clock import Line

Samples = NDArray[np.float32]


class Legs(NamedTuple):
    """What the inputs that are mixed into a channel were, over a quarter of a second.

    Args:
        end: The index after the last sample that it speaks of.
        squares: Mean square of each input, in the order of the mix.
        product: Mean product of the two inputs of a stereo pair; None for other mixes.
        clipped: Share of the frames in which an input stands still at full scale, 0 to 1.
    """

    end: int
    squares: tuple[float, ...]
    product: float | None
    clipped: float


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """Captured audio of one channel.

    Args:
        channel: The configured name.
        start: Index of the first sample.
        samples: Mono, shape (n,), nominally in [-1, 1], finite.
        line: Ties sample indices to clock seconds; None for a recording, which has no clock.
        legs: What is known of the inputs before the mix, in order; ends at `end` or before, and
            speaks of audio that this block or the ones before it brought.
    """

    channel: str
    start: int
    samples: Samples
    line: Line | None = None
    legs: tuple[Legs, ...] = ()

    @property
    def end(self) -> int:
        """The index after the last sample."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True)
class Gap:
    """Audio of ``[start, end)`` that was never heard, and why."""

    channel: str
    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class CaptureLost:
    """Nothing arrives on this channel any more; the next block or gap says that it does again."""

    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What follows on this channel comes from `device`, as the system names it."""

    channel: str
    device: str


Item = AudioBlock | Gap | CaptureLost | Opened


@dataclass(frozen=True, slots=True)
class Framing:
    """How a classifier cuts audio, in samples.

    Args:
        rate: Samples per second.
        window: Samples in a window.
        hop: Samples from one window to the next, a multiple of `cell`.
        cell: Samples that one score speaks for.
    """

    rate: int
    window: int
    hop: int
    cell: int


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What a classifier scores: `window` samples of one channel without a gap in them."""

    channel: str
    start: int
    samples: Samples


class Source(Protocol):
    """Audio of one or more channels, opened by ``with``.

    The thinking thread owns it. A recording and a sound card look alike: `read` returns what is
    there and never waits; a recording is always ready until it has `ended`.
    """

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that items carry."""

    @property
    def ended(self) -> bool:
        """Whether `read` will never return anything again; always False for live audio."""

    def __enter__(self) -> Self:
        """Start capturing.

        Raises:
            SourceError: If a recording cannot be opened. Live sources do not raise for a device
                or server that is away: they say `CaptureLost` and try again for ever.
        """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop capturing and release the device; returns within two seconds."""

    def read(self) -> Sequence[Item]:
        """Return what arrived since the last call, in order within each channel.

        Raises:
            SourceError: If a recording turns out to be unreadable.
        """


class Classifier(Protocol):
    """Scores windows against labels; serves one pipeline at a time.

    A score belongs to a *cell*, a stretch of `cell` samples; windows are cut into cells backwards
    from their ends, and hops are whole cells, so that cells of overlapping windows coincide.
    """

    @property
    def name(self) -> str:
        """The model, as ``name@first 12 hex digits of its digest``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each score answers."""

    @property
    def tails_s(self) -> tuple[float, ...]:
        """For how long each answer outlasts what it is of, in the mean, in seconds."""

    @property
    def rate(self) -> int:
        """Samples per second of the windows."""

    @property
    def window(self) -> int:
        """Samples in a window."""

    @property
    def hop(self) -> int:
        """Samples from one window to the next, a multiple of `cell`."""

    @property
    def cell(self) -> int:
        """Samples that one score speaks for."""

    def reset(self) -> None:
        """Forget all audio; called when a pipeline begins."""

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each cell of each window against every label.

        Scores depend on their own window alone, so batching changes speed, not answers. Windows
        of one channel come in the order of their starts.

        Returns:
            Probabilities, shape (n, `window` // `cell`, len(`labels`)), each in [0, 1] and
            independent; the last cell ends with the window.
        """
