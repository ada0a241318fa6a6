"""What the network in 8 bits costs, and what it changes on recordings that were held out.

Prints core time of a channel's hop where 64 come at once, on one core, of TensorFlow and of the
runtime int8; then, of held-out recordings, how far probabilities are apart, how many tenths of a
second are answered otherwise, and how many each of them gets wrong.

    python benchmarks/int8.py [recordings/corpus.tsv] [--model NAME] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtclassify.cli.loading import open_engine
from rtclassify.corpus.decode import FULL_SCALE, Cache
from rtclassify.engine import Engine
from rtclassify.evaluation import recordings
from rtclassify.evaluation.scoring import frame_scores
from rtclassify.evaluation.trial import UNHEARD
from rtclassify.stream import Samples, Window

CHANNELS, HOPS = 64, 12
LONGEST_S = 90
YES = 0.5


def cost_ms(engine: Engine) -> float:
    """Return the core time of a channel's hop, at best."""
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((CHANNELS, engine.window + HOPS * engine.hop), np.float32)
    engine.reset()
    spent = []
    for start in range(0, HOPS * engine.hop + 1, engine.hop):
        windows = [
            Window(f"{channel}", start, sound[start : start + engine.window])
            for channel, sound in enumerate(audio)
        ]
        began = time.process_time()
        engine.scores(windows)
        spent.append(time.process_time() - began)
    return 1000 * min(spent[1:]) / CHANNELS


def compare(engines: Sequence[Engine], table: Path, cache: Path) -> None:
    """Print how the answers of two engines differ."""
    rate = engines[0].rate
    found = recordings.find(table, "val")
    audio, _ = Cache(cache, rate).take([clips[0].path for clips in found], lambda _: None)
    truths: list[Samples] = []
    said: tuple[list[Samples], list[Samples]] = ([], [])
    for trial in recordings.trials(found, audio, rate):
        heard = trial.audio[: LONGEST_S * rate].astype(np.float32) / np.float32(FULL_SCALE)
        for engine, scores in zip(engines, said, strict=True):
            scores.append(frame_scores(engine, heard, decoded=False))
        truths.append(trial.truth[: len(said[0][-1])])
    truth = np.concatenate(truths)
    theirs, ours = (np.concatenate(of_engine) for of_engine in said)
    judged = (truth != UNHEARD).all(axis=1)
    changed = ((ours >= YES) != (theirs >= YES)).any(axis=1)
    away = np.abs(ours - theirs)
    print(f"{len(truth) / 36_000:.2f} h: probabilities off by {away.mean():.5f} in the mean, "
          f"{away.max():.3f} at most; {changed.mean():.2%} answered otherwise")  # fmt: skip
    for name, answers in (("tensorflow", theirs), ("int8", ours)):
        wrong = ((answers >= YES) != (truth == 1)).any(axis=1)[judged]
        print(f"{name}: {wrong.mean():.2%} wrong")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("table", nargs="?", type=Path, help="as scripts/corpus writes it")
    options.add_argument("--model", default="speech-music")
    options.add_argument("--cache", type=Path, default=Path("~/.cache/rtclassify").expanduser())
    chosen = options.parse_args()
    float32 = open_engine(chosen.model, hop_s=None, device="cpu", runtime="tensorflow", threads=1)
    int8 = open_engine(chosen.model, hop_s=None, device="cpu", runtime="int8", threads=1)
    costs = [cost_ms(engine) for engine in (float32, int8)]
    print(f"a hop at batch {CHANNELS}, ms of the core: {costs[0]:.3f} and {costs[1]:.3f}, "
          f"{costs[0] / costs[1]:.1f} times")  # fmt: skip
    if chosen.table:
        compare((float32, int8), chosen.table, chosen.cache)


if __name__ == "__main__":
    main()
