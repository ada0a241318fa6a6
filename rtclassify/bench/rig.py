"""The daemon's parts, put together as it does, on audio that comes as fast as they can take it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial

import numpy as np
import zmq

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.readings import Meters
from rtclassify.alarms.watch import Watch
from rtclassify.bench.stopwatch import Stopwatch
from rtclassify.clock import Line, SystemClock
from rtclassify.config import LabelSettings
from rtclassify.engine import Engine, Graphs
from rtclassify.events import Event, StreamInfo
from rtclassify.pipeline import Pipeline
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.stream import Item, Samples, Window

NATIVE = 48_000
BLOCK = 2_048
"""Frames that a sound card delivers at once."""

INPUTS = 64
"""Of one sound card; that many channels share a converter."""

STAGES = {"frames_of": "features", "columns_of": "trunk", "answers_of": "head"}
CONVERT, WATCH, DECIDE, PUBLISH = "convert", "watch", "decide", "publish"
ORDER = (CONVERT, *STAGES.values(), WATCH, DECIDE, PUBLISH)


class WholeWindows:
    """An engine that forgets, so that it computes every window from its first sample on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.labels, self.tails_s = engine.name, engine.labels, engine.tails_s
        self.rate, self.window = engine.rate, engine.window
        self.hop, self.cell = engine.hop, engine.cell

    def reset(self) -> None:
        """Forget all audio."""
        self._engine.reset()

    def scores(self, windows: Sequence[Window]) -> Samples:
        """Score each window; see `Classifier.scores`."""
        self._engine.reset()
        return self._engine.scores(windows)


class Rig:
    """Cards of 48 kHz PCM, converters, pipeline, encoder and socket, with a watch over all.

    Args:
        engine: Whose graphs are timed.
        sink: An open socket.
        encoder: The sink's.
        channels: How many.
        whole: Whether to compute whole windows, as a program without memory would.
    """

    def __init__(
        self, engine: Engine, sink: ZmqSink, encoder: Encoder, *, channels: int, whole: bool
    ) -> None:
        self.stopwatch = watch = Stopwatch()
        graphs = {f.name: watch.timed(STAGES[f.name], getattr(engine.graphs, f.name))
                  for f in fields(Graphs)}  # fmt: skip
        timed = Engine(
            engine.description, engine.grid, Graphs(**graphs), hop=engine.hop, runs_on=""
        )
        names = [f"channel-{number}" for number in range(channels)]
        overseer = self._watch(names, engine.rate)
        cards = [names[first : first + INPUTS] for first in range(0, channels, INPUTS)]
        self._hop = engine.hop
        self._first_end = engine.hop + engine.window % engine.hop
        phases = {
            name: number * engine.hop // len(cards)
            for number, card in enumerate(cards)
            for name in card
        }
        self._phases = [phases[card[0]] for card in cards]
        self._pipeline = Pipeline(
            WholeWindows(timed) if whole else timed, names, LabelSettings(), overseer, phases=phases
        )
        self._cards = [
            Converter(
                [Tap(name, (number,)) for number, name in enumerate(card)],
                source="bench", inputs=len(card), rate_in=NATIVE, rate=engine.rate,
                legs=True,
            )
            for card in cards
        ]  # fmt: skip
        self._inputs = [len(card) for card in cards]
        self._heard = [0] * len(cards)
        self._sink, self._encoder = sink, encoder
        self._programme = programme()
        self._turns = 0
        self._line = Line(0.0, SystemClock().now(), NATIVE, 0.001)

    @property
    def cards(self) -> int:
        """Turns that a hop of all channels takes."""
        return len(self._cards)

    def _watch(self, names: Sequence[str], rate: int) -> Watch:
        meters, settings = Meters(names, rate), dict.fromkeys(names, AlarmSettings())
        watch = Watch(settings, rate=rate, utc=SystemClock().utc, meters=meters)
        timed = partial(self.stopwatch.timed, WATCH)
        of_one = [(watch[name], method) for name in names for method in ("judge", "labelled")]
        for part, method in [(meters, "push"), *of_one]:
            setattr(part, method, timed(getattr(part, method)))
        return watch

    def turn(self) -> tuple[float, list[Event]]:
        """Let the next card bring its audio up to the end of a hop, as live sources do.

        Returns:
            The second of the programme at which that audio is there, and what it brought about.
        """
        hops, number = divmod(self._turns, len(self._cards))
        self._turns += 1
        card, items = self._cards[number], list[Item]()
        end = self._first_end + hops * self._hop + self._phases[number]
        while card.end < end:
            start = self._heard[number]
            # What a block more brings is what the resampler still held.
            self._heard[number] = max(card.frames_for(end), start + BLOCK)
            audio = self._frames(start, self._heard[number] - start, self._inputs[number])
            with self.stopwatch.stage(CONVERT):
                items += card.push(start, audio, self._line)
        with self.stopwatch.stage(DECIDE):
            events = self._pipeline.push(items)
        with self.stopwatch.stage(PUBLISH):
            self._sink.send(events)
        return self._heard[number] / NATIVE, events

    def _frames(self, start: int, frames: int, inputs: int) -> Samples:
        """Give each input the programme from another place on."""
        room = len(self._programme) - frames
        places = [(start + number * NATIVE // 3) % room for number in range(inputs)]
        return np.stack([self._programme[at : at + frames] for at in places], axis=1)


def programme() -> Samples:
    """Make half a minute of chords, bursts of noise and quiet."""
    rng = np.random.default_rng(0)
    time = np.arange(10 * NATIVE) / NATIVE
    chords = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 440.0))
    bursts = rng.standard_normal(len(time)) * (np.sin(2 * np.pi * 3.0 * time) > 0)
    quiet = 0.01 * rng.standard_normal(len(time))
    return np.concatenate([0.05 * chords, 0.1 * bursts, quiet]).astype(np.float32)


@contextmanager
def published(engine: Engine) -> Iterator[tuple[ZmqSink, Encoder]]:
    """Open a socket on loopback to which somebody listens."""
    info = StreamInfo("bench", engine.name, engine.labels, engine.rate, engine.window, engine.hop)
    encoder = Encoder(info, SystemClock())
    with ExitStack() as stack:
        sink = stack.enter_context(ZmqSink("tcp://127.0.0.1:*", encoder))
        context = zmq.Context()
        stack.callback(context.term)
        listener, nobody = context.socket(zmq.SUB), context.socket(zmq.PUB)
        listener.connect(sink.address)
        listener.subscribe(b"")
        threading.Thread(target=_drain, args=(listener, nobody), daemon=True).start()
        yield sink, encoder


def _drain(listener: zmq.Socket[bytes], nobody: zmq.Socket[bytes]) -> None:
    """Take messages off the socket, outside Python, until its context is closed."""
    try:
        zmq.proxy(listener, nobody)
    except zmq.ContextTerminated:
        listener.close(0)
        nobody.close(0)
