"""Whether the journal survives kill -9 at any moment, and has all that was published.

Starts a small daemon again and again (the real loop, pipeline, socket and journal; a source that
never ends and a classifier without TensorFlow), subscribes to it, kills it at random, and then
reads the journal: it must open, its chain must verify, and every message that the subscriber
received must be in it, byte for byte, but those of the last second.

    python benchmarks/kill.py [--times 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import zmq

from rtclassify import loop
from rtclassify.clock import SystemClock
from rtclassify.config import JournalSettings, LabelSettings
from rtclassify.events import StreamInfo
from rtclassify.pipeline import Pipeline
from rtclassify.ring import Wakeup
from rtclassify.sinks.journal import JournalSink
from rtclassify.sinks.proof import verify
from rtclassify.sinks.reading import open_for_reading
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.stream import AudioBlock, Item
from rtclassify.testing import EnvelopeClassifier

MAY_BE_MISSING_S = 1.0
LONGEST_LIFE_S = 2.0
TURN_S = 0.02
PATIENCE_MS = 30_000

Received = tuple[float, bytes, bytes]
"""When a message arrived, by the monotonic clock; its topic and its body."""


def main() -> None:
    """Kill, look, and fail if the journal is not what it should be."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--daemon", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.daemon:
        serve(Path(chosen.daemon))
        return
    dice = random.Random(chosen.seed)  # noqa: S311 - not for secrets
    with tempfile.TemporaryDirectory() as name:
        folder, total, worst_s = Path(name), 0, 0.0
        for _ in range(chosen.times):
            received, killed_at = live_and_die(folder, dice.uniform(0.0, LONGEST_LIFE_S))
            missing = missing_from(folder / "journal", received)
            worst_s = max([worst_s, *(killed_at - arrived for arrived, _, _ in missing)])
            total += len(received)
            if worst_s > MAY_BE_MISSING_S:
                raise SystemExit(f"a message is missing that was published {worst_s:.2f} s before")
        kept = sum(day.messages for day in verify(folder / "journal"))
    print(f"killed {chosen.times} times: the journal opened and its chain verified each time")
    print(f"{total} messages received, {kept} in the journal; the oldest one that was missing"
          f" was published {worst_s:.2f} s before the kill")  # fmt: skip


def live_and_die(folder: Path, life_s: float) -> tuple[list[Received], float]:
    """Let a daemon live for a while after its first message; return what it said, and its end."""
    received: list[Received] = []
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
        subprocess.Popen([sys.executable, __file__, "--daemon", str(folder)]) as daemon,
    ):
        subscriber.rcvhwm = 0
        subscriber.subscribe(b"")
        subscriber.connect(f"ipc://{folder}/labels")
        end = None
        while end is None or time.monotonic() < end:
            if subscriber.poll(PATIENCE_MS if end is None else 10):
                topic, body = subscriber.recv_multipart()
                received.append((time.monotonic(), topic, body))
                end = end or time.monotonic() + life_s
            elif end is None:
                raise SystemExit("the daemon did not start")
        daemon.kill()
        killed_at = time.monotonic()
        while subscriber.poll(100):
            topic, body = subscriber.recv_multipart()
            received.append((killed_at, topic, body))
    return received, killed_at


def missing_from(journal: Path, received: Sequence[Received]) -> list[Received]:
    """Verify the chain of a journal; return what is not in it as it was received."""
    list(verify(journal))
    db = open_for_reading(journal)
    kept = set(db.execute("SELECT topic, body FROM message"))
    db.close()
    return [each for each in received if (each[1].decode(), each[2]) not in kept]


class Endless:
    """A source of noise that is never at its end, a second of it at each turn."""

    channels = ("a", "b")
    ended = False

    def __init__(self, rate: int) -> None:
        self._noise = np.random.default_rng(0).uniform(-1.0, 1.0, rate).astype(np.float32)
        self._at = 0

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def read(self) -> Sequence[Item]:
        """Return the next second of each channel."""
        blocks = [AudioBlock(channel, self._at, self._noise) for channel in self.channels]
        self._at += len(self._noise)
        return blocks


def serve(folder: Path) -> None:
    """Be the daemon, until killed."""
    classifier, clock = EnvelopeClassifier(), SystemClock()
    grid = (classifier.labels, classifier.rate, classifier.window, classifier.hop)
    encoder = Encoder(StreamInfo(secrets.token_hex(4), classifier.name, *grid), clock)
    settings = JournalSettings(str(folder / "journal"))
    named = {"model": classifier.name, "config": "none"}
    with (
        ZmqSink(f"ipc://{folder}/labels", encoder) as published,
        JournalSink(settings, encoder, clock, named=named) as journal,
        Endless(classifier.rate) as source,
    ):
        thinking = Pipeline(classifier, source.channels, LabelSettings())
        loop.run([source], thinking, [published, journal], clock=clock, wakeup=Wakeup(), turn=paced)


def paced() -> bool:
    """Go on, but not faster than a turn each while."""
    time.sleep(TURN_S)
    return True


if __name__ == "__main__":
    main()
