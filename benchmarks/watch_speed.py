"""What the watch over signals costs a channel, in seconds of the core for a second of audio.

python benchmarks/watch_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.watch import Watch
from rtclassify.clock import SystemClock
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.sources.legs import LegMeter
from rtclassify.stream import AudioBlock, Samples

RATE, NATIVE, BLOCK = 16_000, 48_000, 2048
STEP, STEPS = 8_000, 60
SECONDS, RUNS = 30, 5


def core_s(work: Callable[[], object]) -> float:
    """Return the core's seconds for `work`: the least of some runs, as others only add."""
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def watched(channels: int) -> float:
    """Return what half a second of a channel costs, of so many that are heard together."""
    names = [f"{number}" for number in range(channels)]
    rng = np.random.default_rng(0)
    audio = rng.normal(0.0, 0.1, (channels, STEPS * STEP)).astype(np.float32)
    watch = Watch(dict.fromkeys(names, AlarmSettings()), rate=RATE, utc=SystemClock().utc)
    starts = iter(range(0, 10**9, STEP))

    def listen() -> None:
        for first, start in zip(range(0, STEPS * STEP, STEP), starts, strict=False):
            blocks = [
                AudioBlock(name, start, heard[first : first + STEP])
                for name, heard in zip(names, audio, strict=True)
            ]
            for name, readings in zip(names, watch.measure(blocks), strict=True):
                for reading in readings:
                    watch[name].judge(reading)

    return core_s(listen) / (STEPS * channels)


def converted(frames: Samples) -> None:
    """Convert stereo frames, legs measured."""
    convert = Converter([Tap("a", ())], source="", inputs=2, rate_in=NATIVE, rate=RATE, legs=True)
    for start in range(0, len(frames), BLOCK):
        convert.push(start, frames[start : start + BLOCK], None)


def legs_measured(frames: Samples) -> None:
    """Measure the legs of stereo frames alone."""
    meter = LegMeter([(0, 1)], inputs=2, rate=NATIVE, start=0, index=int)
    for start in range(0, len(frames), BLOCK):
        meter.push(frames[start : start + BLOCK], peak=0.5)


def main() -> None:
    """Measure and print."""
    stereo = np.random.default_rng(0).normal(0.0, 0.1, (SECONDS * NATIVE, 2)).astype(np.float32)
    alone, among = watched(1), watched(64)
    whole, legs = (
        core_s(partial(work, stereo)) / (2 * SECONDS) for work in (converted, legs_measured)
    )
    print(
        f"watch: {alone * 1e6:.0f} µs a half second of one channel, {among * 1e6:.0f} of one of 64"
    )
    print(f"legs: {legs * 1e6:.0f} µs a half second, {legs / whole:.0%} of the conversion")
    print(f"a thousand channels: {2000 * (among + legs):.2f} cores")


if __name__ == "__main__":
    main()
