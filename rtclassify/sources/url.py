"""Internet radio and network audio: HTTP, Icecast, HLS, RTP by an .sdp file, UDP.

A decoder thread connects, decodes and reconnects for ever by itself. The pause between two
connections is a `Gap` as long as the clock says; FFmpeg's own reconnecting would hide it.
"""

from __future__ import annotations

import queue
import threading
from functools import partial
from pathlib import Path
from typing import Self

from rtclassify.errors import SourceError
from rtclassify.sources import Request
from rtclassify.sources.decoder import Decoder, Piece
from rtclassify.sources.live import ArrivalFit, Backoff, Capture, Feed
from rtclassify.stream import Item

OPEN_S = 10.0
READ_S = 5.0
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0
CLOSE_S = 1.5

FASTEST = 4.0
"""Servers send some seconds in one burst at first. Hundreds of streams that decode theirs at once,
and faster, keep Python's lock from the thinking thread."""

AHEAD_S = 0.1
"""A stream in real time never gets so far ahead, and is not made to wait: that costs a switch of
threads each time."""

GATHERED_S = 0.2
"""Decoded at once: packets one by one cost more in switches of threads than in decoding."""

ARRIVAL_ERROR_S = 0.5
"""Networks and segments are vague by that much; what encoder and server add is unknown."""

_decoding = threading.Lock()
"""Held by the one who decodes. Hundreds of streams that are behind would otherwise fight for
Python's lock, each asking for it two hundred times a second, and never catch up."""


class UrlSource:
    """The audio of one address; see the module.

    Args:
        request: Its name is the address, or the path of an .sdp file.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._feed = Feed(request, partial(ArrivalFit, error_s=ARRIVAL_ERROR_S))
        self._news: queue.SimpleQueue[Capture | str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="decode-url", daemon=True)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(tap.channel for tap in self._request.taps)

    @property
    def ended(self) -> bool:
        """Live audio never ends."""
        return False

    def __enter__(self) -> Self:
        """Start the decoder thread."""
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the decoder thread; one that waits for the network is left to its time-out."""
        self._closing.set()
        self._listener.join(CLOSE_S)

    def read(self) -> list[Item]:
        """Return what arrived."""
        items: list[Item] = []
        while not self._news.empty():
            news = self._news.get()
            items += self._feed.begin(news) if isinstance(news, Capture) else self._feed.lost(news)
        return items + self._feed.read()

    def _listen(self) -> None:
        backoff = Backoff(first_s=FIRST_RETRY_S, last_s=LAST_RETRY_S)
        while not self._closing.is_set():
            try:
                with self._connect() as decoder:
                    self._receive(decoder, backoff)
                    reason = "the stream ended"
            except SourceError as error:
                reason = str(error)
            self._news.put(reason)
            self._request.wakeup.ring()
            self._closing.wait(backoff.next_s())

    def _connect(self) -> Decoder:
        local = Path(self._request.name).suffix.lower() == ".sdp"
        return Decoder(
            self._request.name,
            name="the stream",
            timeout_s=(OPEN_S, READ_S),
            options={"protocol_whitelist": "file,udp,rtp"} if local else None,
        )

    def _receive(self, decoder: Decoder, backoff: Backoff) -> None:
        capture: Capture | None = None
        free_s = 0.0
        for packets in decoder.gathered(GATHERED_S):
            if self._closing.is_set():
                return
            arrived_s = self._request.clock.now()
            free_s = max(free_s, arrived_s)
            with _decoding:
                for piece in decoder.pieces(packets):
                    if capture is None or (capture.rate, capture.inputs) != _format(piece):
                        capture = self._begin(piece)
                        backoff.reset()
                    if piece.missing:
                        capture.ring.skip(piece.missing)
                    length_s = len(piece.frames) / piece.rate
                    capture.write(piece.frames, arrived_s - length_s)
                    free_s += length_s / FASTEST
            if free_s - arrived_s > AHEAD_S:
                self._closing.wait(free_s - arrived_s)

    def _begin(self, piece: Piece) -> Capture:
        rate, inputs = _format(piece)
        device = f"a stream of {inputs} x {rate} Hz"
        capture = Capture(self._request, device=device, rate=rate, inputs=inputs)
        self._news.put(capture)
        return capture


def _format(piece: Piece) -> tuple[int, int]:
    return piece.rate, piece.frames.shape[1]
