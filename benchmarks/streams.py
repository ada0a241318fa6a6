"""What internet radio costs: many addresses of a private Icecast, decoded each in its own thread.

Icecast and the encoders that feed it run on this machine too and are not counted. Sources are read
as the daemon reads them, without a model behind them; then Icecast is killed, and once it is back,
all come back.

    python benchmarks/streams.py [--streams 200] [--seconds 30] [--codec mp3]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from live import core_seconds, memory_mb

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rigs.icecast import ENCODERS, Radio
from thousand import thread_seconds

from rtclassify.clock import SystemClock
from rtclassify.config import ChannelSettings
from rtclassify.ring import Wakeup
from rtclassify.sources import demo, open_sources
from rtclassify.stream import AudioBlock, CaptureLost, Gap, Item

RATE, HOP = 16_000, 8_000
MOUNTS = 4
PATIENCE_S = 120.0


class Listener:
    """All streams, read in turns."""

    def __init__(self, radio: Radio, streams: int) -> None:
        channels = [
            ChannelSettings(f"s{number}", radio.url(f"m{number % MOUNTS}?{number}"))
            for number in range(streams)
        ]
        self._wakeup = Wakeup()
        self.sources = open_sources(
            channels, rate=RATE, clock=SystemClock(), wakeup=self._wakeup, live=True, piece=HOP
        )
        self.forget()

    def forget(self) -> None:
        """Count anew."""
        self.samples: Counter[str] = Counter()
        self.gaps = self.losses = 0
        self.turns_ms: list[float] = []

    def until(self, happened: Callable[[], bool]) -> None:
        """Read until `happened` says so."""
        limit = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > limit:
                raise SystemExit(f"only {len(self.samples)} streams were heard")
            began = time.monotonic()
            items = [item for source in self.sources for item in source.read()]
            self.turns_ms.append(1000 * (time.monotonic() - began))
            for item in items:
                self._count(item)
            if not items:
                self._wakeup.wait(0.1)

    def _count(self, item: Item) -> None:
        if isinstance(item, AudioBlock):
            self.samples[item.channel] += len(item.samples)
        self.gaps += isinstance(item, Gap)
        self.losses += isinstance(item, CaptureLost)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=200)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--codec", default="mp3", choices=sorted(ENCODERS))
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    radio = Radio(folder)
    try:
        radio.start()
        feed(radio, chosen.codec)
        measure(radio, chosen)
    finally:
        radio.stop()
        shutil.rmtree(folder)


def feed(radio: Radio, codec: str) -> None:
    """Put the demo on air on all mounts."""
    for number in range(MOUNTS):
        radio.feed(Path(demo.__file__).with_name("demo.ogg"), f"m{number}", codec)


def measure(radio: Radio, chosen: argparse.Namespace) -> None:
    """Listen, kill, listen again."""
    pid, before_mb = os.getpid(), memory_mb(os.getpid())
    listener = Listener(radio, chosen.streams)
    began = time.monotonic()
    for source in listener.sources:
        source.__enter__()
    listener.until(lambda: len(listener.samples) == chosen.streams)
    print(f"{chosen.streams} streams of {chosen.codec}: all heard after"
          f" {time.monotonic() - began:.1f} s; {threading.active_count()} threads")  # fmt: skip
    settled = time.monotonic() + 10.0
    listener.until(lambda: time.monotonic() > settled)
    listener.forget()
    began, used, thinking = time.monotonic(), core_seconds(pid), thread_seconds(pid, pid)
    listener.until(lambda: time.monotonic() > began + chosen.seconds)
    passed_s = time.monotonic() - began
    cores = (core_seconds(pid) - used) / passed_s
    reading = (thread_seconds(pid, pid) - thinking) / passed_s
    heard = np.array([*listener.samples.values()]) / RATE / passed_s
    turns, (middle_ms, long_ms) = (
        len(listener.turns_ms) / passed_s,
        np.percentile(listener.turns_ms, [50, 99]),
    )
    print(f"cores: {cores:.2f}, {100 * cores / chosen.streams:.2f} % of one a stream; of which"
          f" reading and converting {reading:.2f}")  # fmt: skip
    print(f"{turns:.0f} turns a second: median {middle_ms:.1f} ms, 99 % {long_ms:.1f} ms")
    print(f"heard: {heard.min():.3f} to {heard.max():.3f} of real time on {len(heard)} streams;"
          f" {listener.gaps} gaps, {listener.losses} losses")  # fmt: skip
    print(f"memory: {memory_mb(pid) - before_mb:.0f} MB at the peak, {before_mb:.0f} before")
    listener.forget()
    radio.kill()
    listener.until(lambda: listener.losses == chosen.streams)
    began = time.monotonic()
    radio.start()
    feed(radio, chosen.codec)
    back = time.monotonic()
    listener.forget()
    listener.until(lambda: len(listener.samples) == chosen.streams)
    again_s = time.monotonic() - back
    print(f"Icecast was away for {back - began:.1f} s more: all heard again {again_s:.1f} s later,"
          f" {listener.gaps} gaps")  # fmt: skip


if __name__ == "__main__":
    main()
