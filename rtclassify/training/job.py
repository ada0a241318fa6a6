"""One training from data to bundle."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from rtclassify import __version__, bundle, frontends, networks
from rtclassify.errors import DataError
from rtclassify.training import article, dataset, decode, evaluate, fit, report, tfds
from rtclassify.training.dataset import LABELS, Clip, Split
from rtclassify.training.evaluate import Validation
from rtclassify.training.fit import Batch, Epoch, Recipe
from rtclassify.training.library import Library, Take
from rtclassify.training.mix import Mixer

EPOCH_WINDOWS = 4_096
SHORTEST_S = 0.1
NAMED = 3
"""Unreadable files that are named, of however many."""


@dataclass(frozen=True, slots=True)
class Job:
    """What `run` is asked for.

    Args:
        data: A folder or table; with a `loader`, its data folder or None for the loader's own.
        out: The bundle's folder.
        network: A key of `NETWORKS`.
        frontend: A key of `FRONTENDS`.
        epochs: At most this many; None for the recipe's.
        batch: Windows in a step; None for the recipe's.
        seed: Of the split, the windows and the weights.
        loader: ``tfds:NAME``, or an empty string for files.
        cache: Where decoded audio is kept.
        minutes: Stop after so long; None for no limit.
        command: What a person typed, for the model card.
    """

    data: Path | None
    out: Path
    network: str
    frontend: str
    epochs: int | None
    batch: int | None
    seed: int
    loader: str
    cache: Path
    minutes: float | None
    command: str


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
    """What the loop is fed with: batches of an epoch, and the windows held out."""

    epoch_batches: Callable[[], Iterator[Batch]]
    steps: int
    validation: Validation


def run(job: Job, watcher: Watcher) -> str:
    """Train, evaluate and save; return the sentence that says how good the model is.

    Raises:
        DataError: If the data cannot be used.
        DependencyError: If the loader is not installed.
        KeyboardInterrupt: If it comes before anything was learned.
    """
    begun = time.monotonic()
    keras.utils.set_random_seed(job.seed)
    frontend = frontends.FRONTENDS[job.frontend]()
    network = networks.NETWORKS[job.network]()
    recipe = _recipe(job)
    train, held = load(job, frontend.rate, watcher)
    frames = frontends.frame_count(frontend, frontend.window)
    model = network.build(frames=frames, bands=frontend.bands, labels=len(LABELS))
    for part in ("trunk", "head"):
        model.get_layer(part).summary(print_fn=lambda text: watcher.line(text), line_length=80)
    stop = Event()
    prepare = _chunked if job.network == "article" else _mixed
    material = prepare(train, held, frontend, recipe, job.seed, stop)
    try:
        history = _fit(model, frontend, recipe, material, job.minutes, watcher)
    finally:
        stop.set()
    probabilities = fit.scores(model, frontend, material.validation.audio)
    metrics = evaluate.measure(material.validation, probabilities)
    metrics |= _circumstances(job, recipe, history, time.monotonic() - begun)
    data = _provenance(job, train, held, frontend.rate)
    bundle.save(
        job.out, model=model, frontend=frontend, network=network, labels=LABELS, data=data,
        metrics=metrics, card=report.card(job.out.name, metrics, data, job.command),
    )  # fmt: skip
    report.draw(job.out, history, metrics)
    return report.sentence(metrics)


def load(job: Job, rate: int, watcher: Watcher) -> tuple[list[Take], list[Take]]:
    """Find, split and decode the data; return what trains and what is held out.

    Raises:
        DataError: If it cannot be used.
        DependencyError: If the loader is not installed.
    """
    if job.loader:
        takes = tfds.load(job.loader, job.data, rate)
    elif job.data is None:
        raise DataError("There is nothing to learn from; name a folder, a TSV or a --loader.")
    else:
        takes = _decoded(dataset.find(job.data), rate, job.cache, watcher)
    clips = [clip for clip, _ in takes]
    dataset.refuse_one_sided(clips, str(job.data or job.loader))
    by_source = job.data is not None and job.data.is_file()
    sides: dict[Split, list[Take]] = {"train": [], "val": []}
    for take, side in zip(
        takes, dataset.split(clips, seed=job.seed, by_source=by_source), strict=True
    ):
        sides[side].append(take)
    for side, some in sides.items():
        dataset.refuse_one_sided((clip for clip, _ in some), f"The {side} side of the split")
        watcher.line(f"{side}: {_summary(some, rate)}")
    return sides["train"], sides["val"]


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


def _mixed(
    train: list[Take], held: list[Take], frontend: frontends.Frontend, recipe: Recipe, seed: int,
    stop: Event,
) -> Material:  # fmt: skip
    """Feed windows that are mixed anew for ever."""
    mixer = Mixer(Library(train, frontend.rate), frontend.window, np.random.default_rng(seed))

    def batches() -> Iterator[Batch]:
        while True:
            audio, targets = zip(*(mixer.window() for _ in range(recipe.batch)), strict=True)
            yield np.stack(audio), np.stack(targets)

    steps = max(1, EPOCH_WINDOWS // recipe.batch)
    made = fit.ahead(batches(), stop)
    validation = evaluate.draw(Library(held, frontend.rate), frontend.window, seed=seed)
    return Material(lambda: (next(made) for _ in range(steps)), steps, validation)


def _chunked(
    train: list[Take], held: list[Take], frontend: frontends.Frontend, recipe: Recipe, seed: int,
    _stop: Event,
) -> Material:  # fmt: skip
    """Feed the article's chunks as they are."""
    audio, targets, _ = article.chunks(train, frontend.window)
    held_audio, held_targets, sources = article.chunks(held, frontend.window)
    validation = Validation(held_audio, held_targets, sources, ["clean"] * len(sources))
    epoch = article.shuffled(audio, targets, recipe.batch, np.random.default_rng(seed))
    return Material(epoch, -(-len(audio) // recipe.batch), validation)


def _fit(
    model: keras.Model, frontend: frontends.Frontend, recipe: Recipe, material: Material,
    minutes: float | None, watcher: Watcher,
) -> fit.History:  # fmt: skip
    watcher.begin("training", material.steps * recipe.epochs)
    note = ""

    def on_epoch(number: int, epoch: Epoch) -> None:
        nonlocal note
        note = f"epoch {number}: {epoch.val_right:.1%} right"
        if number % recipe.log_every == 0:
            watcher.line(
                f"epoch {number}: loss {epoch.loss:.4f}, validation {epoch.val_loss:.4f}, "
                f"{epoch.val_right:.1%} right, {epoch.seconds:.0f} s"
            )

    history = fit.fit(
        model, frontend, recipe, epoch_batches=material.epoch_batches, steps=material.steps,
        held=fit.Held(material.validation.audio, material.validation.targets),
        limit_s=np.inf if minutes is None else 60 * minutes,
        on_step=lambda _, loss: watcher.advance(1, note or f"loss {loss:.3f}"), on_epoch=on_epoch,
    )  # fmt: skip
    watcher.line(f"stopped after epoch {len(history.epochs)}: {history.stopped}")
    return history


def _recipe(job: Job) -> Recipe:
    recipe = article.RECIPE if job.network == "article" else fit.PRODUCT
    chosen = {"epochs": job.epochs or recipe.epochs, "batch": job.batch or recipe.batch}
    return replace(recipe, **chosen)


def _circumstances(
    job: Job, recipe: Recipe, history: fit.History, duration_s: float
) -> dict[str, Any]:
    kept = history.epochs[history.best]
    return {
        "seed": job.seed,
        "epochs": len(history.epochs),
        "kept_epoch": history.best + 1,
        "kept_val_loss": round(kept.val_loss, 5),
        "batch": recipe.batch,
        "stopped": history.stopped,
        "duration_s": round(duration_s, 1),
        "versions": {
            "rtclassify": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _provenance(job: Job, train: list[Take], held: list[Take], rate: int) -> dict[str, Any]:
    return {
        "from": job.loader or (job.data.name if job.data else ""),
        "train_h": _hours(train, rate),
        "val_h": _hours(held, rate),
        "train_sources": sorted({clip.source.partition("/")[0] for clip, _ in train}),
        "val_sources": sorted({clip.source.partition("/")[0] for clip, _ in held}),
    }


def _hours(takes: list[Take], rate: int) -> dict[str, float]:
    hours: dict[str, float] = {}
    for clip, audio in takes:
        hours[clip.kind] = hours.get(clip.kind, 0.0) + len(audio) / rate / 3600
    return {kind: round(total, 3) for kind, total in sorted(hours.items())}


def _summary(takes: list[Take], rate: int) -> str:
    parts = [f"{hours:.2f} h {kind}" for kind, hours in _hours(takes, rate).items()]
    return f"{len(takes)} clips, {', '.join(parts)}"
