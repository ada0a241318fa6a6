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
from rtclassify.training.dataset import LABELS
from rtclassify.training.decode import Stored, stored
from rtclassify.training.layers import Layer, Scene, levelled, mix
from rtclassify.training.library import Library, Voice
from rtclassify.training.mix import Mixer
from rtclassify.training.step import THRESHOLD, right

CLEAR = 0.2
PER_SOURCE = 40
PER_CONDITION = 80
LEVEL_DBFS = -20.0
QUIET_DBFS = -45.0
OVER_MUSIC_DB = (15, 10, 5, 0, -5)
CUT = "as recorded"
CLEAN = "evenly by source"
PER_KIND = 500
GAP_S = 0.3
SILENT_DBFS = -55.0
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
        made = mix(scene, library.rate)
        if np.all((made.share <= CLEAR) | (made.share >= 1 - CLEAR)):
            heard = chain(augment.gain(made.audio, LEVEL_DBFS))
            rows.append((stored(heard), made.share, source, condition))
    audio, targets, sources, conditions = zip(*rows, strict=True)
    return Validation(np.stack(audio), np.stack(targets), sources, conditions)


def _scenes(library: Library, window: int, rng: np.random.Generator) -> Iterator[Asked]:
    """Yield scenes with their source, their condition and what is then done to their audio."""
    mixer = Mixer(library, window, rng)
    for kind, voice, audio in _cut(library, window):
        yield [_layer(kind, audio)], f"{voice.collection} ({kind})", CUT, _nothing
    for kind, name, audio in _clean(library, window, rng):
        yield [_layer(kind, levelled(audio))], f"{name} ({kind})", CLEAN, _nothing
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


def _cut(library: Library, window: int) -> Iterator[tuple[str, Voice, Samples]]:
    """Cut every voice into consecutive windows, and take at most `PER_KIND` of a kind, evenly.

    Clips shorter than a window are strung together with a breath between them. Windows of
    silence are left out.
    """
    gap = int(GAP_S * library.rate)
    for kind, voices in library.voices.items():
        places = [(v, at) for v in voices for at in range(0, v.samples - window + 1, window)]
        for index in np.linspace(0, len(places) - 1, min(PER_KIND, len(places))).astype(int):
            voice, at = places[index]
            audio = voice.strung(at, window, gap)
            if 10 * np.log10(np.mean(np.square(audio)) + 1e-12) > SILENT_DBFS:
                yield kind, voice, audio


def _clean(
    library: Library, window: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, Samples]]:
    """Draw up to `PER_SOURCE` windows of every collection: kind, collection, audio."""
    for kind, voices in library.voices.items():
        for name in sorted({voice.collection for voice in voices}):
            members = [voice for voice in voices if voice.collection == name]
            samples = np.array([voice.samples for voice in members])
            for _ in range(min(PER_SOURCE, max(4, 2 * samples.sum() // window))):
                voice = members[rng.choice(len(members), p=samples / samples.sum())]
                yield kind, name, library.stretch(voice, window, rng)


def _layer(kind: str, audio: Samples) -> Layer:
    return Layer(audio, frozenset(LABELS) if kind == "both" else frozenset({kind} & set(LABELS)))


def measure(validation: Validation, probabilities: Samples) -> dict[str, Any]:
    """Count what is right: as recorded, under stress, by source, by condition, and confusions.

    Returns:
        ``scores``: ``windows_right`` of the `CLEAN` windows, ``stressed_right`` of those that
        were mixed, distorted or cut, ``speech_right`` and ``music_right`` of all. ``errors``,
        ``by_condition`` and ``confusion`` are of all, ``by_source`` of the clean ones.
    """
    conditions = np.array(validation.conditions)
    cut, clean = conditions == CUT, conditions == CLEAN
    targets = validation.targets >= THRESHOLD
    answers = probabilities >= THRESHOLD
    hits = right(probabilities, validation.targets)
    truth = _kinds(targets)
    confusion = np.zeros((len(KINDS), len(KINDS)), int)
    np.add.at(confusion, (truth, _kinds(answers)), 1)
    by_source = _by(validation.sources, hits, clean if clean.any() else cut)
    return {
        "scores": {
            "windows_right": _share(hits[cut]),
            "windows": int(cut.sum()),
            "sources_right": round(float(np.mean([g["right"] for g in by_source.values()])), 4),
            "stressed_right": _share(hits[~cut & ~clean]),
            "stressed_windows": int((~cut & ~clean).sum()),
        },
        "by_kind": _by([KINDS[kind] for kind in truth], hits, cut),
        "errors": {
            "missed_speech": _share(~answers[targets[:, 0], 0]),
            "false_speech": _share(answers[~targets[:, 0], 0]),
            "missed_music": _share(~answers[targets[:, 1], 1]),
            "false_music": _share(answers[~targets[:, 1], 1]),
        },
        "by_source": by_source,
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
