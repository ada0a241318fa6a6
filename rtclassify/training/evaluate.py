"""What a model is judged by: fixed windows of the held-out recordings, under named conditions.

A window counts as right if both answers are, at one half. Windows are judged only where the
truth is clear: each answer is present in at least 80 % of the time that is not silent, or in at
most 20 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtclassify.stream import Samples
from rtclassify.training import augment
from rtclassify.training.decode import Stored, stored
from rtclassify.training.fit import THRESHOLD, right
from rtclassify.training.library import Library
from rtclassify.training.mix import Layer, Mixer, Scene, levelled, mix

CLEAR = 0.2
PER_SOURCE = 40
PER_CONDITION = 80
LEVEL_DBFS = -20.0
QUIET_DBFS = -45.0
OVER_MUSIC_DB = (15, 10, 5, 0, -5)
CLEAN = "clean"
KINDS = ("speech", "music", "both", "other")


Chain = Callable[[Samples], Samples]
Asked = tuple[Scene, str, str, Chain]


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Windows and the truth about them.

    Args:
        audio: 16-bit, shape (n, window).
        targets: Shape (n, labels), each clear.
        sources: The collection of each, or the kind for mixtures.
        conditions: What was done to each; `CLEAN` for nothing.
    """

    audio: Stored
    targets: Samples
    sources: Sequence[str]
    conditions: Sequence[str]


def draw(library: Library, window: int, *, seed: int) -> Validation:
    """Draw validation windows; the same library and seed give the same windows."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[Stored, Samples, str, str]] = []
    for scene, source, condition, chain in _scenes(library, window, rng):
        mixed, target = mix(scene, library.rate)
        if np.all((target <= CLEAR) | (target >= 1 - CLEAR)):
            heard = chain(augment.gain(mixed, LEVEL_DBFS))
            rows.append((stored(heard), target, source, condition))
    audio, targets, sources, conditions = zip(*rows, strict=True)
    return Validation(np.stack(audio), np.stack(targets), sources, conditions)


def _scenes(library: Library, window: int, rng: np.random.Generator) -> Iterator[Asked]:
    """Yield scenes with their source, their condition and what is then done to their audio."""
    mixer = Mixer(library, window, rng)
    for kind, name, scene in _clean(library, window, rng):
        yield scene, f"{name} ({kind})", CLEAN, _nothing
    plain = {"speech": mixer.speech, "music": mixer.music, "other": mixer.other}
    for condition, chain in _chains(library.rate).items():
        for kind, make in plain.items():
            for _ in range(PER_CONDITION // 2):
                yield make(), kind, condition, chain
    for above_db in OVER_MUSIC_DB:
        for _ in range(PER_CONDITION):
            scene = mixer.voice_over(above_db=above_db)
            yield scene, "both", f"speech over music {above_db:+d} dB", _nothing
    mixtures = {
        "made noise and babble": mixer.made_noise,
        "speech in noise": mixer.speech_in_noise,
        "changes": mixer.change,
    }
    for condition, make in mixtures.items():
        for _ in range(PER_CONDITION):
            yield make(), "mixtures", condition, _nothing


def _nothing(audio: Samples) -> Samples:
    return audio


def _chains(rate: int) -> dict[str, Chain]:
    return {
        "telephone": lambda audio: augment.telephone(audio, rate),
        "quiet": lambda audio: augment.gain(audio, QUIET_DBFS),
        "limited": lambda audio: augment.limit(audio, drive_db=12.0, hard=True),
    }


def _clean(
    library: Library, window: int, rng: np.random.Generator
) -> Sequence[tuple[str, str, Scene]]:
    """Draw up to `PER_SOURCE` windows of every collection: kind, collection, scene."""
    scenes = []
    for kind, voices in library.voices.items():
        labels = {"both": ("speech", "music"), "other": ()}.get(kind, (kind,))
        for name in sorted({voice.collection for voice in voices}):
            members = [voice for voice in voices if voice.collection == name]
            samples = np.array([voice.samples for voice in members])
            for _ in range(min(PER_SOURCE, max(4, 2 * samples.sum() // window))):
                voice = members[rng.choice(len(members), p=samples / samples.sum())]
                audio = levelled(library.stretch(voice, window, rng))
                scenes.append((kind, name, [Layer(audio, frozenset(labels))]))
    return scenes


def measure(validation: Validation, probabilities: Samples) -> dict[str, Any]:
    """Count what is right: as recorded, under stress, by source, by condition, and confusions.

    Returns:
        ``scores``: ``windows_right`` of the `CLEAN` windows, ``stressed_right`` of those that
        were mixed, distorted or cut, ``speech_right`` and ``music_right`` of all. ``errors``,
        ``by_condition`` and ``confusion`` are of all, ``by_source`` of the clean ones.
    """
    clean = np.array([condition == CLEAN for condition in validation.conditions])
    targets = validation.targets >= THRESHOLD
    answers = probabilities >= THRESHOLD
    hits = right(probabilities, validation.targets)
    confusion = np.zeros((len(KINDS), len(KINDS)), int)
    np.add.at(confusion, (_kinds(targets), _kinds(answers)), 1)
    return {
        "scores": {
            "windows_right": _share(hits[clean]),
            "windows": int(clean.sum()),
            "stressed_right": _share(hits[~clean]),
            "stressed_windows": int((~clean).sum()),
            "speech_right": _share(answers[:, 0] == targets[:, 0]),
            "music_right": _share(answers[:, 1] == targets[:, 1]),
        },
        "errors": {
            "missed_speech": _share(~answers[targets[:, 0], 0]),
            "false_speech": _share(answers[~targets[:, 0], 0]),
            "missed_music": _share(~answers[targets[:, 1], 1]),
            "false_music": _share(answers[~targets[:, 1], 1]),
        },
        "by_source": _by(validation.sources, hits, clean),
        "by_condition": _by(validation.conditions, hits, np.ones(len(hits), bool)),
        "confusion": {"kinds": KINDS, "rows_are_truth": confusion.tolist()},
    }


def _by(
    names: Sequence[str], hits: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    column = np.array(names)
    return {
        name: {"right": _share(hits[mine]), "windows": int(mine.sum())}
        for name in sorted(set(column[chosen]))
        for mine in [chosen & (column == name)]
    }


def _kinds(answers: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Turn answers about speech and music into indices of `KINDS`."""
    speech, music = answers.T
    return np.where(speech, np.where(music, 2, 0), np.where(music, 1, 3))


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(np.mean(hits)), 4) if len(hits) else 0.0
