"""Whether a subscriber that stalls, dies and returns at random ends with every label exactly once.

Publishes labels of four channels through a real socket and a real journal, as fast as `--rate`.
One subscriber with replay is stopped (SIGSTOP) for a while or killed (SIGKILL) and started again,
at random; it writes down what it hears and goes on from there. Another one, without replay, is
stopped at random and must know of every gap. Ends with an error if a label is missing, comes twice
or out of order, or if a gap is not known.

    python benchmarks/replay.py [--messages 1000000] [--rate 10000] [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rtclassify.client import Gap, subscribe
from rtclassify.clock import SystemClock
from rtclassify.config import JournalSettings
from rtclassify.events import Event, Heartbeat, Label, Level, StreamInfo
from rtclassify.sinks.journal import QUEUE, JournalSink
from rtclassify.sinks.replay import ReplayServer
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import ZmqSink

CHANNELS = ("a", "b", "c", "d")
EPOCH = "00000000"
INFO = StreamInfo(EPOCH, "none@000000000000", ("speech", "music"), 16_000, 80_000, 8_000)
TURN_S = 0.02
PATIENCE_S = 120.0
LONGEST_S = 4.0
"""Seconds between two troubles, at most."""

FLUSH_S = 0.05


def main() -> None:
    """Publish, disturb, and compare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--rate", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--subscribe", nargs=3, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.subscribe:
        follow(*chosen.subscribe)
    else:
        measure(chosen.messages, chosen.rate, random.Random(chosen.seed))  # noqa: S311


def measure(messages: int, rate: int, dice: random.Random) -> None:
    """Print what each subscriber ended with, and fail if that is not everything."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        stream = Stream(stack, Path(name))
        subjects = [
            Subject(Path(name) / "replaying", [stream.published.address, stream.server.address]),
            Subject(Path(name) / "alone", [stream.published.address, ""]),
        ]
        for subject in subjects:
            stack.callback(subject.kill)
        trouble(stream, subjects, messages, rate, dice)
        each = messages // len(CHANNELS)
        stream.await_(lambda: all(subject.has_all(each) for subject in subjects))
        missing = stream.journal.state.missing
        replaying, alone = subjects
        print(f"{messages} labels in {time.monotonic() - began:.0f} s; {missing} not journalled")
        print(f"with replay, after {replaying.stalls} stalls and {replaying.deaths} deaths:"
              f" {replaying.said()}")  # fmt: skip
        print(f"without, after {alone.stalls} stalls: {alone.said()}")
        if not replaying.is_exact(each, gaps=False) or not alone.is_exact(each, gaps=True):
            raise SystemExit("a label is missing, twice, or out of order, or a gap is not known")


class Stream:
    """Socket, journal and replay of a daemon, without its ears."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        clock = SystemClock()
        encoder = Encoder(INFO, clock)
        settings = JournalSettings(str(folder / "journal"))
        journal = JournalSink(settings, encoder, clock, named={"model": "none", "config": "none"})
        server = ReplayServer("tcp://127.0.0.1:*", folder / "journal", epoch=EPOCH)
        self.published = stack.enter_context(ZmqSink("tcp://127.0.0.1:*", encoder))
        self.journal = stack.enter_context(journal)
        self.server = stack.enter_context(server)
        self._beat_at = 0.0

    def send(self, events: list[Event]) -> None:
        """Publish and journal events, and a heartbeat each second."""
        if time.monotonic() >= self._beat_at:
            events.append(Heartbeat(()))
            self._beat_at = time.monotonic() + 1.0
        self.published.send(events)
        self.journal.send(events)

    def await_(self, claim: Callable[[], bool]) -> None:
        """Send heartbeats until something holds, or patience ends."""
        limit = time.monotonic() + PATIENCE_S
        while not claim():
            if time.monotonic() > limit:
                return
            self.send([])
            time.sleep(TURN_S)


def trouble(
    stream: Stream, subjects: Sequence[Subject], messages: int, rate: int, dice: random.Random
) -> None:
    """Publish at `rate` labels a second while subscribers are stopped, killed and started."""
    replaying, alone = subjects
    sent, next_at = 0, 0.0
    while sent < messages:
        # A disk that is slower than this burst is not what is measured here.
        turn = round(rate * TURN_S) if stream.journal.state.waiting < QUEUE // 2 else 0
        due = min(messages, sent + turn)
        stream.send([label(number) for number in range(sent, due)])
        sent = due
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + dice.uniform(0.0, LONGEST_S)
            dice.choice([replaying.stall, replaying.resume, replaying.die])()
            dice.choice([alone.stall, alone.resume])()
        time.sleep(TURN_S)
    for subject in subjects:
        subject.resume()


class Subject:
    """A subscriber in a process of its own, which writes down what it hears."""

    def __init__(self, record: Path, addresses: Sequence[str]) -> None:
        self.stalls = self.deaths = 0
        self._record = record
        self._command = [sys.executable, __file__, "--subscribe", str(record), *addresses]
        record.touch()
        self._process = subprocess.Popen(self._command)

    def stall(self) -> None:
        """Stop it, as a debugger or a swapping machine does."""
        self.stalls += 1
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def die(self) -> None:
        """Kill it and start it again."""
        self.deaths += 1
        self.kill()
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self._process.wait()

    def has_all(self, each: int) -> bool:
        """Return whether the last of `each` labels of every channel is accounted for."""
        record = self._record.read_text()
        ends = (rf"^label/{channel}/ \S+ {each}$" for channel in CHANNELS)
        return all(re.search(end, record, re.MULTILINE) for end in ends)

    def said(self) -> str:
        """Return how much it heard and how much it knows that it missed."""
        heard, missed = tally(self._record)
        labels, gaps = (sum(map(len, each.values())) for each in (heard, missed))
        lost = sum(end - start for intervals in missed.values() for start, end in intervals)
        return f"{labels} labels, {gaps} gaps of {lost} labels"

    def is_exact(self, each: int, *, gaps: bool) -> bool:
        """Return whether labels and gaps together are every label once, in order."""
        heard, missed = tally(self._record)
        if missed and not gaps:
            return False
        for topic in (f"label/{channel}/" for channel in CHANNELS):
            spans = [*((seq, seq + 1) for seq in heard[topic]), *missed[topic]]
            ends = [0, *(end for _, end in sorted(spans))]
            starts = [*(start for start, _ in sorted(spans)), each]
            if starts != ends or heard[topic] != sorted(heard[topic]):
                return False
        return True


def tally(record: Path) -> tuple[dict[str, list[int]], dict[str, list[tuple[int, int]]]]:
    """Read a record: numbers heard and gaps known, by topic."""
    heard: dict[str, list[int]] = defaultdict(list)
    missed: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for topic, kind, end in (line.split() for line in record.read_text().splitlines()):
        if kind == "label":
            heard[topic].append(int(end) - 1)
        else:
            missed[topic].append((int(kind), int(end)))
    return heard, missed


def follow(record: str, address: str, replay: str) -> None:
    """Be a subscriber: go on after the last whole line of the record, and add to it."""
    with Path(record).open("r+b") as file:
        whole = file.read().rpartition(b"\n")[0].decode()
        position = {"": (EPOCH, 0)}
        for line in whole.splitlines():
            topic, _, end = line.split()
            position[topic] = (EPOCH, int(end))
        file.seek(len(whole) + 1 if whole else 0)
        file.truncate()
        with subscribe(address, replay=replay or None, since=position) as stream:
            while True:
                item = stream.receive(FLUSH_S)
                if item is None:
                    file.flush()
                elif isinstance(item, Gap):
                    file.write(f"{item.topic} {item.start} {item.end}\n".encode())
                else:
                    file.write(f"{item.topic} label {item.seq + 1}\n".encode())


def label(number: int) -> Label:
    """Make a label; channels take turns."""
    each, channel = divmod(number, len(CHANNELS))
    start = each * INFO.hop
    probs = {"speech": 0.9, "music": 0.1}
    level = Level(-20.0, -6.0)
    return Label(CHANNELS[channel], start, start + INFO.hop, probs, "speech", True, level, 0, None)


if __name__ == "__main__":
    main()
