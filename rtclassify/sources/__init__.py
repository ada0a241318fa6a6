"""Where audio comes from: one file a kind, one line of `SOURCES` each.

A source is named by text: ``soundcard:NAME``, ``https://host/stream.mp3``, ``programme.sdp``,
``recording.flac`` or ``demo``. `open_source` finds the kind; the channels that name the same
source share one, so a card is opened once however many of its inputs are monitored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtclassify.clock import Clock
from rtclassify.config import ChannelSettings
from rtclassify.ring import Wakeup
from rtclassify.stream import Source


@dataclass(frozen=True, slots=True)
class Tap:
    """One monitored channel of a source.

    Args:
        channel: The configured name.
        inputs: Input channels to mix, counted from 0; empty for all.
    """

    channel: str
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a source is asked for.

    Args:
        name: The text after the kind's prefix, or the whole text where it has none.
        taps: The channels to deliver, at least one.
        rate: Samples per second to deliver.
        clock: Tells when audio was captured.
        wakeup: To ring when audio has arrived.
        live: Whether recordings are played in real time, as the daemon does, rather than as fast
            as they can be read.
        piece: Live audio is handed over each time that it reaches `phase` plus a multiple of so
            many samples, and what came after along with it: each time costs as much as much
            audio does.
        phase: See `piece`; of the samples that are delivered.
    """

    name: str
    taps: tuple[Tap, ...]
    rate: int
    clock: Clock
    wakeup: Wakeup
    live: bool
    piece: int = 1
    phase: int = 0


def _soundcard(request: Request) -> Source:
    from rtclassify.sources.soundcard import SoundcardSource

    return SoundcardSource(request)


def _url(request: Request) -> Source:
    from rtclassify.sources.url import UrlSource

    return UrlSource(request)


def _file(request: Request) -> Source:
    from rtclassify.sources.file import FileSource

    return FileSource(request)


def _demo(request: Request) -> Source:
    from rtclassify.sources.demo import DemoSource

    return DemoSource(request)


SOURCES: dict[str, Callable[[Request], Source]] = {
    "soundcard": _soundcard,
    "url": _url,
    "file": _file,
    "demo": _demo,
}


def kind_of(source: str) -> tuple[str, str]:
    """Split a source's text into its kind, a key of `SOURCES`, and the name that the kind takes."""
    if source == "demo":
        return "demo", source
    scheme, colon, rest = source.partition(":")
    if colon and scheme == "soundcard":
        return "soundcard", rest
    if "://" in source or Path(source).suffix.lower() == ".sdp":
        return "url", source
    return "file", source


def staggered(channels: Sequence[ChannelSettings], hop: int) -> dict[str, int]:
    """Say where the hops of each channel begin, so that sources come due one after the other.

    Channels of one source get their audio together and stay together.

    Returns:
        Samples by channel, from 0 to less than `hop`.
    """
    sources = list(dict.fromkeys(channel.source for channel in channels))
    return {c.name: sources.index(c.source) * hop // len(sources) for c in channels}


def open_sources(
    channels: Sequence[ChannelSettings],
    *,
    rate: int,
    clock: Clock,
    wakeup: Wakeup,
    live: bool,
    piece: int = 1,
    phases: Mapping[str, int] | None = None,
) -> list[Source]:
    """Make the sources of all channels, not yet entered.

    `phases` are those of `staggered`; see `Request` for the other arguments.
    """
    taps: dict[str, list[Tap]] = {}
    for channel in channels:
        inputs = tuple(number - 1 for number in channel.channels)
        taps.setdefault(channel.source, []).append(Tap(channel.name, inputs))
    sources = []
    for text, wanted in taps.items():
        kind, name = kind_of(text)
        phase = (phases or {}).get(wanted[0].channel, 0)
        request = Request(name, tuple(wanted), rate, clock, wakeup, live, piece, phase)
        sources.append(SOURCES[kind](request))
    return sources
