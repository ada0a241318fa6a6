"""What a model is put through: recordings as they are, on their way to the air, and mixed.

Every source gets the same few minutes in every condition, and the same stretches, so that what is
compared is the condition.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from rtclassify.corpus.decode import Stored, stored
from rtclassify.evaluation.conditions import CONDITIONS
from rtclassify.evaluation.programme import LEVEL_DBFS, over_music, programme
from rtclassify.evaluation.shelf import SINGING, Recordings, Shelf, floats, labels_of
from rtclassify.evaluation.tracks import mixed, track
from rtclassify.evaluation.trial import (
    CLEAN,
    FRAME_S,
    LABELS,
    UNHEARD,
    Part,
    Trial,
    frame_samples,
)

STRETCH_FRAMES = round(30.0 / FRAME_S)
SHORTEST_FRAMES = round(10.0 / FRAME_S)
"""What is left of a recording is judged with the stretch before it if it is shorter."""
OVER_MUSIC_DB = {"speech": (15, 10, 5, 0, -5), SINGING: (5,)}
"""How much louder than the music a voice is, by its kind."""
PROGRAMME_S = 240.0
SINGERS = "-singing"
"""How the names of sources of sung music end."""
MIXED = "mixed"
"""The kind of a recording in which things begin and end."""
UNALTERED = {SINGING: "singing", "other": "noise"}
"""What the condition of untouched recordings is called that have a figure of their own."""

Groups = dict[tuple[str, str], list[Trial]]


def trials(
    recordings: Iterable[Trial],
    *,
    seed: int,
    minutes: float,
    programmes: int,
    conditions: Sequence[str] = tuple(CONDITIONS),
) -> Iterator[Trial]:
    """Yield all that a model is judged on.

    Args:
        recordings: Untouched ones, with their truth.
        seed: Of rooms, hiss, what music is laid under whom, and programmes.
        minutes: Of each source and kind, in each condition.
        programmes: How many, of four minutes and more.
        conditions: Names in `CONDITIONS`.
    """
    groups = _grouped(recordings)
    chosen = {key: _evenly(group, minutes) for key, group in groups.items()}
    for (kind, _), some in chosen.items():
        for trial in some:
            for condition in conditions:
                yield under(trial, kind, condition, seed)
    recorded: dict[str, list[tuple[str, Stored]]] = defaultdict(list)
    for (kind, source), group in groups.items():
        recorded[kind] += [(source, trial.audio) for trial in group]
    rate = next(iter(groups.values()))[0].rate
    yield from _over_music(chosen, recorded, seed)
    for number in range(1, programmes + 1):
        name = f"programme {number}"
        yield programme(recorded, rate, seconds=PROGRAMME_S, seed=[seed, number], name=name)


def kind_of(trial: Trial) -> str:
    """Return ``speech``, ``music``, ``both``, ``other``, `SINGING` or `MIXED`."""
    known = trial.truth[np.all(trial.truth != UNHEARD, axis=1)]
    kinds = {tuple(row) for row in known.tolist()}
    if len(kinds) != 1:
        return MIXED
    present = [label for label, here in zip(LABELS, kinds.pop(), strict=True) if here]
    if present == ["music"] and trial.source.endswith(SINGERS):
        return SINGING
    return "both" if len(present) > 1 else "".join(present) or "other"


def by_kind(recordings: Iterable[Trial]) -> Recordings:
    """Return the audio of recordings in which nothing begins or ends, by kind, with its source."""
    audio: dict[str, list[tuple[str, Stored]]] = defaultdict(list)
    for trial in recordings:
        audio[kind_of(trial)].append((trial.source, trial.audio))
    audio.pop(MIXED, None)
    return audio


def under(trial: Trial, kind: str, condition: str, seed: int) -> Trial:
    """Return a trial with that done to its audio; its truth stays."""
    if condition == CLEAN:
        return replace(trial, condition=UNALTERED.get(kind, CLEAN))
    chance = _chance(seed, condition, trial)
    heard = CONDITIONS[condition](floats(trial.audio), trial.rate, chance)
    return replace(trial, condition=condition, audio=stored(heard))


def _grouped(recordings: Iterable[Trial]) -> Groups:
    groups: Groups = defaultdict(list)
    for trial in recordings:
        key = kind_of(trial), trial.source
        groups[key] += [_judged(one) for one in _stretches(trial)]
    kinds = Counter(source for _, source in groups)
    return {
        (kind, source): [replace(one, source=f"{source} ({kind})") for one in group]
        if kinds[source] > 1
        else group
        for (kind, source), group in sorted(groups.items())
    }


def _stretches(trial: Trial) -> Iterator[Trial]:
    """Cut a recording into stretches of half a minute."""
    starts = list(range(0, len(trial.truth), STRETCH_FRAMES))
    if len(starts) > 1 and len(trial.truth) - starts[-1] < SHORTEST_FRAMES:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(trial.truth)], strict=True):
        yield _excerpt(trial, start, end)


def _excerpt(trial: Trial, start: int, end: int) -> Trial:
    tick = frame_samples(trial.rate)
    parts = [
        Part(
            part.path,
            max(part.start, start) - start,
            min(part.end, end) - start,
            part.start_s + max(0, start - part.start) * FRAME_S,
        )
        for part in trial.parts
        if part.start < end and start < part.end
    ]
    audio, truth = trial.audio[start * tick : end * tick], trial.truth[start:end]
    return replace(trial, audio=audio, truth=truth, parts=parts)


def _judged(trial: Trial) -> Trial:
    """Leave out of the truth where what should be heard pauses."""
    sounding = np.zeros(trial.truth.shape, bool)
    tick = frame_samples(trial.rate)
    for part in trial.parts:
        audio = floats(trial.audio[part.start * tick : part.end * tick])
        audio = np.pad(audio, (0, (part.end - part.start) * tick - len(audio)))
        sounding[part.start : part.end] = track(audio, frozenset(LABELS), trial.rate).sounding
    paused = (trial.truth == 1) & ~sounding
    return replace(trial, truth=np.where(paused, np.float32(UNHEARD), trial.truth))


def _evenly(group: Sequence[Trial], minutes: float) -> list[Trial]:
    """Take stretches of that many minutes from all over a group."""
    mean_s = sum(trial.duration_s for trial in group) / len(group)
    count = min(max(1, round(minutes * 60 / mean_s)), len(group))
    return [group[int((index + 0.5) * len(group) / count)] for index in range(count)]


def _over_music(chosen: Groups, recorded: Recordings, seed: int) -> Iterator[Trial]:
    """Yield every voice over music, at all levels over the same."""
    if not recorded.get("music"):
        return
    for (kind, _), some in chosen.items():
        for trial in some if kind in OVER_MUSIC_DB else ():
            shelf = Shelf(recorded, trial.rate, _chance(seed, "over music", trial))
            voice = track(floats(trial.audio), labels_of(kind), trial.rate)
            record = shelf.draw("music", voice.frames, level_dbfs=LEVEL_DBFS)
            for above_db in OVER_MUSIC_DB[kind]:
                audio, truth = mixed(over_music(voice, record, above_db=above_db))
                condition = f"{kind} over music {above_db:+d} dB"
                yield replace(trial, condition=condition, audio=stored(audio), truth=truth)


def _chance(seed: int, condition: str, trial: Trial) -> np.random.Generator:
    """Return what is random about a trial, whatever other trials there are."""
    return np.random.default_rng([seed, crc32(condition.encode()), crc32(trial.audio.tobytes())])
