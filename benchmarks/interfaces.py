"""``rtclassify run`` on interfaces that are not there, for benchmarks/thousand.py.

A thread plays the part of the cards: it delivers blocks of 4,096 frames at 48 kHz to the rings, as
PortAudio's callbacks do. The programme is ten seconds of the demo, another part on each input.
All else is the daemon as it is.

    python benchmarks/interfaces.py SETTINGS STARTED [--no-alarms]

STARTED becomes a JSON file: the playing thread's number and when all interfaces began.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
import soxr

from rtclassify import cli, pipeline, sources
from rtclassify.clock import SystemClock
from rtclassify.config import load
from rtclassify.sources import Request, demo
from rtclassify.sources.live import Capture, Feed
from rtclassify.sources.portaudio import BLOCK, RATE
from rtclassify.sources.soundcard import CardFit
from rtclassify.stream import Item, Samples

BLOCK_S = BLOCK / RATE
PROGRAMME_BLOCKS = 117
APART = 41_011
"""Frames between what neighbouring inputs play."""


class Interface:
    """A source as sound cards are, written by `play`."""

    opened: list[Interface] = []  # noqa: RUF012 - one list for all is what it is for
    ended = False

    def __init__(self, request: Request) -> None:
        self._feed = Feed(request, CardFit)
        self._items: list[Item] = []
        self.channels = tuple(tap.channel for tap in request.taps)
        self.name = request.name
        inputs = 1 + max(max(tap.inputs) for tap in request.taps)
        self.capture = Capture(request, device=request.name, rate=RATE, inputs=inputs)

    def __enter__(self) -> Self:
        """Be there."""
        self._items = self._feed.begin(self.capture)
        self.opened.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Be gone."""

    def read(self) -> list[Item]:
        """Return what arrived."""
        items, self._items = self._items, []
        return items + self._feed.read()


def play(count: int, started: Path) -> None:
    """Once `count` interfaces are open, deliver a block to each whenever it is due, for ever."""
    while len(Interface.opened) < count:
        time.sleep(0.01)
    captures = [interface.capture for interface in Interface.opened]
    programme = _programme(max(capture.inputs for capture in captures))
    clock = SystemClock()
    start_s = clock.now()
    _tell(started, thread=threading.get_native_id(), start_s=start_s)
    for block in itertools.count():
        time.sleep(max(0.0, start_s + (block + 1) * BLOCK_S - clock.now()))
        for capture in captures:
            frames = programme[block % PROGRAMME_BLOCKS, :, : capture.inputs]
            capture.write(frames, start_s + block * BLOCK_S)


def _tell(started: Path, **told: Any) -> None:
    unfinished = started.with_suffix(".new")
    unfinished.write_text(json.dumps(told))
    unfinished.rename(started)


def _programme(inputs: int) -> Samples:
    """Return the programme, shape (blocks, frames, inputs)."""
    clip, rate = soundfile.read(Path(demo.__file__).with_name("demo.ogg"), dtype="float32")
    mono = soxr.resample(clip.reshape(len(clip), -1)[:, 0], rate, RATE)
    blocks = np.empty((PROGRAMME_BLOCKS, BLOCK, inputs), np.float32)
    for number in range(inputs):
        part = np.roll(mono, -number * APART)[: PROGRAMME_BLOCKS * BLOCK]
        blocks[:, :, number] = part.reshape(PROGRAMME_BLOCKS, BLOCK)
    return blocks


def main() -> None:
    """Put the interfaces in the place of sound cards and run."""
    options = argparse.ArgumentParser()
    options.add_argument("settings", type=Path)
    options.add_argument("started", type=Path)
    options.add_argument("--no-alarms", action="store_true")
    chosen = options.parse_args()
    sources.SOURCES["soundcard"] = Interface
    if chosen.no_alarms:
        watched = pipeline.Pipeline
        unwatched = lambda *parts, **more: watched(*parts[:3], **more)  # noqa: E731 - without watches
        pipeline.Pipeline = unwatched  # type: ignore[assignment, misc]
    count = len({channel.source for channel in load(chosen.settings).channels})
    threading.Thread(target=play, args=(count, chosen.started), daemon=True).start()
    sys.argv = ["rtclassify", "run", "--config", str(chosen.settings)]
    cli.main()


if __name__ == "__main__":
    main()
