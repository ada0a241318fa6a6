"""The words of the program: what sources yield, what classifiers see, what sinks receive.

Every interval is half-open, ``[start, end)``, and counts samples at the pipeline's rate since the
channel's epoch began. Values are frozen and safe to hand between threads; arrays in them are
never written after they were handed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rtclassify.alarm_kinds import Limits
from rtclassify.clock import Line

Samples = NDArray[np.float32]

CaptureState = Literal["no-capture", "digital-silence", "silence", "programme"]


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


@dataclass(frozen=True, slots=True)
class Level:
    """How loud audio is, in dB relative to full scale; None for exact zeros."""

    rms_dbfs: float | None
    peak_dbfs: float | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """Clock seconds of a sample's capture, and how far they may be off."""

    clock_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class Label:
    """What one hop of audio is; said twice, provisionally and for good.

    Args:
        channel: The configured name.
        start: First sample of the hop.
        end: The index after its last sample.
        probs: Independent probability of each of the model's answers, the mean over the hop.
        label: ``speech``, ``music``, ``speech+music``, ``other``, ``silence`` or
            ``digital-silence``.
        final: False as soon as the hop was heard, True once later audio cannot change the answer
            any more. Final ones come once for each hop that was classified, in order.
        level: Level of the hop.
        lost: Samples of this channel lost so far.
        captured: When the last sample was captured; None for recordings.
    """

    channel: str
    start: int
    end: int
    probs: Mapping[str, float]
    label: str
    final: bool
    level: Level
    lost: int
    captured: Stamp | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one label, by final answers: said once when it opens, once when it closes.

    Args:
        channel: The configured name.
        number: Counts the channel's segments from 0; both messages carry it.
        label: As in `Label`.
        start: First sample, dated back to where the label began to hold.
        end: The index after the last sample; None while the segment is open.
        probs: Mean probability of each answer over the segment so far.
        begun: When `start` was captured; None for recordings.
        ended: When `end` was captured; None for recordings and open segments.
    """

    channel: str
    number: int
    label: str
    start: int
    end: int | None
    probs: Mapping[str, float]
    begun: Stamp | None
    ended: Stamp | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """A channel's capture state changed.

    Args:
        channel: The configured name.
        state: The new state.
        reason: Why nothing is captured, or an empty string.
        start: First sample of the new state.
        captured: When `start` was captured; None for recordings and before the first audio.
    """

    channel: str
    state: CaptureState
    reason: str
    start: int
    captured: Stamp | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong with a channel, or no longer; said once when raised, once when cleared.

    Args:
        channel: The configured name.
        incident: Counts the channel's alarms of every kind from 0; both messages carry it.
        kind: A key of `rtclassify.alarm_kinds.KINDS`, or ``expected``.
        raised: False when it is cleared.
        since: First sample of what this message says: the trouble, or its end.
        sentence: What happened, for people.
        measured: The figure that was judged; None where it could not be measured.
        limits: What raises and clears it.
        captured: When `since` was captured; None for recordings and before the first audio.
    """

    channel: str
    incident: int
    kind: str
    raised: bool
    since: int
    sentence: str
    measured: float | None
    limits: Limits
    captured: Stamp | None


@dataclass(frozen=True, slots=True)
class Loudness:
    """EBU R128 in LUFS; None where nothing was measured or all of it was gated.

    Args:
        momentary: Of the last 400 ms.
        short_term: Of the last 3 s.
        integrated: Gated, of the audio since sample `since`.
        momentary_max: The greatest momentary loudness since then.
        short_term_max: The greatest short-term loudness since then.
        since: Where the running hour of audio began.
    """

    momentary: float | None
    short_term: float | None
    integrated: float | None
    momentary_max: float | None
    short_term_max: float | None
    since: int


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """What is true of a channel now.

    `state`, `reason` and `since` (a sample index) are those of the last `StateChange`; `label` is
    the last provisional label or None before the first; `end` is the index after the last sample
    heard; `alarms` are the ones that are raised; `loudness` is None where it is not measured.
    """

    channel: str
    state: CaptureState
    reason: str
    since: int
    label: str | None
    level: Level
    end: int
    lost: int
    alarms: tuple[Alarm, ...] = ()
    loudness: Loudness | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Each second: every channel's state, for those who join late."""

    channels: tuple[ChannelStatus, ...]


Event = Label | Segment | StateChange | Alarm | Heartbeat


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What holds for every event of one start of the program.

    Args:
        epoch: A fresh identifier of this start.
        model: ``name@digest``.
        labels: The model's answers, the keys of every `probs`.
        rate: Samples per second of every index.
        window: Samples in a window.
        hop: Samples from one window to the next.
    """

    epoch: str
    model: str
    labels: tuple[str, ...]
    rate: int
    window: int
    hop: int


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


class Sink(Protocol):
    """Where events go, opened by ``with``; owned by the thinking thread."""

    def __enter__(self) -> Self:
        """Open the destination.

        Raises:
            SinkError: If that is impossible: address in use, no permission.
        """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Deliver what is pending, for at most a second, and close."""

    def send(self, events: Sequence[Event]) -> None:
        """Deliver events without blocking on whoever receives them.

        Called at every turn of the loop, with nothing to send as well, so that a sink can serve
        its sockets.

        Raises:
            SinkError: If delivery is over for good, not merely slow.
        """
