"""Many channels of 48 kHz through the whole daemon, from a card's block to the subscriber.

Starts ``rtclassify run`` on interfaces of 64 inputs that a thread plays (see interfaces.py) and
subscribes to its labels. They are counted, and how late they are: from when a hop's last sample
was captured to the arrival of its provisional label here.

    python benchmarks/thousand.py [--channels 200] [--seconds 30] [--inputs 64] [--no-alarms]
        [--journal] [--hop 0.5] [--model NAME] [--runtime int8]
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import orjson
import zmq

sys.path.insert(0, str(Path(__file__).parent))
from live import PROC_TICKS, core_seconds, memory_mb

from rtclassify.clock import SystemClock
from rtclassify.config import Runtime

CLOCK = SystemClock()
SETTINGS = """
model = "{model}"
runtime = "{runtime}"
hop_s = {hop}
device = "cpu"
publish = "{address}"
replay = "ipc://{folder}/replay"
"""
JOURNAL = '[journal]\npath = "{folder}/journal.sqlite"\n'
CHANNEL = '[[channel]]\nname = "{interface}-{number}"\nsource = "soundcard:{interface}"\n'
PATIENCE_S = 300
SETTLED_MS, CATCH_UP_S = 1000.0, 60.0
"""What is later is of audio that waited while the model loaded."""

REST_S = 5.0
"""Before measuring begins, and for final labels to come."""


@dataclass
class Counted:
    """Labels of hops whose last samples were captured within ``[since, until)``."""

    since: float
    until: float
    provisional: dict[tuple[str, int], float] = field(default_factory=dict)
    final: set[tuple[str, int]] = field(default_factory=set)
    lost: dict[str, int] = field(default_factory=dict)

    def add(self, label: Mapping[str, Any], captured_s: float) -> None:
        """Take a label that came now."""
        self.lost[label["channel"]] = label["lost"]
        if not self.since <= captured_s < self.until:
            return
        which = label["channel"], label["end"]
        if label["final"]:
            self.final.add(which)
        else:
            self.provisional[which] = 1000 * (CLOCK.now() - captured_s)


class Daemon:
    """The running daemon and a subscription to its labels."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._started = folder / "started"
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.subscribe(b"label/")
        self._socket.connect(_address(folder))

    def labels(self) -> Iterator[tuple[dict[str, Any], float]]:
        """Yield labels with the clock seconds when their last samples were captured."""
        while self._socket.poll(1000 * PATIENCE_S):
            label = orjson.loads(self._socket.recv_multipart()[1])
            yield label, self.start_s + label["end"] / label["rate"]
        raise SystemExit("no label came")

    def wait(self) -> None:
        """Return when audio is played."""
        limit_s = CLOCK.now() + PATIENCE_S
        while not self._started.exists():
            if self._process.poll() is not None or CLOCK.now() > limit_s:
                raise SystemExit("the daemon did not start")
            time.sleep(0.05)
        told = json.loads(self._started.read_text())
        self.start_s, self._player = told["start_s"], told["thread"]

    def used(self) -> np.ndarray:
        """Return core seconds: of the process, of its thinking thread, of the playing thread."""
        threads = [thread_seconds(self.pid, thread) for thread in (self.pid, self._player)]
        return np.array([core_seconds(self.pid), *threads])


def thread_seconds(pid: int, thread: int) -> float:
    """Return the processor time that a thread has used."""
    fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / PROC_TICKS


def _address(folder: Path) -> str:
    return f"ipc://{folder}/labels"


@contextmanager
def running(folder: Path, chosen: argparse.Namespace) -> Iterator[Daemon]:
    """Run the daemon as the options say."""
    settings = SETTINGS.format(
        model=chosen.model,
        runtime=chosen.runtime,
        hop=chosen.hop,
        address=_address(folder),
        folder=folder,
    )
    settings += JOURNAL.format(folder=folder) * chosen.journal
    for number in range(chosen.channels):
        interface, place = divmod(number, chosen.inputs)
        settings += CHANNEL.format(interface=f"if{interface}", number=number)
        settings += f"channels = [{place + 1}]\n"
    (folder / "settings.toml").write_text(settings)
    command = [sys.executable, str(Path(__file__).with_name("interfaces.py"))]
    command += [str(folder / "settings.toml"), str(folder / "started")]
    command += ["--no-alarms"] * chosen.no_alarms
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        yield Daemon(process, folder)
    finally:
        process.terminate()
        if process.wait(60):
            print((folder / "log").read_text()[-2000:])


def measure(daemon: Daemon, seconds: float) -> tuple[Counted, np.ndarray]:
    """Return what came, and the cores used, once the daemon has caught up or had time to."""
    labels, enough_s = daemon.labels(), CLOCK.now() + CATCH_UP_S
    for label, captured_s in labels:
        settled = not label["final"] and 1000 * (CLOCK.now() - captured_s) < SETTLED_MS
        if settled or CLOCK.now() > enough_s:
            break
    since = CLOCK.now() + REST_S
    counted, before = Counted(since, since + seconds), None
    for label, captured_s in labels:
        counted.add(label, captured_s)
        now = CLOCK.now()
        if before is None and now >= since:
            began, before = now, daemon.used()
        if before is not None and now >= counted.until + REST_S:
            return counted, (daemon.used() - before) / (now - began)
    raise AssertionError("labels do not end")


def report(daemon: Daemon, counted: Counted, cores: np.ndarray, chosen: argparse.Namespace) -> None:
    """Print what was measured."""
    hop_s, expected = chosen.hop, 0
    interfaces = math.ceil(chosen.channels / chosen.inputs)
    for number in range(chosen.channels):
        start_s = daemon.start_s + number // chosen.inputs * hop_s / interfaces
        first, last = (math.ceil((s - start_s) / hop_s) for s in (counted.since, counted.until))
        expected += last - first
    latencies = [*counted.provisional.values()]
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    whole, thinking, playing = cores
    own_ms = 1000 * (whole - playing) * hop_s / chosen.channels
    print(f"{chosen.channels} channels on {interfaces} interfaces, {chosen.seconds:g} s")
    print(f"labels: {len(counted.provisional)} provisional and {len(counted.final)} final"
          f" of {expected}; samples lost: {sum(counted.lost.values())}")  # fmt: skip
    print(f"last sample to label: median {p50:.0f} ms, 95 % {p95:.0f} ms, 99 % {p99:.0f} ms,"
          f" at most {max(latencies):.0f} ms")  # fmt: skip
    print(f"cores: {whole:.2f}, of which {thinking:.2f} the thinking thread and {playing:.2f} the"
          f" interfaces; {own_ms:.2f} ms of the core a channel-hop")  # fmt: skip
    print(f"peak memory: {memory_mb(daemon.pid):.0f} MB, the interfaces' programme among it")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--channels", type=int, default=200)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--inputs", type=int, default=64, help="of an interface")
    options.add_argument("--hop", type=float, default=0.5)
    options.add_argument("--model", default="speech-music")
    options.add_argument("--runtime", choices=get_args(Runtime), default="tensorflow")
    options.add_argument("--no-alarms", action="store_true")
    options.add_argument("--journal", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), chosen) as daemon:
        daemon.wait()
        counted, cores = measure(daemon, chosen.seconds)
        report(daemon, counted, cores, chosen)


if __name__ == "__main__":
    main()
