"""What the watch over signals costs a channel, in seconds of the core for a second of audio.

python benchmarks/watch_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.loop import LoopFinder
from rtclassify.alarms.watch import Watch
from rtclassify.clock import SystemClock
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.sources.legs import LegMeter
from rtclassify.stream import AudioBlock, Samples

RATE, NATIVE, BLOCK = 16_000, 48_000, 2048
SECONDS, RUNS = 120, 5


def core_s(work: Callable[[], object]) -> float:
    """Return the core's seconds for `work`: the least of some runs, as others only add."""
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def watched(audio: Samples) -> None:
    """Watch mono audio."""
    watch = Watch("a", rate=RATE, settings=AlarmSettings(), utc=SystemClock().utc)
    for start in range(0, len(audio), BLOCK // 3):
        for reading in watch.measure(AudioBlock("a", start, audio[start : start + BLOCK // 3])):
            watch.judge(reading)


def searched(count: int) -> None:
    """Search noise for loops, over and over."""
    rng = np.random.default_rng(0)
    finder = LoopFinder()
    for _ in range(count):
        finder.add(rng.uniform(0.1, 1.0, 50))


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
    rng = np.random.default_rng(0)
    mono = rng.normal(0.0, 0.1, SECONDS * RATE).astype(np.float32)
    stereo = rng.normal(0.0, 0.1, (SECONDS // 4 * NATIVE, 2)).astype(np.float32)
    watch = core_s(lambda: watched(mono)) / SECONDS
    loops = core_s(lambda: searched(2 * SECONDS)) / SECONDS
    whole = core_s(lambda: converted(stereo)) / (SECONDS // 4)
    legs = core_s(lambda: legs_measured(stereo)) / (SECONDS // 4)
    print(f"watch: {watch * 1e6 / 2:.0f} µs a half second, {loops / watch:.0%} of it for loops")
    print(f"legs: {legs * 1e6 / 2:.0f} µs a half second, {legs / whole:.0%} of the conversion")
    print(f"a thousand channels: {1000 * (watch + legs):.2f} cores")


if __name__ == "__main__":
    main()
