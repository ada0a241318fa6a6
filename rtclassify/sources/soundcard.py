"""Sound cards: every tap of a card shares one PortAudio stream.

A card that is away is no error: its channels are `CaptureLost`, it is tried again with back-off
for ever, and when it returns, the gap is as long as the clock says. Opening and closing happen in
side threads, because both hang while a sound server is stalled.
"""

from __future__ import annotations

import queue
import threading
from typing import Self

from rtclassify.clock import Line, Timeline
from rtclassify.errors import RtclassifyError, SourceError
from rtclassify.sources import Request
from rtclassify.sources.cards import find_card, list_cards
from rtclassify.sources.live import ArrivalFit, Backoff, Feed
from rtclassify.sources.portaudio import CLOSE_S, SETTLING_S, BusyError, Stream, library, open_card
from rtclassify.stream import Item, Samples

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
PATIENCE_S = 6.0
"""Opening a card that answers takes less, even when a child has to list the cards."""

ARRIVAL_ERROR_S = 0.03
"""A card delivers a block, or two at once, after it was captured."""


def default_input_exists() -> bool:
    """Whether there is a sound card to listen to when none is named; takes a third of a second."""
    try:
        find_card("default", list_cards())
    except RtclassifyError:
        return False
    return True


class CardFit:
    """Date a card's frames: by arrival until its ADC times have settled, by those from then on.

    Args:
        rate: Frames per second.
    """

    def __init__(self, rate: int) -> None:
        self._settled = SETTLING_S * rate
        self._arrivals = ArrivalFit(rate, error_s=ARRIVAL_ERROR_S)
        self._adc = Timeline(rate)

    def mark(self, sample: int, clock_s: float) -> None:
        """Note that `sample` was captured at `clock_s`."""
        fit = self._adc if sample > self._settled else self._arrivals
        fit.mark(sample, clock_s)

    @property
    def line(self) -> Line | None:
        """The line, or None before the first mark."""
        return self._adc.line or self._arrivals.line


def play(samples: Samples, rate: int) -> None:
    """Play mono audio on the default output; return when it is over.

    Raises:
        SourceError: If there is no output to play it on.
        DependencyError: If PortAudio is not installed.
    """
    sounddevice = library()
    try:
        sounddevice.play(samples, rate, blocking=True)
    except sounddevice.PortAudioError as error:
        raise SourceError(f"nothing to play on: {error}; connect a loudspeaker.") from error


class SoundcardSource:
    """The inputs of one card; see the module.

    Args:
        request: Its name is that of the card, part of it, or empty for the default one.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._feed = Feed(request, CardFit)
        self._backoff = Backoff(first_s=FIRST_RETRY_S, last_s=LAST_RETRY_S)
        self._asked_s = self._retry_s = self._wanted_s = 0.0
        self._stream: Stream | None = None
        self._opener: threading.Thread | None = None
        self._opened: queue.SimpleQueue[Stream | Exception] = queue.SimpleQueue()
        self._closed = threading.Event()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(tap.channel for tap in self._request.taps)

    @property
    def ended(self) -> bool:
        """Live audio never ends."""
        return False

    def __enter__(self) -> Self:
        """Start to open the card; its audio, or why there is none, comes with `read`."""
        self._closed.clear()
        self._wanted_s = self._request.clock.now()
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the card; one that hangs is left to itself after 1.5 s."""
        self._closed.set()
        while not self._opened.empty():
            outcome = self._opened.get()
            self._stream = outcome if isinstance(outcome, Stream) else self._stream
        if self._stream is not None:
            self._stream.close(limit_s=CLOSE_S)
            self._stream = None

    def read(self) -> list[Item]:
        """Return what arrived.

        Raises:
            DependencyError: If PortAudio is not installed.
        """
        if self._stream is None:
            return self._await()
        items = self._feed.read()
        if self._stream.recalled:
            items += self._feed.end("PortAudio looked for new sound cards")
            self._drop()
            self._wanted_s = self._request.clock.now()
            self._open()
        elif fault := self._stream.fault():
            items += self._feed.lost(fault)
            self._drop()
            self._backoff.reset()
            self._retry_s = self._request.clock.now() + self._backoff.next_s()
        return items

    def _await(self) -> list[Item]:
        """Take what the opener brought, or send it again when it is time."""
        now = self._request.clock.now()
        # Asked before the queue is looked at: an opener puts its outcome there and then ends.
        opening = self._opener is not None and self._opener.is_alive()
        if not self._opened.empty():
            return self._take(self._opened.get())
        if opening and now > self._asked_s + PATIENCE_S:
            return self._feed.lost("the sound system does not answer")
        if not opening and now >= self._retry_s:
            self._open()
        return []

    def _take(self, outcome: Stream | Exception) -> list[Item]:
        if isinstance(outcome, Stream):
            self._stream = outcome
            return self._feed.begin(outcome.capture)
        if not isinstance(outcome, SourceError):
            raise outcome
        now = self._request.clock.now()
        self._retry_s = now + self._backoff.next_s()
        if isinstance(outcome, BusyError) and now < self._wanted_s + PATIENCE_S:
            return []
        return self._feed.lost(str(outcome))

    def _open(self) -> None:
        self._asked_s = self._request.clock.now()
        self._opener = threading.Thread(target=self._run_opener, name="open-card", daemon=True)
        self._opener.start()

    def _run_opener(self) -> None:
        try:
            stream = open_card(self._request)
        except Exception as error:  # noqa: BLE001 (raised again by the thinking thread)
            self._opened.put(error)
        else:
            self._opened.put(stream)
            if self._closed.is_set():
                stream.close(limit_s=CLOSE_S)
        self._request.wakeup.ring()

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close(limit_s=0.0)
        self._stream = None
