"""Whether a week of labels leaves memory as it found it, and whether every label is there.

Pushes a simulated week of one channel through the pipeline, the engine and the message encoder,
as fast as it goes, with a time line of its own, and a gap every hour. Prints memory day by day;
ends with an error if a label is missing or memory grew.

    python benchmarks/week.py [--days 7] [--model NAME]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.engine import Engine
from rtclassify.events import Label, StreamInfo
from rtclassify.inference import open_engine
from rtclassify.pipeline import Pipeline
from rtclassify.sinks.wire import Encoder
from rtclassify.sources import demo
from rtclassify.stream import AudioBlock, Gap, Item
from rtclassify.testing import ManualClock

HOUR_S = 3600
BLOCK_S = 30
GROWTH_MB = 20.0


def main() -> None:
    """Measure, print, and fail if something was lost or grew."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=float, default=7.0)
    options.add_argument("--model", default="speech-music")
    chosen = options.parse_args()
    engine = open_engine(chosen.model, device="cpu")
    info = StreamInfo("0" * 8, engine.name, engine.labels, engine.rate, engine.window, engine.hop)
    encoder = Encoder(info, ManualClock())
    pipeline = Pipeline(engine, ["a"], LabelSettings())
    programme = read_programme(engine.rate)
    labels, memory, began = 0, [], time.monotonic()
    hours = round(chosen.days * 24)
    for hour in range(hours):
        for item in hour_of(programme, hour, engine.rate):
            events = pipeline.push([item])
            encoder.messages(events)
            labels += sum(isinstance(event, Label) for event in events)
        memory.append(memory_mb())
        if hour % 24 == 0 or hour == hours - 1:
            spent = time.monotonic() - began
            print(
                f"hour {hour + 1:4}: {labels} labels, {memory[-1]:.0f} MB, {spent:.0f} s",
                flush=True,
            )
    expected = hours * labels_in_an_hour(engine)
    settled = memory[min(2, hours - 1)]
    print(f"{labels} labels of {expected}; memory {memory[-1] - settled:+.1f} MB since hour 3")
    if labels != expected or memory[-1] - settled > GROWTH_MB:
        raise SystemExit("a label is missing, or memory grew")


def read_programme(rate: int) -> np.ndarray:
    """Return a block of the demo programme at the model's rate."""
    clip, native = soundfile.read(Path(demo.__file__).parent / "demo.ogg", dtype="float32")
    return np.asarray(soxr.resample(clip, native, rate)[: BLOCK_S * rate])


def hour_of(programme: np.ndarray, hour: int, rate: int) -> list[Item]:
    """Make the items of an hour: blocks, and at its end a second that was lost."""
    start, end = hour * HOUR_S * rate, (hour + 1) * HOUR_S * rate
    line = Line(0.0, 0.0, float(rate), 0.001)
    items: list[Item] = []
    for at in range(start, end - rate, len(programme)):
        block = programme[: min(len(programme), end - rate - at)]
        items.append(AudioBlock("a", at, block, line))
    return [*items, Gap("a", end - rate, end, "simulated")]


def labels_in_an_hour(engine: Engine) -> int:
    """Count the labels of an hour less a second: one of each window, one of each hop for good."""
    windows = (HOUR_S * engine.rate - engine.rate - engine.window) // engine.hop + 1
    return windows + windows - 1 + engine.window // engine.hop


def memory_mb() -> float:
    """Return the memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
