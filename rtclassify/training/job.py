"""One training from data to bundle."""

from __future__ import annotations

import itertools
import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from rtclassify import __version__, bundle, frontends, networks
from rtclassify.errors import DataError
from rtclassify.frontends import Frontend
from rtclassify.networks import Network
from rtclassify.training import article, dataset, decode, evaluate, fit, report, tfds
from rtclassify.training.dataset import LABELS, Clip, Split
from rtclassify.training.evaluate import CUT, Validation
from rtclassify.training.fit import Batch, Epoch, Recipe
from rtclassify.training.library import Library, Take
from rtclassify.training.mix import Mixer

Sides = dict[Split, list[Take]]

EPOCH_WINDOWS = 10_240
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
    """What the loop is fed with: what starts an epoch of batches, and the windows held out."""

    epoch_batches: Callable[[], Iterable[Batch]]
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
    sides = load(job, frontend.rate, watcher)
    frames = frontends.frame_count(frontend, frontend.window)
    model = network.build(frames=frames, bands=frontend.bands, labels=len(LABELS))
    for part in ("trunk", "head"):
        model.get_layer(part).summary(print_fn=watcher.line, line_length=80)
    feed = _chunked if job.network == "article" else _mixed
    recipe = _recipe(job)
    with feed(sides, frontend, recipe, job.seed) as material:
        history = _fit(
            model, frontend, network, recipe, material, minutes=job.minutes, watcher=watcher
        )
    probabilities = fit.scores(model, frontend, material.validation.audio)
    metrics = evaluate.measure(material.validation, probabilities)
    metrics |= _circumstances(job, recipe, history, time.monotonic() - begun)
    data = _provenance(job, sides, frontend.rate)
    bundle.save(
        job.out,
        model=model,
        frontend=frontend,
        network=network,
        labels=LABELS,
        data=data,
        metrics=metrics,
        card=report.card(job.out.name, metrics, data, job.command),
    )
    report.draw(job.out, history, metrics)
    return report.sentence(metrics)


def load(job: Job, rate: int, watcher: Watcher) -> Sides:
    """Find, decode and split the data.

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
    decided = dataset.split(clips, seed=job.seed, by_source=by_source)
    sides: Sides = {"train": [], "val": []}
    for take, side in zip(takes, decided, strict=True):
        sides[side].append(take)
    for side, some in sides.items():
        dataset.refuse_one_sided((clip for clip, _ in some), f"The {side} side of the split")
        hours = ", ".join(f"{total:.2f} h {kind}" for kind, total in _hours(some, rate).items())
        watcher.line(f"{side}: {len(some)} clips, {hours}")
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
def _mixed(sides: Sides, frontend: Frontend, recipe: Recipe, seed: int) -> Iterator[Material]:
    """Feed windows that are mixed anew for ever, in a thread of their own."""
    rate, window = frontend.rate, frontend.window
    validation = evaluate.draw(Library(sides["val"], rate), window, seed=seed)
    mixer = Mixer(Library(sides["train"], rate), window, np.random.default_rng(seed))
    steps = max(1, EPOCH_WINDOWS // recipe.batch)
    with fit.ahead(mixer.batches(recipe.batch)) as made:
        yield Material(lambda: itertools.islice(made, steps), steps, validation)


@contextmanager
def _chunked(sides: Sides, frontend: Frontend, recipe: Recipe, seed: int) -> Iterator[Material]:
    """Feed the article's chunks as they are."""
    audio, targets, _ = article.chunks(sides["train"], frontend.window)
    held_audio, held_targets, sources = article.chunks(sides["val"], frontend.window)
    validation = Validation(held_audio, held_targets, sources, [CUT] * len(sources))
    epoch = article.shuffled(audio, targets, recipe.batch, np.random.default_rng(seed))
    yield Material(epoch, math.ceil(len(audio) / recipe.batch), validation)


def _fit(
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    recipe: Recipe,
    material: Material,
    *,
    minutes: float | None,
    watcher: Watcher,
) -> fit.History:
    watcher.begin("training", material.steps * recipe.epochs)
    score = ""

    def on_step(loss: float) -> None:
        watcher.advance(1, f"loss {loss:.3f}{score}")

    def on_epoch(number: int, epoch: Epoch) -> None:
        nonlocal score
        score = f", {epoch.val_right:.1%} of validation right"
        if number % recipe.log_every == 0:
            watcher.line(
                f"epoch {number}: loss {epoch.loss:.4f}, validation {epoch.val_loss:.4f}, "
                f"{epoch.val_right:.1%} right, {epoch.seconds:.0f} s"
            )

    history = fit.fit(
        model,
        frontend,
        network,
        recipe,
        epoch_batches=material.epoch_batches,
        steps=material.steps,
        held=fit.Held(material.validation.audio, material.validation.targets),
        limit_s=math.inf if minutes is None else 60 * minutes,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    watcher.line(f"stopped after epoch {len(history.epochs)}: {history.stopped}")
    return history


def _recipe(job: Job) -> Recipe:
    recipe = article.RECIPE if job.network == "article" else fit.PRODUCT
    return replace(recipe, epochs=job.epochs or recipe.epochs, batch=job.batch or recipe.batch)


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


def _provenance(job: Job, sides: Sides, rate: int) -> dict[str, Any]:
    data: dict[str, Any] = {"from": job.loader or (job.data.name if job.data else "")}
    for side, takes in sides.items():
        data[f"{side}_h"] = _hours(takes, rate)
        data[f"{side}_sources"] = sorted({clip.source.partition("/")[0] for clip, _ in takes})
    return data


def _hours(takes: list[Take], rate: int) -> dict[str, float]:
    hours: dict[str, float] = {}
    for clip, audio in takes:
        hours[clip.kind] = hours.get(clip.kind, 0.0) + len(audio) / rate / 3600
    return {kind: round(total, 3) for kind, total in sorted(hours.items())}
