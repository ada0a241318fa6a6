"""From labelled recordings to trials: their timelines, and short ones strung together.

The data is what training takes; see `rtclassify.corpus.dataset`. Several rows of one recording
are one timeline. What no row speaks of is not judged, and neither is what `rtclassify run` would
call silence instead of asking the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from rtclassify.config import LabelSettings
from rtclassify.corpus import dataset
from rtclassify.corpus.dataset import Clip
from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.errors import DataError
from rtclassify.evaluation.trial import (
    CLEAN,
    FRAME_S,
    LABELS,
    UNHEARD,
    Part,
    Trial,
    frame_samples,
    frames_in,
)
from rtclassify.evaluation.truth import runs
from rtclassify.stream import Samples

Side = Literal["val", "train", "all"]

SHORT_S = 5.0
"""Recordings below this are strung together, as they would be on air."""
STRUNG_S = 30.0
BREATH_FRAMES = round(0.3 / FRAME_S)
FLOOR = 3.0
"""Steps of 16 bits: a breath is faint noise, because digital silence would tell of the joint."""


def find(data: Path, side: Side) -> list[list[Clip]]:
    """Return the clips to judge, recording by recording.

    Args:
        data: A folder of class folders or a table, as `rtclassify train` takes it.
        side: Rows of a table that are of the other side are left out; those that say nothing
            are of both.

    Raises:
        DataError: If there are none.
    """
    recordings: dict[Path, list[Clip]] = defaultdict(list)
    for clip in dataset.find(data):
        if side == "all" or clip.split in (None, side):
            recordings[clip.path].append(clip)
    if not recordings:
        raise DataError(f"{data} has no rows whose split is {side}; use --split all to take all.")
    return list(recordings.values())


def trials(
    recordings: Sequence[Sequence[Clip]], audio: Mapping[Path, Stored], rate: int
) -> Iterator[Trial]:
    """Yield trials: each recording, or short ones of one source and kind strung together.

    Args:
        recordings: Clips by recording; those without audio are left out.
        audio: The samples of each recording.
        rate: Samples per second.
    """
    root = _common_folder(list(audio))
    waiting: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for clips in recordings:
        if clips[0].path not in audio:
            continue
        trial = _whole(clips, audio[clips[0].path], rate, root)
        if len(clips) > 1 or trial.duration_s >= SHORT_S:
            yield trial
            continue
        group = waiting[trial.source, clips[0].kind]
        group.append(trial)
        if sum(short.duration_s for short in group) >= STRUNG_S:
            yield _strung(group)
            group.clear()
    yield from (_strung(group) for group in waiting.values() if group)


def _whole(clips: Sequence[Clip], audio: Stored, rate: int, root: Path) -> Trial:
    path = clips[0].path
    name = path.relative_to(root).as_posix()
    truth = timeline(clips, audio, rate)
    part = Part(path, 0, len(truth))
    return Trial(name, clips[0].source.partition("/")[0], CLEAN, audio, rate, truth, (part,))


def timeline(clips: Sequence[Clip], audio: Stored, rate: int) -> Samples:
    """Return what is present when, shape (frames, labels), as the clips of one recording say."""
    truth = np.full((frames_in(len(audio), rate), len(LABELS)), UNHEARD, np.float32)
    for clip in clips:
        end = None if clip.end_s is None else round(clip.end_s / FRAME_S)
        here = truth[round(clip.start_s / FRAME_S) : end]
        present = np.array([label in clip.labels for label in LABELS], np.float32)
        np.maximum(here, present, out=here)
    truth[_silent(audio, rate)] = UNHEARD
    return truth


def _silent(audio: Stored, rate: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say which frames belong to a silence, shape (frames,)."""
    settings, step = LabelSettings(), frame_samples(rate)
    edges = np.arange(0, len(audio), step)
    energy = np.add.reduceat(np.square(audio, dtype=np.float32), edges)
    power = energy / np.diff([*edges, len(audio)]) / FULL_SCALE**2
    quiet = power < 10 ** (settings.silence_dbfs / 10)
    for start, end in runs(quiet):
        if end - start < settings.silence_after_s / FRAME_S:
            quiet[start:end] = False
    return quiet


def _strung(group: Sequence[Trial]) -> Trial:
    """String trials together, each on the grid of frames and followed by a breath."""
    first, step = group[0], frame_samples(group[0].rate)
    noise = np.random.default_rng(len(group))
    audio, truth, parts, at = [], [], [], 0
    for trial in group:
        frames = len(trial.truth)
        rest = (frames + BREATH_FRAMES) * step - len(trial.audio)
        breath = np.round(noise.normal(0.0, FLOOR, rest)).astype(np.int16)
        audio += [trial.audio, breath]
        truth += [trial.truth, np.full((BREATH_FRAMES, len(LABELS)), UNHEARD, np.float32)]
        parts.append(Part(trial.parts[0].path, at, at + frames))
        at += frames + BREATH_FRAMES
    name = first.name if len(group) == 1 else f"{first.name} and {len(group) - 1} more"
    whole = np.concatenate(audio)
    return Trial(name, first.source, CLEAN, whole, first.rate, np.concatenate(truth), tuple(parts))


def _common_folder(paths: Sequence[Path]) -> Path:
    """Return the deepest folder that holds all of them; names are shown relative to it."""
    common = paths[0].parent
    while not all(path.is_relative_to(common) for path in paths):
        common = common.parent
    return common
