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

from rtclassify.errors import DataError
from rtclassify.frontends import Frontend
from rtclassify.training import article, dataset, decode, evaluate, tfds
from rtclassify.training.dataset import Clip, Split
from rtclassify.training.evaluate import CUT, Validation
from rtclassify.training.feed import Batch, ahead
from rtclassify.training.library import Library, Take
from rtclassify.training.mix import Mixer

Sides = dict[Split, list[Take]]

EPOCH_WINDOWS = 8_192
SHORTEST_S = 0.1
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
        takes = _decoded(dataset.find(wanted.data), rate, wanted.cache, watcher)
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


def _decoded(clips: Sequence[Clip], rate: int, cache: Path, watcher: Watcher) -> list[Take]:
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
def mixed(sides: Sides, frontend: Frontend, batch: int, seed: int) -> Iterator[Material]:
    """Feed windows that are mixed anew for ever, in a thread of their own."""
    rate, window = frontend.rate, frontend.window
    validation = evaluate.draw(Library(sides["val"], rate), window, seed=seed)
    mixer = Mixer(Library(sides["train"], rate), window, np.random.default_rng(seed))
    steps = max(1, EPOCH_WINDOWS // batch)
    with ahead(mixer.batches(batch)) as made:
        yield Material(lambda: itertools.islice(made, steps), steps, validation)


@contextmanager
def chunked(sides: Sides, frontend: Frontend, batch: int, seed: int) -> Iterator[Material]:
    """Feed the article's chunks as they are."""
    audio, targets, _ = article.chunks(sides["train"], frontend.window)
    held_audio, held_targets, sources = article.chunks(sides["val"], frontend.window)
    validation = Validation(held_audio, held_targets, sources, [CUT] * len(sources))
    epoch = article.shuffled(audio, targets, batch, np.random.default_rng(seed))
    yield Material(epoch, math.ceil(len(audio) / batch), validation)


def hours(takes: list[Take], rate: int) -> dict[str, float]:
    """Return how much audio there is of each kind."""
    total: dict[str, float] = {}
    for clip, audio in takes:
        total[clip.kind] = total.get(clip.kind, 0.0) + len(audio) / rate / 3600
    return {kind: round(sum_h, 3) for kind, sum_h in sorted(total.items())}
