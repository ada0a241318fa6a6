"""What comes out: what the pipeline says, and where it goes.

Every interval is half-open, ``[start, end)``, and counts samples at the pipeline's rate since the
channel's epoch began. Values are frozen and safe to hand between threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from rtclassify.alarm_kinds import Limits

CaptureState = Literal["no-capture", "digital-silence", "silence", "programme"]


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
