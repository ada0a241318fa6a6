"""What the daemon costs on one live card, and how soon its labels come.

Plays the demo programme into a virtual sound card (a private PulseAudio, as the tests have it) or
noise into a JACK interface of 64 inputs, which become as many channels. Starts ``rtclassify run``
on it twice, the second time with a warm disk cache, and subscribes. Latency is counted by the
subscriber: from the capture of a hop's last sample, as the label's ``utc`` dates it, to the arrival
of its provisional label. Final ones are counted.

    python benchmarks/live.py [--seconds 120] [--model NAME] [--runtime litert] [--interface]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import soundfile
import zmq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rigs.jack import CARD, CHANNELS, JackServer  # noqa: E402 - the tests' rig
from rigs.pulse import RATE, SoundServer, add_card  # noqa: E402 - the tests' rig

from rtclassify.config import Runtime  # noqa: E402
from rtclassify.sources import demo  # noqa: E402
from rtclassify.sources.portaudio import BLOCK  # noqa: E402

DEMO = Path(demo.__file__).parent / "demo.ogg"
ADDRESS = "ipc:///tmp/rtclassify-bench"
PROC_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--model", default="speech-music")
    options.add_argument("--runtime", choices=get_args(Runtime), default="tensorflow")
    options.add_argument("--interface", action="store_true", help="64 inputs of JACK")
    chosen = options.parse_args()
    card = interface if chosen.interface else sound_card
    with tempfile.TemporaryDirectory() as folder, card(Path(folder)) as settings:
        listen(chosen, settings, seconds=0.0)
        report(listen(chosen, settings, seconds=chosen.seconds))


@contextmanager
def sound_card(folder: Path) -> Iterator[Path]:
    """Play the demo into a mono card; yield settings for it."""
    server = SoundServer(folder / "pulse", ("air",))
    config = folder / "asound.conf"
    config.write_text("</usr/share/alsa/alsa.conf>\n")
    add_card(config, "rtc_air", folder / "pulse", "air")
    os.environ["ALSA_CONFIG_PATH"] = str(config)
    settings = folder / "settings.toml"
    settings.write_text('[[channel]]\nname = "main"\nsource = "soundcard:rtc_air"\n')
    try:
        server.start()
        clip, rate = soundfile.read(DEMO, dtype="int16")
        server.play(np.tile(clip, 30), "air", rate)
        yield settings
    finally:
        server.stop()


@contextmanager
def interface(folder: Path) -> Iterator[Path]:
    """Play noise into 64 inputs; yield settings for them."""
    server = JackServer(folder)
    os.environ.update(server.environment)
    settings = folder / "settings.toml"
    channel = '[[channel]]\nname = "c{0}"\nsource = "{1}"\nchannels = [{0}]\n'
    settings.write_text("".join(channel.format(n, CARD) for n in range(1, CHANNELS + 1)))
    noise = np.random.default_rng(0).integers(-3_000, 3_000, (10 * RATE, CHANNELS), np.int16)
    try:
        server.start(noise)
        yield settings
    finally:
        server.stop()


@dataclass(frozen=True)
class Measured:
    """Seconds to the first label, latencies of provisional ones, final ones, and what it took."""

    first_s: float
    latencies_ms: Sequence[float]
    finals: int
    lost: tuple[int, int]
    share: float
    peak_mb: float


def listen(chosen: argparse.Namespace, settings: Path, *, seconds: float) -> Measured:
    """Run the daemon until `seconds` after its first label."""
    command = [sys.executable, "-m", "rtclassify", "run", "--model", chosen.model]
    command += ["--runtime", chosen.runtime, "--device", "cpu"]
    command += ["--config", str(settings), "--publish", ADDRESS]
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"label/")
        subscriber.connect(ADDRESS)
        began = time.monotonic()
        daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        subscriber.recv_multipart()
        first_s = time.monotonic() - began
        since, used = time.monotonic(), core_seconds(daemon.pid)
        latencies, finals, lost = [], 0, dict[str, list[int]]()
        while time.monotonic() < since + seconds:
            if subscriber.poll(1000):
                label = json.loads(subscriber.recv_multipart()[1])
                late_ms = latency_ms(label)
                lost.setdefault(label["channel"], []).append(label["lost"])
                # What was captured while the model loaded could not be labelled at once.
                if label["final"]:
                    finals += 1
                elif late_ms < (time.monotonic() - since) * 1000:
                    latencies.append(late_ms)
        share = (core_seconds(daemon.pid) - used) / max(1e-9, time.monotonic() - since)
        peak_mb = memory_mb(daemon.pid)
        daemon.terminate()
        if daemon.wait(20):
            raise SystemExit(f"the daemon ended with exit code {daemon.returncode}")
    before = max((of_channel[0] for of_channel in lost.values()), default=0)
    since_then = max((of_channel[-1] - of_channel[0] for of_channel in lost.values()), default=0)
    return Measured(first_s, latencies, finals, (before, since_then), share, peak_mb)


def latency_ms(label: Mapping[str, Any]) -> float:
    """Return how long ago the label's last sample was captured."""
    captured = datetime.fromisoformat(label["utc"])
    return (datetime.now(UTC) - captured).total_seconds() * 1000


def family(pid: int) -> list[int]:
    """Return a process and those that it started."""
    started = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for of_thread in started for child in of_thread.read_text().split())]


def core_seconds(pid: int) -> float:
    """Return the processor time that a process and those that it started have used."""
    spent = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / PROC_TICKS


def memory_mb(pid: int) -> float:
    """Return the most memory that a process and those that it started have had, added up."""
    most = 0
    for member in family(pid):
        status = Path(f"/proc/{member}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        most += int(line.split()[1])
    return most / 1024


def report(measured: Measured) -> None:
    """Print what was measured."""
    p50, p95, p99 = np.percentile(measured.latencies_ms, [50, 95, 99])
    print(f"start to first label, warm disk cache: {measured.first_s:.1f} s")
    print(f"last sample to label, {len(measured.latencies_ms)} labels: median {p50:.0f} ms,"
          f" 95 % {p95:.0f} ms, 99 % {p99:.0f} ms; {measured.finals} final ones")  # fmt: skip
    print(f"samples that a channel lost: {measured.lost[0]} before its first label, at most"
          f" {measured.lost[1]} since")  # fmt: skip
    print(f"a block of the card is {BLOCK / RATE * 1000:.0f} ms of that")
    print(f"share of one core: {measured.share:.2%}; peak memory {measured.peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
