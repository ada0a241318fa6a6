"""What a model is judged by while it learns and when it is done: windows of held-out recordings.

They are cut from what `rtclassify evaluate` puts a model through: recordings as they are, on
their way to the air, mixed, and in programmes, of every source alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtclassify.corpus.dataset import Heard
from rtclassify.corpus.decode import Stored
from rtclassify.evaluation import recordings, suite
from rtclassify.evaluation.programme import programme
from rtclassify.evaluation.trial import CLEAN, UNHEARD, Trial, frame_samples
from rtclassify.stream import Samples
from rtclassify.training.step import THRESHOLD

MINUTES = 1.5
"""Of each source in each condition."""
PROGRAMMES = 3
LONGEST_S = 3600.0
"""Of a programme in which it is measured how long answers outlast what they are of."""
CLEAR = 0.2
"""Whole windows are judged if each answer holds in at most so much of them, or in all the rest."""
AS_RECORDED = {CLEAN, *suite.UNALTERED.values()}
KINDS = ("speech", "music", "both", "other")


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Windows and the truth about them.

    Args:
        audio: 16-bit, shape (n, window).
        present: What is heard when, shape (n, ticks, labels), with `UNHEARD`.
        sources: The collection of each.
        conditions: What was done to each; those in `AS_RECORDED` are untouched.
    """

    audio: Stored
    present: Samples
    sources: Sequence[str]
    conditions: Sequence[str]


def draw(heard: Sequence[Heard], rate: int, window: int, *, seed: int) -> Validation:
    """Draw validation windows; the same recordings and seed give the same windows."""
    whole = _untouched(heard, rate)
    trials = suite.trials(whole, seed=seed, minutes=MINUTES, programmes=PROGRAMMES)
    rows = [row for trial in trials for row in _windows(trial, window)]
    cut, present, sources, conditions = zip(*rows, strict=True)
    return Validation(np.stack(cut), np.stack(present), sources, conditions)


def on_air(heard: Sequence[Heard], rate: int, *, seed: int) -> Trial:
    """Make a programme of recordings, as long as they are but at most `LONGEST_S`."""
    seconds = min(LONGEST_S, sum(len(samples) for _, samples in heard) / rate)
    kinds = suite.by_kind(_untouched(heard, rate))
    return programme(kinds, rate, seconds=seconds, seed=[seed, PROGRAMMES + 1])


def _untouched(heard: Sequence[Heard], rate: int) -> Iterator[Trial]:
    alone, audio = [], {}
    for number, (clip, samples) in enumerate(heard):
        path = Path(f"{clip.path} {number}")
        alone.append([replace(clip, path=path, start_s=0.0, end_s=None)])
        audio[path] = samples
    return recordings.trials(alone, audio, rate)


def _windows(trial: Trial, window: int) -> list[tuple[Stored, Samples, str, str]]:
    """Cut a trial into windows one after the other; what is shorter is repeated to fill one.

    Windows in which nothing is judged are left out.
    """
    tick = frame_samples(trial.rate)
    filled = max(1, -(-window // (len(trial.truth) * tick)))
    whole = np.pad(trial.audio, (0, len(trial.truth) * tick - len(trial.audio)))
    audio, truth = np.tile(whole, filled), np.tile(trial.truth, (filled, 1))
    rows = []
    for start in range(0, len(audio) - window + 1, window):
        present = truth[start // tick : (start + window) // tick]
        if np.any(np.all(present != UNHEARD, axis=1)):
            rows.append((audio[start : start + window], present, trial.source, trial.condition))
    return rows


def measure(validation: Validation, probabilities: Samples) -> dict[str, Any]:
    """Count which whole windows are right in both answers.

    Args:
        validation: The windows.
        probabilities: Shape (n, columns, labels); a window's answer is their mean.

    Returns:
        ``scores``: ``windows_right`` of what is as recorded, ``sources_right`` the mean over its
        sources, ``stressed_right`` of all else. ``by_kind`` and ``by_source`` are of what is as
        recorded, ``by_condition``, ``errors`` and ``confusion`` of all.
    """
    share = shares(validation.present)
    clear = np.all((share <= CLEAR) | (share >= 1 - CLEAR), axis=1)
    truth, answers = share[clear] >= THRESHOLD, probabilities.mean(axis=1)[clear] >= THRESHOLD
    hits = np.all(truth == answers, axis=1)
    sources = np.array(validation.sources)[clear]
    conditions = np.array(validation.conditions)[clear]
    plain = np.isin(conditions, list(AS_RECORDED))
    by_source = _by(sources, hits, plain)
    confusion = np.zeros((len(KINDS), len(KINDS)), int)
    np.add.at(confusion, (_kinds(truth), _kinds(answers)), 1)
    return {
        "scores": {
            "windows_right": _share(hits[plain]),
            "windows": int(plain.sum()),
            "sources_right": round(float(np.mean([g["right"] for g in by_source.values()])), 4),
            "stressed_right": _share(hits[~plain]),
            "stressed_windows": int((~plain).sum()),
        },
        "by_kind": _by(np.array([KINDS[kind] for kind in _kinds(truth)]), hits, plain),
        "errors": {
            "missed_speech": _share(~answers[truth[:, 0], 0]),
            "false_speech": _share(answers[~truth[:, 0], 0]),
            "missed_music": _share(~answers[truth[:, 1], 1]),
            "false_music": _share(answers[~truth[:, 1], 1]),
        },
        "by_source": by_source,
        "by_condition": _by(conditions, hits, np.ones(len(hits), bool)),
        "confusion": {"kinds": KINDS, "rows_are_truth": confusion.tolist()},
    }


def shares(present: Samples) -> Samples:
    """Return the share of what is heard of each window in which a label is, shape (n, labels)."""
    heard = present != UNHEARD
    return np.asarray(np.sum(present, axis=1, where=heard) / np.maximum(1, heard.sum(axis=1)))


def _by(
    names: NDArray[np.str_], hits: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    return {
        str(name): {"right": _share(hits[mine]), "windows": int(mine.sum())}
        for name in sorted(set(names[chosen]))
        for mine in [chosen & (names == name)]
    }


def _kinds(answers: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Turn answers about speech and music into indices of `KINDS`."""
    speech, music = answers.T
    return np.where(speech, np.where(music, 2, 0), np.where(music, 1, 3))


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(np.mean(hits)), 4) if len(hits) else 0.0
