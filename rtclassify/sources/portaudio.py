"""The streams of PortAudio: opened, watched, and closed even when they hang.

PortAudio knows the cards that were there when it was initialised, and initialising it again
invalidates every open stream. That happens only when a child process has seen a wanted card that
this process does not know, and costs the other cards a counted gap, once. See docs/real-time.md.
"""

from __future__ import annotations

import atexit
import json
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from rtclassify.errors import DependencyError, SourceError
from rtclassify.sources import Request
from rtclassify.sources.cards import PORTAUDIO_MISSING, Card, find_card, list_cards
from rtclassify.sources.live import Capture
from rtclassify.stream import Samples

BLOCK = 4096
"""Frames in a block, 85 ms at 48 kHz: each wakes a core for a callback, whatever its size."""

RATE = 48_000
"""What cards and sound servers run at; PortAudio's own default is 44,100 for all that take it."""

STEREO = 2
REAL_CARD_INPUTS = 16
"""A card that claims more (sound servers say 32) is software, and "all inputs" are two."""

CLOSE_S = 1.5
END_S = 5.0
"""JACK lets go of one input a period, which takes 64 of them 1.7 s and more."""

FIRST_BLOCK_S = 5.0
SETTLING_S = 3.0
"""ADC times are off by up to 0.7 s when a sound server's stream starts; until then arrival
counts (measured: wrong for 1.3 s)."""


class BusyError(SourceError):
    """Other cards are being opened or closed, and this one cannot be opened until they are."""


def open_card(request: Request) -> Stream:
    """Open the card that `request` names; may block, so the thinking thread never calls it.

    Raises:
        BusyError: If other cards keep it from being opened for the moment.
        SourceError: If it is not there or cannot be opened now.
        DependencyError: If PortAudio is not installed.
    """
    fresh = list_cards() if _initialised.is_set() else list(_known().values())
    card = find_card(request.name, fresh)
    if card.full_name not in _names():
        _initialise_again()
    return Stream(request, card)


class Stream:
    """An open card: its callback writes the `capture`.

    PortAudio's thread runs `_hear` and nothing else; the thinking thread asks for the `fault`.

    Args:
        request: What the source is asked for.
        card: One that this process's PortAudio knows by its full name.

    Raises:
        SourceError: If the card cannot be opened now.
    """

    def __init__(self, request: Request, card: Card) -> None:
        self._clock = request.clock
        self._lock = threading.Lock()
        self._closing = False
        self._error: Exception | None = None
        self._expected_s: float | None = None
        self._stream: Any = None
        self.recalled = False
        with _registry:
            _streams.add(self)
        try:
            self._stream = self._open(request, card)
        except BaseException:
            with _registry:
                _streams.discard(self)
            raise
        self._limit_s = self._clock.now() + FIRST_BLOCK_S

    def fault(self) -> str | None:
        """Say what is wrong with the card, or None.

        Raises:
            Exception: What the callback raised, if it did: a defect of this program.
        """
        with self._lock:
            active = not self._closing and self._stream.active
        if self._error is not None:
            raise self._error
        if not active:
            return "the sound card stopped"
        if self._clock.now() > self._limit_s:
            return "the sound card delivers nothing"
        return None

    def close(self, *, limit_s: float) -> None:
        """Close the card in a side thread, which is left behind if the card hangs longer."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        closer = threading.Thread(target=self._close, name="close-card", daemon=True)
        closer.start()
        closer.join(limit_s)

    def recall(self) -> None:
        """Close the card because PortAudio is to be initialised again."""
        self.recalled = True
        self.close(limit_s=CLOSE_S)

    @property
    def busy(self) -> bool:
        """Whether the card is on its way to be opened or closed, for as long as that hangs."""
        return self._stream is None or self._closing

    def _open(self, request: Request, card: Card) -> Any:
        numbers = [n for n, known in _known().items() if known.full_name == card.full_name]
        if not numbers:
            raise SourceError(f"{card.name} is gone again.")
        inputs = _inputs_of(card, request)
        for rate in dict.fromkeys((RATE, card.rate)):
            self.capture = Capture(request, device=card.full_name, rate=rate, inputs=inputs)
            try:
                return self._start(numbers[0])
            except library().PortAudioError as error:
                refusal = str(error)
        raise SourceError(f"{card.name} cannot be opened: {refusal}.")

    def _start(self, number: int) -> Any:
        stream = library().InputStream(
            device=number, samplerate=self.capture.rate, channels=self.capture.inputs,
            blocksize=BLOCK, latency="high", dtype="float32", callback=self._hear,
        )  # fmt: skip
        try:
            stream.start()
        except library().PortAudioError:
            stream.close()
            raise
        return stream

    def _hear(self, frames: Samples, _count: int, times: Any, status: Any) -> None:
        try:
            self._note(frames, times, overflow=status.input_overflow)
        except Exception as error:
            self._error = error
            raise library().CallbackAbort from error

    def _note(self, frames: Samples, times: Any, *, overflow: bool) -> None:
        now, capture = self._clock.now(), self.capture
        length_s = len(frames) / capture.rate
        captured_s = now - length_s
        if capture.ring.captured > SETTLING_S * capture.rate and times.inputBufferAdcTime > 0:
            captured_s = now - (times.currentTime - times.inputBufferAdcTime)
        if overflow and self._expected_s is not None:
            # The flag says that audio was lost, the ADC's clock about how much.
            capture.ring.skip(max(1, round((captured_s - self._expected_s) * capture.rate)))
        capture.write(frames, captured_s)
        self._expected_s = captured_s + length_s
        self._limit_s = now + 5 * length_s + 1.0

    def _close(self) -> None:
        self._stream.close()
        with _registry:
            _streams.discard(self)


_registry = threading.Lock()
_streams: set[Stream] = set()
_initialised = threading.Event()
_ending = threading.Event()


def library() -> Any:
    """Return sounddevice; importing it initialises PortAudio.

    Raises:
        DependencyError: If PortAudio is not installed.
    """
    try:
        import sounddevice
    except OSError as error:
        raise DependencyError(PORTAUDIO_MISSING) from error
    if not _initialised.is_set():
        # It would close PortAudio at exit, and hang there while a sound server is stalled.
        atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001 (there is no public way)
        # Python starts no thread at exit.
        ender = threading.Thread(target=_end, args=(sounddevice,), name="end-audio", daemon=True)
        ender.start()
        atexit.register(_end_within, ender, END_S)
        _initialised.set()
    return sounddevice


def _end(sounddevice: Any) -> None:
    """Terminate PortAudio once no card is open: JACK's threads crash a process that does not."""
    _ending.wait()
    while _streams:
        time.sleep(0.01)
    # After a failure to see new cards it may have ended already.
    with suppress(sounddevice.PortAudioError):
        sounddevice._terminate()  # noqa: SLF001 (the exit handler does the same)


def _end_within(ender: threading.Thread, limit_s: float) -> None:
    _ending.set()
    ender.join(limit_s)


def _initialise_again() -> None:
    """Make PortAudio see new cards; the open ones are recalled and opened anew by their sources."""
    sd = library()
    busy = BusyError("another sound card hangs, so new ones cannot be opened yet.")
    if any(stream.busy for stream in list(_streams)):
        raise busy
    for stream in list(_streams):
        stream.recall()
    with _registry:
        if _streams:
            raise busy
        sd._terminate()  # noqa: SLF001 (the documented way to see new cards)
        sd._initialize()  # noqa: SLF001


def _known() -> dict[int, Card]:
    """Return the cards that this process's PortAudio knows, by PortAudio's index."""
    sd = library()
    with _registry:
        hosts = sd.query_hostapis()
        devices = sd.query_devices()
        default = hosts[sd.default.hostapi]["default_input_device"] if hosts else -1
    return {
        index: Card(
            device["name"],
            hosts[device["hostapi"]]["name"],
            device["max_input_channels"],
            round(device["default_samplerate"]),
            index == default,
        )
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    }


def _names() -> set[str]:
    return {card.full_name for card in _known().values()}


def _inputs_of(card: Card, request: Request) -> int:
    """Return how many inputs to open: all, or up to the highest that a tap wants."""
    everything = card.inputs if card.inputs <= REAL_CARD_INPUTS else STEREO
    wanted = max(max(tap.inputs) + 1 if tap.inputs else everything for tap in request.taps)
    return min(wanted, card.inputs)


if __name__ == "__main__":
    try:
        print(json.dumps([asdict(card) for card in _known().values()]))  # noqa: T201 (list_cards reads it)
    except DependencyError as error:
        raise SystemExit(error.exit_code) from error
