"""What decoding gains over plain hysteresis, in segments of a long synthesised programme.

The programme is made of held-out recordings: talk, records, songs, effects, presenters over beds,
with cuts, fades and pauses. The daemon's own pipeline labels it; beside that, the same answers
become segments by hysteresis (on from 0.6, off from 0.4), with the same least duration.

    python benchmarks/finals.py recordings/corpus.tsv [--model NAME] [--hours 8]
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtclassify.config import LabelSettings
from rtclassify.corpus.decode import FULL_SCALE, Cache
from rtclassify.engine import Engine
from rtclassify.evaluation import recordings, suite
from rtclassify.evaluation.events import boundary_errors
from rtclassify.evaluation.programme import programme
from rtclassify.evaluation.scoring import frame_scores
from rtclassify.evaluation.trial import FRAME_S, LABELS, Trial
from rtclassify.evaluation.truth import continued
from rtclassify.events import Segment
from rtclassify.inference import open_engine
from rtclassify.pipeline import Pipeline
from rtclassify.segments import Segmenter, name_of
from rtclassify.stream import AudioBlock

HYSTERESIS = 0.1
FLAP_S = 5.0
"""A segment as short as this, between two of the same label, that nothing in the truth explains."""
NEAR_S = 1.5
"""How far a change of the truth may be to explain it."""
FOUND_S = 1.0
BLOCK_S = 60

Said = list[tuple[str, float, float]]
"""Segments: label, start and end in seconds."""


def main() -> None:
    """Make the programme, label it twice, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("table", type=Path, help="as scripts/corpus writes it")
    options.add_argument("--model", default="speech-music")
    options.add_argument("--hours", type=float, default=8.0)
    options.add_argument("--cache", type=Path, default=Path("~/.cache/rtclassify").expanduser())
    chosen = options.parse_args()
    engine = open_engine(chosen.model, device="cpu")
    trial = made(chosen.table, chosen.cache, engine.rate, chosen.hours * 3600)
    print("                 segments   flaps  unfounded  boundaries   median error")
    print("                 an hour    an hour  changes    within 1 s   of these")
    for name, said in (("hysteresis", plain(engine, trial)), ("decoded", decoded(engine, trial))):
        show(name, said, trial)
    settings = LabelSettings()
    print(f"final labels wait for {settings.final_after_s:g} s of later audio")


def made(table: Path, cache: Path, rate: int, seconds: float) -> Trial:
    """Make a programme of the recordings that are held out."""
    found = recordings.find(table, "val")
    audio, _ = Cache(cache, rate).take([clips[0].path for clips in found], lambda _: None)
    kinds = suite.by_kind(recordings.trials(found, audio, rate))
    return programme(kinds, rate, seconds=seconds, seed=0)


def decoded(engine: Engine, trial: Trial) -> Said:
    """Return the segments that the pipeline makes."""
    core = Pipeline(engine, ["a"], LabelSettings(silence_dbfs=-120.0))
    audio, step = trial.audio.astype(np.float32) / np.float32(FULL_SCALE), BLOCK_S * trial.rate
    events = [
        event
        for start in range(0, len(audio), step)
        for event in core.push([AudioBlock("a", start, audio[start : start + step])])
    ]
    return [
        (event.label, event.start / trial.rate, event.end / trial.rate)
        for event in [*events, *core.finish()]
        if isinstance(event, Segment) and event.end is not None
    ]


def plain(engine: Engine, trial: Trial) -> Said:
    """Return the segments that hysteresis makes of the same answers."""
    audio = trial.audio.astype(np.float32) / np.float32(FULL_SCALE)
    scores = frame_scores(engine, audio, decoded=False)
    segmenter = Segmenter(engine.labels, min_cells=round(LabelSettings().min_segment_s / FRAME_S))
    held, changes = scores[0] >= LabelSettings().threshold, []
    for at, probs in enumerate(scores):
        held = probs >= np.where(held, 0.5 - HYSTERESIS, 0.5 + HYSTERESIS)
        name = name_of([label for label, yes in zip(engine.labels, held, strict=True) if yes])
        changes += segmenter.take(at, at + 1, name, cells=1, probs=probs.tolist())
    changes += segmenter.close()
    return [(c.label, c.start * FRAME_S, c.end * FRAME_S) for c in changes if c.end is not None]


def show(name: str, said: Said, trial: Trial) -> None:
    """Print how the segments compare with the truth."""
    truth = continued(trial.truth) == 1
    hours = len(truth) * FRAME_S / 3600
    changed = (np.flatnonzero(np.any(truth[1:] != truth[:-1], axis=1)) + 1) * FRAME_S
    unfounded = sum(np.all(np.abs(changed - start) > NEAR_S) for _, start, _ in said[1:])
    flaps = sum(
        before[0] == after[0]
        and end - start < FLAP_S
        and not np.any((changed > start - NEAR_S) & (changed < end + NEAR_S))
        for (before, (_, start, end)), (_, after) in pairwise(pairwise(said))
    )
    errors = np.array(boundary_errors(trial.truth, claimed(said, len(truth))))
    found = errors <= FOUND_S
    print(
        f"{name:<14} {len(said) / hours:9.0f} {flaps / hours:9.1f} {unfounded / hours:9.1f} "
        f"{np.mean(found):11.1%} {np.median(errors[found]):11.2f} s"
    )


def claimed(said: Said, frames: int) -> NDArray[np.float32]:
    """Lay segments over frames, shape (frames, labels)."""
    scores = np.zeros((frames, len(LABELS)), np.float32)
    for named, start, end in said:
        present = [label in named.split("+") for label in LABELS]
        scores[round(start / FRAME_S) : round(end / FRAME_S)] = present
    return scores


if __name__ == "__main__":
    main()
