"""What training is fed with: data, decoded and split, and the batches made of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rtclassify.corpus import dataset, decode
from rtclassify.corpus.dataset import Clip, Heard, Split
from rtclassify.errors import DataError
from rtclassify.evaluation.conditions import CONDITIONS
from rtclassify.evaluation.shelf import floats
from rtclassify.evaluation.suite import SINGERS
from rtclassify.evaluation.trial import CLEAN
from rtclassify.frontends import Frontend, frame_count
from rtclassify.stream import Samples
from rtclassify.training import article, evaluate, song, synthetic, tfds, tune
from rtclassify.training.bands import Bands
from rtclassify.training.evaluate import Validation
from rtclassify.training.feed import Batch, ahead
from rtclassify.training.library import Library, Take
from rtclassify.training.mix import MADE, SINGING, SONG, TUNE, Mixer
from rtclassify.training.shaping import happens
from rtclassify.training.spectra import Listener, Mixable
from rtclassify.training.step import Ear

Sides = dict[Split, list[Heard]]

EPOCH_WINDOWS = 8_192
SHORTEST_S = 0.1
MADE_CLIPS, SONGS, TUNES = 1_500, 800, 800
MADE_S, SONG_S, TUNE_S = 6.0, 12.0, 8.0
LINKED_ODDS, LINKED_S = 0.5, 60.0
LINKS = {"limited": 0.3, "telephone": 0.2, "room": 0.2, "AM": 0.1, "mp3 32k": 0.1, "opus 16k": 0.1}
"""Every other recording is kept a second time, a minute of it, as it comes out of one of these."""
MADE_DBFS = -20.0
NAMED = 3
"""Unreadable files that are named, of however many."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The data that is asked for.

    Args:
        data: A folder or table; with a `loader`, its data folder or None for the loader's own.
        loader: ``tfds:NAME``, or an empty string for files.
        cache: Where decoded audio is kept.
        seed: Of the split and the windows.
    """

    data: Path | None
    loader: str
    cache: Path
    seed: int


class Watcher(Protocol):
    """Where a person sees what happens."""

    def line(self, text: str) -> None:
        """Show a line."""

    def begin(self, what: str, total: int) -> None:
        """Start a progress bar of `total` steps."""

    def advance(self, steps: int, note: str = "") -> None:
        """Move the bar, with a few words beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the loop is fed with: what starts an epoch of batches, and the windows held out."""

    ear: Ear
    epoch_batches: Callable[[], Iterable[Batch]]
    steps: int
    validation: Validation


def load(wanted: Wanted, rate: int, watcher: Watcher) -> Sides:
    """Find, decode and split the data.

    Raises:
        DataError: If it cannot be used.
        DependencyError: If the loader is not installed.
    """
    if wanted.loader:
        takes = tfds.load(wanted.loader, wanted.data, rate)
    elif wanted.data is None:
        raise DataError("There is nothing to learn from; name a folder, a TSV or a --loader.")
    else:
        found = dataset.find(wanted.data)
        dataset.refuse_one_sided(found, str(wanted.data))
        takes = _decoded(found, rate, wanted.cache, watcher)
    clips = [clip for clip, _ in takes]
    dataset.refuse_one_sided(clips, str(wanted.data or wanted.loader))
    by_source = wanted.data is not None and wanted.data.is_file()
    decided = dataset.split(clips, seed=wanted.seed, by_source=by_source)
    sides: Sides = {"train": [], "val": []}
    for take, side in zip(takes, decided, strict=True):
        sides[side].append(take)
    for side, some in sides.items():
        dataset.refuse_one_sided((clip for clip, _ in some), f"The {side} side of the split")
        each = ", ".join(f"{total:.2f} h {kind}" for kind, total in hours(some, rate).items())
        watcher.line(f"{side}: {len(some)} clips, {each}")
    return sides


def _decoded(clips: Sequence[Clip], rate: int, cache: Path, watcher: Watcher) -> list[Heard]:
    paths = list(dict.fromkeys(clip.path for clip in clips))
    watcher.begin("decoding", len(paths))
    heard, unreadable = decode.Cache(cache, rate).take(paths, watcher.advance)
    if unreadable:
        named = ", ".join(str(path) for path in unreadable[:NAMED])
        more = ", …" if len(unreadable) > NAMED else ""
        watcher.line(f"{len(unreadable)} of {len(paths)} files cannot be read: {named}{more}")
    takes = []
    for clip in clips:
        if clip.path in heard:
            end = None if clip.end_s is None else int(clip.end_s * rate)
            part = heard[clip.path][int(clip.start_s * rate) : end]
            if len(part) >= SHORTEST_S * rate:
                takes.append((clip, part))
    return takes


@contextmanager
def mixed(
    sides: Sides, frontend: Frontend, batch: int, seed: int, watcher: Watcher
) -> Iterator[Material]:
    """Feed windows that are mixed anew for ever, in a thread of their own.

    Raises:
        DataError: If the front end's frames cannot be mixed.
    """
    if not isinstance(frontend, Mixable):
        raise DataError(
            "Frames of this --frontend cannot be mixed; train with log_stft or harmonic_stft."
        )
    frames = frame_count(frontend, frontend.window)
    validation = evaluate.draw(sides["val"], frontend.rate, frontend.window, seed=seed)
    takes = _takes(sides["train"], frontend, np.random.default_rng([seed, 1]), watcher)
    bands = Bands(frontend)
    mixer = Mixer(Library(takes, bands), frames, np.random.default_rng(seed))
    ear = Ear((frames, bands.count), frontend.compressed)
    steps = max(1, EPOCH_WINDOWS // batch)
    with ahead(mixer.batches(batch)) as made:
        yield Material(ear, lambda: itertools.islice(made, steps), steps, validation)


def _takes(
    heard: list[Heard], frontend: Mixable, rng: np.random.Generator, watcher: Watcher
) -> list[Take]:
    """Return the frames of recordings, of noise that is made, and of speech turned into song."""
    listener, rate = Listener(frontend), frontend.rate
    spoken = [audio for clip, audio in heard if clip.kind == "speech"]
    watcher.begin("listening", len(heard) + MADE_CLIPS + SONGS + TUNES)
    takes = []
    for clip, audio in heard:
        sung = clip.kind == "music" and clip.source.endswith(SINGERS)
        kind = SINGING if sung else clip.kind
        takes.append(Take(kind, clip.source, listener.keep(audio)))
        if happens(rng, LINKED_ODDS):
            linked = _linked(audio, rate, rng)
            takes.append(Take(kind, clip.source, listener.keep(linked)))
        watcher.advance(1)
    level = np.float32(10 ** (MADE_DBFS / 20))
    for _ in range(MADE_CLIPS):
        noise = synthetic.make(int(MADE_S * rate), rate, rng)
        takes.append(Take(MADE, MADE, listener.keep(level * noise)))
        watcher.advance(1)
    for _ in range(SONGS):
        speech = joined(spoken, int(SONG_S * rate), rng)
        takes.append(Take(SONG, SONG, listener.keep(song.sung(speech, rate, rng))))
        watcher.advance(1)
    for _ in range(TUNES):
        piece = level * tune.played(int(TUNE_S * rate), rate, rng)
        takes.append(Take(TUNE, TUNE, listener.keep(piece)))
        watcher.advance(1)
    return [take for take in takes if len(take.kept)]


def _linked(audio: decode.Stored, rate: int, rng: np.random.Generator) -> Samples:
    """Return at most a minute of a recording after its way through a link drawn at random."""
    start = int(rng.integers(max(1, len(audio) - int(LINKED_S * rate))))
    sent = floats(audio[start : start + int(LINKED_S * rate)])
    return CONDITIONS[rng.choice(list(LINKS), p=list(LINKS.values()))](sent, rate, rng)


def joined(clips: Sequence[decode.Stored], samples: int, rng: np.random.Generator) -> Samples:
    """Return clips that lie next to each other, as many as fill `samples`."""
    at, pieces, missing = int(rng.integers(len(clips))), [], samples
    while missing > 0:
        pieces.append(clips[at][:missing])
        missing -= len(pieces[-1])
        at = (at + 1) % len(clips)
    return floats(np.concatenate(pieces))


@contextmanager
def chunked(
    sides: Sides, frontend: Frontend, batch: int, seed: int, _watcher: Watcher
) -> Iterator[Material]:
    """Feed the article's chunks as they are."""
    audio, targets, _ = article.chunks(sides["train"], frontend.window)
    held_audio, held_targets, sources = article.chunks(sides["val"], frontend.window)
    validation = Validation(held_audio, held_targets[:, None], sources, [CLEAN] * len(sources))
    epoch = article.shuffled(audio, targets, batch, np.random.default_rng(seed))
    ear = Ear((frontend.window,), frontend.frames)
    yield Material(ear, epoch, math.ceil(len(audio) / batch), validation)


def hours(takes: list[Heard], rate: int) -> dict[str, float]:
    """Return how much audio there is of each kind."""
    total: dict[str, float] = {}
    for clip, audio in takes:
        total[clip.kind] = total.get(clip.kind, 0.0) + len(audio) / rate / 3600
    return {kind: round(sum_h, 3) for kind, sum_h in sorted(total.items())}
