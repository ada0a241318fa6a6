"""What comes before the features: reading, mixing and resampling, and which quality it needs.

Costs are core time for half a second of 48 kHz of one channel, through `Feed` and `Converter`. With
a corpus, the shipped model answers its held-out recordings, resampled at each quality; how far
its answers are from those at the converter's own quality is printed.

    OMP_NUM_THREADS=1 python benchmarks/convert.py [recordings/corpus.tsv] [--minutes 20]
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from rtclassify.engine import Engine
from rtclassify.errors import SourceError
from rtclassify.inference import open_engine
from rtclassify.ring import Wakeup
from rtclassify.sources import Request, Tap
from rtclassify.sources.convert import QUALITY
from rtclassify.sources.live import ArrivalFit, Capture, Feed
from rtclassify.sources.recording import open_recording
from rtclassify.stream import Samples, Window
from rtclassify.testing import ManualClock

NATIVE, RATE = 48_000, 16_000
CARD_RATES = (44_100, NATIVE)
HALF = NATIVE // 2
QUALITIES = ("QQ", "LQ", "MQ", "HQ", "VHQ")
EXCERPT_S = 20
LEAST_S = 6
MOST_OF_A_SOURCE = 20


def core_us(work: Callable[[], object], *, repeats: int = 20) -> float:
    """Return the core time of `work`, at best, in microseconds."""
    best = np.inf
    for _ in range(repeats):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return 1e6 * best


def opened(inputs: int, mix: int, piece: int) -> tuple[Capture, Feed]:
    """Make a live source whose taps mix as many neighbouring inputs each."""
    taps = tuple(
        Tap(f"t{first}", tuple(range(first, first + mix))) for first in range(0, inputs, mix)
    )
    request = Request("card", taps, RATE, ManualClock(), Wakeup(), live=True, piece=piece)
    capture = Capture(request, device="card", rate=NATIVE, inputs=inputs)
    feed = Feed(request, partial(ArrivalFit, error_s=0.0))
    feed.begin(capture)
    return capture, feed


def conversion_us(inputs: int, mix: int, *, block: int, piece: int) -> float:
    """Return the cost of half a second of one tap."""
    capture, feed = opened(inputs, mix, piece)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (block, inputs)).astype(np.float32)
    blocks = 10 * HALF // block

    def listen() -> None:
        for _ in range(blocks):
            capture.write(noise, capture.ring.captured / NATIVE)
            feed.read()

    return core_us(listen) * HALF / (blocks * block) / (inputs // mix)


def resampling_us(quality: str, block: int) -> float:
    """Return the cost of half a second of one channel, in soxr alone."""
    resampler = soxr.ResampleStream(NATIVE, RATE, 1, quality=quality)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (block, 1)).astype(np.float32)
    blocks = 10 * HALF // block
    whole = core_us(lambda: [resampler.resample_chunk(noise) for _ in range(blocks)])
    return whole * HALF / (blocks * block)


def excerpts(corpus: Path, minutes: float) -> Iterator[tuple[Samples, int]]:
    """Yield the beginnings of held-out recordings at card rates, mono, with their rates."""
    with corpus.open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["split"] == "val"]
    random.Random(1).shuffle(rows)  # noqa: S311 - any order will do
    taken: Counter[str] = Counter()
    for row in rows:
        audio, rate = _beginning(corpus.parent / row["path"])
        if taken[row["source"]] < MOST_OF_A_SOURCE and len(audio) >= LEAST_S * rate:
            taken[row["source"]] += 1
            yield audio, rate
            minutes -= len(audio) / rate / 60
        if minutes <= 0:
            return


def _beginning(path: Path) -> tuple[Samples, int]:
    heard: list[Samples] = []
    try:
        with open_recording(str(path)) as recording:
            rate = recording.rate
            for piece in recording:
                heard.append(piece.frames.mean(axis=1))
                if rate not in CARD_RATES or sum(map(len, heard)) >= EXCERPT_S * rate:
                    break
    except SourceError:
        return np.empty(0, np.float32), NATIVE
    audio = np.concatenate([np.empty(0), *heard])
    return audio[: EXCERPT_S * rate * (rate in CARD_RATES)].astype(np.float32), rate


def answers(engine: Engine, audio: Samples) -> Samples:
    """Return what the model says of each hop."""
    engine.reset()
    starts = range(0, len(audio) - engine.window + 1, engine.hop)
    windows = [Window("a", start, audio[start : start + engine.window]) for start in starts]
    cells = engine.hop // engine.cell
    return np.asarray(engine.scores(windows)[:, -cells:].mean(axis=1), np.float32)


def compare(corpus: Path, minutes: float) -> None:
    """Print how far answers are from those at the converter's own quality."""
    engine = open_engine("speech-music", device="cpu")
    said: dict[str, list[Samples]] = {quality: [] for quality in QUALITIES}
    for audio, rate in excerpts(corpus, minutes):
        for quality, of_quality in said.items():
            of_quality.append(answers(engine, soxr.resample(audio, rate, RATE, quality=quality)))
    own = np.concatenate(said[QUALITY])
    for quality, of_quality in said.items():
        theirs = np.concatenate(of_quality)
        away = np.abs(theirs - own)
        changed = ((theirs > 0.5) != (own > 0.5)).any(axis=1).mean()  # noqa: PLR2004
        print(f"{quality}: {len(own)} hops, probabilities off by {away.mean():.5f} in the mean,"
              f" {away.max():.4f} at most; {changed:.2%} of labels changed")  # fmt: skip


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", nargs="?", type=Path)
    options.add_argument("--minutes", type=float, default=20.0)
    chosen = options.parse_args()
    for name, inputs, mix in (("mono", 1, 1), ("stereo pair", 2, 2), ("64 inputs", 64, 1)):
        costs = [
            f"{conversion_us(inputs, mix, block=block, piece=piece):.0f} {how}"
            for block, piece, how in (
                (1024, 1, "block by block of 1,024"),
                (2048, 1, "of 2,048"),
                (2048, RATE // 2, "by hops"),
            )
        ]
        print(f"{name}, µs of half a second of a channel: {', '.join(costs)}")
    for quality in QUALITIES:
        print(f"soxr alone, {quality}: {resampling_us(quality, 1024):.0f} µs in blocks of 1,024,"
              f" {resampling_us(quality, HALF):.0f} at once")  # fmt: skip
    _, feed = opened(1, 1, RATE // 2)
    print(f"a read when nothing is due: {core_us(feed.read, repeats=1000):.2f} µs")
    if chosen.corpus:
        compare(chosen.corpus, chosen.minutes)


if __name__ == "__main__":
    main()
