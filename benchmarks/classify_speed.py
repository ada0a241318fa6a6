"""How fast ``rtclassify classify`` is on one core, and whether memory grows with the recording.

Writes sparse recordings of ten seconds, ten minutes and a day: a minute of sound at the start of
each half hour and zeros, which cost the network just as much, in between. Each is labelled by a
process of its own, pinned to one core. What ten seconds take is start-up and left out of the
speed, which is counted in seconds of the core, so that a busy machine does not blur it.

    python benchmarks/classify_speed.py [--model NAME] [--runtime int8] [--folder /tmp] [--hours 24]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 16_000
HALF_HOUR_S = 1_800
START_UP_S = 10
SHORT_S = 600


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall_s: float
    core_s: float
    peak_mb: float


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="speech-music")
    options.add_argument("--runtime", default="tensorflow")
    options.add_argument("--folder", default=None, help="where the recordings are written")
    options.add_argument("--hours", type=float, default=24.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "recording.wav"
        long_s = round(chosen.hours * 3600)
        what = ("--model", chosen.model, "--runtime", chosen.runtime)
        start_up, short, long = (
            measure(path, seconds, what) for seconds in (START_UP_S, SHORT_S, long_s)
        )
    print("recording    wall s  core s  peak MB")
    for seconds, cost in ((START_UP_S, start_up), (SHORT_S, short), (long_s, long)):
        print(f"{seconds:>7} s {cost.wall_s:10.1f} {cost.core_s:7.1f} {cost.peak_mb:8.0f}")
    busy_s = long.core_s - start_up.core_s
    print(f"times real time on one core: {(long_s - START_UP_S) / busy_s:.0f}")
    print(f"memory, {long_s} s to {SHORT_S} s: {long.peak_mb / short.peak_mb:.2f}")


def write_recording(path: Path, seconds: int) -> None:
    """Write a 16-bit mono WAV; the zeros in it take no room on the disk."""
    size = 2 * seconds * RATE
    sound = (programme() * 32767).astype("<i2")
    with path.open("wb") as file:
        file.write(wav_header(size))
        start = file.tell()
        for at in range(0, seconds, HALF_HOUR_S):
            file.seek(start + 2 * at * RATE)
            file.write(sound[: (seconds - at) * RATE].tobytes())
        file.truncate(start + size)


def wav_header(size: int) -> bytes:
    """Return the header of a 16-bit mono WAV with `size` bytes of samples."""
    form = b"".join(
        value.to_bytes(width, "little")
        for value, width in [(1, 2), (1, 2), (RATE, 4), (2 * RATE, 4), (2, 2), (16, 2)]
    )
    sizes = [value.to_bytes(4, "little") for value in (size + 36, 16, size)]
    return b"RIFF" + sizes[0] + b"WAVEfmt " + sizes[1] + form + b"data" + sizes[2]


def programme() -> np.ndarray:
    """Make a minute of sound: tones, the same in bursts, and noise."""
    time_s = np.arange(20 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * 220 * n * time_s) / n for n in range(1, 6)) / 4
    bursts = tones * (np.sin(2 * np.pi * 4 * time_s) > 0)
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(time_s))
    sound: np.ndarray = np.concatenate([tones, bursts, noise])
    return sound.clip(-1, 1)


def measure(path: Path, seconds: int, chosen: Sequence[str]) -> Cost:
    """Label a recording of `seconds` in a process of its own on core 0."""
    write_recording(path, seconds)
    began = time.monotonic()
    pinned = ["taskset", "--cpu-list", "0", sys.executable, "-m", "rtclassify"]
    options = ["--device", "cpu", "--output", os.devnull]
    child = subprocess.Popen([*pinned, "classify", path, *options, *chosen])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"classify failed: {os.waitstatus_to_exitcode(status)}")
    wall_s = time.monotonic() - began
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
